#include "strongroom/index/han.h"

#include <unicode/normalizer2.h>
#include <unicode/translit.h>
#include <unicode/uchar.h>
#include <unicode/uscript.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <mutex>

#include "strongroom/base/check.h"

namespace strongroom::index {
namespace {

constexpr char32_t kFirst = 0x4e00;  // CJK Unified Ideographs: what names are written in.
constexpr char32_t kLast = 0x9fff;
constexpr size_t kCount = kLast - kFirst + 1;
constexpr char32_t kPiece = 64;
static_assert(kCount % kPiece == 0);
constexpr size_t kSyllableMax = 7;

std::unique_ptr<icu::Transliterator> rules_of(const char* id) {
  UErrorCode status = U_ZERO_ERROR;
  std::unique_ptr<icu::Transliterator> rules(
      icu::Transliterator::createInstance(id, UTRANS_FORWARD, status));
  SR_CHECK(U_SUCCESS(status) != 0 && rules != nullptr, "ICU lacks its transliterators");
  return rules;
}

// What becomes of each of `count` characters from `first` on.
std::vector<icu::UnicodeString> transliterate(const icu::Transliterator& rules, char32_t first,
                                              size_t count) {
  icu::UnicodeString lines;
  for (char32_t c = first; c < first + count; ++c) {
    lines.append(static_cast<UChar32>(c));
    lines.append(u'\n');
  }
  rules.transliterate(lines);
  std::vector<icu::UnicodeString> out;
  out.reserve(count);
  int32_t begin = 0;
  for (int32_t end; (end = lines.indexOf(u'\n', begin)) >= 0; begin = end + 1) {
    out.emplace_back(lines, begin, end - begin);
    out.back().trim();
  }
  SR_CHECK(out.size() == count, "ICU joined characters that stood apart");
  return out;
}

// A reading: letters only, else none.
Syllable reading(const icu::UnicodeString& text) {
  for (int32_t i = 0; i < text.length(); ++i) {
    if (text[i] >= kFirst && text[i] <= kLast) return {};
  }
  Syllable out;
  text.toUTF8String(out.tones);
  out.plain = without_tone(out.tones);
  return out;
}

// ICU takes tens of microseconds for each character: it is asked when one is first needed.
// Thread-safe.
class Readings {
 public:
  explicit Readings(const char* id) : rules_(rules_of(id)) {}

  const Syllable& of(char32_t c) {
    const Syllable* known = slots_[c - kFirst].load(std::memory_order_acquire);
    return known != nullptr ? *known : find(c);
  }

 private:
  const Syllable& find(char32_t c) {
    const std::lock_guard hold(mutex_);
    auto& slot = slots_[c - kFirst];
    if (slot.load(std::memory_order_relaxed) == nullptr) {
      slot.store(&found_.emplace_back(reading(transliterate(*rules_, c, 1)[0])),
                 std::memory_order_release);
    }
    return *slot.load(std::memory_order_relaxed);
  }

  const std::unique_ptr<icu::Transliterator> rules_;
  std::mutex mutex_;
  std::deque<Syllable> found_;  // They stay where they are.
  std::array<std::atomic<const Syllable*>, kCount> slots_{};
};

Readings& readings() {
  static auto& known = *new Readings("Han-Latin");
  return known;
}
Readings& surname_readings() {
  static auto& known = *new Readings("Han-Latin/Names");
  return known;
}

const std::vector<char32_t>& simple_forms() {
  static const auto kForms = [] {
    std::vector<char32_t> out;
    const auto rules = rules_of("Traditional-Simplified");
    // In pieces: what is replaced by something longer moves all that is behind it.
    for (char32_t first = kFirst; first <= kLast; first += kPiece) {
      for (const auto& line : transliterate(*rules, first, kPiece)) {
        out.push_back(static_cast<char32_t>(line.char32At(0)));
        SR_CHECK(out.back() >= 0x800 && out.back() <= 0xffff,
                 "three bytes, as simplified() has it");
      }
    }
    return out;
  }();
  return kForms;
}

// Of all characters, without tone, ascending.
const std::vector<std::string>& syllables() {
  static const auto kSyllables = [] {
    std::vector<std::string> out;
    for (Readings* each : {&readings(), &surname_readings()}) {
      for (char32_t c = kFirst; c <= kLast; ++c) {
        const Syllable& one = each->of(c);
        if (!one.tones.empty()) out.push_back(one.plain);
      }
    }
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
  }();
  return kSyllables;
}

bool in_block(char32_t c) {
  return c >= kFirst && c <= kLast;
}

}  // namespace

void prepare_han() {
  static_cast<void>(simple_forms());
  static_cast<void>(syllables());
}

bool is_han(char32_t c) {
  UErrorCode status = U_ZERO_ERROR;
  return in_block(c) || uscript_getScript(static_cast<UChar32>(c), &status) == USCRIPT_HAN;
}

std::u32string to_code_points(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<uint8_t>(text[i]);
    const size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    char32_t c = size == 1 ? lead : lead & (0x7fu >> size);
    for (size_t k = 1; k < size; ++k) c = (c << 6) | (static_cast<uint8_t>(text[i + k]) & 0x3f);
    out.push_back(c);
    i += size;
  }
  return out;
}

