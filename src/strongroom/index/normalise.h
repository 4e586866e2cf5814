// norm(w): two spellings of one value become one term; a value that cannot be one of its type is
// refused. Versioned: the byte `norm` in a term says by which rules it was made.
// Spec: docs/spec/normalise.md
#pragma once

#include <string>
#include <string_view>

#include "strongroom/base/result.h"

namespace strongroom::index {

inline constexpr uint8_t kNormVersion = 1;
inline constexpr size_t kValueBytesMax = size_t{1}
                                         << 24;  // More is refused before anything is done with it.

enum class ValueType : uint8_t {  // As FieldType in schema.proto.
  kText = 1,
  kName = 2,
  kPhone = 3,
  kNationalId = 4,
  kDate = 5,
  kInteger = 6,
  kCode = 7,
  kJson = 8,
  kTimestamp = 9,
};

// Valid UTF-8 in; every error is kInvalidArgument with a static text that says what such a value
// looks like. A value that is empty, or white space alone, is of no type: absent fields are not
// normalised.  Idempotent. Thread-safe.
//   text, name   NFKC, case folding (NFKC_Casefold), runs of white space to one blank, trimmed
//   phone        E.164 ("+8613800138000"); without a country code it belongs to `region`, phone.h
//   national_id  GB 11643: 17 digits and check digit, X upper-case; birth date and check verified
//   date         YYYY-MM-DD, a day of the calendar 0001..9999; also from 2024/1/31, 2024.01.31,
//                20240131, 2024年1月31日
//   integer      int64 in decimal, no leading zeros, "-0" is "0"
//   code         NFKC_Casefold; white space inside is refused
//   json         any JSON value (RFC 8259), as given: it is checked, never indexed
//   timestamp    RFC 3339 to UTC and milliseconds, 2024-01-31T00:00:00.000Z
Result<std::string> normalise(ValueType type, std::string_view value, std::string_view region);

struct Forms {
  std::string norm;    // As normalise() makes it.
  std::string stored;  // The value as given, NFC and trimmed; phones and dates normalised; JSON
                       // only trimmed. Its normal form is `norm`.
};
Result<Forms> forms_of(ValueType type, std::string_view value, std::string_view region);

bool valid_utf8(std::string_view text);

}  // namespace strongroom::index
