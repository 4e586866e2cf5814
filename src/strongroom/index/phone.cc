#include "strongroom/index/phone.h"

#include <cstdint>

namespace strongroom::index {
namespace {

constexpr size_t kDigitsMin = 7;   // The shortest in service: +683 and four digits.
constexpr size_t kDigitsMax = 15;  // E.164

Error not_a_phone() {
  return make_error(
      ErrorCode::kInvalidArgument,
      "not a telephone number; write it as +8613800138000, or as it is dialled in its "
      "field's region");
}

bool in(char c, char low, char high) {
  return c >= low && c <= high;
}

// One number without its punctuation. '+' is kept at the front only.
struct Digits {
  char text[24];
  size_t size = 0;
  bool plus = false;

  std::string_view view() const { return {text, size}; }
};

// Dashes that folding keeps: U+2010..U+2015 and U+2212. Bytes taken, or 0.
size_t dash_at(std::string_view text) {
  if (text.size() < 3 || text[0] != '\xe2') return 0;
  const auto b = static_cast<uint8_t>(text[1]);
  const auto c = static_cast<uint8_t>(text[2]);
  return (b == 0x80 && c >= 0x90 && c <= 0x95) || (b == 0x88 && c == 0x92) ? 3 : 0;
}

bool strip(std::string_view text, Digits& out) {
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (in(c, '0', '9')) {
      if (out.size == sizeof(out.text)) return false;
      out.text[out.size++] = c;
      ++i;
    } else if (c == '+') {
      if (out.plus || out.size != 0) return false;
      out.plus = true;
      ++i;
    } else if (c == '(' && out.plus && text.substr(i, 3) == "(0)") {
      i += 3;  // "+44 (0)20": the digit dialled at home only.
    } else if (c == ' ' || c == '-' || c == '(' || c == ')' || c == '.' || c == '[' || c == ']' ||
               in(c, '\t', '\r')) {
      ++i;
    } else if (const size_t dash = dash_at(text.substr(i))) {
      i += dash;
    } else {
      return false;
    }
  }
  return true;
}

// How many digits the country code has, by its first two (ITU-T E.164.D); 0: unassigned.
size_t country_code_size(std::string_view digits) {
  static constexpr char kSizes[] =
      "0000000000"
      "1111111111"   // +1
      "2333333203"   // 20 21x-26x 27 29x
      "2222232332"   // 30-34 35x 36 37x 38x 39
      "2232222222"   // 40 41 42x 43-49
      "3222222223"   // 50x 51-58 59x
      "2222222333"   // 60-66 67x-69x
      "1111111111"   // +7
      "3220232330"   // 80x 81 82 84 85x 86 87x 88x
      "2222223323";  // 90-95 96x 97x 98 99x
  return static_cast<size_t>(kSizes[(digits[0] - '0') * 10 + (digits[1] - '0')] - '0');
}

// Area code and number of the North American plan: NXX-NXX-XXXX, N 2..9, no area code with a 9 in
// its middle.
bool is_nanp(std::string_view n) {
  return n.size() == 10 && n[0] >= '2' && n[1] != '9' && n[3] >= '2';
}

bool is_cn_mobile(std::string_view n) {
  return n.size() == 11 && n[0] == '1' && n[1] >= '3';
}

// Area code (10, 2x, or [3-9]xx) and subscriber, who never starts with 0 or 1.
bool is_cn_landline(std::string_view n) {
  if (n.size() < 10) return false;
  const bool short_area = n[0] == '2' || (n[0] == '1' && n[1] == '0');
  if (short_area) return n.size() == 10 && n[2] >= '2';
  return n[0] >= '3' && (n.size() == 10 || n.size() == 11) && n[3] >= '2';
}

bool is_cn_service(std::string_view n) {
  return n.size() == 10 && (n.starts_with("400") || n.starts_with("800"));
}

std::string e164(std::string_view code, std::string_view national) {
  std::string out;
  out.reserve(1 + code.size() + national.size());
  out.push_back('+');
  out.append(code);
  out.append(national);
  return out;
}

// What stands behind +86, with the 0 for dialling inside the country or without.
Result<std::string> cn_national(std::string_view n) {
  if (n.starts_with('0')) n.remove_prefix(1);
  if (is_cn_mobile(n) || is_cn_landline(n) || is_cn_service(n)) return e164("86", n);
  return not_a_phone();
}

Result<std::string> international(std::string_view digits) {
  if (digits.size() < kDigitsMin || digits.size() > kDigitsMax) return not_a_phone();
  const size_t code = country_code_size(digits);
  if (code == 0) return not_a_phone();
  if (digits[0] == '1') {
    if (!is_nanp(digits.substr(1))) return not_a_phone();
  } else if (digits.starts_with("86")) {
    return cn_national(digits.substr(2));
  }
  return e164(digits.substr(0, code), digits.substr(code));
}

Result<std::string> domestic_cn(std::string_view n) {
  if (is_cn_mobile(n) || is_cn_service(n)) return e164("86", n);
  // An area code counts only behind its 0: a foreign number of ten digits is not to become one in
  // Guangzhou.
  if (n.starts_with('0')) return cn_national(n);
  // Nothing dialled inside the country starts with 86 and is this long.
  if (n.starts_with("86") && n.size() >= 12) return cn_national(n.substr(2));
  return not_a_phone();
}

Result<std::string> domestic_us(std::string_view n) {
  if (n.starts_with("011")) return international(n.substr(3));
  if (n.size() == 11 && n[0] == '1') n.remove_prefix(1);
  if (!is_nanp(n)) return not_a_phone();
  return e164("1", n);
}

}  // namespace

Result<std::string> normalise_phone(std::string_view text, std::string_view region) {
  Digits digits;
  if (!strip(text, digits)) return not_a_phone();
  const std::string_view n = digits.view();
  if (digits.plus) return international(n);
  if (n.starts_with("00")) return international(n.substr(2));
  if (region == "CN") return domestic_cn(n);
  if (region == "US") return domestic_us(n);
  return not_a_phone();
}

}  // namespace strongroom::index
