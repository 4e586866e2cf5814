// The store: sealed bytes under keys, on an engine nobody trusts.
//
// It promises atomicity within one bucket (the top bits of a key) and no more, so that the same
// code is right on every engine. Everything read from it is authenticated by the caller. Values are
// opaque; the store sees no key of ours.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "strongroom/base/result.h"

namespace strongroom::store {

enum class Table : uint8_t {
  kRecords = 0,    // collection u32be | idx u40be -> sealed row
  kPostings = 1,   // lane u24be | label 13        -> single, head or packed block
  kUnique = 2,     // collection u32be | label 11  -> sealed unique row
  kDirectory = 3,  // lane u24be | number u40be    -> terms of the lane, sealed under its root
  kMeta = 4,       // the gateway's own checkpoints, sealed
};
inline constexpr int kTables = 5;
const char* table_name(Table table);

struct Put {
  Table table;
  std::string key;
  std::string value;
};
struct KeyRef {
  Table table;
  std::string key;
};

enum class Durability : uint8_t {
  kSynced,    // On disk when the call returns, and every write before it.
  kBuffered,  // Ordered before later writes, lost at worst with them.
};

// Writes a sorted run to files of its own. Nothing in it is visible before Store::ingest. For one
// thread; several runs may be written at a time. After an error the run is good for nothing but to
// be destroyed, which deletes it. Goes before its store does.
class SortedRun {
 public:
  virtual ~SortedRun() = default;
  // Keys strictly ascending. kInvalidArgument otherwise. kNoSpace.
  virtual Result<void> add(std::string_view key, std::string_view value) = 0;
  virtual uint64_t bytes() const = 0;
  virtual uint64_t entries() const = 0;
};

// The engine's own list of its files. What is in it stays; more is added behind. A new list has a
// greater number.
struct FileList {
  uint64_t number = 0;  // 0: an engine without files.
  std::string path;
  uint64_t size = 0;  // Bytes.
};

struct StoreStats {
  uint64_t bytes[kTables] = {};    // On disk, sorted files only.
  uint64_t entries[kTables] = {};  // Estimated.
};

// Thread-safe. Every function:
//   kDataLoss     A stored file is damaged or missing: the text names what to do. Nothing read from
//                 it was used; what other files hold is still served.
//   kUnavailable  The disk failed.
class Store {
 public:
  virtual ~Store() = default;

  // values[i] for keys[i], nullopt where absent. Sorted keys are read faster. On an error `values`
  // is empty.
  virtual Result<void> get(Table table, std::span<const std::string> keys,
                           std::vector<std::optional<std::string>>& values) = 0;
  // All or none of the batch. Idempotent.
  //   kNoSpace  Not acknowledged; what was acknowledged before is safe. The same call succeeds
  //             within seconds of some tens of MiB being free again.
  virtual Result<void> put(std::span<const Put> puts, Durability durability) = 0;
  virtual Result<void> erase(std::span<const KeyRef> keys, Durability durability) = 0;
  // Calls visit(key, value) in key order over [from, to) until it returns false; an empty `to` is
  // the end of the table. Reads a consistent snapshot, so visit may write. The views end with the
  // call of visit.
  virtual Result<void> scan(
      Table table, std::string_view from, std::string_view to,
      const std::function<bool(std::string_view, std::string_view)>& visit) = 0;
  virtual Result<std::unique_ptr<SortedRun>> begin_run(Table table) = 0;
  // All entries of one run become visible and durable together; runs one after the other, the later
  // one winning. Empty runs are dropped. kInvalidArgument: the run is another store's.
  virtual Result<void> ingest(std::unique_ptr<SortedRun> run) = 0;
  // Sets key to `desired` if its value is `expected` (nullopt: absent). False if it is not. Atomic
  // against other compare_and_set calls, not against put. kBuffered: durable with the next write
  // that is kSynced, or flush().
  virtual Result<bool> compare_and_set(Table table, std::string_view key,
                                       const std::optional<std::string>& expected,
                                       std::string_view desired) = 0;
  // Every write acknowledged, kBuffered ones too, is on disk when it returns.
  virtual Result<void> flush() = 0;
  // Grows with every write, and is kept with them: of a store that lost its last writes it is less
  // than it was. What is counted is durable behind a flush().
  virtual uint64_t position() = 0;
  // As it is durable now.
  virtual Result<FileList> file_list();
  // As the store was found, whenever it was opened since opened_lists_known() was last called.
  // Oldest first. Stands as it was, whatever is written to the store.
  virtual Result<std::vector<FileList>> opened_lists();
  // Their place is taken by the list of now: they are forgotten.
  virtual Result<void> opened_lists_known();
  virtual Result<StoreStats> stats() = 0;

  // Erases all rows with keys in [from, to), synced. Not all or none: after an error some are gone,
  // and the call is made again.
  virtual Result<void> erase_range(Table table, std::string_view from, std::string_view to);
  // Bytes that the rows of [from, to) take on disk, about.
  virtual Result<uint64_t> measure(Table table, std::string_view from, std::string_view to);

  // For another process, which has not got the store open itself. kFailedPrecondition from an
  // engine without files.
  //
  // Makes a copy as of now in `folder`, on the same disk, to be opened by open_frozen_store().
  // Costs a flush and a link for each file. What is in the folder is removed first.
  virtual Result<void> freeze(const std::string& folder);
  // Takes in files that finish_run_files() gave, all together, and moves them away. As ingest().
  //   kInvalidArgument  Not such files, or a key is not in [from, to). Nothing was taken in.
  virtual Result<void> ingest_files(Table table, std::string_view from, std::string_view to,
                                    std::span<const std::string> files);
};

// Everything in memory, gone with the object. For tests and models.
std::unique_ptr<Store> open_memory_store();

// Memory: the cache holds blocks, indexes, filters and write buffers together; to that come some
// 20 MiB for each open SortedRun and each of two background jobs.
struct RocksOptions {
  // Filters want 1.25 bytes a posting of it; a store beyond that answers absent keys more slowly.
  size_t block_cache_bytes = size_t{512} << 20;
  // Small: a large skip list misses the processor's caches.
  size_t write_buffer_bytes = size_t{16} << 20;
};

// Creates the folder (mode 0700) if it is not there. Sorted runs a crash left are deleted.
//   kDataLoss            Damaged, or files are missing; nothing was opened.
//   kFailedPrecondition  Open elsewhere, or written by a newer version.
Result<std::unique_ptr<Store>> open_rocks_store(const std::string& path,
                                                const RocksOptions& options);

// What freeze() made, for reading: everything that writes is kFailedPrecondition.
Result<std::unique_ptr<Store>> open_frozen_store(const std::string& folder,
                                                 const RocksOptions& options);
// Removes what freeze() made, or part of it. Nothing there is fine.
Result<void> remove_frozen(const std::string& folder);
// A sorted run without a store: written to files whose names start with `prefix`. They are deleted
// with the run, unless ingest_files() has moved them away.
std::unique_ptr<SortedRun> begin_run_files(std::string prefix, Table table);
// Ends a run of begin_run_files(): its files, synced. None if it is empty.
Result<std::vector<std::string>> finish_run_files(SortedRun& run);

}  // namespace strongroom::store
