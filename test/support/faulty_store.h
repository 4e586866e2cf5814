// A store that fails when Faults says so, and that forgets in a crash what was not synced.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "strongroom/store/store.h"
#include "test/support/faults.h"

namespace strongroom::test {

// Thread-safe as far as `base` is, but for crash(). Borrows both.
class FaultyStore : public store::Store {
 public:
  FaultyStore(store::Store& base, Faults& faults) : base_(base), faults_(faults) {}

  // As after the power went: kBuffered writes that no later kSynced write or flush followed are
  // gone. What a sorted run brought stays.
  void crash() {
    for (auto it = undo_.rbegin(); it != undo_.rend(); ++it) {
      const auto& [ref, before] = *it;
      const auto undone =
          before ? base_.put(std::vector<store::Put>{{ref.table, ref.key, *before}},
                             store::Durability::kSynced)
                 : base_.erase(std::vector<store::KeyRef>{ref}, store::Durability::kSynced);
      SR_CHECK(undone.has_value(), "a sound store below");
    }
    undo_.clear();
  }
  size_t unsynced() const { return undo_.size(); }

  Result<void> get(store::Table table, std::span<const std::string> keys,
                   std::vector<std::optional<std::string>>& values) override {
    values.clear();
    SR_TRY(run([&] { return base_.get(table, keys, values); }));
    return {};
  }
  Result<void> put(std::span<const store::Put> puts, store::Durability durability) override {
    return run([&]() -> Result<void> {
      for (const store::Put& put : puts) remember({put.table, put.key}, durability);
      return synced(durability, base_.put(puts, durability));
    });
  }
  Result<void> erase(std::span<const store::KeyRef> keys, store::Durability durability) override {
    return run([&]() -> Result<void> {
      for (const store::KeyRef& ref : keys) remember(ref, durability);
      return synced(durability, base_.erase(keys, durability));
    });
  }
  Result<void> scan(store::Table table, std::string_view from, std::string_view to,
                    const std::function<bool(std::string_view, std::string_view)>& visit) override {
    return run([&] { return base_.scan(table, from, to, visit); });
  }
  Result<std::unique_ptr<store::SortedRun>> begin_run(store::Table table) override {
    if (faults_.next() != Faults::Step::kRun) return Faults::error();
    SR_ASSIGN(auto inner, base_.begin_run(table));
    return std::unique_ptr<store::SortedRun>(std::make_unique<Run>(table, std::move(inner)));
  }
  Result<void> ingest(std::unique_ptr<store::SortedRun> run_given) override {
    auto* mine = dynamic_cast<Run*>(run_given.get());
    SR_CHECK(mine != nullptr, "a run of this store");
    return run([&]() -> Result<void> {
      std::erase_if(undo_, [&](const auto& entry) {
        return entry.first.table == mine->table && mine->keys.contains(entry.first.key);
      });
      return base_.ingest(std::move(mine->inner));
    });
  }
  Result<bool> compare_and_set(store::Table table, std::string_view key,
                               const std::optional<std::string>& expected,
                               std::string_view desired) override {
    if (faults_.next() != Faults::Step::kRun) return Faults::error();
    return base_.compare_and_set(table, key, expected, desired);
  }
  Result<void> erase_range(store::Table table, std::string_view from,
                           std::string_view to) override {
    return run([&]() -> Result<void> {
      return synced(store::Durability::kSynced, base_.erase_range(table, from, to));
    });
  }
  Result<void> flush() override {
    return run([&] { return synced(store::Durability::kSynced, base_.flush()); });
  }
  uint64_t position() override { return base_.position(); }
  Result<store::StoreStats> stats() override { return base_.stats(); }

 private:
  struct Run : store::SortedRun {
    Run(store::Table which, std::unique_ptr<store::SortedRun> below)
        : table(which), inner(std::move(below)) {}
    Result<void> add(std::string_view key, std::string_view value) override {
      keys.emplace(key);
      return inner->add(key, value);
    }
    uint64_t bytes() const override { return inner->bytes(); }
    uint64_t entries() const override { return inner->entries(); }
    store::Table table;
    std::unique_ptr<store::SortedRun> inner;
    std::set<std::string> keys;
  };

  template <class Work>
  Result<void> run(const Work& work) {
    const auto step = faults_.next();
    if (step == Faults::Step::kFail) return Faults::error();
    SR_TRY(work());
    if (step == Faults::Step::kRunThenFail) return Faults::error();
    return {};
  }
  void remember(const store::KeyRef& ref, store::Durability durability) {
    if (durability != store::Durability::kBuffered) return;
    std::vector<std::optional<std::string>> before;
    SR_CHECK(base_.get(ref.table, std::vector<std::string>{ref.key}, before).has_value(),
             "a sound store below");
    undo_.emplace_back(ref, std::move(before[0]));
  }
  Result<void> synced(store::Durability durability, Result<void> done) {
    if (done && durability == store::Durability::kSynced) undo_.clear();
    return done;
  }

  store::Store& base_;
  Faults& faults_;
  std::vector<std::pair<store::KeyRef, std::optional<std::string>>> undo_;
};

}  // namespace strongroom::test
