#include "strongroom/compactor/choice.h"

#include <algorithm>

namespace strongroom::compactor {

std::vector<LaneId> choose_merge(std::vector<LaneSize> lanes, const ChoiceRules& rules) {
  std::erase_if(lanes, [&](const LaneSize& l) { return l.postings > rules.postings_max / 2; });
  size_t least = 2;
  if (lanes.size() <= rules.lanes_max) {
    std::erase_if(lanes,
                  [&](const LaneSize& l) { return !l.online || l.postings <= rules.online_max; });
    least = 1;
  }
  std::sort(lanes.begin(), lanes.end(), [](const LaneSize& a, const LaneSize& b) {
    return a.postings != b.postings ? a.postings < b.postings : a.lane < b.lane;
  });
  std::vector<LaneId> chosen;
  uint64_t sum = 0;
  for (const LaneSize& lane : lanes) {
    if (sum + lane.postings > rules.postings_max) break;
    if (chosen.size() >= 2 && lane.postings > 2 * sum) break;
    chosen.push_back(lane.lane);
    sum += lane.postings;
  }
  return chosen.size() < least ? std::vector<LaneId>() : chosen;
}

}  // namespace strongroom::compactor
