// RocksDB as this store sets it up: options for each table, and its statuses in our words.
#pragma once

#include <rocksdb/options.h>
#include <rocksdb/status.h>

#include <memory>

#include "strongroom/store/store.h"

namespace strongroom::store {

// Sorted runs are cut into files of this size.
inline constexpr uint64_t kRunFileBytes = uint64_t{64} << 20;

// Whether the filters of a store whose files take this much would crowd the cache.
bool rocks_is_large(uint64_t file_bytes, const RocksOptions& options);
std::shared_ptr<rocksdb::Cache> rocks_cache(const RocksOptions& options);
rocksdb::DBOptions rocks_db_options(const RocksOptions& options,
                                    const std::shared_ptr<rocksdb::Cache>& cache);
// `large` concerns files written from now on; those already there say themselves how they are made.
rocksdb::ColumnFamilyOptions rocks_table_options(Table table, bool large,
                                                 const RocksOptions& options,
                                                 const std::shared_ptr<rocksdb::Cache>& cache);

// REQUIRES: !status.ok(). RocksDB's own text may hold paths and keys and goes nowhere.
Error rocks_error(const rocksdb::Status& status);
Error rocks_open_error(const rocksdb::Status& status);

}  // namespace strongroom::store
