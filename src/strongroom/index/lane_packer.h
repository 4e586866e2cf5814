// Packed lanes, for bulk: an external bucket sort, first by term, then by label.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <string_view>

#include "strongroom/base/ids.h"
#include "strongroom/base/result.h"
#include "strongroom/base/secret.h"
#include "strongroom/index/directory.h"
#include "strongroom/index/spool.h"

namespace strongroom::index {

struct PackerMemory {
  std::string folder;  // Where what does not fit is spooled to; empty: everything fits.
  size_t bytes_max = size_t{256} << 20;  // Beside it: some 50 B a posting of the commonest term.
};

// Takes (term, posting) pairs in any order, each once or more often, gives sealed rows in ascending
// key order. Inside a term postings ascend by (idx, u_lo), so that the last is the newest. Not
// thread-safe, but for add() of different feeders.
class LanePacker {
 public:
  static constexpr size_t kFeeders = 2;
  LanePacker(LaneId lane, LaneRoot root, PackerMemory memory = {});
  ~LanePacker();
  // Room for so many, added in equal parts by the first `feeders`.
  void reserve(size_t postings, size_t feeders = 1);
  // Sorted soonest where the postings of each feeder ascend.
  void add(const TermHash& term, const Posting& posting, size_t feeder = 0);
  // To be called every few thousand postings: what is above the limit goes to the disk.
  //   kNoSpace, kUnavailable  The lane cannot be finished.
  Result<void> keep_within_limit();
  size_t size() const { return entries_[0].size() + entries_[1].size(); }

  using Emit = std::function<Result<void>(std::string_view key, std::string_view value)>;
  // Sorts, seals, and emits all rows of each table ascending. Once: the root is wiped. Returns the
  // first error of an Emit, after which it calls none again.
  Result<void> finish(const Emit& posting_row, const Emit& directory_row);
  // The same by two threads: `both` calls what it is given with 0 and with 1, at the same time or
  // one after the other. `postings` are two runs, ascending each: labels below 80h, and the rest.
  using Both = std::function<void(const std::function<void(size_t half)>& work)>;
  Result<void> finish(const std::array<Emit, 2>& postings, const Emit& directory_row,
                      const Both& both);

 private:
  struct Entry {  // 24 B. The term's first byte is the bucket.
    ByteArray<15> term;
    uint8_t idx[5];
    uint32_t u_lo;
    Posting posting() const { return {{load_le<uint64_t>(idx, 5)}, u_lo}; }
  };
  class Sealer;
  class DirectoryRows;

  std::unique_ptr<SpoolFile> spool_file(const char* name) const;

  LaneId lane_;
  LaneRoot root_;
  PackerMemory memory_;
  std::array<Spool<Entry>, kFeeders> entries_;  // By feeder.
  bool finished_ = false;
};

}  // namespace strongroom::index
