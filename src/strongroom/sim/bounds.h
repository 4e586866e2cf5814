// What can leave at most, computed from the policy before anybody steals anything.
#pragma once

#include <cstdint>
#include <string>

#include "strongroom/v1/policy.pb.h"
#include "strongroom/watch/rules.h"

namespace strongroom::sim {

// Records that one principal of a role can open within so long, over all its purposes, by the
// sliding budgets of its grants on one collection. Whoever watches may be blind.
uint64_t bound_by_budgets(const v1::Policy& policy, const std::string& role,
                          const std::string& collection, uint64_t duration_ms);

// What a principal's own busiest hour and day were before: their usual is never more.
struct Busiest {
  uint64_t records_hour = 0;
  uint64_t different_day = 0;
};
// The same by the watch rules that freeze: the call that goes above a limit does not leave, and
// nothing does after it. Whole hours and days of UTC, so one more of each than the duration has. A
// thief who stays just below teaches the rule a higher usual; that is reckoned in.
uint64_t bound_by_rate(const watch::Rules& rules, const Busiest& busiest, uint64_t duration_ms);
uint64_t bound_by_drip(const watch::Rules& rules, const Busiest& busiest, uint64_t duration_ms);

// Of k random records with c canaries among N, the chance that one at least is a canary.
double chance_of_canary(uint64_t canaries, uint64_t records, uint64_t opened);

}  // namespace strongroom::sim
