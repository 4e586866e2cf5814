#include "strongroom/index/ranges.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>

#include "strongroom/base/check.h"

namespace strongroom::index {
namespace {

using std::chrono::day;
using std::chrono::days;
using std::chrono::month;
using std::chrono::sys_days;
using std::chrono::year;
using std::chrono::year_month_day;

constexpr size_t kDaySize = 10, kMonthSize = 7, kYearSize = 4, kDecadeSize = 3, kCenturySize = 2;
constexpr int kYearMax = 9999;

int number(std::string_view digits) {
  int out = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), out);
  return out;
}

sys_days day_of(std::string_view text) {
  SR_CHECK(text.size() >= kDaySize, "a day of the calendar");
  return year_month_day(year(number(text.substr(0, 4))),
                        month(static_cast<unsigned>(number(text.substr(5, 2)))),
                        day(static_cast<unsigned>(number(text.substr(8, 2)))));
}

std::string text_of(year_month_day date) {
  char out[32];
  std::snprintf(out, sizeof(out), "%04d-%02u-%02u", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
  return out;
}

size_t hex_digits(uint64_t span) {
  size_t digits = 1;
  while (span >>= 4) ++digits;
  return digits;
}

// The node that holds `offset`, of all but the last `level` digits.
std::string integer_node(uint64_t offset, size_t digits, size_t level) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (size_t d = digits; d > level; --d) out.push_back(kHex[offset >> (4 * (d - 1)) & 15]);
  return out;
}

}  // namespace

std::vector<std::string> date_nodes(std::string_view text) {
  std::vector<std::string> out;
  for (const size_t size : {kDaySize, kMonthSize, kYearSize, kDecadeSize, kCenturySize}) {
    out.emplace_back(text.substr(0, size));
  }
  return out;
}

std::vector<std::string> date_cover(std::string_view from, std::string_view to) {
  std::vector<std::string> out;
  sys_days at = day_of(from);
  const sys_days end = day_of(to);
  while (at <= end) {
    const year_month_day date(at);
    const std::string name = text_of(date);
    const bool first_of_month = date.day() == day(1);
    const bool first_of_year = first_of_month && date.month() == month(1);
    const int y = static_cast<int>(date.year());
    const auto begin_of_year = [](int number) {
      return sys_days(year_month_day(year(number), month(1), day(1)));
    };
    const auto whole = [&](int years) {
      return first_of_year && y % years == 0 && begin_of_year(y + years) - days(1) <= end;
    };
    // The largest node that begins here and ends in time.
    if (whole(100)) {
      out.push_back(name.substr(0, kCenturySize));
      at = begin_of_year(y + 100);
    } else if (whole(10)) {
      out.push_back(name.substr(0, kDecadeSize));
      at = begin_of_year(y + 10);
    } else if (whole(1)) {
      out.push_back(name.substr(0, kYearSize));
      at = begin_of_year(y + 1);
    } else if (const sys_days next_month =
                   sys_days(date.year() / date.month() / std::chrono::last) + days(1);
               first_of_month && next_month - days(1) <= end) {
      out.push_back(name.substr(0, kMonthSize));
      at = next_month;
    } else {
      out.push_back(name);
      at += days(1);
    }
    if (static_cast<int>(year_month_day(at).year()) > kYearMax) break;
  }
  std::reverse(out.begin(), out.end());
  return out;
}

std::vector<std::string> integer_nodes(int64_t min, int64_t max, int64_t value) {
  const uint64_t span = static_cast<uint64_t>(max) - static_cast<uint64_t>(min);
  const uint64_t offset = static_cast<uint64_t>(value) - static_cast<uint64_t>(min);
  const size_t digits = hex_digits(span);
  std::vector<std::string> out;
  for (size_t level = 0; level < digits; ++level)
    out.push_back(integer_node(offset, digits, level));
  return out;
}

std::vector<std::string> integer_cover(int64_t min, int64_t max, int64_t from, int64_t to) {
  std::vector<std::string> out;
  from = std::max(from, min);
  to = std::min(to, max);
  if (from > to) return out;
  const uint64_t span = static_cast<uint64_t>(max) - static_cast<uint64_t>(min);
  const size_t digits = hex_digits(span);
  uint64_t at = static_cast<uint64_t>(from) - static_cast<uint64_t>(min);
  const uint64_t end = static_cast<uint64_t>(to) - static_cast<uint64_t>(min);
  while (at <= end) {
    size_t level = 0;
    // The largest node that begins here and ends in time. The whole tree is no node.
    while (level + 1 < digits) {
      const uint64_t size = uint64_t{1} << (4 * (level + 1));
      if (at % size != 0 || end - at < size - 1) break;
      ++level;
    }
    out.push_back(integer_node(at, digits, level));
    const uint64_t size = uint64_t{1} << (4 * level);
    if (end - at < size) break;
    at += size;
  }
  return out;
}

}  // namespace strongroom::index
