// What is remembered of one principal, and of one gateway. For watcher.cc.
#pragma once

#include <array>
#include <cstdint>

#include "strongroom/base/durations.h"
#include "strongroom/base/ids.h"
#include "strongroom/v1/watch.pb.h"
#include "strongroom/watch/measures.h"

namespace strongroom::watch {

// Windows that weigh in what is usual: about six weeks of an ordinary desk either way.
inline constexpr uint32_t kHoursUsual = 240;
inline constexpr uint32_t kDaysUsual = 30;
// So many windows of history, and it counts for all it says; before, a limit is twice `least`.
inline constexpr uint32_t kHoursLearned = 16;
inline constexpr uint32_t kDaysLearned = 5;

// At which hours somebody works, on working days and on others.
class WorkingHours {
 public:
  // Days on which an hour was worked at, of the days worked at all; about the last 128 count.
  void worked(uint64_t hour);  // Hours since 1970, not descending. Counted once.
  // Of `days`, on how many this hour or one beside it was worked at. `now`'s own day is not
  // counted.
  struct Answer {
    uint32_t days = 0;
    uint32_t all_days = 0;  // Of both sorts.
    uint32_t times = 0;
  };
  Answer usual(uint64_t hour) const;
  template <class A>
  void archive(A& a) {
    a(times_, days_, today_, day_);
  }

 private:
  static size_t sort_of(uint64_t day) {
    return (day + 3) % 7 >= 5 ? 1 : 0;
  }  // 1970-01-01: Thursday.
  void close_day();
  std::array<std::array<uint8_t, 24>, 2> times_{};
  std::array<uint8_t, 2> days_{};
  uint32_t today_ = 0;  // Bit h: worked at.
  uint64_t day_ = 0;
};

// Terms that differ in their last characters only, of one day.
struct Neighbourhood {
  uint64_t near = 0;
  std::array<uint64_t, 2> seen{};  // A bit for each of 128 values' hashes.
  uint32_t different = 0;
  uint32_t used = 0;  // When last, in steps.
  template <class A>
  void archive(A& a) {
    a(near, seen, different, used);
  }
};

struct PrincipalWatch {
  uint64_t hour = 0, day = 0;  // Since 1970.
  uint64_t steps = 0;
  // Of this hour.
  uint64_t records = 0, searches = 0, refusals = 0, calls = 0;
  Distinct<2048> hour_records, hour_terms;
  // Of this day.
  uint64_t day_opened = 0, day_next = 0, day_emergency = 0;
  Distinct<4096> day_records, day_terms;
  std::array<Neighbourhood, 24> neighbourhoods{};
  std::array<uint32_t, 8> purposes{};  // Hashes.
  uint32_t purpose_count = 0;
  // Records opened last, of whichever day.
  std::array<uint64_t, 128> last{};  // idx + 1; 0: none.
  uint32_t last_at = 0;
  // Before.
  Usual usual_records, usual_searches, usual_refusals, usual_hour_records, usual_hour_terms;
  Usual usual_day_records, usual_day_terms, usual_purposes;
  WorkingHours hours;
  std::array<Armed, v1::AlarmItem::Measure_ARRAYSIZE> hourly, daily;

  template <class A>
  void archive(A& a) {
    a(hour, day, steps, records, searches, refusals, calls, hour_records, hour_terms);
    a(day_opened, day_next, day_emergency, day_records, day_terms, neighbourhoods, purposes);
    a(purpose_count, last, last_at, usual_records, usual_searches, usual_refusals);
    a(usual_hour_records, usual_hour_terms, usual_day_records, usual_day_terms, usual_purposes);
    a(hours, hourly, daily);
    if constexpr (A::kReading) {
      if (purpose_count > purposes.size()) a.fail();
    }
  }
};
static_assert(sizeof(PrincipalWatch) <= 4096);

struct GatewayWatch {
  uint64_t hour = 0;
  uint64_t records = 0, refusals = 0;
  Usual usual_records, usual_refusals;
  Armed armed_records, armed_refusals;
  template <class A>
  void archive(A& a) {
    a(hour, records, refusals, usual_records, usual_refusals, armed_records, armed_refusals);
  }
};

}  // namespace strongroom::watch
