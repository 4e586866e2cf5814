// Reading sealed postings: what matches a plan, over the live lanes of one collection.
//
// All terms of one version of a record are posted in one lane, so each lane is worked through by
// itself. First the heads of all terms, in one batch, which say how many postings the common ones
// have. The clause with fewest is read whole; what it gives is then held against the others, whose
// common terms are read too, or probed by interpolation over their packed blocks, which are sorted,
// where that reads fewer of them. Singles are fetched in batches of 1, 4, 16, 64.
#pragma once

#include <vector>

#include "strongroom/base/secret.h"
#include "strongroom/index/postings.h"
#include "strongroom/store/store.h"

namespace strongroom::gateway {

struct SearchLimits {
  // Postings kept, and four for each block of postings that is read for a few of them, for one
  // query; more is refused as too broad, never cut off silently.
  uint64_t scan_max = 1'000'000;
};

// A conjunction of clauses, each any of its alternatives, each all of its terms; terms by number.
struct SearchPlan {
  struct Alternative {
    std::vector<uint16_t> all_of;
    uint16_t rank = 0;  // Lower is better.
    bool operator==(const Alternative&) const = default;
  };
  struct Clause {
    std::vector<Alternative> any_of;
    bool negated = false;
    bool operator==(const Clause&) const = default;
  };
  std::vector<Clause> clauses;  // One at least is not negated.
  bool newest_first = false;    // Among equals of rank: descending by idx.
};

struct Match {
  index::Posting posting;
  uint32_t rank = 0;  // Sum over the clauses, of the best alternative each.
};

// Whether `a` comes before `b` in an answer.
bool before(const Match& a, const Match& b, bool newest_first);

struct SearchStats {
  std::vector<uint64_t> postings;  // Known or read, of each clause's terms.
  uint32_t store_reads = 0;        // Batches.
  uint64_t scanned = 0;
};

// tokens[t * lanes.size() + l] opens term t in lane l. Blocks on the store. Thread-safe.
// Best rank first, and among equals by idx (and u_lo) as the plan says; some may be superseded: the
// row decides.
//   kTooBroad   number: at least so many postings of the rarest clause, or read until it gave up.
//   kDataLoss   A posting is forged or damaged.
Result<std::vector<Match>> search(store::Store& store, std::span<const LaneId> lanes,
                                  std::span<const TermToken> tokens, size_t terms,
                                  const SearchPlan& plan, const SearchLimits& limits,
                                  SearchStats& stats);

}  // namespace strongroom::gateway
