// DurableLeaf: proof, by type, that a log entry is on disk. Keys and tokens can be derived only
// from one.
//
// Only the release log makes them, after its fsync. Copyable: several keys may leave under one
// leaf.
#pragma once

#include "strongroom/base/ids.h"

namespace strongroom {

namespace tlog {
class ReleaseLog;
}

class DurableLeaf {
 public:
  LeafIndex index() const { return index_; }

 private:
  friend class tlog::ReleaseLog;
  explicit DurableLeaf(LeafIndex index) : index_(index) {}
  LeafIndex index_;
};

}  // namespace strongroom
