#include "strongroom/gateway/row_versions.h"

#include <algorithm>

#include "strongroom/gateway/open_row.h"
#include "strongroom/record/record.h"

namespace strongroom::gateway {
namespace {

constexpr size_t kRowsAtOnce = 256;
constexpr int kBlockBits = 28;

}  // namespace

RowVersions::RowVersions(store::Store& base, size_t bytes_max)
    : base_(base), blocks_max_(bytes_max / sizeof(Block)) {
  static_assert(kStripes == size_t{1} << (64 - 54));
}

uint64_t RowVersions::block_of(CollectionId collection, RecordIndex idx) {
  return uint64_t{collection.value} << kBlockBits | idx.block();
}

Result<void> RowVersions::current(CollectionId collection, std::span<const index::Posting> postings,
                                  std::vector<bool>& out) {
  out.assign(postings.size(), false);
  std::vector<size_t> unknown;
  {
    const std::lock_guard hold(mutex_);
    uint64_t at = UINT64_MAX;
    const Block* block = nullptr;
    for (size_t i = 0; i < postings.size(); ++i) {
      const index::Posting& posting = postings[i];
      if (const uint64_t of = block_of(collection, posting.idx); of != at) {
        at = of;
        const auto found = blocks_.find(of);
        block = found == blocks_.end() ? nullptr : &found->second;
      }
      const uint32_t offset = posting.idx.offset();
      if (block == nullptr || !block->known[offset]) {
        unknown.push_back(i);
      } else {
        out[i] = block->u_lo[offset] == posting.u_lo;
      }
    }
  }
  for (size_t from = 0; from < unknown.size(); from += kRowsAtOnce) {
    const size_t count = std::min(kRowsAtOnce, unknown.size() - from);
    SR_TRY(read(collection, postings, std::span(unknown).subspan(from, count), out));
  }
  return {};
}

Result<void> RowVersions::read(CollectionId collection, std::span<const index::Posting> postings,
                               std::span<const size_t> which, std::vector<bool>& out) {
  std::vector<std::string> keys;
  std::vector<uint64_t> before;
  keys.reserve(which.size());
  before.reserve(which.size());
  for (const size_t i : which) keys.push_back(record::row_key(collection, postings[i].idx));
  {
    const std::lock_guard hold(mutex_);
    for (const size_t i : which) before.push_back(written(block_of(collection, postings[i].idx)));
  }
  std::vector<std::optional<std::string>> rows;
  SR_TRY(base_.get(store::Table::kRecords, keys, rows));
  std::vector<uint32_t> u_lo(which.size());
  for (size_t k = 0; k < which.size(); ++k) {
    if (!rows[k]) continue;  // Erased, or a write that never reached its commit point.
    const auto header = record::parse_row(as_bytes(*rows[k]));
    if (!header) return damaged_row();
    u_lo[k] = static_cast<uint32_t>(header->u.value);
    out[which[k]] = u_lo[k] == postings[which[k]].u_lo;
  }
  if (blocks_max_ == 0) return {};
  const std::lock_guard hold(mutex_);
  for (size_t k = 0; k < which.size(); ++k) {
    const RecordIndex idx = postings[which[k]].idx;
    const uint64_t of = block_of(collection, idx);
    if (!rows[k] || written(of) != before[k]) continue;
    auto found = blocks_.find(of);
    if (found == blocks_.end()) {
      if (blocks_.size() >= blocks_max_) blocks_.erase(blocks_.begin());  // Any: all are equal.
      found = blocks_.try_emplace(of).first;
    }
    found->second.u_lo[idx.offset()] = u_lo[k];
    found->second.known[idx.offset()] = true;
  }
  return {};
}

void RowVersions::forget(std::string_view row_key) {
  CollectionId collection;
  RecordIndex idx;
  if (!record::parse_row_key(as_bytes(row_key), &collection, &idx)) return;
  const uint64_t of = block_of(collection, idx);
  ++written(of);
  if (const auto found = blocks_.find(of); found != blocks_.end()) {
    found->second.known[idx.offset()] = false;
  }
}

void RowVersions::forget_all() {
  const std::lock_guard hold(mutex_);
  for (uint64_t& times : written_) ++times;
  blocks_.clear();
}

// A write that failed may have come through all the same.
Result<void> RowVersions::put(std::span<const store::Put> puts, store::Durability durability) {
  const auto done = base_.put(puts, durability);
  const std::lock_guard hold(mutex_);
  for (const store::Put& put : puts) {
    if (put.table == store::Table::kRecords) forget(put.key);
  }
  return done;
}

Result<void> RowVersions::erase(std::span<const store::KeyRef> keys, store::Durability durability) {
  const auto done = base_.erase(keys, durability);
  const std::lock_guard hold(mutex_);
  for (const store::KeyRef& key : keys) {
    if (key.table == store::Table::kRecords) forget(key.key);
  }
  return done;
}

Result<std::unique_ptr<store::SortedRun>> RowVersions::begin_run(store::Table table) {
  SR_ASSIGN(auto run, base_.begin_run(table));
  if (table == store::Table::kRecords) {
    const std::lock_guard hold(mutex_);
    record_runs_.insert(run.get());
  }
  return run;
}

Result<void> RowVersions::ingest(std::unique_ptr<store::SortedRun> run) {
  const store::SortedRun* const which = run.get();
  const auto done = base_.ingest(std::move(run));
  bool records = false;
  {
    const std::lock_guard hold(mutex_);
    records = record_runs_.erase(which) != 0;
  }
  // New records, of which nothing is known yet: but nobody shall have to rely on that.
  if (records) forget_all();
  return done;
}

Result<bool> RowVersions::compare_and_set(store::Table table, std::string_view key,
                                          const std::optional<std::string>& expected,
                                          std::string_view desired) {
  auto done = base_.compare_and_set(table, key, expected, desired);
  if (table == store::Table::kRecords) {
    const std::lock_guard hold(mutex_);
    forget(key);
  }
  return done;
}

Result<void> RowVersions::erase_range(store::Table table, std::string_view from,
                                      std::string_view to) {
  const auto done = base_.erase_range(table, from, to);
  if (table == store::Table::kRecords) forget_all();
  return done;
}

Result<void> RowVersions::ingest_files(store::Table table, std::string_view from,
                                       std::string_view to, std::span<const std::string> files) {
  const auto done = base_.ingest_files(table, from, to, files);
  if (table == store::Table::kRecords) forget_all();
  return done;
}

}  // namespace strongroom::gateway
