// Thieves against the real key server: what they got, when it was noticed, and what they could have
// got at most.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "strongroom/sim/sim_vault.h"

namespace strongroom::sim {

struct Theft {
  std::string name;
  std::string what;      // What the thief has, and does.
  uint64_t lost = 0;     // Records whose keys left.
  uint64_t bound = 0;    // Computed beforehand.
  std::string bound_by;  // What sets it.
  uint64_t duration_ms = 0;
  std::optional<uint64_t> noticed_ms;  // From the first record lost, or tried for, to the alarm.
  std::string noticed_by;              // The rule; empty: not noticed.
  bool cut = false;                    // Whether the thief was stopped by the alarm.
  bool holds() const { return lost <= bound; }
};

// All of them, each on its own copy of one vault with a history.
Result<std::vector<Theft>> simulate_thefts(uint64_t seed);

}  // namespace strongroom::sim
