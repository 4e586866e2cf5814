// A compactor beside a GatewayVault, and what sweeps behind it, in one process.
#pragma once

#include "strongroom/compactor/compactor.h"
#include "strongroom/gateway/lane_sweeper.h"
#include "test/support/gateway_vault.h"

namespace strongroom::test {

class LocalKeys : public compactor::Keys {
 public:
  explicit LocalKeys(LocalKeyService& keys) : keys_(keys) {}
  Result<v1::Reply> call(v1::Call call) override { return keys_.call_blocking(std::move(call)); }

 private:
  LocalKeyService& keys_;
};

// The gateway's own store: what it is asked to freeze does not change in a test meanwhile.
class LocalStoreAccess : public compactor::StoreAccess {
 public:
  explicit LocalStoreAccess(store::Store& store) : store_(store) {}
  Result<std::vector<uint64_t>> measure(std::span<const LaneId> lanes) override {
    std::vector<uint64_t> out;
    for (const LaneId lane : lanes) {
      std::string from, to;
      append_be(from, lane.value, 3);
      append_be(to, lane.value + 1, 3);
      SR_ASSIGN(const uint64_t bytes, store_.measure(store::Table::kPostings, from, to));
      out.push_back(bytes);
    }
    return out;
  }
  Result<std::shared_ptr<store::Store>> freeze() override {
    return std::shared_ptr<store::Store>(std::shared_ptr<void>(), &store_);
  }
  Result<std::unique_ptr<store::SortedRun>> begin_run(store::Table table) override {
    return store_.begin_run(table);
  }
  Result<void> ingest(LaneId, std::unique_ptr<store::SortedRun> postings,
                      std::unique_ptr<store::SortedRun> directory) override {
    SR_TRY(store_.ingest(std::move(postings)));
    return store_.ingest(std::move(directory));
  }

 private:
  store::Store& store_;
};

inline constexpr uint64_t kDeadlineUs = 60'000'000;

// Begins anew whenever its process would have.
struct Merging {
  explicit Merging(GatewayVault& the_vault, compactor::ChoiceRules rules = {1, 0})
      : vault(the_vault),
        keys(vault.keys()),
        access(vault.faulty_store()),
        pace(0, vault.clock(), [](uint64_t) {}),
        compactor(keys, access, pace, vault.vault().compactor_credential(), {rules, {}}),
        sweeper(vault.faulty_store(), vault.keys(), vault.clock(), kDeadlineUs) {}

  // Until there is nothing left to merge.
  Result<size_t> merge_all() {
    for (size_t merges = 0;; ++merges) {
      SR_ASSIGN(const bool merged, compactor.run_once());
      if (!merged) return merges;
      SR_CHECK(merges < 100, "merging comes to an end");
    }
  }
  Result<size_t> sweep_all() {
    SR_ASSIGN(const size_t before, sweeper.sweep());
    vault.clock().advance_ms(kDeadlineUs / 1000);
    SR_ASSIGN(const size_t after, sweeper.sweep());
    return before + after;
  }

  GatewayVault& vault;
  LocalKeys keys;
  LocalStoreAccess access;
  compactor::Pace pace;
  compactor::Compactor compactor;
  gateway::LaneSweeper sweeper;
};

// Lanes of which the store has rows.
inline std::set<uint32_t> stored_lanes(store::Store& store) {
  std::set<uint32_t> out;
  for (const auto table : {store::Table::kPostings, store::Table::kDirectory}) {
    SR_CHECK(store
                 .scan(table, {}, {},
                       [&](std::string_view key, std::string_view) {
                         out.insert(load_be<uint32_t>(as_bytes(key).data(), 3));
                         return true;
                       })
                 .has_value(),
             "a sound store");
  }
  return out;
}

}  // namespace strongroom::test
