// What a batch of lookups costs a key server: Tokens and Release pairs, on real files and on files
// that do not sync.
//
//   keyserver_bench [--benchmark_filter=...]     one line per batch size; time is a whole pair of
//   batches
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

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

// A start that goes by what was written down of the log: 10,000 principals, each searching and
// opening records; range(0) entries. Making the log takes some minutes for 10 million.
void start_from_counters(benchmark::State& state) {
  constexpr size_t kPrincipals = 10'000, kCalls = 50;
  TestVault vault(env::real_files(), true);
  auto& grants = *vault.founding().policy.mutable_roles(0)->mutable_grants();
  for (auto& grant : grants) {
    v1::Budget& budget = *grant.mutable_budget();
    budget.set_records_per_hour(1'000'000'000);
    budget.set_records_per_day(1'000'000'000);
    budget.set_searches_per_hour(1'000'000'000);
    budget.set_searches_per_day(1'000'000'000);
  }
  const auto key = crypto::SigningKey::generate();
  for (size_t i = 0; i < kPrincipals; ++i) {
    v1::Principal& principal = vault.founding().principals.emplace_back();
    principal.set_name("p" + std::to_string(i));
    principal.set_role("clerk");
    principal.set_public_key(std::string(as_text(key.public_key())));
  }
  SR_CHECK(vault.create().has_value(), "a vault");
  const auto granted = vault.call(grant_call(vault.import_ticket(), 4096)).grant();
  std::vector<double> ticks;
  const auto tick = [&] {
    const auto from = std::chrono::steady_clock::now();
    SR_CHECK(vault.server().tick().has_value(), "a tick");
    ticks.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - from).count());
  };
  int64_t done = 0;
  for (size_t i = 0; done < state.range(0); ++i) {
    auto terms = vault.ticket_terms({.principal = "clerk"});
    terms.set_principal("p" + std::to_string(i % kPrincipals));
    const auto ticket = sign_ticket(terms, key);
    v1::CallBatch batch;
    for (size_t c = 0; c < kCalls; ++c) {
      *batch.add_calls() = tokens_call(ticket, {}, {fresh(16)});
      *batch.add_calls() = release_call(
          ticket, {}, {{granted.first() + (i * 37 + c * 41) % 4096, granted.u()}}, 2, true);
    }
    const auto replies = vault.server().handle(std::move(batch));
    SR_CHECK(replies.replies(2 * kCalls - 1).has_release(), "answered");
    done += 2 * kCalls;
    vault.clock().advance_ms(2'000);
    if (i % 10 == 0) tick();
  }
  tick();
  vault.server().counters().wait();
  tick();
  state.counters["entries"] =
      static_cast<double>(vault.server().status("operator", {})->log_size());
  state.counters["file_MB"] = [&] {
    double bytes = 0;
    for (const auto& file :
         std::filesystem::directory_iterator(vault.options().dir + "/counters")) {
      bytes = std::max(bytes, static_cast<double>(file.file_size()));
    }
    return bytes / 1e6;
  }();
  std::sort(ticks.begin(), ticks.end());
  state.counters["tick_ms_max"] = ticks.back();
  state.counters["tick_ms_p99"] = ticks[ticks.size() * 99 / 100];
  for (auto _ : state) SR_CHECK(vault.open().has_value(), "opened");
  const auto status = vault.server().status("operator", {});
  SR_CHECK(status->counters_leaf() != 0, "by a file");
  state.counters["read"] = static_cast<double>(status->log_size() - status->counters_leaf());
  const auto from = std::chrono::steady_clock::now();
  tick();
  vault.server().counters().wait();
  tick();
  SR_CHECK(vault.server().counters().checked(), "read again, and found sound");
  state.counters["reread_s"] =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
}
BENCHMARK(start_from_counters)
    ->Arg(1'000'000)
    ->Arg(10'000'000)
    ->Unit(benchmark::kMillisecond)
    ->Iterations(1)
    ->UseRealTime();

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
