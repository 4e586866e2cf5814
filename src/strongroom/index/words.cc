#include "strongroom/index/words.h"

#include <string.h>
#include <unicode/brkiter.h>

#include <algorithm>
#include <memory>
#include <span>
#include <unordered_set>

#include "strongroom/base/check.h"
#include "strongroom/index/han.h"
#include "strongroom/index/han_segmenter.h"

namespace strongroom::index {
namespace {

constexpr size_t kWordBytesMax = 64;
constexpr size_t kStopWordBytesMax = 4;

// What is in most texts and tells them apart in none.
const std::unordered_set<std::string_view>& stop_words() {
  static const std::unordered_set<std::string_view> kStopWords = {
      "a",    "an",   "and",  "are", "as", "at", "be", "by",  "for",  "from", "has", "he",
      "in",   "is",   "it",   "its", "of", "on", "or", "she", "that", "the",  "to",  "was",
      "were", "will", "with", "一",  "上", "不", "个", "中",  "为",   "也",   "于",  "人",
      "他",   "了",   "和",   "在",  "对", "有", "的", "该",  "被",   "这"};
  return kStopWords;
}

std::string_view cut(std::string_view word) {
  if (word.size() <= kWordBytesMax) return word;
  size_t size = kWordBytesMax;
  while ((static_cast<uint8_t>(word[size]) & 0xc0) == 0x80) --size;
  return word.substr(0, size);
}

// Words as they are found; views into the text.
struct Found {
  std::vector<std::string_view> words, stops;

  void add(std::string_view word) {
    const bool stop = word.size() <= kStopWordBytesMax && stop_words().contains(word);
    (stop ? stops : words).push_back(cut(word));
  }
  std::span<const std::string_view> all() const { return words.empty() ? stops : words; }
};

std::vector<std::string> distinct(std::vector<std::string> words) {
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  return words;
}

// All of a text through ICU. In UTF-16: over UTF-8 it takes twice the time.
void find_by_icu(std::string_view text, Found& found) {
  // Making one reads the dictionary: kept for the thread.
  thread_local const std::unique_ptr<icu::BreakIterator> breaks = [] {
    UErrorCode status = U_ZERO_ERROR;
    std::unique_ptr<icu::BreakIterator> made(
        icu::BreakIterator::createWordInstance(icu::Locale::getChinese(), status));
    SR_CHECK(U_SUCCESS(status) != 0 && made != nullptr, "ICU lacks its word boundaries");
    return made;
  }();
  const icu::UnicodeString view = icu::UnicodeString::fromUTF8(
      icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
  breaks->setText(view);
  size_t at = 0;  // In `text`, as `begin` in `view`.
  int32_t begin = breaks->first();
  for (int32_t end; (end = breaks->next()) != icu::BreakIterator::DONE; begin = end) {
    size_t size = 0;
    for (int32_t i = begin; i < end; ++i) {
      const char16_t c = view[i];
      size += c < 0x80 ? 1 : c < 0x800 || (c & 0xf800) == 0xd800 ? 2 : 3;  // A surrogate is half.
    }
    if (breaks->getRuleStatus() >= UBRK_WORD_NONE_LIMIT) found.add(text.substr(at, size));
    at += size;
  }
}

bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
// Holds words together if there is one on either side (UAX 29: MidLetter, MidNum, MidNumLet; a
// colon in some locales).
bool is_mid(char c) {
  return c == '.' || c == ',' || c == ':' || c == ';' || c == '\'' || c == '"';
}

// What a character means for word boundaries (UAX 29), as far as it is plain.
enum class Sort : uint8_t {
  kHan,
  kLatin,  // ASCII, and part of a word, perhaps (an @ is, to ICU).
  kBreak,  // Part of none, and nothing is held together over it.
  kOther,
};
Sort sort_of(char32_t c) {
  if (c < 0x80) {
    const char a = static_cast<char>(c);
    return a < ' ' || a == '_' || a == '@' || a == 0x7f || is_alnum(a) || is_mid(a) ? Sort::kLatin
                                                                                    : Sort::kBreak;
  }
  if (HanSegmenter::covers(c)) return Sort::kHan;
  const bool sign = (c >= 0x3001 && c <= 0x3003) || (c >= 0x3008 && c <= 0x3011) || c == 0x2014 ||
                    c == 0x201c || c == 0x201d;
  return sign ? Sort::kBreak : Sort::kOther;
}

void add_latin(std::string_view piece, Found& found) {
  while (!piece.empty() && is_mid(piece.front())) piece.remove_prefix(1);
  while (!piece.empty() && is_mid(piece.back())) piece.remove_suffix(1);
  if (piece.empty()) return;
  if (std::all_of(piece.begin(), piece.end(), is_alnum)) return found.add(piece);
  find_by_icu(piece, found);
}

// The text cut where there is surely a boundary, and each piece by what knows it best. False: there
// are characters of other sorts.
bool find_by_pieces(std::string_view text, const HanSegmenter& segmenter, Found& found) {
  constexpr size_t kHanBytes = 3;
  thread_local HanSegmenter::Scratch scratch;
  thread_local std::u16string han;  // Text: wiped below.
  bool plain = true;
  for (size_t at = 0; at < text.size() && plain;) {
    size_t end = at;
    Sort sort = Sort::kBreak;
    han.clear();
    while (end < text.size()) {
      const auto lead = static_cast<uint8_t>(text[end]);
      const size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
      char32_t c = size == 1 ? lead : lead & (0x7fu >> size);
      for (size_t k = 1; k < size; ++k) {
        c = (c << 6) | (static_cast<uint8_t>(text[end + k]) & 0x3f);
      }
      const Sort next = sort_of(c);
      if (end == at) sort = next;
      if (next != sort) break;
      if (sort == Sort::kHan) han.push_back(static_cast<char16_t>(c));
      end += size;
    }
    if (sort == Sort::kHan) {
      size_t begin = 0;
      for (const uint32_t to : segmenter.ends(han, scratch)) {
        found.add(text.substr(at + begin * kHanBytes, (to - begin) * kHanBytes));
        begin = to;
      }
    } else if (sort == Sort::kLatin) {
      add_latin(text.substr(at, end - at), found);
    }
    plain = sort != Sort::kOther;
    at = end;
  }
  han.resize(han.capacity());
  explicit_bzero(han.data(), han.size() * sizeof(char16_t));
  return plain;
}

}  // namespace

void for_each_word(std::string_view value, const std::function<void(std::string_view)>& visit) {
  const std::string text = simplified(value);
  const HanSegmenter* segmenter = HanSegmenter::instance();
  thread_local Found found;  // Views, no text.
  found.words.clear();
  found.stops.clear();
  if (segmenter == nullptr || !find_by_pieces(text, *segmenter, found)) {
    found = {};
    find_by_icu(text, found);
  }
  for (const std::string_view word : found.all()) visit(word);
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> out;
  for_each_word(text, [&](std::string_view word) { out.emplace_back(word); });
  return distinct(std::move(out));
}

std::vector<std::string> words_by_icu(std::string_view value) {
  const std::string text = simplified(value);
  Found found;
  find_by_icu(text, found);
  return distinct({found.all().begin(), found.all().end()});
}

void prepare_words() {
  static_cast<void>(HanSegmenter::instance());
}

}  // namespace strongroom::index
