#include "strongroom/index/unicode_text.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>

#include <cstdint>
#include <cstring>

#include "strongroom/base/check.h"

namespace strongroom::index {
namespace {

using icu::Normalizer2;

const Normalizer2& checked(const Normalizer2* normalizer, UErrorCode status) {
  SR_CHECK(U_SUCCESS(status) != 0 && normalizer != nullptr, "ICU lacks its normalisation data");
  return *normalizer;
}

const Normalizer2& casefold_form() {
  static const Normalizer2& kForm = [&]() -> const Normalizer2& {
    UErrorCode status = U_ZERO_ERROR;
    const Normalizer2* form = Normalizer2::getNFKCCasefoldInstance(status);
    return checked(form, status);
  }();
  return kForm;
}

const Normalizer2& composed_form() {
  static const Normalizer2& kForm = [&]() -> const Normalizer2& {
    UErrorCode status = U_ZERO_ERROR;
    const Normalizer2* form = Normalizer2::getNFCInstance(status);
    return checked(form, status);
  }();
  return kForm;
}

std::string through_icu(const Normalizer2& form, std::string_view text) {
  std::string out;
  out.reserve(text.size());
  icu::StringByteSink<std::string> sink(&out);
  UErrorCode status = U_ZERO_ERROR;
  form.normalizeUTF8(0, icu::StringPiece(text.data(), static_cast<int32_t>(text.size())), sink,
                     nullptr, status);
  SR_CHECK(U_SUCCESS(status) != 0, "ICU did not normalise valid text");
  return out;
}

uint32_t three_bytes(std::string_view text, size_t at) {
  return (uint32_t{static_cast<uint8_t>(text[at])} << 16) |
         (uint32_t{static_cast<uint8_t>(text[at + 1])} << 8) | static_cast<uint8_t>(text[at + 2]);
}
// The ASCII character that U+FF01..U+FF5E is the wide form of, or 0.
char narrow(uint32_t bytes) {
  if (bytes >= 0xefbc81 && bytes <= 0xefbcbf) return static_cast<char>(bytes - 0xefbc81 + 0x21);
  if (bytes >= 0xefbd80 && bytes <= 0xefbd9e) return static_cast<char>(bytes - 0xefbd80 + 0x60);
  return 0;
}

// Whether `text` needs no ICU: ASCII, U+4000..U+9FFF (lead bytes E4..E9), the punctuation
// U+3001..U+3011 and the wide forms of ASCII. These compose with nothing of their kind, and
// decompose to nothing but, for compatibility, wide forms to ASCII.
bool inert(std::string_view text, bool& upper, bool& wide) {
  bool any_upper = false, any_wide = false;
  for (size_t i = 0; i < text.size();) {
    const auto c = static_cast<uint8_t>(text[i]);
    if (c < 0x80) {
      any_upper |= c >= 'A' && c <= 'Z';
      ++i;
      continue;
    }
    if (c < 0xe4 || c > 0xe9) {
      if (c != 0xe3 && c != 0xef) return false;
      const uint32_t bytes = three_bytes(text, i);
      const bool is_wide = narrow(bytes) != 0;
      if (!is_wide && (bytes < 0xe38081 || bytes > 0xe38091)) return false;
      any_wide |= is_wide;
    }
    i += 3;
  }
  upper = any_upper;
  wide = any_wide;
  return true;
}

// Bytes of the white space character at the front of `text`, or 0.
size_t space_at(std::string_view text) {
  const auto c = static_cast<uint8_t>(text[0]);
  if (c < 0x80) return c == ' ' || (c >= 9 && c <= 13) ? 1 : 0;
  if (c == 0xc2) {
    const auto d = static_cast<uint8_t>(text[1]);
    return d == 0x85 || d == 0xa0 ? 2 : 0;
  }
  if (c < 0xe1 || c > 0xe3) return 0;
  const uint32_t rest =
      (uint32_t{static_cast<uint8_t>(text[1])} << 8) | static_cast<uint8_t>(text[2]);
  const bool space = (c == 0xe1 && rest == 0x9a80) ||  // U+1680
                     (c == 0xe2 && ((rest >= 0x8080 && rest <= 0x808a) || rest == 0x80a8 ||
                                    rest == 0x80a9 || rest == 0x80af || rest == 0x819f)) ||
                     (c == 0xe3 && rest == 0x8080);  // U+3000
  return space ? 3 : 0;
}

size_t char_size(uint8_t lead) {
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

// True if collapse_space() would change nothing, for the common case without any but ASCII blanks.
bool collapsed_already(std::string_view text) {
  if (text.empty()) return true;
  if (text.front() == ' ' || text.back() == ' ') return false;
  bool blank = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<uint8_t>(text[i]);
    if ((c - 9u < 5u || c == 0xc2 || c - 0xe1u < 3u) && space_at(text.substr(i)) != 0) return false;
    if (c == ' ' && blank) return false;
    blank = c == ' ';
  }
  return true;
}

}  // namespace

std::string nfkc_casefold(std::string_view text) {
  bool upper = false, wide = false;
  if (!inert(text, upper, wide)) {
    // NFC first: U+0345 folds to a letter, so marks around it must be in canonical order before.
    // (Unicode 3.13, D146.)
    return through_icu(casefold_form(), through_icu(composed_form(), text));
  }
  std::string out;
  if (wide) {
    out.reserve(text.size());
    for (size_t i = 0; i < text.size();) {
      const size_t size = char_size(static_cast<uint8_t>(text[i]));
      const char ascii = size == 3 ? narrow(three_bytes(text, i)) : '\0';
      if (ascii != 0) {
        out.push_back(ascii);
      } else {
        out.append(text, i, size);
      }
      i += size;
    }
  } else {
    out = text;
  }
  if (upper || wide) {
    for (char& c : out) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
    }
  }
  return out;
}

std::string nfc(std::string_view text) {
  bool upper = false, wide = false;
  if (inert(text, upper, wide)) return std::string(text);
  return through_icu(composed_form(), text);
}

std::string_view trim_space(std::string_view text) {
  while (!text.empty()) {
    const size_t size = space_at(text);
    if (size == 0) break;
    text.remove_prefix(size);
  }
  while (!text.empty()) {
    size_t at = text.size() - 1;
    while (at > 0 && (static_cast<uint8_t>(text[at]) & 0xc0) == 0x80) --at;
    if (space_at(text.substr(at)) == 0) break;
    text = text.substr(0, at);
  }
  return text;
}

std::string collapse_space(std::string text) {
  if (collapsed_already(text)) return text;
  const std::string_view in = trim_space(text);
  std::string out;
  out.reserve(in.size());
  for (size_t i = 0; i < in.size();) {
    if (const size_t space = space_at(in.substr(i))) {
      if (out.back() != ' ') out.push_back(' ');  // Never at the front: `in` is trimmed.
      i += space;
    } else {
      const size_t size = char_size(static_cast<uint8_t>(in[i]));
      out.append(in.substr(i, size));
      i += size;
    }
  }
  return out;
}

bool has_space(std::string_view text) {
  for (size_t i = 0; i < text.size(); i += char_size(static_cast<uint8_t>(text[i]))) {
    if (space_at(text.substr(i)) != 0) return true;
  }
  return false;
}

std::string_view fold_to_ascii(std::string_view text, std::string& scratch) {
  for (const char c : text) {
    if (static_cast<uint8_t>(c) >= 0x80) {
      scratch = nfkc_casefold(text);
      return trim_space(scratch);
    }
  }
  return trim_space(text);
}

}  // namespace strongroom::index
