// Which records were erased, as the log says, in the order of their entries.
#pragma once

#include <bitset>
#include <map>
#include <vector>

#include "strongroom/base/ids.h"

namespace strongroom::keyserver {

// Not thread-safe.
class Erasures {
 public:
  using Offsets = std::bitset<RecordIndex::kPerBlock>;

  // Once each: again is no change.
  void add(RecordIndex idx, uint64_t leaf, uint64_t t_ms);
  bool contains(RecordIndex idx) const;
  size_t count_in(uint32_t block) const;

  const std::vector<RecordIndex>& in_order() const { return in_order_; }
  const std::map<uint32_t, Offsets>& blocks() const { return blocks_; }
  uint64_t last_leaf() const { return last_leaf_; }
  uint64_t last_ms() const { return last_ms_; }

  template <class A>
  void archive(A& a) {
    a(in_order_, last_leaf_, last_ms_);
    if constexpr (A::kReading) {
      for (const RecordIndex idx : in_order_) blocks_[idx.block()][idx.offset()] = true;
    }
  }

 private:
  std::vector<RecordIndex> in_order_;
  std::map<uint32_t, Offsets> blocks_;
  uint64_t last_leaf_ = 0;
  uint64_t last_ms_ = 0;
};

}  // namespace strongroom::keyserver
