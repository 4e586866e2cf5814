#include "strongroom/policy/conditions.h"

#include <algorithm>
#include <array>

#include "strongroom/base/durations.h"
#include "strongroom/policy/ascii.h"

namespace strongroom::policy {
namespace {

constexpr uint32_t kDayMin = 24 * 60;
constexpr uint32_t kWeekMin = 7 * kDayMin;
constexpr uint32_t kEpochDay = 3;  // 1 January 1970 was a Thursday.
constexpr int32_t kOffsetMax = 14 * 60;

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// "08:00"; 24:00 is the end of a day.
std::optional<uint32_t> parse_clock(std::string_view text) {
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  for (const size_t i : {0, 1, 3, 4}) {
    if (!is_digit(text[i])) return std::nullopt;
  }
  const auto two = [&](size_t i) {
    return static_cast<uint32_t>((text[i] - '0') * 10 + (text[i + 1] - '0'));
  };
  const uint32_t minutes = two(0) * 60 + two(3);
  if (two(3) > 59 || minutes > kDayMin) return std::nullopt;
  return minutes;
}

// Minutes since a Monday's midnight by the clock.
uint32_t minute_of_week(uint64_t t_ms, int32_t offset_min) {
  const int64_t minutes = static_cast<int64_t>(t_ms / kMinuteMs) + offset_min;
  return static_cast<uint32_t>((minutes + int64_t{kEpochDay} * kDayMin + kWeekMin) % kWeekMin);
}

}  // namespace

bool is_case_pattern(std::string_view pattern) {
  if (pattern.empty() || pattern.size() > kCasePatternMax) return false;
  const size_t star = pattern.find('*');
  return star == std::string_view::npos || star + 1 == pattern.size();
}

bool matches_case(std::string_view pattern, std::string_view text) {
  for (size_t i = 0;; ++i) {
    if (i == pattern.size()) return i == text.size();
    if (pattern[i] == '*') return true;
    if (i == text.size()) return false;
    const bool fits = pattern[i] == '#'   ? is_digit(text[i])
                      : pattern[i] == '?' ? is_letter(text[i])
                                          : pattern[i] == text[i];
    if (!fits) return false;
  }
}

bool Opening::open(uint64_t t_ms) const {
  if (always()) return true;
  const uint32_t now = minute_of_week(t_ms, offset_min);
  const uint32_t day = now / kDayMin;
  const uint32_t minute = now % kDayMin;
  const auto on = [&](uint32_t d) { return (days >> d & 1) != 0; };
  if (from_min < to_min) return on(day) && minute >= from_min && minute < to_min;
  return (minute >= from_min && on(day)) || (minute < to_min && on((day + 6) % 7));
}

uint64_t Opening::opens_in_ms(uint64_t t_ms) const {
  const uint64_t begun = t_ms / kMinuteMs * kMinuteMs;
  for (uint64_t m = 1; m <= kWeekMin; ++m) {
    if (open(begun + m * kMinuteMs)) return begun + m * kMinuteMs - t_ms;
  }
  return uint64_t{kWeekMin} * kMinuteMs;
}

std::optional<int32_t> parse_utc_offset(std::string_view text) {
  if (text.empty()) return 0;
  if (text[0] != '+' && text[0] != '-') return std::nullopt;
  const auto minutes = parse_clock(text.substr(1));
  if (!minutes || *minutes > kOffsetMax) return std::nullopt;
  return text[0] == '-' ? -static_cast<int32_t>(*minutes) : static_cast<int32_t>(*minutes);
}

std::optional<Opening> parse_opening(std::string_view hours,
                                     const google::protobuf::RepeatedPtrField<std::string>& days,
                                     int32_t offset_min) {
  constexpr std::array<std::string_view, 7> kDays{"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
  Opening out;
  out.offset_min = offset_min;
  if (!hours.empty()) {
    const size_t dash = hours.find('-');
    if (dash == std::string_view::npos) return std::nullopt;
    const auto from = parse_clock(hours.substr(0, dash));
    const auto to = parse_clock(hours.substr(dash + 1));
    if (!from || !to || *from == *to || *from == kDayMin) return std::nullopt;
    out.from_min = *from;
    out.to_min = *to;
  }
  if (!days.empty()) {
    out.days = 0;
    for (const std::string& name : days) {
      const auto day = std::find(kDays.begin(), kDays.end(), name);
      if (day == kDays.end()) return std::nullopt;
      out.days |= 1u << (day - kDays.begin());
    }
  }
  return out;
}

}  // namespace strongroom::policy
