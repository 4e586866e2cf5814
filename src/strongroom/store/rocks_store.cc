#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <mutex>
#include <utility>

#include "strongroom/base/check.h"
#include "strongroom/env/files.h"
#include "strongroom/store/rocks_engine.h"
#include "strongroom/store/store.h"

namespace strongroom::store {
namespace {

using rocksdb::Slice;
using rocksdb::Status;

constexpr char kRunFolder[] = "/ingest-tmp";
// The disk is given so much of a file at a time, so that the sync at its end has little left to do.
constexpr uint64_t kWriteBehind = 4u << 20;
constexpr size_t kGetsAtOnce = 64;
constexpr size_t kGetsOneByOne = 16;

Slice slice(std::string_view s) {
  return {s.data(), s.size()};
}
std::string_view view(const Slice& s) {
  return {s.data(), s.size()};
}
// RocksDB takes an empty end for the first key in some calls, not for the end of the table.
Slice end_of(std::string_view to) {
  static const std::string kBehindAll(64, '\xff');  // No key is as long.
  return to.empty() ? Slice(kBehindAll) : slice(to);
}

// RocksDB's list of its files, and the name that keeps one from being removed. RocksDB leaves alone
// what it has not named.
constexpr std::string_view kList = "MANIFEST-";
constexpr std::string_view kOpenedList = "opened-MANIFEST-";
// An engine that is opened again and again and never known keeps no more: of these the first
// counts.
constexpr size_t kOpenedListsMax = 32;

std::optional<uint64_t> list_number(std::string_view name, std::string_view prefix) {
  uint64_t number = 0;
  if (!name.starts_with(prefix)) return std::nullopt;
  const auto [end, failed] =
      std::from_chars(name.data() + prefix.size(), name.data() + name.size(), number);
  if (failed != std::errc{} || end != name.data() + name.size()) return std::nullopt;
  return number;
}

Result<std::vector<FileList>> find_opened(const std::string& folder) {
  env::Files& files = env::real_files();
  SR_ASSIGN(const auto names, files.list(folder));
  std::vector<FileList> out;
  for (const std::string& name : names) {
    const auto number = list_number(name, kOpenedList);
    if (!number) continue;
    const std::string path = folder + "/" + name;
    SR_ASSIGN(const uint64_t size, files.file_size(path));
    out.push_back({*number, path, size});
  }
  std::sort(out.begin(), out.end(),
            [](const FileList& a, const FileList& b) { return a.number < b.number; });
  return out;
}

// Opening the store makes a new list: the one there is must be seen later, as it is now.
Result<void> keep_list(const std::string& folder) {
  env::Files& files = env::real_files();
  SR_ASSIGN(const auto kept, find_opened(folder));
  const auto current = files.read(folder + "/CURRENT", 64);
  if (!current)
    return current.error().code == ErrorCode::kNotFound ? Result<void>() : current.error();
  std::string_view name = *current;
  if (name.ends_with('\n')) name.remove_suffix(1);
  const auto number = list_number(name, kList);
  const bool is_kept = number && std::any_of(kept.begin(), kept.end(), [&](const FileList& list) {
                         return list.number == *number;
                       });
  // What RocksDB will refuse anyway is not ours to judge.
  if (!number || is_kept || kept.size() >= kOpenedListsMax) return {};
  const Status linked = rocksdb::Env::Default()->LinkFile(
      folder + "/" + std::string(name),
      folder + "/" + std::string(kOpenedList) + std::string(name.substr(kList.size())));
  if (!linked.ok() && !linked.IsNotFound() && !linked.IsPathNotFound()) return rocks_error(linked);
  return {};
}

std::vector<rocksdb::ColumnFamilyDescriptor> describe(const rocksdb::DBOptions& db_options,
                                                      bool large, const RocksOptions& options,
                                                      const std::shared_ptr<rocksdb::Cache>& cache,
                                                      std::array<rocksdb::Options, kTables>& out) {
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  families.emplace_back(rocksdb::kDefaultColumnFamilyName,
                        rocks_table_options(Table::kMeta, large, options, cache));
  for (int t = 0; t < kTables; ++t) {
    const auto table = static_cast<Table>(t);
    families.emplace_back(table_name(table), rocks_table_options(table, large, options, cache));
    out[static_cast<size_t>(t)] = rocksdb::Options(db_options, families.back().options);
  }
  return families;
}

// The open database. Shared, so that a run that outlives its store by mistake is harmless.
struct Engine {
  ~Engine() {
    if (!db) return;
    for (auto* family : families) db->DestroyColumnFamilyHandle(family).PermitUncheckedError();
    db->Close().PermitUncheckedError();
  }
  rocksdb::ColumnFamilyHandle* family(Table table) const {
    const auto t = static_cast<size_t>(table);
    SR_CHECK(t < kTables, "no such table");
    return families[t + 1];  // The first is RocksDB's own default.
  }

