#include "strongroom/index/normalise.h"

#include <simdjson.h>

#include <charconv>
#include <cstring>

#include "strongroom/index/dates.h"
#include "strongroom/index/phone.h"
#include "strongroom/index/unicode_text.h"

namespace strongroom::index {
namespace {

Error refuse(const char* text) {
  return make_error(ErrorCode::kInvalidArgument, text);
}

Error empty_value() {
  return refuse("the value is empty or only white space; leave the field out");
}

// GB 11643-1999: region 6, birth date 8, sequence 3, check character over ISO 7064 MOD 11-2.
Result<std::string> national_id(std::string_view text) {
  const auto not_an_id = [] {
    return refuse(
        "not an ID number: 18 characters, the birth date a day of the calendar, the last the check "
        "digit");
  };
  static constexpr int kWeights[17] = {7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2};
  static constexpr char kCheck[] = "10X98765432";
  char id[18];
  size_t size = 0;
  for (const char c : text) {
    if (c == ' ' || c == '-') continue;
    if (size == sizeof(id)) return not_an_id();
    id[size++] = c;
  }
  if (size != sizeof(id) || id[0] == '0') return not_an_id();
  int sum = 0;
  uint32_t digits[17];
  for (size_t i = 0; i < 17; ++i) {
    if (id[i] < '0' || id[i] > '9') return not_an_id();
    digits[i] = static_cast<uint32_t>(id[i] - '0');
    sum += kWeights[i] * (id[i] - '0');
  }
  const auto number = [&](size_t from, size_t count) {
    uint32_t value = 0;
    for (size_t i = from; i < from + count; ++i) value = value * 10 + digits[i];
    return value;
  };
  if (id[17] == 'x') id[17] = 'X';
  if (id[17] != kCheck[sum % 11] || !is_calendar_day(number(6, 4), number(10, 2), number(12, 2))) {
    return not_an_id();
  }
  return std::string(id, sizeof(id));
}

Result<std::string> integer(std::string_view text) {
  if (text.starts_with('+') && !text.substr(1).starts_with('-')) text.remove_prefix(1);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return refuse("not a whole number of 64 bits; write it in digits, as 42 or -42");
  }
  return std::to_string(value);
}

Result<std::string> code(std::string_view value) {
  std::string folded = nfkc_casefold(value);
  const std::string_view trimmed = trim_space(folded);
  if (trimmed.empty()) return empty_value();
  if (has_space(trimmed)) return refuse("white space inside an identifier; write it in one piece");
  if (trimmed.size() == folded.size()) return folded;
  return std::string(trimmed);
}

Result<std::string> text(std::string_view value) {
  std::string out = collapse_space(nfkc_casefold(value));
  if (out.empty()) return empty_value();
  return out;
}

Result<std::string> json(std::string_view value) {
  // Keeps its buffers from one value to the next.
  thread_local simdjson::dom::parser parser;
  simdjson::dom::element element;
  if (parser.parse(value.data(), value.size()).get(element) != simdjson::SUCCESS) {
    return refuse("not JSON; write one value as RFC 8259 has it");
  }
  return std::string(value);
}

Result<std::string_view> checked(std::string_view value) {
  if (value.size() > kValueBytesMax) return refuse("the value is longer than 16 MiB; shorten it");
  if (!valid_utf8(value))
    return refuse("the value is not UTF-8; convert the file or name its encoding");
  const std::string_view trimmed = trim_space(value);
  if (trimmed.empty()) return empty_value();
  return trimmed;
}

Result<std::string> normalise_checked(ValueType type, std::string_view value,
                                      std::string_view region) {
  std::string scratch;
  switch (type) {
    case ValueType::kText:
    case ValueType::kName:
      return text(value);
    case ValueType::kPhone:
      return normalise_phone(fold_to_ascii(value, scratch), region);
    case ValueType::kNationalId:
      return national_id(fold_to_ascii(value, scratch));
    case ValueType::kDate:
      return normalise_date(fold_to_ascii(value, scratch));
    case ValueType::kInteger:
      return integer(fold_to_ascii(value, scratch));
    case ValueType::kCode:
      return code(value);
    case ValueType::kJson:
      return json(value);
    case ValueType::kTimestamp:
      return normalise_timestamp(fold_to_ascii(value, scratch));
  }
  return refuse("no such type of field; correct the schema");
}

}  // namespace

Result<std::string> normalise(ValueType type, std::string_view value, std::string_view region) {
  SR_ASSIGN(const std::string_view trimmed, checked(value));
  return normalise_checked(type, trimmed, region);
}

Result<Forms> forms_of(ValueType type, std::string_view value, std::string_view region) {
  SR_ASSIGN(const std::string_view trimmed, checked(value));
  Forms out;
  SR_ASSIGN(out.norm, normalise_checked(type, trimmed, region));
  switch (type) {
    case ValueType::kPhone:
    case ValueType::kDate:
    case ValueType::kJson:
      out.stored = out.norm;
      break;
    default:
      out.stored = nfc(trimmed);
  }
  return out;
}

// RFC 3629: no surrogates, nothing overlong, nothing above U+10FFFF.
bool valid_utf8(std::string_view text) {
  return simdjson::validate_utf8(text.data(), text.size());
}

}  // namespace strongroom::index
