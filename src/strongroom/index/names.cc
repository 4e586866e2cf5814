#include "strongroom/index/names.h"

#include <unicode/brkiter.h>
#include <unicode/translit.h>

#include <algorithm>
#include <memory>

#include "strongroom/base/check.h"
#include "strongroom/index/han.h"

namespace strongroom::index {
namespace {

constexpr size_t kHanMax =
    8;  // Characters at their places; longer names are found whole and by pairs.
constexpr size_t kPartsMax = 8;  // Of a Latin name.
constexpr size_t kTypoMin = 4;   // Letters: shorter parts are too alike.
constexpr size_t kTypoMax = 24;

std::u32string letters_of(std::string_view name) {
  std::u32string out;
  for (const char32_t c : to_code_points(name)) {
    if (c != ' ' && c != U'·' && c != U'・') out.push_back(simplified(c));
  }
  return out;
}

bool all_han(const std::u32string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), is_han);
}

std::string utf8(std::u32string_view text) {
  std::string out;
  for (const char32_t c : text) append_utf8(c, out);
  return out;
}

std::string placed(size_t place, std::string_view what) {
  return static_cast<char>('0' + place) + std::string(what);
}

// The parts of a name that is not Han, in Latin letters without marks.
std::vector<std::string> latin_parts(std::string_view name) {
  std::string latin;
  if (std::all_of(name.begin(), name.end(),
                  [](char c) { return static_cast<uint8_t>(c) < 0x80; })) {
    latin = name;
  } else {
    thread_local const std::unique_ptr<icu::Transliterator> rules = [] {
      UErrorCode status = U_ZERO_ERROR;
      std::unique_ptr<icu::Transliterator> made(icu::Transliterator::createInstance(
          "Any-Latin; Latin-ASCII; Lower", UTRANS_FORWARD, status));
      SR_CHECK(U_SUCCESS(status) != 0 && made != nullptr, "ICU lacks its transliterators");
      return made;
    }();
    icu::UnicodeString text = icu::UnicodeString::fromUTF8(
        icu::StringPiece(name.data(), static_cast<int32_t>(name.size())));
    rules->transliterate(text);
    text.toUTF8String(latin);
  }
  // O'Brien is obrien; Smith-Jones is two parts.
  std::vector<std::string> parts(1);
  for (const char c : latin) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (letter) {
      parts.back().push_back(c);
    } else if (c >= 'A' && c <= 'Z') {
      parts.back().push_back(static_cast<char>(c + ('a' - 'A')));
    } else if (c != '\'' && c != '.' && c != '`' && !parts.back().empty()) {
      parts.emplace_back();
    }
  }
  if (parts.back().empty()) parts.pop_back();
  if (parts.size() > kPartsMax) parts.resize(kPartsMax);
  return parts;
}

std::string joined(const std::vector<std::string>& parts, char between) {
  std::string out;
  for (const auto& part : parts) {
    if (!out.empty() && between != 0) out.push_back(between);
    out += part;
  }
  return out;
}

std::string in_order(std::vector<std::string> parts) {
  std::sort(parts.begin(), parts.end());
  return joined(parts, ' ');
}

// American Soundex, as the US National Archives have it.
std::string soundex(std::string_view part) {
  static constexpr char kDigits[] = "01230120022455012623010202";  // a..z; 0: vowels, y, h, w.
  std::string out;
  char last = 0;
  for (const char c : part) {
    if (c < 'a' || c > 'z') continue;
    const char digit = kDigits[c - 'a'];
    if (out.empty()) {
      out.push_back(c);
      last = digit;
      continue;
    }
    if (c == 'h' || c == 'w') continue;  // Letters of one digit around them are one.
    if (digit != '0' && digit != last) out.push_back(digit);
    last = digit;
    if (out.size() == 4) break;
  }
  if (out.size() < 2) return {};
  out.resize(4, '0');
  return out;
}

// `part` with each of its letters lost in turn: two parts one typo apart share one of these, or one
// is among the other's.
std::vector<std::string> with_one_lost(const std::string& part) {
  std::vector<std::string> out;
  if (part.size() < kTypoMin || part.size() > kTypoMax) return out;
  for (size_t i = 0; i < part.size(); ++i) {
    if (i > 0 && part[i] == part[i - 1]) continue;  // The same as the one before.
    out.push_back(part.substr(0, i) + part.substr(i + 1));
  }
  return out;
}

// A way to read a name, syllable by syllable.
using Reading = std::vector<const Syllable*>;

std::string joined(const Reading& reading, std::string Syllable::*form) {
  std::string out;
  for (const Syllable* one : reading) out += one->*form;
  return out;
}

