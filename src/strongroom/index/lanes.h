// Lanes: writing postings. A lane belongs to one collection and one writer; the writer counts each
// term in memory from 0 and never probes the store.
#pragma once

#include <string>
#include <vector>

#include "strongroom/crypto/derive.h"
#include "strongroom/index/directory.h"
#include "strongroom/index/postings.h"
#include "strongroom/index/term_counters.h"

namespace strongroom::index {

inline constexpr uint64_t kLaneRecordsMax = uint64_t{1} << 20;
inline constexpr uint64_t kLanePostingsMax = uint64_t{1} << 23;  // Of an online lane.

// An online lane, open in its writer. Each write is padded to a multiple of 8 or 32 rows with rows
// of no term, which look like any other, so that a row count tells no more than that; its directory
// row likewise. Not thread-safe.
class OnlineLane {
 public:
  OnlineLane(LaneId lane, LaneRoot root);  // Wipes the root: what a writer needs is derived.
  LaneId id() const { return lane_; }
  uint64_t postings() const { return postings_; }  // Rows, with those of no term.
  bool full() const { return records_ >= kLaneRecordsMax || postings_ + 64 >= kLanePostingsMax; }
  // Postings of one write and its directory row, appended; 0..kTermsPerWriteMax terms.
  void write(const Posting& posting, std::span<const TermHash> terms, WritePadding padding,
             std::vector<SealedRow>& postings, std::vector<SealedRow>& directory);
  // Posts an old version under the dead term: 8 rows, since the row tells of an update anyway.
  void write_dead(const Posting& superseded, const TermHash& dead, std::vector<SealedRow>& postings,
                  std::vector<SealedRow>& directory);

 private:
  void post(const Posting& posting, std::span<const TermHash> terms, WritePadding padding,
            std::vector<SealedRow>& postings, std::vector<SealedRow>& directory);

  LaneId lane_;
  crypto::LaneTokens tokens_;
  DirectoryWriter directory_;
  TermCounters counters_;
  uint64_t records_ = 0;
  uint64_t postings_ = 0;
};

}  // namespace strongroom::index
