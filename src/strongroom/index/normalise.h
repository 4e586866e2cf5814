// norm(w): two spellings of one value become one term; a value that cannot be one of its type is refused.
// Versioned: the byte `norm` in a term says by which rules it was made.
#pragma once

#include <string>
#include <string_view>

#include "strongroom/base/result.h"

namespace strongroom::index {

inline constexpr uint8_t kNormVersion = 1;

enum class ValueType : uint8_t {  // As FieldType in schema.proto.
  kText = 1, kName = 2, kPhone = 3, kNationalId = 4, kDate = 5, kInteger = 6, kCode = 7, kJson = 8, kTimestamp = 9,
};

// Valid UTF-8 in; every error is kInvalidArgument with a static text that says what such a value looks like.
//   text, name   NFKC, case folding (NFKC_Casefold), runs of white space to one blank, trimmed
//   phone        E.164 ("+8613800138000"); without a country code it belongs to `region`
//   national_id  GB 11643: 17 digits and check digit, upper-case X; birth date and check digit verified
//   date         YYYY-MM-DD, a day of the calendar 0001..9999; 2024/1/31, 2024.01.31, 20240131, 2024年1月31日 too
//   integer      int64 in decimal, no leading zeros, "-0" is "0"
//   code         NFKC_Casefold, no white space inside
//   timestamp    RFC 3339 to UTC, milliseconds
Result<std::string> normalise(ValueType type, std::string_view value, std::string_view region);

// What is stored: the value as given, NFC and trimmed, after normalise() accepted it; phones and dates normalised.
Result<std::string> storable(ValueType type, std::string_view value, std::string_view region);

bool valid_utf8(std::string_view text);

}  // namespace strongroom::index