void append_utf8(char32_t c, std::string& out) {
  if (c < 0x80) {
    out.push_back(static_cast<char>(c));
    return;
  }
  const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  static constexpr uint8_t kLead[] = {0, 0xc0, 0xe0, 0xf0};
  out.push_back(static_cast<char>(kLead[more] | (c >> (6 * more))));
  for (int k = more - 1; k >= 0; --k)
    out.push_back(static_cast<char>(0x80 | (c >> (6 * k) & 0x3f)));
}

char32_t simplified(char32_t c) {
  return in_block(c) ? simple_forms()[c - kFirst] : c;
}

std::string simplified(std::string_view text) {
  // In place: of the block, a character and its simplified form are three bytes both.
  std::string out(text);
  const auto& simple_of = simple_forms();
  for (size_t i = 0; i + 2 < out.size(); ++i) {
    const auto lead = static_cast<uint8_t>(out[i]);
    if (lead < 0xe4 || lead > 0xe9) continue;
    const char32_t c = (char32_t{lead} & 0x0f) << 12 |
                       (static_cast<uint8_t>(out[i + 1]) & 0x3fu) << 6 |
                       (static_cast<uint8_t>(out[i + 2]) & 0x3fu);
    if (in_block(c) && simple_of[c - kFirst] != c) {
      const char32_t simple = simple_of[c - kFirst];
      out[i] = static_cast<char>(0xe0 | simple >> 12);
      out[i + 1] = static_cast<char>(0x80 | (simple >> 6 & 0x3f));
      out[i + 2] = static_cast<char>(0x80 | (simple & 0x3f));
    }
    i += 2;
  }
  return out;
}

const Syllable& pinyin(char32_t c) {
  static const Syllable kNone;
  return in_block(c) ? readings().of(c) : kNone;
}

const Syllable& surname_pinyin(char32_t c) {
  static const Syllable kNone;
  return in_block(c) ? surname_readings().of(c) : kNone;
}

std::string without_tone(std::string_view syllable) {
  std::string out;
  for (const char32_t c : to_code_points(syllable)) {
    if (c < 0x80) {
      out.push_back(static_cast<char>(c));
    } else if (c == U'ü' || c == U'ǖ' || c == U'ǘ' || c == U'ǚ' || c == U'ǜ') {
      out.push_back('v');  // As it is typed.
    } else {
      // The letter below the marks.
      UErrorCode status = U_ZERO_ERROR;
      const icu::Normalizer2* nfd = icu::Normalizer2::getNFDInstance(status);
      icu::UnicodeString parts;
      if (U_SUCCESS(status) != 0 && nfd->getDecomposition(static_cast<UChar32>(c), parts) != 0 &&
          parts[0] < 0x80) {
        out.push_back(static_cast<char>(parts[0]));
      }
    }
  }
  return out;
}

bool is_syllable(std::string_view toneless) {
  const auto& all = syllables();
  return toneless.size() <= kSyllableMax &&
         std::binary_search(all.begin(), all.end(), toneless, std::less<>());
}

}  // namespace strongroom::index
