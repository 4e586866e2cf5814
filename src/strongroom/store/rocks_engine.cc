#include "strongroom/store/rocks_engine.h"

#include <errno.h>
#include <rocksdb/cache.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_buffer_manager.h>
#include <string.h>

#include <charconv>
#include <optional>
#include <string_view>

namespace strongroom::store {
namespace {

constexpr size_t kWriteBuffers = 6;  // Of all tables together, before the largest is written out.

bool mentions(const rocksdb::Status& status, const char* text) {
  const char* state = status.getState();
  return state != nullptr && strstr(state, text) != nullptr;
}

// The file RocksDB complains of, by its number: it names files in the middle of its texts only.
std::optional<int64_t> table_file_of(const rocksdb::Status& status) {
  const std::string_view state = status.getState() == nullptr ? "" : status.getState();
  const size_t end = state.find(".sst");
  if (end == std::string_view::npos) return std::nullopt;
  size_t begin = end;
  while (begin > 0 && state[begin - 1] >= '0' && state[begin - 1] <= '9') --begin;
  int64_t number = 0;
  const auto [stopped, failed] = std::from_chars(state.data() + begin, state.data() + end, number);
  if (begin == end || failed != std::errc{} || stopped != state.data() + end) return std::nullopt;
  return number;
}

bool out_of_space(const rocksdb::Status& status) {
  if (status.IsNoSpace()) return true;
  // A quota and the largest file size are told apart in the text alone.
  return status.IsIOError() &&
         (mentions(status, strerrordesc_np(EDQUOT)) || mentions(status, strerrordesc_np(EFBIG)));
}

}  // namespace

bool rocks_is_large(uint64_t file_bytes, const RocksOptions& options) {
  // A posting takes some 40 bytes in its file and 1.25 in the filter, a record ten times as many.
  return file_bytes / 100 > options.block_cache_bytes / 3;
}

std::shared_ptr<rocksdb::Cache> rocks_cache(const RocksOptions& options) {
  rocksdb::LRUCacheOptions cache;
  cache.capacity = options.block_cache_bytes;
  cache.num_shard_bits = 4;
  cache.strict_capacity_limit = false;  // Strict, a read could fail for want of room.
  cache.high_pri_pool_ratio = 0.4;      // Indexes and filters.
  return rocksdb::NewLRUCache(cache);
}

rocksdb::DBOptions rocks_db_options(const RocksOptions& options,
                                    const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::DBOptions db;
  db.create_if_missing = true;
  db.create_missing_column_families = true;
  db.paranoid_checks = true;
  // The usual mode stops replay at a damaged entry and silently forgets acknowledged writes behind
  // it. This one forgives a tail cut short, which is what a crash leaves, and refuses the rest.
  db.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  db.track_and_verify_wals_in_manifest = true;
  db.verify_sst_unique_id_in_manifest = true;
  db.max_total_wal_size = uint64_t{128} << 20;  // Bounds replay when one table is rarely written.
  db.write_buffer_manager = std::make_shared<rocksdb::WriteBufferManager>(
      kWriteBuffers * options.write_buffer_bytes, cache);
  db.max_open_files = 512;  // Of the usual 1,024.
  db.max_background_jobs = 2;
  db.bytes_per_sync = uint64_t{1} << 20;  // Spreads the writing out of large files.
  db.skip_stats_update_on_db_open = true;
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  db.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  db.keep_log_file_num = 2;
  db.max_log_file_size = size_t{1} << 20;
  return db;
}

rocksdb::ColumnFamilyOptions rocks_table_options(Table table, bool large,
                                                 const RocksOptions& options,
                                                 const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions family;
  family.compression = rocksdb::kNoCompression;  // Sealed bytes do not compress.
  family.bottommost_compression = rocksdb::kNoCompression;
  family.write_buffer_size = options.write_buffer_bytes;
  family.max_write_buffer_number = 4;
  family.target_file_size_base = kRunFileBytes;
  family.level_compaction_dynamic_level_bytes = true;
  // Runs that overlap what is there land in level 0: reads pay for it for a while, writers never
  // wait.
  family.level0_file_num_compaction_trigger = 4;
  family.level0_slowdown_writes_trigger = 64;
  family.level0_stop_writes_trigger = 128;
  family.soft_pending_compaction_bytes_limit = 0;
  family.hard_pending_compaction_bytes_limit = 0;

  rocksdb::BlockBasedTableOptions blocks;
  blocks.block_cache = cache;
  blocks.checksum = rocksdb::kXXH3;  // Debian's build has no hardware CRC-32C.
  blocks.format_version = 5;
  blocks.block_size = 4096;
  blocks.cache_index_and_filter_blocks = true;  // Within the limit, however many files there are.
  blocks.cache_index_and_filter_blocks_with_high_priority = true;
  blocks.pin_l0_filter_and_index_blocks_in_cache = true;
  if (table == Table::kRecords || table == Table::kPostings || table == Table::kUnique) {
    blocks.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    blocks.whole_key_filtering = true;
    blocks.optimize_filters_for_memory = true;
    family.memtable_whole_key_filtering = true;
    family.memtable_prefix_bloom_size_ratio = 0.02;
    if (large) {
      // In parts: a probe that misses the cache reads a few KiB, not the filter of a million keys.
      // While all of them fit, whole ones answer an absent key in a third of the time.
      blocks.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
      blocks.partition_filters = true;
      blocks.metadata_cache_options.top_level_index_pinning = rocksdb::PinningTier::kAll;
    } else {
      // Held by the file's reader, not looked up in the cache by every probe; still counted there.
      blocks.metadata_cache_options.unpartitioned_pinning = rocksdb::PinningTier::kAll;
    }
  }
  family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(blocks));
  return family;
}

Error rocks_error(const rocksdb::Status& status) {
  if (out_of_space(status)) {
    return make_error(ErrorCode::kNoSpace,
                      "The store's disk is full: make room and retry. What was acknowledged is "
                      "safe.");
  }
  const bool lost = status.IsCorruption() || status.IsPathNotFound();
  if (const auto file = table_file_of(status); lost && file) {
    return make_error(
        ErrorCode::kDataLoss,
        "The file of this number in the folder store/ (000012.sst is number 12) is "
        "damaged or missing: restore it from a backup; nothing read from it was used.",
        *file);
  }
  if (lost) {
    return make_error(ErrorCode::kDataLoss,
                      "A file of the store is damaged or missing: restore it from a backup; "
                      "nothing read from the damaged file was used.");
  }
  if (status.IsIOError() || status.IsIncomplete() || status.IsTimedOut() || status.IsBusy() ||
      status.IsTryAgain() || status.IsShutdownInProgress() || status.IsMemoryLimit()) {
    return make_error(ErrorCode::kUnavailable,
                      "The store's disk failed or is not ready: check it and the kernel's log, "
                      "then retry.");
  }
  return make_error(ErrorCode::kInternal, "The store refused a request of ours: report this.");
}

Error rocks_open_error(const rocksdb::Status& status) {
  if (status.IsIOError() &&
      (mentions(status, "While lock file") || mentions(status, "lock hold by current process"))) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "The store is open in another process: stop that one first.");
  }
  if (status.IsInvalidArgument() || status.IsNotSupported()) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "The store was written by a newer version of this program: use that one.");
  }
  return rocks_error(status);
}

}  // namespace strongroom::store
