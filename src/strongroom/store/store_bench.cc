// Rates of the RocksDB store: reads in cache, absent reads, sorted runs. Compare within one run.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>

#include "strongroom/base/bytes.h"
#include "strongroom/store/store.h"

namespace strongroom::store {
namespace {

std::string random_bytes(std::mt19937_64& random, size_t size) {
  std::string out(size, '\0');
  for (size_t i = 0; i < size; i += 8) {
    const uint64_t word = random();
    memcpy(out.data() + i, &word, std::min<size_t>(8, size - i));
  }
  return out;
}

// A store with 1 M rows of 300 B and 4 M postings of 16 + 16 B, made once.
class Filled {
 public:
  static Filled& get() {
    static Filled filled;
    return filled;
  }
  ~Filled() {
    store.reset();
    std::filesystem::remove_all(dir);
  }

  std::string dir = std::filesystem::temp_directory_path() / "sr-bench-XXXXXX";
  std::unique_ptr<Store> store;
  std::vector<std::string> records, postings;

 private:
  Filled() {
    if (mkdtemp(dir.data()) == nullptr) abort();
    store = open_rocks_store(dir + "/db", {}).value();
    std::mt19937_64 random(1);
    for (uint64_t i = 0; i < 1'000'000; ++i) {
      std::string key(9, '\0');
      store_be(reinterpret_cast<uint8_t*>(key.data()) + 1, i);
      records.push_back(std::move(key));
    }
    for (int i = 0; i < 4'000'000; ++i) postings.push_back(random_bytes(random, 16));
    std::sort(postings.begin(), postings.end());
    const std::string row = random_bytes(random, 300), posting = random_bytes(random, 16);
    fill(Table::kRecords, records, row);
    fill(Table::kPostings, postings, posting);
    std::shuffle(records.begin(), records.end(), random);
    std::shuffle(postings.begin(), postings.end(), random);
    std::vector<std::optional<std::string>> warm;
    if (!store->get(Table::kRecords, records, warm)) abort();
    if (!store->get(Table::kPostings, postings, warm)) abort();
  }
  void fill(Table table, const std::vector<std::string>& keys, const std::string& value) {
    auto run = store->begin_run(table).value();
    for (const auto& key : keys) {
      if (!run->add(key, value)) abort();
    }
    if (!store->ingest(std::move(run))) abort();
  }
};

void get(benchmark::State& state, Table table, const std::vector<std::string>& keys, bool sorted) {
  Store& store = *Filled::get().store;
  const auto batch = static_cast<size_t>(state.range(0));
  std::vector<std::optional<std::string>> values;
  std::vector<std::string> asked;
  size_t at = 0;
  for (auto _ : state) {
    if (at + batch > keys.size()) at = 0;
    asked.assign(keys.begin() + static_cast<ptrdiff_t>(at),
                 keys.begin() + static_cast<ptrdiff_t>(at + batch));
    if (sorted) std::sort(asked.begin(), asked.end());
    if (!store.get(table, asked, values)) abort();
    at += batch;
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(batch));
}

void BM_GetRecord(benchmark::State& state) {
  get(state, Table::kRecords, Filled::get().records, true);
}
void BM_GetPosting(benchmark::State& state) {
  get(state, Table::kPostings, Filled::get().postings, true);
}
void BM_GetAbsentPosting(benchmark::State& state) {
  static const std::vector<std::string> absent = [] {
    std::mt19937_64 random(2);
    std::vector<std::string> keys;
    for (int i = 0; i < 1'000'000; ++i) keys.push_back(random_bytes(random, 16));
    return keys;
  }();
  get(state, Table::kPostings, absent, true);
}

void BM_SortedRun(benchmark::State& state) {
  std::mt19937_64 random(3);
  std::vector<std::string> keys;
  for (int i = 0; i < 3'000'000; ++i) keys.push_back(random_bytes(random, 16));
  std::sort(keys.begin(), keys.end());
  const std::string value = random_bytes(random, 16);
  Store& store = *Filled::get().store;
  for (auto _ : state) {
    auto run = store.begin_run(Table::kDirectory).value();
    if (state.range(0) != 0) run = store.begin_run(Table::kUnique).value();
    for (const auto& key : keys) {
      if (!run->add(key, value)) abort();
    }
    if (!store.ingest(std::move(run))) abort();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(keys.size()));
}

void BM_PutBatch(benchmark::State& state) {
  std::mt19937_64 random(4);
  Store& store = *Filled::get().store;
  std::vector<Put> puts(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    state.PauseTiming();
    for (Put& put : puts)
      put = {Table::kPostings, random_bytes(random, 16), random_bytes(random, 16)};
    state.ResumeTiming();
    if (!store.put(puts, Durability::kSynced)) abort();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

BENCHMARK(BM_GetRecord)->Arg(1)->Arg(16)->Arg(64)->MinTime(2);
BENCHMARK(BM_GetPosting)->Arg(1)->Arg(16)->Arg(64)->MinTime(2);
BENCHMARK(BM_GetAbsentPosting)->Arg(1)->Arg(16)->Arg(64)->MinTime(2);
BENCHMARK(BM_SortedRun)->Arg(0)->Arg(1)->Iterations(1)->UseRealTime();
BENCHMARK(BM_PutBatch)->Arg(16)->Arg(1024)->UseRealTime();

}  // namespace
}  // namespace strongroom::store