// Readings of a name: the first character as a surname, and as any other where that differs.
std::vector<Reading> readings_of(const std::u32string& name) {
  std::vector<Reading> out;
  Reading one;
  for (size_t i = 0; i < name.size(); ++i) {
    const Syllable& syllable = i == 0 ? surname_pinyin(name[0]) : pinyin(name[i]);
    if (syllable.tones.empty()) return out;
    one.push_back(&syllable);
  }
  out.push_back(one);
  if (const Syllable& other = pinyin(name[0]);
      !other.tones.empty() && other.tones != one[0]->tones) {
    one[0] = &other;
    out.push_back(one);
  }
  return out;
}

void han_terms(const std::u32string& name, std::vector<FieldTerm>& out) {
  out.push_back({Kind::kNameWhole, utf8(name)});
  for (size_t i = 0; i < name.size() && i < kHanMax; ++i) {
    out.push_back({Kind::kNameCharacter, placed(i, utf8({&name[i], 1}))});
  }
  for (size_t i = 0; i + 1 < name.size(); ++i) {
    out.push_back({Kind::kNamePair, utf8({&name[i], 2})});
  }
  for (const Reading& reading : readings_of(name)) {
    out.push_back({Kind::kNameTones, joined(reading, &Syllable::tones)});
    out.push_back({Kind::kNamePinyin, joined(reading, &Syllable::plain)});
    for (size_t i = 0; i < reading.size() && i < kHanMax; ++i) {
      out.push_back({Kind::kNameSyllable, placed(i, reading[i]->plain)});
    }
  }
}

void latin_terms(const std::vector<std::string>& parts, std::vector<FieldTerm>& out) {
  out.push_back({Kind::kNameWhole, in_order(parts)});
  for (const auto& part : parts) {
    out.push_back({Kind::kNamePart, part});
    if (auto sound = soundex(part); !sound.empty()) out.push_back({Kind::kNameSound, sound});
    for (auto& lost : with_one_lost(part)) out.push_back({Kind::kNameLost, std::move(lost)});
  }
}

void add(std::vector<Alternative>& out, NameMatch match, std::vector<FieldTerm> terms) {
  out.push_back({std::move(terms), static_cast<uint16_t>(match)});
}

// All but one of the terms, each in turn left out: `terms` stand at the places of a name.
void add_one_wrong(std::vector<Alternative>& out, const std::vector<FieldTerm>& terms) {
  if (terms.size() < 3) return;  // One of two is no evidence.
  for (size_t wrong = 0; wrong < terms.size(); ++wrong) {
    std::vector<FieldTerm> rest = terms;
    rest.erase(rest.begin() + static_cast<ptrdiff_t>(wrong));
    add(out, NameMatch::kOneTypo, std::move(rest));
  }
}

void han_alternatives(const std::u32string& name, std::vector<Alternative>& out) {
  add(out, NameMatch::kSame, {{Kind::kNameWhole, utf8(name)}});
  std::vector<FieldTerm> characters, pairs;
  for (size_t i = 0; i < name.size() && i < kHanMax; ++i) {
    characters.push_back({Kind::kNameCharacter, placed(i, utf8({&name[i], 1}))});
  }
  for (size_t i = 0; i + 1 < name.size(); ++i) {
    pairs.push_back({Kind::kNamePair, utf8({&name[i], 2})});
  }
  if (name.size() == 1) {  // Anywhere in a name of common length.
    for (size_t place = 0; place < 4; ++place) {
      add(out, NameMatch::kPart, {{Kind::kNameCharacter, placed(place, utf8(name))}});
    }
    return;
  }
  for (const Reading& reading : readings_of(name)) {
    add(out, NameMatch::kSameTones, {{Kind::kNameTones, joined(reading, &Syllable::tones)}});
    add(out, NameMatch::kSamePinyin, {{Kind::kNamePinyin, joined(reading, &Syllable::plain)}});
  }
  add_one_wrong(out, characters);
  add(out, NameMatch::kPart, std::move(pairs));
}

// "wangxiaoming" into syllables; one piece of it may be none. Empty where there is no such way.
std::vector<std::string> syllables_of(const std::string& text) {
  constexpr size_t kSyllable = 6, kCost = 1000;
  struct Way {
    size_t cost = SIZE_MAX;  // Pieces, and kCost for one that is no syllable.
    size_t from = 0;
  };
  std::vector<Way> ways(text.size() + 1);
  ways[0].cost = 0;
  for (size_t end = 1; end <= text.size(); ++end) {
    for (size_t size = 1; size <= std::min(end, kSyllable); ++size) {
      const Way& before = ways[end - size];
      if (before.cost == SIZE_MAX) continue;
      const size_t cost =
          before.cost + 1 +
          (is_syllable(std::string_view(text).substr(end - size, size)) ? 0 : kCost);
      if (cost < ways[end].cost) ways[end] = {cost, end - size};
    }
  }
  std::vector<std::string> out;
  if (ways.back().cost >= 2 * kCost) return out;
  for (size_t end = text.size(); end > 0; end = ways[end].from) {
    out.insert(out.begin(), text.substr(ways[end].from, end - ways[end].from));
  }
  return out;
}

