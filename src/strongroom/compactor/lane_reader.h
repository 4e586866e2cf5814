// Reads a whole lane with its root: every (term, posting) of it.
//
// A lane's directory says which terms it has. Of an online lane that is all: each row is a write
// with its posting. Of a packed lane it gives the labels to look for, and the postings are read in
// one pass over the lane, in the order of the store.
#pragma once

#include <functional>

#include "strongroom/base/result.h"
#include "strongroom/compactor/pace.h"
#include "strongroom/compactor/versions.h"
#include "strongroom/crypto/derive.h"
#include "strongroom/index/directory.h"
#include "strongroom/index/lane_packer.h"
#include "strongroom/index/postings.h"
#include "strongroom/store/store.h"

namespace strongroom::compactor {

// Not thread-safe. Borrows store and pace. Everything is authenticated; kDataLoss: a row is
// missing, forged or damaged, or there is one too many, and nothing of the lane should be used.
class LaneReader {
 public:
  LaneReader(store::Store& store, LaneId lane, const LaneRoot& root, Pace& pace,
             index::PackerMemory memory = {});

  // How many postings the lane has. Reads the directory.
  Result<uint64_t> count();
  // Calls visit for those that are current, until one fails. Of a packed lane, 40 B a row are kept:
  // half of the memory it was given, and beyond that in a file.
  using Visit = std::function<Result<void>(const TermHash& term, const index::Posting& posting)>;
  Result<void> read(Versions& versions, const Visit& visit);

 private:
  struct Expected;
  Result<void> for_each_row(const std::function<Result<void>(index::DirectoryRow&&)>& visit);
  Result<void> expect_rows(std::span<const index::TermCount> terms, index::Spool<Expected>& out);
  // Returns how many postings there were, current or not.
  Result<uint64_t> read_packed(index::Spool<Expected>& expected, Versions& versions,
                               const Visit& visit);

  store::Store& store_;
  LaneId lane_;
  std::string from_, to_;
  index::DirectoryReader directory_;
  crypto::LaneTokens tokens_;
  Pace& pace_;
  index::PackerMemory memory_;
};

}  // namespace strongroom::compactor
