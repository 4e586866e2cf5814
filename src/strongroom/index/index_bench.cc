// What normalising, sealing and packing cost.
#include <benchmark/benchmark.h>

#include <random>

#include "strongroom/base/check.h"
#include "strongroom/index/idx_filter.h"
#include "strongroom/index/lane_packer.h"
#include "strongroom/index/lanes.h"
#include "strongroom/index/normalise.h"
#include "strongroom/index/terms.h"

namespace strongroom::index {
namespace {

struct Sample {
  ValueType type;
  const char* region;
  std::vector<std::string> values;
};
const Sample kSamples[] = {
    {ValueType::kName, "", {"王小明", "欧阳娜娜", "李伟"}},
    {ValueType::kName, "", {"Maria Cantwell", "Amy Klobuchar"}},
    {ValueType::kName, "", {"Ben Ray Luján", "Nydia M. Velázquez"}},
    {ValueType::kText,
     "",
     {"广东省深圳市南山区粤海街道科技园路12号3栋1202室", "北京市东城区东华门街道景山前街4号"}},
    {ValueType::kPhone, "CN", {"13800138000", "138-0013-8000", "+86 138 0013 8000"}},
    {ValueType::kNationalId, "", {"11010519491231002X", "440524188001010014"}},
    {ValueType::kDate, "", {"1980-01-31", "1999/1/3", "20240131"}},
    {ValueType::kInteger, "", {"42", "-100000"}},
    {ValueType::kCode, "", {"SF1234567890", "a-17"}},
    {ValueType::kTimestamp, "", {"2024-01-31T08:30:00+08:00"}},
};

void normalise_sample(benchmark::State& state) {
  const Sample& sample = kSamples[state.range(0)];
  size_t at = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(normalise(sample.type, sample.values[at], sample.region));
    at = at + 1 == sample.values.size() ? 0 : at + 1;
  }
  state.SetLabel(sample.values[0]);
}
BENCHMARK(normalise_sample)->DenseRange(0, std::size(kSamples) - 1);

// The five indexed fields of one person.
void normalise_person(benchmark::State& state) {
  for (auto _ : state) {
    for (const size_t n : {0, 3, 4, 5, 6}) {
      benchmark::DoNotOptimize(
          normalise(kSamples[n].type, kSamples[n].values[0], kSamples[n].region));
    }
  }
}
BENCHMARK(normalise_person);

void store_person(benchmark::State& state) {
  for (auto _ : state) {
    for (const size_t n : {0, 3, 4, 5, 6}) {
      benchmark::DoNotOptimize(
          forms_of(kSamples[n].type, kSamples[n].values[0], kSamples[n].region));
    }
  }
}
BENCHMARK(store_person);

void hash_term(benchmark::State& state) {
  TermHasher hasher{TermKey()};
  for (auto _ : state) {
    benchmark::DoNotOptimize(hasher(CollectionId{1}, FieldId{1}, Kind::kExact, "+8613800138000"));
  }
}
BENCHMARK(hash_term);

void online_write(benchmark::State& state) {
  OnlineLane lane(LaneId{1}, LaneRoot());
  std::vector<TermHash> terms(5);
  std::vector<SealedRow> postings;
  std::vector<SealedRow> directory;
  std::mt19937_64 random(1);
  for (auto _ : state) {
    for (TermHash& h_w : terms) store_le<uint64_t>(h_w.bytes.data(), random());
    postings.clear();
    directory.clear();
    lane.write({{1}, 1}, terms, WritePadding::kNarrow, postings, directory);
  }
}
BENCHMARK(online_write)->Iterations(200'000);

// A million people: phone, ID and address of their own, names of 100,000 with few common ones,
// 25,000 birth dates.
void pack_lane(benchmark::State& state) {
  constexpr uint64_t kPeople = 1'000'000;
  for (auto _ : state) {
    state.PauseTiming();
    std::mt19937_64 random(1);
    LanePacker packer(LaneId{1}, LaneRoot());
    packer.reserve(5 * kPeople);
    const auto term = [](uint64_t field, uint64_t value) {
      TermHash h_w;
      std::mt19937_64 hash(value * 8 + field);  // Uniform, as H is.
      store_le<uint64_t>(h_w.bytes.data(), hash());
      store_le<uint64_t>(h_w.bytes.data() + 8, hash());
      return h_w;
    };
    std::vector<TermHash> names;
    for (uint64_t n = 0; n < 100'000; ++n) names.push_back(term(3, n));
    std::vector<TermHash> dates;
    for (uint64_t n = 0; n < 25'000; ++n) dates.push_back(term(4, n));
    for (uint64_t idx = 0; idx < kPeople; ++idx) {
      const Posting posting{{idx}, static_cast<uint32_t>(idx)};
      for (uint64_t field = 0; field < 3; ++field) {
        TermHash h_w;
        store_le<uint64_t>(h_w.bytes.data(), random());
        store_le<uint64_t>(h_w.bytes.data() + 8, random());
        packer.add(h_w, posting);
      }
      const double skew = static_cast<double>(random() >> 11) * 0x1p-53;
      packer.add(names[static_cast<size_t>(skew * skew * skew * 100'000)], posting);
      packer.add(dates[random() % dates.size()], posting);
    }
    state.ResumeTiming();
    uint64_t rows = 0;
    uint64_t bytes = 0;
    const auto count = [&](std::string_view key, std::string_view value) -> Result<void> {
      ++rows;
      bytes += key.size() + value.size();
      return {};
    };
    SR_CHECK(packer.finish(count, count), "finish() failed");
    state.counters["rows"] = static_cast<double>(rows);
    state.counters["bytes_a_posting"] = static_cast<double>(bytes) / (5 * kPeople);
    state.SetItemsProcessed(state.items_processed() + static_cast<int64_t>(5 * kPeople));
  }
}
BENCHMARK(pack_lane)->Unit(benchmark::kSecond)->Iterations(3);

// A list as it is read by a search: of one record in range(0), where range(1) in 1,000 were updated
// since the import by one of 250 updates; all of it, or held against one candidate in range(2).
void read_list(benchmark::State& state) {
  std::mt19937_64 random(1);
  const auto every = static_cast<uint64_t>(state.range(0));
  std::vector<Posting> postings, candidates;
  for (uint64_t n = 0; n < 1'000'000; ++n) {
    const RecordIndex idx{n};
    const bool updated = random() % 1000 < static_cast<uint64_t>(state.range(1));
    const Posting posting{idx,
                          updated ? 1000 + static_cast<uint32_t>(random() % 250) : 7 + idx.block()};
    if (random() % 1000 < 1000 / every) postings.push_back(posting);
    if (state.range(2) > 0 && random() % static_cast<uint64_t>(state.range(2)) == 0) {
      candidates.push_back(posting);
    }
  }
  TermCipher cipher(LaneId{1}, TermToken());
  std::vector<std::string> blocks;
  for (auto left = std::span<const Posting>(postings); !left.empty();) {
    std::string& value = blocks.emplace_back();
    left = left.subspan(cipher.seal_packed(blocks.size() - 1, left, value));
  }
  const IdxFilter filter(candidates);
  std::vector<Posting> out;
  for (auto _ : state) {
    out.clear();
    for (uint64_t j = 0; j < blocks.size(); ++j) {
      SR_CHECK(
          cipher.open_packed(j, as_bytes(blocks[j]), out, candidates.empty() ? nullptr : &filter),
          "open_packed() failed");
    }
    benchmark::DoNotOptimize(out.data());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(postings.size()));
  state.counters["blocks"] = static_cast<double>(blocks.size());
}
BENCHMARK(read_list)
    ->Unit(benchmark::kMicrosecond)
    ->ArgNames({"one_in", "updated", "candidate_in"})
    ->ArgsProduct({{1, 2, 10, 100}, {0, 400}, {0, 3, 1000}});

}  // namespace
}  // namespace strongroom::index

BENCHMARK_MAIN();