  std::string path;
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  std::array<rocksdb::Options, kTables> options;
};

class RocksRun : public SortedRun {
 public:
  RocksRun(std::shared_ptr<Engine> engine, Table table, std::string prefix)
      : engine_(std::move(engine)), table_(table), prefix_(std::move(prefix)) {}
  ~RocksRun() override {
    writer_.reset();
    // Ingested files have left the folder. One that cannot be removed goes at the next open.
    for (const auto& file : files_) static_cast<void>(env::real_files().remove(file));
  }

  Result<void> add(std::string_view key, std::string_view value) override {
    if (entries_ > 0 && key <= last_) {
      return make_error(ErrorCode::kInvalidArgument, "The keys of a sorted run must ascend.");
    }
    if (!writer_) SR_TRY(open_file());
    if (const Status s = writer_->Put(slice(key), slice(value)); !s.ok()) return rocks_error(s);
    last_ = key;
    ++entries_;
    bytes_ += key.size() + value.size();
    if (writer_->FileSize() >= kRunFileBytes) return finish_file();
    return {};
  }
  uint64_t bytes() const override { return bytes_; }
  uint64_t entries() const override { return entries_; }

  // Of no store.
  RocksRun(rocksdb::Options options, Table table, std::string prefix)
      : alone_(std::move(options)), table_(table), prefix_(std::move(prefix)) {}

  Result<void> finish_file() {
    if (!writer_) return {};
    const Status s = writer_->Finish();  // Syncs.
    writer_.reset();
    if (!s.ok()) return rocks_error(s);
    return {};
  }

  const Engine* engine() const { return engine_.get(); }
  Table table() const { return table_; }
  const std::vector<std::string>& files() const { return files_; }

 private:
  Result<void> open_file() {
    files_.push_back(prefix_ + std::to_string(files_.size()) + ".sst");
    rocksdb::EnvOptions how;
    how.bytes_per_sync = kWriteBehind;
    writer_ = std::make_unique<rocksdb::SstFileWriter>(
        how, engine_ ? engine_->options[static_cast<size_t>(table_)] : alone_,
        engine_ ? engine_->family(table_) : nullptr,
        /*invalidate_page_cache=*/false);  // It is read soon after.
    if (const Status s = writer_->Open(files_.back()); !s.ok()) return rocks_error(s);
    return {};
  }

  std::shared_ptr<Engine> engine_;  // nullptr: of no store, made with alone_.
  rocksdb::Options alone_;
  Table table_;
  std::string prefix_;
  std::vector<std::string> files_;
  std::unique_ptr<rocksdb::SstFileWriter> writer_;
  std::string last_;
  uint64_t entries_ = 0;
  uint64_t bytes_ = 0;
};

class RocksStore : public Store {
 public:
  explicit RocksStore(std::shared_ptr<Engine> engine) : engine_(std::move(engine)) {}

  Result<void> get(Table table, std::span<const std::string> keys,
                   std::vector<std::optional<std::string>>& values) override {
    values.assign(keys.size(), std::nullopt);
    auto* family = engine_->family(table);
    for (size_t begin = 0; begin < keys.size(); begin += kGetsAtOnce) {
      const size_t n = std::min(kGetsAtOnce, keys.size() - begin);
      // A few keys, mostly absent, are what a search probes its lanes for: one by one that takes
      // two thirds of the time.
      const auto got = n <= kGetsOneByOne
                           ? get_each(family, keys.subspan(begin, n), &values[begin])
                           : get_together(family, keys.subspan(begin, n), &values[begin]);
      if (!got) {
        values.clear();
        return got;
      }
    }
    return {};
  }

  Result<void> put(std::span<const Put> puts, Durability durability) override {
    rocksdb::WriteBatch batch;
    for (const Put& put : puts) {
      if (const Status s = batch.Put(engine_->family(put.table), put.key, put.value); !s.ok()) {
        return rocks_error(s);
      }
    }
    return write(batch, durability);
  }

  Result<void> erase(std::span<const KeyRef> keys, Durability durability) override {
    rocksdb::WriteBatch batch;
    for (const KeyRef& ref : keys) {
      if (const Status s = batch.Delete(engine_->family(ref.table), ref.key); !s.ok()) {
        return rocks_error(s);
      }
    }
    return write(batch, durability);
  }

