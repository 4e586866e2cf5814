#include "strongroom/app/log_reader.h"

#include <chrono>
#include <cstdio>

#include "strongroom/app/progress.h"

namespace strongroom::app {

Result<void> read_log(AdminClient& admin, uint64_t first,
                      const std::function<Result<void>(const v1::LogEntryView&)>& visit) {
  constexpr uint32_t kAtOnce = 1000;
  v1::LogEntriesRequest request;
  request.set_first(first);
  request.set_count(kAtOnce);
  Progress progress("entries", 0);
  for (;;) {
    SR_ASSIGN(const auto response,
              (admin.call<v1::LogEntriesRequest, v1::LogEntriesResponse>("LogEntries", request)));
    for (const auto& entry : response.entries()) SR_TRY(visit(entry));
    if (response.entries().empty()) break;
    request.set_first(response.entries(response.entries_size() - 1).leaf() + 1);
    progress.update(request.first(), request.first());
    if (request.first() >= response.size()) break;
  }
  progress.clear();
  return {};
}

std::optional<uint64_t> parse_time(const std::string& text) {
  int year = 0, hour = 0, minute = 0, second = 0, used = 0;
  unsigned month = 0, day = 0;
  const auto whole = [&] { return used == static_cast<int>(text.size()); };
  // Each form reads on from the one before; what does not fit leaves its zeros.
  const char* in = text.c_str();
  bool fits = std::sscanf(in, "%4d-%2u-%2u%n", &year, &month, &day, &used) == 3;
  if (fits && !whole()) {
    const char between = text[static_cast<size_t>(used)];
    const int date = used;
    fits = (between == ' ' || between == 'T') &&
           std::sscanf(in + date + 1, "%2d:%2d%n", &hour, &minute, &used) == 2;
    used += date + 1;
    if (fits && !whole() && text[static_cast<size_t>(used)] == ':') {
      const int time = used;
      fits = std::sscanf(in + time + 1, "%2d%n", &second, &used) == 1;
      used += time + 1;
    }
    if (fits && !whole() && text[static_cast<size_t>(used)] == 'Z') ++used;
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  if (!fits || !whole() || !date.ok() || year < 1970 || hour < 0 || hour > 23 || minute < 0 ||
      minute > 59 || second < 0 || second > 59) {
    return std::nullopt;
  }
  const auto t = std::chrono::sys_days(date) + std::chrono::hours(hour) +
                 std::chrono::minutes(minute) + std::chrono::seconds(second);
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(t.time_since_epoch()).count());
}

}  // namespace strongroom::app
