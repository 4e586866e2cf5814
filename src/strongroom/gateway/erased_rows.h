// Rows of erased records: the key server keeps the list of what was erased, and the gateway sees to
// it that nothing on the list has a row in the store.
//
// The list is followed, not pushed, and from its beginning at each start: a gateway that stopped
// between the two, another gateway's erasures, and a store put back from a backup are all caught up
// with in the same way. Nobody could open such a row; but counts go by rows, and must be right.
//
// By a chunk's last row recovery tells whether the chunk was committed: that one is kept until the
// import's checkpoint no longer needs it.
#pragma once

#include <atomic>
#include <mutex>
#include <set>
#include <span>

#include "strongroom/base/ids.h"
#include "strongroom/gateway/key_service.h"
#include "strongroom/store/store.h"

namespace strongroom::gateway {

// Thread-safe. Borrows both. What blocks on store and key server is for worker threads only.
class ErasedRows {
 public:
  ErasedRows(store::Store& store, KeyService& keys) : store_(store), keys_(keys) {}

  // Whether rows of the first `known` records erased may still be there. Does not block.
  bool behind(uint64_t known) const { return done_.load() < known; }
  // None of them is when this returns, and that is durable.
  //   kUnavailable  Not opened yet, or one is kept.
  Result<void> catch_up(uint64_t known);
  // Behind writes of records that were granted when `known` records had been erased: those that
  // were erased meanwhile lose the rows just written.
  Result<void> recheck(uint64_t known);
  // Rows of records that the key server said are erased; those that are kept stay.
  Result<void> remove(CollectionId collection, std::span<const RecordIndex> records);

  // No row goes before: what imports of an earlier process need kept is known now.
  void open();
  void keep(RecordIndex record);
  void release(RecordIndex record);

 private:
  Result<void> follow(uint64_t from);
  Result<void> remove_rows(std::vector<std::string> keys);

  store::Store& store_;
  KeyService& keys_;
  std::mutex mutex_;
  bool open_ = false;
  std::set<RecordIndex> kept_;
  std::atomic<uint64_t> done_ = 0;
};

}  // namespace strongroom::gateway