  Result<void> scan(Table table, std::string_view from, std::string_view to,
                    const std::function<bool(std::string_view, std::string_view)>& visit) override {
    const Slice upper = slice(to);
    rocksdb::ReadOptions read;
    if (!to.empty()) read.iterate_upper_bound = &upper;
    read.fill_cache = false;  // A long scan must not push the working set out.
    const std::unique_ptr<rocksdb::Iterator> it(
        engine_->db->NewIterator(read, engine_->family(table)));
    for (it->Seek(slice(from)); it->Valid(); it->Next()) {
      if (!visit(view(it->key()), view(it->value()))) return {};
    }
    if (!it->status().ok()) return rocks_error(it->status());
    return {};
  }

  Result<std::unique_ptr<SortedRun>> begin_run(Table table) override {
    const std::string prefix =
        engine_->path + kRunFolder + "/" + std::to_string(next_run_.fetch_add(1)) + "-";
    return std::unique_ptr<SortedRun>(std::make_unique<RocksRun>(engine_, table, prefix));
  }

  Result<void> ingest(std::unique_ptr<SortedRun> run) override {
    auto* mine = dynamic_cast<RocksRun*>(run.get());
    if (mine == nullptr || mine->engine() != engine_.get()) {
      return make_error(ErrorCode::kInvalidArgument, "This sorted run belongs to another store.");
    }
    SR_TRY(mine->finish_file());
    if (mine->entries() == 0) return {};
    return take_in(mine->table(), mine->files());
  }

  Result<void> erase_range(Table table, std::string_view from, std::string_view to) override {
    auto* family = engine_->family(table);
    const Slice begin = slice(from), end = end_of(to);
    // Whole files go at once; what is left are rows in files that hold others too, and what has not
    // been written to a file yet.
    SR_TRY(checked(rocksdb::DeleteFilesInRange(engine_->db.get(), family, &begin, &end, false)));
    bool left = false;
    SR_TRY(scan(table, from, to, [&](std::string_view, std::string_view) {
      left = true;
      return false;
    }));
    if (!left) return {};
    rocksdb::WriteBatch batch;
    if (const Status s = batch.DeleteRange(family, begin, end); !s.ok()) return rocks_error(s);
    SR_TRY(write(batch, Durability::kSynced));
    // Else the mark that they are gone would be looked at in every read around it.
    rocksdb::CompactRangeOptions options;
    options.exclusive_manual_compaction = false;
    return checked(engine_->db->CompactRange(options, family, &begin, &end));
  }

  Result<uint64_t> measure(Table table, std::string_view from, std::string_view to) override {
    const rocksdb::Range range(slice(from), end_of(to));
    rocksdb::SizeApproximationOptions options;
    options.include_memtables = true;
    uint64_t bytes = 0;
    const Status s =
        engine_->db->GetApproximateSizes(options, engine_->family(table), &range, 1, &bytes);
    if (!s.ok()) return rocks_error(s);
    return bytes;
  }

  Result<void> freeze(const std::string& folder) override {
    SR_TRY(remove_frozen(folder));
    rocksdb::Checkpoint* made = nullptr;
    const Status s = rocksdb::Checkpoint::Create(engine_->db.get(), &made);
    const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
    if (!s.ok()) return rocks_error(s);
    return checked(checkpoint->CreateCheckpoint(folder, /*log_size_for_flush=*/0));
  }

  Result<void> ingest_files(Table table, std::string_view from, std::string_view to,
                            std::span<const std::string> files) override {
    if (files.empty()) return {};
    for (const std::string& file : files) {
      rocksdb::SstFileReader reader(engine_->options[static_cast<size_t>(table)]);
      if (!reader.Open(file).ok()) return foreign_file();
      rocksdb::ReadOptions read;
      read.fill_cache = false;
      const std::unique_ptr<rocksdb::Iterator> it(reader.NewIterator(read));
      // They are sorted, and checked for that again when they are taken in.
      it->SeekToFirst();
      if (!it->Valid() || view(it->key()) < from) return foreign_file();
      it->SeekToLast();
      if (!it->Valid() || (!to.empty() && view(it->key()) >= to)) return foreign_file();
    }
    return take_in(table, {files.begin(), files.end()});
  }

  Result<bool> compare_and_set(Table table, std::string_view key,
                               const std::optional<std::string>& expected,
                               std::string_view desired) override {
    auto* family = engine_->family(table);
    const size_t hash = std::hash<std::string_view>{}(key) + static_cast<size_t>(table);
    std::lock_guard lock(stripes_[hash % stripes_.size()]);
    rocksdb::PinnableSlice now;
    const Status got = engine_->db->Get(rocksdb::ReadOptions(), family, slice(key), &now);
    if (!got.ok() && !got.IsNotFound()) return rocks_error(got);
    if (got.ok() != expected.has_value() || (got.ok() && view(now) != *expected)) return false;
    rocksdb::WriteBatch batch;
    if (const Status s = batch.Put(family, slice(key), slice(desired)); !s.ok()) {
      return rocks_error(s);
    }
    SR_TRY(write(batch, Durability::kBuffered));
    return true;
  }

