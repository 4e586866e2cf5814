// Mints durable leaves for tests of what needs one. It stands in for the real tlog::ReleaseLog, so
// a test that includes this must not link the tlog module.
#pragma once

#include "strongroom/base/durable_leaf.h"

namespace strongroom::tlog {

class ReleaseLog {
 public:
  static DurableLeaf mint(uint64_t index) { return DurableLeaf(LeafIndex{index}); }
};

}  // namespace strongroom::tlog

namespace strongroom::test {

inline DurableLeaf test_leaf(uint64_t index = 0) {
  return tlog::ReleaseLog::mint(index);
}

}  // namespace strongroom::test
