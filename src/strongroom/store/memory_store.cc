#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "strongroom/base/check.h"
#include "strongroom/store/store.h"

namespace strongroom::store {
namespace {

using Rows = std::map<std::string, std::string, std::less<>>;

class MemoryStore;

class MemoryRun : public SortedRun {
 public:
  MemoryRun(const MemoryStore* owner, Table table) : owner_(owner), table_(table) {}
  Result<void> add(std::string_view key, std::string_view value) override {
    if (!rows_.empty() && key <= rows_.rbegin()->first) {
      return make_error(ErrorCode::kInvalidArgument, "The keys of a sorted run must ascend.");
    }
    rows_.emplace_hint(rows_.end(), key, value);
    bytes_ += key.size() + value.size();
    return {};
  }
  uint64_t bytes() const override { return bytes_; }
  uint64_t entries() const override { return rows_.size(); }

 private:
  friend class MemoryStore;
  const MemoryStore* owner_;
  Table table_;
  Rows rows_;
  uint64_t bytes_ = 0;
};

class MemoryStore : public Store {
 public:
  Result<void> get(Table table, std::span<const std::string> keys,
                   std::vector<std::optional<std::string>>& values) override {
    std::shared_lock lock(mutex_);
    values.assign(keys.size(), std::nullopt);
    const Rows& rows = rows_of(table);
    for (size_t i = 0; i < keys.size(); ++i) {
      if (const auto it = rows.find(keys[i]); it != rows.end()) values[i] = it->second;
    }
    return {};
  }

  Result<void> put(std::span<const Put> puts, Durability) override {
    std::lock_guard lock(mutex_);
    ++writes_;
    for (const Put& put : puts) rows_of(put.table)[put.key] = put.value;
    return {};
  }

  Result<void> erase(std::span<const KeyRef> keys, Durability) override {
    std::lock_guard lock(mutex_);
    ++writes_;
    for (const KeyRef& ref : keys) rows_of(ref.table).erase(ref.key);
    return {};
  }

  Result<void> scan(Table table, std::string_view from, std::string_view to,
                    const std::function<bool(std::string_view, std::string_view)>& visit) override {
    std::vector<std::pair<std::string, std::string>> snapshot;
    {
      std::shared_lock lock(mutex_);
      const Rows& rows = rows_of(table);
      for (auto it = rows.lower_bound(from); it != rows.end() && (to.empty() || it->first < to);
           ++it) {
        snapshot.push_back(*it);
      }
    }
    for (const auto& [key, value] : snapshot) {
      if (!visit(key, value)) break;
    }
    return {};
  }

  Result<std::unique_ptr<SortedRun>> begin_run(Table table) override {
    return std::unique_ptr<SortedRun>(std::make_unique<MemoryRun>(this, table));
  }

  Result<void> ingest(std::unique_ptr<SortedRun> run) override {
    auto* mine = dynamic_cast<MemoryRun*>(run.get());
    if (mine == nullptr || mine->owner_ != this) {
      return make_error(ErrorCode::kInvalidArgument, "This sorted run belongs to another store.");
    }
    std::lock_guard lock(mutex_);
    // What the run holds wins: merge() keeps what the target has, so the run is the target.
    mine->rows_.merge(rows_of(mine->table_));
    rows_of(mine->table_).swap(mine->rows_);
    return {};
  }

  Result<bool> compare_and_set(Table table, std::string_view key,
                               const std::optional<std::string>& expected,
                               std::string_view desired) override {
    std::lock_guard lock(mutex_);
    Rows& rows = rows_of(table);
    const auto it = rows.find(key);
    const bool there = it != rows.end();
    if (there != expected.has_value() || (there && it->second != *expected)) return false;
    rows[std::string(key)] = desired;
    ++writes_;
    return true;
  }

  Result<void> flush() override { return {}; }
  uint64_t position() override { return writes_; }

  Result<StoreStats> stats() override {
    std::shared_lock lock(mutex_);
    StoreStats out;
    for (size_t t = 0; t < tables_.size(); ++t) out.entries[t] = tables_[t].size();
    return out;
  }

 private:
  Rows& rows_of(Table table) {
    SR_CHECK(static_cast<size_t>(table) < tables_.size(), "no such table");
    return tables_[static_cast<size_t>(table)];
  }

  std::shared_mutex mutex_;
  std::array<Rows, kTables> tables_;
  std::atomic<uint64_t> writes_ = 0;
};

}  // namespace

std::unique_ptr<Store> open_memory_store() {
  return std::make_unique<MemoryStore>();
}

}  // namespace strongroom::store