  Result<void> flush() override { return checked(engine_->db->SyncWAL()); }
  uint64_t position() override { return engine_->db->GetLatestSequenceNumber(); }
  Result<FileList> file_list() override {
    std::vector<std::string> names;
    FileList list;
    const Status s = engine_->db->GetLiveFiles(names, &list.size, /*flush_memtable=*/false);
    if (!s.ok()) return rocks_error(s);
    for (const std::string& name : names) {
      const auto number = list_number(name.substr(1), kList);
      if (!number) continue;
      list.number = *number;
      list.path = engine_->path + name;
    }
    return list;
  }
  Result<std::vector<FileList>> opened_lists() override { return find_opened(engine_->path); }
  Result<void> opened_lists_known() override {
    SR_ASSIGN(const auto lists, find_opened(engine_->path));
    for (const FileList& list : lists) SR_TRY(env::real_files().remove(list.path));
    return {};
  }

  Result<StoreStats> stats() override {
    StoreStats out;
    for (int t = 0; t < kTables; ++t) {
      auto* family = engine_->family(static_cast<Table>(t));
      engine_->db->GetIntProperty(family, rocksdb::DB::Properties::kLiveSstFilesSize,
                                  &out.bytes[t]);
      engine_->db->GetIntProperty(family, rocksdb::DB::Properties::kEstimateNumKeys,
                                  &out.entries[t]);
    }
    return out;
  }

 private:
  static Error foreign_file() {
    return make_error(
        ErrorCode::kInvalidArgument,
        "A file to be taken into the store is not a sorted run of the rows it is said "
        "to have. Nothing was taken in.");
  }

  Result<void> take_in(Table table, const std::vector<std::string>& files) {
    rocksdb::IngestExternalFileOptions options;
    options.move_files = true;
    options.failed_move_fall_back_to_copy = true;
    options.write_global_seqno = false;  // Would write into a file already synced.
    return checked(engine_->db->IngestExternalFile(engine_->family(table), files, options));
  }

  Result<void> take(const Status& status, const rocksdb::PinnableSlice& found,
                    std::optional<std::string>& value) {
    if (status.ok()) {
      value.emplace(found.data(), found.size());
    } else if (!status.IsNotFound()) {
      return rocks_error(status);
    }
    return {};
  }

  Result<void> get_each(rocksdb::ColumnFamilyHandle* family, std::span<const std::string> keys,
                        std::optional<std::string>* values) {
    const rocksdb::ReadOptions read;
    rocksdb::PinnableSlice found;
    for (size_t i = 0; i < keys.size(); ++i) {
      found.Reset();
      SR_TRY(take(engine_->db->Get(read, family, slice(keys[i]), &found), found, values[i]));
    }
    return {};
  }

  Result<void> get_together(rocksdb::ColumnFamilyHandle* family, std::span<const std::string> keys,
                            std::optional<std::string>* values) {
    std::array<rocksdb::PinnableSlice, kGetsAtOnce> found;
    std::array<Status, kGetsAtOnce> statuses;
    std::array<Slice, kGetsAtOnce> slices;
    std::copy(keys.begin(), keys.end(), slices.begin());
    const bool sorted = std::is_sorted(keys.begin(), keys.end());
    engine_->db->MultiGet(rocksdb::ReadOptions(), family, keys.size(), slices.data(), found.data(),
                          statuses.data(), sorted);
    for (size_t i = 0; i < keys.size(); ++i) SR_TRY(take(statuses[i], found[i], values[i]));
    return {};
  }

  Result<void> write(rocksdb::WriteBatch& batch, Durability durability) {
    // After a failed write RocksDB refuses all others. From a full disk it recovers by itself, once
    // it sees room; from anything else when told to, by writing its buffers out to a new file.
    if (failed_.load(std::memory_order_relaxed) && engine_->db->Resume().ok()) {
      failed_.store(false, std::memory_order_relaxed);
    }
    if (batch.Count() == 0) return durability == Durability::kSynced ? flush() : Result<void>{};
    rocksdb::WriteOptions options;
    options.sync = durability == Durability::kSynced;
    return checked(engine_->db->Write(options, &batch));
  }

