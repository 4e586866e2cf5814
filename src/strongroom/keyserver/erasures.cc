#include "strongroom/keyserver/erasures.h"

namespace strongroom::keyserver {

void Erasures::add(RecordIndex idx, uint64_t leaf, uint64_t t_ms) {
  auto erased = blocks_[idx.block()][idx.offset()];
  if (erased) return;
  erased = true;
  in_order_.push_back(idx);
  last_leaf_ = leaf;
  last_ms_ = t_ms;
}

bool Erasures::contains(RecordIndex idx) const {
  const auto block = blocks_.find(idx.block());
  return block != blocks_.end() && block->second[idx.offset()];
}

size_t Erasures::count_in(uint32_t block) const {
  const auto found = blocks_.find(block);
  return found == blocks_.end() ? 0 : found->second.count();
}

}  // namespace strongroom::keyserver
