// What a batch of lookups costs a key server: Tokens and Release pairs, on real files and on files
// that do not sync.
//
//   keyserver_bench [--benchmark_filter=...]     one line per batch size; time is a whole pair of
//   batches
#include <benchmark/benchmark.h>

#include "strongroom/keyserver/test_vault.h"

namespace strongroom::keyserver {
namespace {

constexpr int kLanes = 5;

// Appends nothing and syncs at once: what is left is CPU.
class NullFile : public env::AppendFile {
 public:
  explicit NullFile(uint64_t size) : size_(size) {}
  Result<void> append(Bytes bytes) override {
    size_ += bytes.size();
    return {};
  }
  Result<void> reserve(uint64_t) override { return {}; }
  Result<void> sync() override { return {}; }
  uint64_t size() const override { return size_; }

 private:
  uint64_t size_;
};

class NoSyncFiles : public env::Files {
 public:
  Result<std::unique_ptr<env::AppendFile>> open_append(const std::string& path, uint64_t offset,
                                                       uint64_t preallocate) override {
    SR_TRY(base_.open_append(path, offset, preallocate));
    return std::unique_ptr<env::AppendFile>(std::make_unique<NullFile>(offset));
  }
  Result<std::string> read(const std::string& path, uint64_t size_max) override {
    return base_.read(path, size_max);
  }
  Result<std::string> read_range(const std::string& path, uint64_t offset, uint64_t size) override {
    return base_.read_range(path, offset, size);
  }
  Result<void> write_atomic(const std::string& path, Bytes bytes, uint32_t mode) override {
    return base_.write_atomic(path, bytes, mode);
  }
  Result<void> make_dirs(const std::string& path, uint32_t mode) override {
    return base_.make_dirs(path, mode);
  }
  Result<bool> exists(const std::string& path) override { return base_.exists(path); }
  Result<uint64_t> file_size(const std::string& path) override { return base_.file_size(path); }
  Result<std::vector<std::string>> list(const std::string& path) override {
    return base_.list(path);
  }
  Result<void> remove(const std::string& path) override { return base_.remove(path); }
  Result<void> sync_dir(const std::string& path) override { return base_.sync_dir(path); }

 private:
  env::Files& base_ = env::real_files();
};

void lookups(benchmark::State& state, env::Files& files) {
  TestVault vault(files, true);
  for (auto& grant : *vault.founding().policy.mutable_roles(0)->mutable_grants()) {
    v1::Budget& budget = *grant.mutable_budget();
    budget.set_records_per_hour(1'000'000'000);
    budget.set_records_per_day(1'000'000'000);
    budget.set_searches_per_hour(1'000'000'000);
    budget.set_searches_per_day(1'000'000'000);
  }
  SR_CHECK(vault.create().has_value(), "a vault");
  const auto granted = vault.call(grant_call(vault.import_ticket(), 4096)).grant();
  for (int i = 0; i < kLanes; ++i) vault.call(lane_call(vault.import_ticket(), false));
  const auto count = static_cast<size_t>(state.range(0));
  auto ticket = vault.ticket({.records_max = 1'000'000'000});
  uint64_t requests = 0;
  for (auto _ : state) {
    state.PauseTiming();
    // As a busy service would: a fresh ticket well before one has answered all it may.
    if ((requests += count) > 200'000) {
      vault.clock().advance_ms(600'000);
      (void)vault.server().tick();
      ticket = vault.ticket({.records_max = 1'000'000'000});
      requests = 0;
    }
    v1::CallBatch tokens, releases;
    for (size_t i = 0; i < count; ++i) {
      const RequestId request;
      *tokens.add_calls() = tokens_call(ticket, request, {fresh(16)});
      *releases.add_calls() =
          release_call(ticket, request, {{granted.first() + (i * 37) % 4096, granted.u()}}, 3);
    }
    state.ResumeTiming();
    auto first = vault.server().handle(std::move(tokens));
    auto second = vault.server().handle(std::move(releases));
    state.PauseTiming();
    SR_CHECK(first.replies(0).has_tokens() && second.replies(0).has_release(), "answered");
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.counters["us_per_lookup"] = benchmark::Counter(
      static_cast<double>(state.range(0)) * 1e-6,
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void lookups_real(benchmark::State& state) {
  lookups(state, env::real_files());
}
void lookups_cpu(benchmark::State& state) {
  NoSyncFiles files;
  lookups(state, files);
}
BENCHMARK(lookups_real)->Arg(1)->Arg(8)->Arg(32)->UseRealTime();
BENCHMARK(lookups_cpu)->Arg(1)->Arg(8)->Arg(32)->UseRealTime();

// A start: the whole log read, opened, checked and folded into the ledger.
void replay(benchmark::State& state) {
  TestVault vault;
  for (auto& grant : *vault.founding().policy.mutable_roles(0)->mutable_grants()) {
    grant.mutable_budget()->set_searches_per_hour(1'000'000'000);
    grant.mutable_budget()->set_searches_per_day(1'000'000'000);
  }
  SR_CHECK(vault.create().has_value(), "a vault");
  for (int64_t done = 0; done < state.range(0); done += 1000) {
    const auto ticket = vault.ticket();
    v1::CallBatch batch;
    for (int i = 0; i < 1000; ++i) *batch.add_calls() = tokens_call(ticket, {}, {fresh(16)});
    SR_CHECK(vault.server().handle(std::move(batch)).replies(999).has_tokens(), "answered");
    vault.clock().advance_ms(600'000);
  }
  for (auto _ : state) SR_CHECK(vault.open().has_value(), "opened");
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(replay)->Arg(200'000)->Unit(benchmark::kMillisecond)->Iterations(3)->UseRealTime();

void grants(benchmark::State& state) {
  NoSyncFiles files;
  TestVault vault(files);
  for (auto& grant : *vault.founding().policy.mutable_roles(1)->mutable_grants()) {
    grant.mutable_budget()->set_writes_per_day(uint64_t{1} << 40);
  }
  SR_CHECK(vault.create().has_value(), "a vault");
  const auto ticket = vault.import_ticket();
  for (auto _ : state) benchmark::DoNotOptimize(vault.call(grant_call(ticket, 4096)));
  state.SetItemsProcessed(state.iterations() * 4096);
}
BENCHMARK(grants);

void unique_tokens(benchmark::State& state) {
  NoSyncFiles files;
  TestVault vault(files);
  for (auto& grant : *vault.founding().policy.mutable_roles(1)->mutable_grants()) {
    grant.mutable_budget()->set_writes_per_day(uint64_t{1} << 40);
  }
  SR_CHECK(vault.create().has_value(), "a vault");
  const auto ticket = vault.import_ticket();
  std::vector<std::string> terms;
  for (int i = 0; i < 4096; ++i) terms.push_back(fresh(16));
  for (auto _ : state) benchmark::DoNotOptimize(vault.call(unique_call(ticket, terms)));
  state.SetItemsProcessed(state.iterations() * 4096);
}
BENCHMARK(unique_tokens);

}  // namespace
}  // namespace strongroom::keyserver

BENCHMARK_MAIN();
