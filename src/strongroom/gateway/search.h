// Reading sealed postings: a conjunction of terms over the live lanes of one collection.
//
// All terms of one version of a record are posted in one lane, so lanes are intersected each by
// itself. In a lane the term with fewest postings is read whole; common terms are then probed by
// binary search over their packed blocks, which are sorted. Singles are fetched in batches of 1, 4,
// 16, 64.
#pragma once

#include <vector>

#include "strongroom/base/secret.h"
#include "strongroom/index/postings.h"
#include "strongroom/store/store.h"

namespace strongroom::gateway {

struct SearchLimits {
  uint64_t scan_max = 100'000;  // Postings read for one query; more is refused as too broad, never
                                // cut off silently.
};

struct SearchStats {
  std::vector<uint64_t> postings;  // Known or read, for each term.
  uint32_t store_reads = 0;        // Batches.
  uint64_t scanned = 0;
};

// tokens[t * lanes.size() + l] opens term t in lane l. Blocks on the store. Thread-safe.
// Candidates ascending by (idx, u_lo); some may be superseded: the row decides.
//   kTooBroad   number: the postings it had to read when it gave up, or knew it would have to.
//   kDataLoss   A posting is forged or damaged.
Result<std::vector<index::Posting>> search(store::Store& store, std::span<const LaneId> lanes,
                                           std::span<const TermToken> tokens, size_t terms,
                                           const SearchLimits& limits, SearchStats& stats);

}  // namespace strongroom::gateway
