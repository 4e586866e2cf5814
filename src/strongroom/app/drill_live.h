// The second part of the drill: thousands of real searches on a real vault, with somebody looking
// at what the store is asked for.
#pragma once

#include <string>
#include <vector>

#include "strongroom/app/drill_vault.h"
#include "strongroom/drill/live.h"

namespace strongroom::app {

struct LivePoint {
  drill::LiveLearned learned;
  uint64_t records_checked = 0;  // Opened, and whose they should be by their number.
};

// Runs searches as clerks would: most by name, number or birth date of somebody on the register,
// some people much more often than others. The vault must not be served: its gateway runs in this
// process, over a store that notes what is read, beside a key server process of its own.
//
// `idx_of`: by person. Returns a point for each of `checkpoints`, ascending.
//   kDataLoss  A record was not the person's whose number it has: the drill's truth is wrong.
Result<std::vector<LivePoint>> watch_queries(const DrillVault& vault,
                                             const drill::Population& people,
                                             const drill::Population& others,
                                             const std::vector<uint64_t>& idx_of, uint64_t seed,
                                             const std::vector<uint64_t>& checkpoints);

}  // namespace strongroom::app
