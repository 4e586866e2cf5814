// Lanes: writing postings. A lane belongs to one collection and one writer; the writer counts each
// term in memory from 0 and never probes the store.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "strongroom/crypto/derive.h"
#include "strongroom/index/directory.h"
#include "strongroom/index/postings.h"
#include "strongroom/index/term_counters.h"

namespace strongroom::index {

inline constexpr uint64_t kLaneRecordsMax = uint64_t{1} << 20;
inline constexpr uint64_t kLanePostingsMax = uint64_t{1} << 23;

// An online lane, open in its writer. Each write is padded to a multiple of 8 or 32 rows with rows
// of no term, which look like any other, so that a row count tells no more than that; its directory
// row likewise. Not thread-safe.
class OnlineLane {
 public:
  OnlineLane(LaneId lane, LaneRoot root);  // Wipes the root: what a writer needs is derived.
  LaneId id() const { return lane_; }
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

// A packed lane, for bulk: takes (term, posting) pairs in any order, gives sealed rows in ascending
// key order. Inside a term postings ascend by (idx, u_lo), so that the last is the newest.
// Memory: 28 B a posting while adding, about 60 B at the peak of finish(). Not thread-safe.
class LanePacker {
 public:
  LanePacker(LaneId lane, LaneRoot root);
  void reserve(size_t postings) { entries_.reserve(postings); }
  void add(const TermHash& term, const Posting& posting);
  size_t size() const { return entries_.size(); }
  using Emit = std::function<Result<void>(std::string_view key, std::string_view value)>;
  // Sorts, seals, and emits all postings rows ascending, then all directory rows ascending. Once:
  // the root is wiped. Returns the first error of an Emit, after which it calls neither again.
  Result<void> finish(const Emit& posting_row, const Emit& directory_row);

 private:
  struct Entry {  // 28 B: a RecordIndex would make it 32.
    TermHash term;
    uint32_t idx_low;
    uint32_t u_lo;
    uint8_t idx_high;
    Posting posting() const { return {{(uint64_t{idx_high} << 32) | idx_low}, u_lo}; }
  };
  struct Sealed;

  void sort_entries();
  void seal_all(Sealed& sealed) const;
  Result<void> emit_postings(const Emit& posting_row) const;
  Result<void> emit_directory(const Emit& directory_row) const;
  // Calls visit(entries of one term) for each term, ascending.
  template <class Visit>
  void for_each_term(const Visit& visit) const;

  LaneId lane_;
  LaneRoot root_;
  std::vector<Entry> entries_;
  bool finished_ = false;
};

}  // namespace strongroom::index
