// Which postings are current: whose record's row is there and has their u.
#pragma once

#include <bitset>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "strongroom/base/result.h"
#include "strongroom/index/postings.h"
#include "strongroom/store/store.h"

namespace strongroom::compactor {

// Reads rows' headers only: their content stays sealed. Not thread-safe. Borrows the store.
//   kDataLoss  A row that is not one.
class Versions {
 public:
  Versions(store::Store& store, CollectionId collection) : store_(store), collection_(collection) {}

  // For many postings all over: reads the whole block of 4,096 rows the first time. 17 KiB a block.
  Result<bool> current(const index::Posting& posting);
  // For a few: reads their rows alone. out[i] for postings[i].
  Result<void> current(std::span<const index::Posting> postings, std::vector<bool>& out);

 private:
  struct Block {
    std::bitset<RecordIndex::kPerBlock> present;
    uint32_t u_lo[RecordIndex::kPerBlock] = {};
  };
  Result<const Block*> block(uint32_t number);

  store::Store& store_;
  CollectionId collection_;
  std::unordered_map<uint32_t, std::unique_ptr<Block>> blocks_;
  uint32_t last_number_ = 0;
  const Block* last_ = nullptr;
};

}  // namespace strongroom::compactor
