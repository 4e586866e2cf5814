// Days and moments of the proleptic Gregorian calendar, years 0001..9999. Text is folded
// (fold_to_ascii) and trimmed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "strongroom/base/result.h"

namespace strongroom::index {

bool is_calendar_day(uint32_t year, uint32_t month, uint32_t day);

// "2024-01-31" from 2024-1-31, 2024/1/31, 2024.01.31, 20240131, 2024年1月31日.  kInvalidArgument
Result<std::string> normalise_date(std::string_view text);

// "2024-01-31T00:00:00.000Z" from RFC 3339 (also in lower case, or with a blank for the T). Digits
// of the fraction behind the third are dropped; a leap second becomes the second after it.
// kInvalidArgument
Result<std::string> normalise_timestamp(std::string_view text);

}  // namespace strongroom::index
