#include "strongroom/index/dates.h"

namespace strongroom::index {
namespace {

constexpr int64_t kSecondsADay = 86'400;

// Takes characters off the front. After the first that does not fit, ok() is false.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  // A number of min..max digits.
  uint32_t number(size_t min, size_t max) {
    uint32_t value = 0;
    size_t n = 0;
    while (n < max && n < rest_.size() && rest_[n] >= '0' && rest_[n] <= '9') {
      value = value * 10 + static_cast<uint32_t>(rest_[n] - '0');
      ++n;
    }
    if (n < min) ok_ = false;
    rest_.remove_prefix(n);
    return value;
  }
  bool skip(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  void expect(std::string_view text) { ok_ = skip(text) && ok_; }
  bool done() const { return ok_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

uint32_t days_in_month(uint32_t year, uint32_t month) {
  static constexpr uint8_t kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return kDays[month - 1] + (month == 2 && leap ? 1u : 0u);
}

void put(char* out, uint32_t value, int width) {
  for (int i = width - 1; i >= 0; --i, value /= 10) out[i] = static_cast<char>('0' + value % 10);
}

// Days since 0000-03-01 of the civil calendar and back.
// Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
int64_t days_from_civil(uint32_t year, uint32_t month, uint32_t day) {
  const int64_t y = int64_t{year} - (month <= 2 ? 1 : 0);
  const int64_t era = (y >= 0 ? y : y - 399) / 400;
  const int64_t year_of_era = y - era * 400;
  const int64_t day_of_year = (153 * (int64_t{month} + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
}

struct Day {
  int64_t year;
  uint32_t month;
  uint32_t day;
};
Day civil_from_days(int64_t days) {
  const int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const int64_t d = days - era * 146'097;
  const int64_t year_of_era = (d - d / 1460 + d / 36'524 - d / 146'096) / 365;
  const int64_t day_of_year = d - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted = (5 * day_of_year + 2) / 153;
  const auto month = static_cast<uint32_t>(shifted < 10 ? shifted + 3 : shifted - 9);
  return {year_of_era + era * 400 + (month <= 2 ? 1 : 0), month,
          static_cast<uint32_t>(day_of_year - (153 * shifted + 2) / 5 + 1)};
}

Error not_a_date() {
  return make_error(ErrorCode::kInvalidArgument,
                    "not a day of the calendar; write it as 2024-01-31");
}

Error not_a_timestamp() {
  return make_error(ErrorCode::kInvalidArgument,
                    "not a point in time with its zone; write it as 2024-01-31T08:30:00+08:00");
}

void put_date(char* out, uint32_t year, uint32_t month, uint32_t day) {
  put(out, year, 4);
  put(out + 5, month, 2);
  put(out + 8, day, 2);
}

}  // namespace

bool is_calendar_day(uint32_t year, uint32_t month, uint32_t day) {
  return year >= 1 && year <= 9999 && month >= 1 && month <= 12 && day >= 1 &&
         day <= days_in_month(year, month);
}

Result<std::string> normalise_date(std::string_view text) {
  Scanner in(text);
  const uint32_t year = in.number(4, 4);
  uint32_t month = 0;
  uint32_t day = 0;
  if (text.size() == 8 && text[4] >= '0' && text[4] <= '9') {
    month = in.number(2, 2);
    day = in.number(2, 2);
  } else if (in.skip("年")) {
    month = in.number(1, 2);
    in.expect("月");
    day = in.number(1, 2);
    in.expect("日");
  } else {
    const std::string_view separator = text.substr(text.size() > 4 ? 4 : text.size(), 1);
    if (separator != "-" && separator != "/" && separator != ".") return not_a_date();
    in.expect(separator);
    month = in.number(1, 2);
    in.expect(separator);
    day = in.number(1, 2);
  }
  if (!in.done() || !is_calendar_day(year, month, day)) return not_a_date();
  std::string out = "0000-00-00";
  put_date(out.data(), year, month, day);
  return out;
}

Result<std::string> normalise_timestamp(std::string_view text) {
  Scanner in(text);
  const uint32_t year = in.number(4, 4);
  in.expect("-");
  const uint32_t month = in.number(2, 2);
  in.expect("-");
  const uint32_t day = in.number(2, 2);
  if (!in.skip("T") && !in.skip("t")) in.expect(" ");
  const uint32_t hour = in.number(2, 2);
  in.expect(":");
  const uint32_t minute = in.number(2, 2);
  in.expect(":");
  const uint32_t second = in.number(2, 2);
  uint32_t ms = 0;
  if (in.skip(".")) {
    for (uint32_t unit = 100; unit > 0; unit /= 10) {
      // The first digit must be there, the others may.
      ms += unit * in.number(unit == 100 ? 1 : 0, 1);
    }
    in.number(0, text.size());
  }
  int64_t offset_s = 0;
  if (!in.skip("Z") && !in.skip("z")) {
    const int64_t sign = in.skip("-") ? -1 : 1;
    if (sign > 0) in.expect("+");
    const uint32_t hours = in.number(2, 2);
    in.expect(":");
    const uint32_t minutes = in.number(2, 2);
    if (hours > 23 || minutes > 59) return not_a_timestamp();
    offset_s = sign * (int64_t{hours} * 3600 + int64_t{minutes} * 60);
  }
  if (!in.done() || !is_calendar_day(year, month, day) || hour > 23 || minute > 59 || second > 60) {
    return not_a_timestamp();
  }
  const int64_t time = days_from_civil(year, month, day) * kSecondsADay + int64_t{hour} * 3600 +
                       int64_t{minute} * 60 + second - offset_s;
  const int64_t days = (time >= 0 ? time : time - (kSecondsADay - 1)) / kSecondsADay;
  const auto of_day = static_cast<uint32_t>(time - days * kSecondsADay);
  const Day utc = civil_from_days(days);
  if (utc.year < 1 || utc.year > 9999) return not_a_timestamp();
  std::string out = "0000-00-00T00:00:00.000Z";
  put_date(out.data(), static_cast<uint32_t>(utc.year), utc.month, utc.day);
  put(out.data() + 11, of_day / 3600, 2);
  put(out.data() + 14, of_day / 60 % 60, 2);
  put(out.data() + 17, of_day % 60, 2);
  put(out.data() + 20, ms, 3);
  return out;
}

}  // namespace strongroom::index
