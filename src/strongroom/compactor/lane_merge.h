// Several lanes into one: reads all of their postings, drops those that no longer match a record's
// row, writes the rest as a packed lane.
#pragma once

#include <map>
#include <vector>

#include "strongroom/base/ids.h"
#include "strongroom/base/result.h"
#include "strongroom/base/secret.h"
#include "strongroom/compactor/pace.h"
#include "strongroom/index/lane_packer.h"
#include "strongroom/store/store.h"

namespace strongroom::compactor {

struct MergeSource {
  LaneId lane;
  LaneRoot root;
};

struct Merged {
  std::vector<LaneId> sources;          // Those that went in: the first ones that fit together.
  std::map<LaneId, uint64_t> postings;  // Of all sources, the others too.
  uint64_t kept = 0;
};

// Blocks. `postings` and `directory` are the target's runs, in ascending order of keys. To `memory`
// come 4 B a record, and some 50 B a posting of the commonest term.
//   kDataLoss  A source is damaged. Nothing of the runs should be used.
Result<Merged> merge_lanes(store::Store& store, CollectionId collection,
                           std::span<const MergeSource> sources, LaneId target, LaneRoot root,
                           uint64_t postings_max, Pace& pace, const index::PackerMemory& memory,
                           store::SortedRun& postings, store::SortedRun& directory);

}  // namespace strongroom::compactor
