// What the release log costs: staging, committing, its checkpoints, opening and verifying it.
#include <benchmark/benchmark.h>

#include <filesystem>
#include <map>

#include "strongroom/crypto/random.h"
#include "strongroom/tlog/release_log.h"

namespace strongroom::tlog {
namespace {

constexpr uint64_t kStart = 1'700'000'000'000;
constexpr uint64_t kEntries = 1'000'000;
constexpr size_t kGroup = 64;

class MemoryKeys : public BodyKeys {
 public:
  Result<const SealingKey*> key(uint32_t month) override {
    auto [it, created] = keys_.try_emplace(month);
    if (created) it->second = crypto::random_secret<SealingKey>();
    return &it->second;
  }

 private:
  std::map<uint32_t, SealingKey> keys_;
};

// A log in a folder of its own, gone with it.
class BenchLog {
 public:
  BenchLog() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tlog_bench.XXXXXX").string();
    SR_CHECK(mkdtemp(pattern.data()) != nullptr, "no temporary folder");
    options_.dir = pattern;
    options_.origin = "strongroom.local/bench";
  }
  ~BenchLog() { std::filesystem::remove_all(options_.dir); }

  std::unique_ptr<ReleaseLog> open() {
    auto log = ReleaseLog::open(options_, env::real_files(), keys_, signers_,
                                [](const Entry&) { return Result<void>(); });
    SR_CHECK(log.has_value(), "the log does not open");
    return std::move(log).value();
  }
  void fill(uint64_t entries) {
    auto log = open();
    for (uint64_t i = 0; i < entries; ++i) {
      SR_CHECK(log->stage(EntryType::kRelease, items_, kStart + i), "no entry");
      if (i % 4096 == 4095) SR_CHECK(log->commit(), "no commit");
      if (i % 65536 == 65535) SR_CHECK(log->write_checkpoint(), "no checkpoint");
    }
    SR_CHECK(log->commit() && log->write_checkpoint(), "no end");
  }
  VerifyReport verify() {
    const auto read = [this](std::string_view path) {
      return env::real_files().read(options_.dir + "/" + std::string(path), 1 << 20);
    };
    auto report = verify_log(read, log_key(options_.origin, signers_[0].public_key()), nullptr);
    SR_CHECK(report.has_value(), "the log does not verify");
    return *report;
  }
  const std::vector<std::string>& items() const { return items_; }

 private:
  LogOptions options_;
  MemoryKeys keys_;
  const LogSigners signers_ = [] {
    LogSigners out;
    out.push_back(crypto::SigningKey::generate());
    return out;
  }();
  const std::vector<std::string> items_{std::string(60, 'a'), std::string(60, 'b')};
};

BenchLog& million() {
  static BenchLog log;
  static const bool kFilled = (log.fill(kEntries), true);
  benchmark::DoNotOptimize(kFilled);
  return log;
}

void stage_with_items(benchmark::State& state) {
  BenchLog bench;
  const auto log = bench.open();
  const std::span items = std::span(bench.items()).first(static_cast<size_t>(state.range(0)));
  uint64_t i = 0;
  for (auto _ : state) {
    SR_CHECK(log->stage(EntryType::kRelease, items, kStart), "no entry");
    if (++i % 4096 == 0) {
      state.PauseTiming();
      SR_CHECK(log->commit(), "no commit");
      state.ResumeTiming();
    }
  }
}
BENCHMARK(stage_with_items)->Arg(1)->Arg(2);

void stage_a_group_and_commit(benchmark::State& state) {
  BenchLog bench;
  const auto log = bench.open();
  for (auto _ : state) {
    for (size_t i = 0; i < kGroup; ++i) {
      SR_CHECK(log->stage(EntryType::kRelease, bench.items(), kStart), "no entry");
    }
    SR_CHECK(log->commit(), "no commit");
  }
  state.SetItemsProcessed(state.iterations() * int64_t{kGroup});
}
BENCHMARK(stage_a_group_and_commit)->UseRealTime();

void checkpoint_after_entries(benchmark::State& state) {
  BenchLog bench;
  const auto log = bench.open();
  for (auto _ : state) {
    state.PauseTiming();
    for (int64_t i = 0; i < state.range(0); ++i) {
      SR_CHECK(log->stage(EntryType::kRelease, bench.items(), kStart), "no entry");
    }
    SR_CHECK(log->commit(), "no commit");
    state.ResumeTiming();
    SR_CHECK(log->write_checkpoint(), "no checkpoint");
  }
}
BENCHMARK(checkpoint_after_entries)
    ->Arg(10)
    ->Arg(20'000)
    ->Iterations(20)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void open_a_million(benchmark::State& state) {
  BenchLog& bench = million();
  for (auto _ : state) SR_CHECK(bench.open()->size() == kEntries, "entries are missing");
}
BENCHMARK(open_a_million)->Iterations(2)->UseRealTime()->Unit(benchmark::kMillisecond);

void verify_a_million(benchmark::State& state) {
  BenchLog& bench = million();
  for (auto _ : state) SR_CHECK(bench.verify().entries == kEntries, "entries are missing");
}
BENCHMARK(verify_a_million)->Iterations(2)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace strongroom::tlog

BENCHMARK_MAIN();
