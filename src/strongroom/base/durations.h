// Lengths of time in milliseconds, as clocks and policies count it.
#pragma once

#include <cstdint>

namespace strongroom {

inline constexpr uint64_t kMinuteMs = 60'000;
inline constexpr uint64_t kHourMs = 60 * kMinuteMs;
inline constexpr uint64_t kDayMs = 24 * kHourMs;

}  // namespace strongroom