void pinyin_alternatives(const std::vector<std::string>& parts, std::vector<Alternative>& out) {
  std::vector<std::vector<std::string>> orders{parts};
  if (parts.size() == 2) {  // Given name first.
    orders.push_back({parts[1], parts[0]});
  } else if (parts.size() == 3) {
    orders.push_back({parts[2], parts[0], parts[1]});
  }
  for (auto& order : orders) {
    for (auto& part : order) {
      for (const auto& [typed, meant] : {std::pair("lyu", "lv"), std::pair("nyu", "nv")}) {
        if (part.starts_with(typed)) part = meant + part.substr(3);
      }
    }
    const std::string whole = joined(order, 0);
    if (whole.size() > kTypoMax) continue;
    const auto syllables = syllables_of(whole);
    if (syllables.size() < 2 || syllables.size() > 5) continue;
    add(out, NameMatch::kSamePinyin, {{Kind::kNamePinyin, whole}});
    std::vector<FieldTerm> places;
    for (size_t i = 0; i < syllables.size(); ++i) {
      places.push_back({Kind::kNameSyllable, placed(i, syllables[i])});
    }
    add_one_wrong(out, places);
  }
}

void latin_alternatives(const std::vector<std::string>& parts, std::vector<Alternative>& out) {
  add(out, NameMatch::kSame, {{Kind::kNameWhole, in_order(parts)}});
  std::vector<FieldTerm> same, sounds;
  for (const auto& part : parts) {
    same.push_back({Kind::kNamePart, part});
    if (auto sound = soundex(part); !sound.empty()) sounds.push_back({Kind::kNameSound, sound});
  }
  add(out, NameMatch::kPart, same);
  for (size_t wrong = 0; wrong < parts.size(); ++wrong) {
    const auto typo = [&](FieldTerm term) {
      auto terms = same;
      terms[wrong] = std::move(term);
      add(out, NameMatch::kOneTypo, std::move(terms));
    };
    const auto lost = with_one_lost(parts[wrong]);
    if (lost.empty()) continue;
    typo({Kind::kNameLost, parts[wrong]});  // The name has a letter more,
    for (const auto& one : lost) {
      typo({Kind::kNamePart, one});  // a letter less,
      typo({Kind::kNameLost, one});  // or another one, or two swapped.
    }
  }
  if (sounds.size() == parts.size()) add(out, NameMatch::kSameSound, std::move(sounds));
}

// Pinyin as typed with tones: "wáng xiǎomíng".
void toned_alternatives(std::string_view name, std::vector<Alternative>& out) {
  std::string tones;
  bool marked = false;
  for (const char32_t c : to_code_points(name)) {
    if (c == ' ' || c == '\'' || c == '-') continue;
    marked |= c >= 0x80;
    append_utf8(c, tones);
  }
  if (marked) add(out, NameMatch::kSameTones, {{Kind::kNameTones, tones}});
}

// Few as they are, looking at each pair is sooner done than sorting them.
void unique_terms(std::vector<FieldTerm>& out) {
  constexpr size_t kFew = 32;
  if (out.size() > kFew) {
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return;
  }
  size_t kept = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    if (std::find(out.begin(), out.begin() + kept, out[i]) != out.begin() + kept) continue;
    if (kept != i) out[kept] = std::move(out[i]);
    ++kept;
  }
  out.resize(kept);
}

}  // namespace

void name_terms(std::string_view name, std::vector<FieldTerm>& out) {
  std::vector<FieldTerm> terms;
  const std::u32string han = letters_of(name);
  if (all_han(han)) {
    han_terms(han, terms);
  } else if (const auto parts = latin_parts(name); !parts.empty()) {
    latin_terms(parts, terms);
  } else {
    terms.push_back({Kind::kNameWhole, std::string(name)});  // In no letters that ICU knows.
  }
  unique_terms(terms);
  std::move(terms.begin(), terms.end(), std::back_inserter(out));
}

void name_alternatives(std::string_view name, std::vector<Alternative>& out) {
  const std::u32string han = letters_of(name);
  if (all_han(han)) return han_alternatives(han, out);
  const auto parts = latin_parts(name);
  if (parts.empty()) return add(out, NameMatch::kSame, {{Kind::kNameWhole, std::string(name)}});
  latin_alternatives(parts, out);
  toned_alternatives(name, out);
  pinyin_alternatives(parts, out);
}

}  // namespace strongroom::index
