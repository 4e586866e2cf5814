// What whoever holds a copy of a store's folder can read without any key: every version its files
// and write-ahead log still hold, in whatever order they lie. For drills and debugging; no part of
// the Store interface, since nothing we serve may depend on it.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "strongroom/base/result.h"
#include "strongroom/store/store.h"

namespace strongroom::store {

struct StoredVersion {
  Table table;
  std::string_view key;
  std::string_view value;  // Empty if erased.
  // RocksDB's own count of writes: one more for each row of a batch, the same for all rows of an
  // ingested run, 0 where compaction has dropped it.
  uint64_t sequence;
  bool erased;
};

// Calls visit for each version of each row, by table, key, newest first. Changes nothing in the
// folder. The views end with the call.
//   kDataLoss, kFailedPrecondition   As open_rocks_store. A copy made while the store was writing
//                                    may lack a file: copy again.
Result<void> dump_rocks_store(const std::string& path,
                              const std::function<void(const StoredVersion&)>& visit);

}  // namespace strongroom::store