  Result<void> checked(const Status& status) {
    if (status.ok()) return {};
    failed_.store(true, std::memory_order_relaxed);
    return rocks_error(status);
  }

  std::shared_ptr<Engine> engine_;
  std::array<std::mutex, 64> stripes_;  // Of compare_and_set, by key.
  std::atomic<uint64_t> next_run_ = 0;
  std::atomic<bool> failed_ = false;
};

// The bytes of sorted files in the folder. kDataLoss where the file that names the others is gone:
// RocksDB would make a new, empty database in their place.
Result<uint64_t> look_at_files(const std::string& path) {
  env::Files& files = env::real_files();
  SR_ASSIGN(const auto names, files.list(path));
  bool current = false, contents = false;
  uint64_t bytes = 0;
  for (const std::string& name : names) {
    const bool table = name.ends_with(".sst");
    current |= name == "CURRENT";
    contents |= table || name.starts_with("MANIFEST-") || name.ends_with(".log");
    // Best effort: another process may have it open and be removing files.
    if (table) {
      if (const auto size = files.file_size(path + "/" + name)) bytes += *size;
    }
  }
  if (contents && !current) return rocks_error(Status::Corruption());
  return bytes;
}

}  // namespace

Result<std::unique_ptr<Store>> open_rocks_store(const std::string& path,
                                                const RocksOptions& options) {
  env::Files& files = env::real_files();
  SR_TRY(files.make_dirs(path));
  SR_ASSIGN(const uint64_t file_bytes, look_at_files(path));
  SR_TRY(keep_list(path));
  const bool large = rocks_is_large(file_bytes, options);
  const auto cache = rocks_cache(options);
  const rocksdb::DBOptions db_options = rocks_db_options(options, cache);
  auto engine = std::make_shared<Engine>();
  engine->path = path;
  const auto families = describe(db_options, large, options, cache, engine->options);
  rocksdb::DB* db = nullptr;
  const Status opened = rocksdb::DB::Open(db_options, path, families, &engine->families, &db);
  engine->db.reset(db);
  if (!opened.ok()) return rocks_open_error(opened);

  const std::string runs = path + kRunFolder;
  SR_TRY(files.make_dirs(runs));
  SR_ASSIGN(const auto leftover, files.list(runs));
  for (const std::string& name : leftover) SR_TRY(files.remove(runs + "/" + name));
  return std::unique_ptr<Store>(std::make_unique<RocksStore>(std::move(engine)));
}

Result<std::unique_ptr<Store>> open_frozen_store(const std::string& folder,
                                                 const RocksOptions& options) {
  const auto cache = rocks_cache(options);
  rocksdb::DBOptions db_options = rocks_db_options(options, cache);
  db_options.create_if_missing = false;
  db_options.create_missing_column_families = false;
  auto engine = std::make_shared<Engine>();
  engine->path = folder;
  const auto families = describe(db_options, false, options, cache, engine->options);
  rocksdb::DB* db = nullptr;
  const Status opened =
      rocksdb::DB::OpenForReadOnly(db_options, folder, families, &engine->families, &db);
  engine->db.reset(db);
  if (!opened.ok()) return rocks_open_error(opened);
  return std::unique_ptr<Store>(std::make_unique<RocksStore>(std::move(engine)));
}

Result<void> remove_frozen(const std::string& folder) {
  env::Files& files = env::real_files();
  // Made under another name first, and renamed: a crash may have left that.
  for (const std::string& path : {folder, folder + ".tmp"}) {
    SR_ASSIGN(const bool there, files.exists(path));
    if (!there) continue;
    SR_ASSIGN(const auto names, files.list(path));
    for (const std::string& name : names) SR_TRY(files.remove(path + "/" + name));
    SR_TRY(files.remove(path));
  }
  return {};
}

std::unique_ptr<SortedRun> begin_run_files(std::string prefix, Table table) {
  RocksOptions options;
  options.block_cache_bytes = size_t{8} << 20;  // Nothing is read.
  const auto cache = rocks_cache(options);
  std::array<rocksdb::Options, kTables> tables;
  describe(rocks_db_options(options, cache), false, options, cache, tables);
  return std::make_unique<RocksRun>(tables[static_cast<size_t>(table)], table, std::move(prefix));
}

Result<std::vector<std::string>> finish_run_files(SortedRun& run) {
  auto* mine = dynamic_cast<RocksRun*>(&run);
  if (mine == nullptr || mine->engine() != nullptr) {
    return make_error(ErrorCode::kInvalidArgument, "This sorted run belongs to a store.");
  }
  SR_TRY(mine->finish_file());
  return mine->files();
}

}  // namespace strongroom::store
