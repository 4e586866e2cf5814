// Remembers which version of a record is the current one, so that a count need not read a row for
// each of its matches again.
//
// Passes everything on to the store it stands before, and sees all that this gateway writes: what
// is remembered of a record is forgotten behind each write of its row and before that write is
// acknowledged, so nobody who heard of a write is told of the version before it. Rows that are
// written by anyone else would not be seen: there is one gateway. What is remembered are versions
// that rows had, never that there is no row.
#pragma once

#include <array>
#include <bitset>
#include <mutex>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "strongroom/base/ids.h"
#include "strongroom/index/postings.h"
#include "strongroom/store/store.h"

namespace strongroom::gateway {

// Thread-safe. Borrows the store.
class RowVersions : public store::Store {
 public:
  // Keeps to `bytes_max`, about: 4 bytes for each record number of the blocks it knows something
  // of, so ten million records take 40 MiB at most. 0: remembers nothing.
  RowVersions(store::Store& base, size_t bytes_max);

  // out[i]: whether the row of postings[i] is there, with that version. As with get(), a little
  // faster where they ascend.
  //   kDataLoss  A row is damaged.
  Result<void> current(CollectionId collection, std::span<const index::Posting> postings,
                       std::vector<bool>& out);

  Result<void> get(store::Table table, std::span<const std::string> keys,
                   std::vector<std::optional<std::string>>& values) override {
    return base_.get(table, keys, values);
  }
  Result<void> put(std::span<const store::Put> puts, store::Durability durability) override;
  Result<void> erase(std::span<const store::KeyRef> keys, store::Durability durability) override;
  Result<void> scan(store::Table table, std::string_view from, std::string_view to,
                    const std::function<bool(std::string_view, std::string_view)>& visit) override {
    return base_.scan(table, from, to, visit);
  }
  Result<std::unique_ptr<store::SortedRun>> begin_run(store::Table table) override;
  Result<void> ingest(std::unique_ptr<store::SortedRun> run) override;
  Result<bool> compare_and_set(store::Table table, std::string_view key,
                               const std::optional<std::string>& expected,
                               std::string_view desired) override;
  Result<void> flush() override { return base_.flush(); }
  uint64_t position() override { return base_.position(); }
  Result<store::FileList> file_list() override { return base_.file_list(); }
  Result<std::vector<store::FileList>> opened_lists() override { return base_.opened_lists(); }
  Result<void> opened_lists_known() override { return base_.opened_lists_known(); }
  Result<store::StoreStats> stats() override { return base_.stats(); }
  Result<void> erase_range(store::Table table, std::string_view from, std::string_view to) override;
  Result<uint64_t> measure(store::Table table, std::string_view from,
                           std::string_view to) override {
    return base_.measure(table, from, to);
  }
  Result<void> freeze(const std::string& folder) override { return base_.freeze(folder); }
  Result<void> ingest_files(store::Table table, std::string_view from, std::string_view to,
                            std::span<const std::string> files) override;

 private:
  // Of the records of one block of numbers.
  struct Block {
    std::array<uint32_t, RecordIndex::kPerBlock> u_lo;
    std::bitset<RecordIndex::kPerBlock> known;
  };
  static constexpr size_t kStripes = 1024;

  static uint64_t block_of(CollectionId collection, RecordIndex idx);
  uint64_t& written(uint64_t block) { return written_[block * 0x9e3779b97f4a7c15 >> 54]; }
  void forget(std::string_view row_key);  // With the mutex.
  void forget_all();
  Result<void> read(CollectionId collection, std::span<const index::Posting> postings,
                    std::span<const size_t> which, std::vector<bool>& out);

  store::Store& base_;
  const size_t blocks_max_;
  std::mutex mutex_;
  std::unordered_map<uint64_t, Block> blocks_;
  // How often rows of some blocks were written: what was read before a write is not remembered
  // behind it.
  std::array<uint64_t, kStripes> written_{};
  std::unordered_set<const store::SortedRun*> record_runs_;
};

}  // namespace strongroom::gateway
