// Which lanes of a collection to merge next: pure, so that a test can live through years of it.
#pragma once

#include <cstdint>
#include <vector>

#include "strongroom/base/ids.h"

namespace strongroom::compactor {

struct LaneSize {
  LaneId lane;
  uint64_t postings = 0;
  bool online = false;  // Of single postings alone.
};

struct ChoiceRules {
  // Lanes that are not full may be this many before some are merged.
  // Each is two probes of a term in every search.
  size_t lanes_max = 2;
  uint64_t postings_max = 0;  // Of a merged lane. A lane with more than half of it counts as full.
  // Postings an online lane may have and stay one: a term that is common in it is read row by row.
  uint64_t online_max = uint64_t{1} << 16;
};

// `lanes`: what may be merged, of one collection. Empty: nothing to do. Otherwise lanes, smallest
// first, together at most `postings_max`: two or more, or one that is to be written anew, packed.
//
// Size-tiered: a lane is only merged with lanes that together are at least half its size, unless
// nothing else brings the number down. So a posting is moved about log(n) times in its life.
std::vector<LaneId> choose_merge(std::vector<LaneSize> lanes, const ChoiceRules& rules);

}  // namespace strongroom::compactor
