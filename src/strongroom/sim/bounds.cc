#include "strongroom/sim/bounds.h"

#include <algorithm>
#include <cmath>

#include "strongroom/base/durations.h"
#include "strongroom/watch/principal_watch.h"

namespace strongroom::sim {
namespace {

constexpr uint64_t kNone = UINT64_MAX;

uint64_t up(uint64_t value, uint64_t step) {
  return (value + step - 1) / step;
}

// The largest sum over `windows` whole windows in which the rule does not alarm, with a usual that
// follows what was taken.
uint64_t sum_of_limits(const watch::RuleSetting& setting, uint64_t usual, uint64_t windows,
                       uint32_t horizon, uint64_t slack_percent) {
  if (setting.action != v1::WatchRule::FREEZE) return kNone;
  double mean = static_cast<double>(usual);
  double sum = 0;
  for (uint64_t i = 0; i < windows; ++i) {
    const double limit = std::max(2.0 * static_cast<double>(setting.least),
                                  mean * static_cast<double>(setting.factor));
    sum += limit * (1 + static_cast<double>(slack_percent) / 100);
    mean += (limit - mean) / horizon;
    if (sum > 1e15) return kNone;
  }
  return static_cast<uint64_t>(std::ceil(sum));
}

}  // namespace

uint64_t bound_by_budgets(const v1::Policy& policy, const std::string& role,
                          const std::string& collection, uint64_t duration_ms) {
  const uint64_t hours = std::max<uint64_t>(1, up(duration_ms, kHourMs));
  const uint64_t days = std::max<uint64_t>(1, up(duration_ms, kDayMs));
  uint64_t sum = 0;
  for (const v1::Role& candidate : policy.roles()) {
    if (candidate.name() != role) continue;
    for (const v1::Grant& grant : candidate.grants()) {
      if (grant.collection() != collection) continue;
      sum += static_cast<uint64_t>(grant.purposes_size()) *
             std::min(grant.budget().records_per_hour() * hours,
                      grant.budget().records_per_day() * days);
    }
  }
  const v1::Windows& each = policy.limits().each_principal().records();
  if (each.has_hour()) sum = std::min(sum, each.hour() * hours);
  if (each.has_day()) sum = std::min(sum, each.day() * days);
  if (each.has_month()) sum = std::min(sum, each.month() * up(days, 30));
  return sum;
}

uint64_t bound_by_rate(const watch::Rules& rules, const Busiest& busiest, uint64_t duration_ms) {
  return sum_of_limits(rules.of(v1::AlarmItem::RATE), busiest.records_hour,
                       up(duration_ms, kHourMs) + 1, watch::kHoursUsual, 0);
}

uint64_t bound_by_drip(const watch::Rules& rules, const Busiest& busiest, uint64_t duration_ms) {
  // Different records are counted about, and the same ones cost nothing again: five percent.
  return sum_of_limits(rules.of(v1::AlarmItem::DRIP), busiest.different_day,
                       up(duration_ms, kDayMs) + 1, watch::kDaysUsual, 5);
}

double chance_of_canary(uint64_t canaries, uint64_t records, uint64_t opened) {
  if (records == 0) return 0;
  return 1 - std::pow(1 - static_cast<double>(canaries) / static_cast<double>(records),
                      static_cast<double>(opened));
}

}  // namespace strongroom::sim
