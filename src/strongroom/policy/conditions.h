// When a grant holds, and what a case reference must look like.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "strongroom/base/result.h"
#include "strongroom/v1/policy.pb.h"

namespace strongroom::policy {

inline constexpr size_t kCasePatternMax = 64;
inline constexpr size_t kCasePatternsMax = 16;

// # is a digit, ? an ASCII letter, * at the end whatever follows, every other character itself.
// One pass over the text, whatever the pattern.
bool is_case_pattern(std::string_view pattern);
bool matches_case(std::string_view pattern, std::string_view text);

// Hours of days by a clock that is a fixed time ahead of UTC.
struct Opening {
  uint32_t from_min = 0;
  uint32_t to_min = 24 * 60;  // At most from_min: over midnight, and counted to the day it began.
  uint32_t days = 0x7f;       // Bit 0: Monday.
  int32_t offset_min = 0;

  bool always() const { return from_min == 0 && to_min == 24 * 60 && days == 0x7f; }
  bool open(uint64_t t_ms) const;
  uint64_t opens_in_ms(uint64_t t_ms) const;  // While it is closed.
};

// "+08:00", "-03:30", at most 14 hours either way; empty is 0.
std::optional<int32_t> parse_utc_offset(std::string_view text);
// "08:00-18:00" and "mon" ... "sun"; empty: always. Nothing unless well formed.
std::optional<Opening> parse_opening(std::string_view hours,
                                     const google::protobuf::RepeatedPtrField<std::string>& days,
                                     int32_t offset_min);

}  // namespace strongroom::policy
