// Lanes: writing postings. A lane belongs to one collection and one writer; the writer counts each term in memory from 0
// and never probes the store.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "strongroom/crypto/derive.h"
#include "strongroom/index/postings.h"

namespace strongroom::index {

inline constexpr uint64_t kLaneRecordsMax = uint64_t{1} << 20;
inline constexpr uint64_t kLanePostingsMax = uint64_t{1} << 23;

struct SealedRow {
  std::string key;
  std::string value;
};

// Directory rows, so that the lane of a crashed writer can still be merged.  Spec: docs/spec/directory.md
//   key   lane u24be | number u40be, counted from 0 in each lane
//   value ver u8 | nonce 12 | GCM(key H(R_l,"sr1.dir"), AD "SR1D" | row key, plaintext)
//   plaintext  kind 0, a write:  00h | idx u40le | u_lo u32le | n u16le | n x h_w
//              kind 1, a packed lane's terms: 01h | n u16le | n x (h_w | count u32le), ascending over the lane
class DirectoryWriter {
 public:
  DirectoryWriter(LaneId lane, const LaneRoot& root);
  SealedRow write_row(const Posting& posting, std::span<const TermHash> terms);
  struct TermCount {
    TermHash h_w;
    uint32_t count;
  };
  SealedRow terms_row(std::span<const TermCount> terms);  // 1..kTermsPerRow
  static constexpr size_t kTermsPerRow = 192;

 private:
  LaneId lane_;
  SealingKey key_;
  uint64_t number_ = 0;
};
struct DirectoryRow {
  std::optional<Posting> write;           // Kind 0: terms have count 1 each.
  std::vector<DirectoryWriter::TermCount> terms;
};
Result<DirectoryRow> open_directory_row(LaneId lane, const LaneRoot& root, Bytes key, Bytes value);

// An online lane, open in its writer. Each write is padded with postings of random terms to a multiple of 8, so that a row
// count tells no more than that. Not thread-safe.
class OnlineLane {
 public:
  OnlineLane(LaneId lane, LaneRoot root);  // Wipes the root with itself.
  LaneId id() const { return lane_; }
  bool full() const { return records_ >= kLaneRecordsMax || postings_ + 64 >= kLanePostingsMax; }
  // Postings of one write and its directory row, appended; `superseded` posts an old version under the dead term.
  void write(const Posting& posting, std::span<const TermHash> terms, std::vector<SealedRow>& postings,
             std::vector<SealedRow>& directory);
  void write_dead(const Posting& superseded, const TermHash& dead, std::vector<SealedRow>& postings,
                  std::vector<SealedRow>& directory);

 private:
  LaneId lane_;
  LaneRoot root_;
  crypto::LaneTokens tokens_;
  DirectoryWriter directory_;
  std::unordered_map<TermHash, uint32_t> next_;
  uint64_t records_ = 0;
  uint64_t postings_ = 0;
};

// A packed lane, for bulk: takes (term, posting) pairs in any order, gives sealed rows in ascending key order.
// Memory: 28 B a posting while adding, about 60 B at the peak of finish(). Not thread-safe.
class LanePacker {
 public:
  LanePacker(LaneId lane, LaneRoot root);
  void reserve(size_t postings);
  void add(const TermHash& term, const Posting& posting);
  size_t size() const { return entries_.size(); }
  using Emit = std::function<Result<void>(std::string_view key, std::string_view value)>;
  // Sorts, seals, and emits all postings rows ascending, then all directory rows ascending. Once.
  Result<void> finish(const Emit& posting_row, const Emit& directory_row);

 private:
  struct Entry {
    TermHash term;
    uint64_t idx;
    uint32_t u_lo;
  };
  LaneId lane_;
  LaneRoot root_;
  std::vector<Entry> entries_;
};

}  // namespace strongroom::index
