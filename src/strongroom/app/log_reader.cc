#include "strongroom/app/log_reader.h"

#include <chrono>
#include <string_view>

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
  // Each form is the beginning of this one, by its length.
  constexpr std::string_view kForm = "dddd-dd-ddTdd:dd:dd";
  std::string_view rest = text;
  if (rest.size() > 10 && rest.ends_with('Z')) rest.remove_suffix(1);
  if (rest.size() != 10 && rest.size() != 16 && rest.size() != kForm.size()) return std::nullopt;
  int parts[6] = {};  // Year, month, day, hour, minute, second.
  size_t part = 0;
  for (size_t i = 0; i < rest.size(); ++i) {
    const char c = rest[i];
    if (kForm[i] == 'd') {
      if (c < '0' || c > '9') return std::nullopt;
      parts[part] = parts[part] * 10 + (c - '0');
    } else {
      if (c != kForm[i] && !(kForm[i] == 'T' && c == ' ')) return std::nullopt;
      ++part;
    }
  }
  const auto [year, month, day, hour, minute, second] = parts;
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok() || year < 1970 || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  const auto t = std::chrono::sys_days(date) + std::chrono::hours(hour) +
                 std::chrono::minutes(minute) + std::chrono::seconds(second);
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(t.time_since_epoch()).count());
}

}  // namespace strongroom::app
