#include "strongroom/gateway/search.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <random>
#include <set>

#include "strongroom/crypto/random.h"
#include "strongroom/gateway/search_testing.h"
#include "strongroom/index/lane_packer.h"
#include "strongroom/index/lanes.h"

namespace strongroom::gateway {
namespace {

using index::Posting;
using Terms = std::vector<int>;

TermHash hash_of(int term) {
  TermHash h;
  store_le<uint64_t>(h.bytes.data(), static_cast<uint64_t>(term) * 0x9e3779b97f4a7c15u);
  h.bytes[15] = static_cast<uint8_t>(term);
  return h;
}

class SearchTest : public testing::Test {
 protected:
  SearchTest() { crypto::init(); }

  LaneRoot new_lane() {
    LaneRoot root = crypto::random_secret<LaneRoot>();
    lanes_.push_back(LaneId{static_cast<uint32_t>(lanes_.size() + 1)});
    tokens_.emplace_back(root);
    return root;
  }
  static Posting posting(uint64_t idx) {
    return {RecordIndex{idx}, static_cast<uint32_t>(idx * 3)};
  }

  // A lane of records and their terms.
  void add_online(const std::map<uint64_t, Terms>& records) {
    LaneRoot root = new_lane();
    index::OnlineLane lane(lanes_.back(), std::move(root));
    std::vector<index::SealedRow> rows, directory;
    for (const auto& [idx, terms] : records) {
      lane.write(posting(idx), hashes(terms), index::WritePadding::kNarrow, rows, directory);
      note(idx, terms);
    }
    std::vector<store::Put> puts;
    for (auto& row : rows) puts.push_back({store::Table::kPostings, row.key, row.value});
    ASSERT_TRUE(store_->put(puts, store::Durability::kSynced));
  }
  void add_packed(const std::map<uint64_t, Terms>& records) {
    LaneRoot root = new_lane();
    index::LanePacker packer(lanes_.back(), std::move(root));
    for (const auto& [idx, terms] : records) {
      for (const TermHash& h : hashes(terms)) packer.add(h, posting(idx));
      note(idx, terms);
    }
    auto run = store_->begin_run(store::Table::kPostings);
    ASSERT_TRUE(run);
    ASSERT_TRUE(packer.finish(
        [&](std::string_view key, std::string_view value) { return (*run)->add(key, value); },
        [](std::string_view, std::string_view) { return Result<void>(); }));
    ASSERT_TRUE(store_->ingest(*std::move(run)));
  }

  Result<std::vector<Posting>> search_for(const Terms& terms, uint64_t scan_max = 1'000'000) {
    std::vector<TermToken> tokens;
    for (const TermHash& h : hashes(terms)) {
      for (auto& lane : tokens_) tokens.push_back(lane.token(h));
    }
    stats_ = {};
    SR_ASSIGN(const auto found, search(*store_, lanes_, tokens, terms.size(), all_of(terms.size()),
                                       {scan_max}, stats_));
    return postings_of(found);
  }
  std::vector<Posting> expected(const Terms& terms) const {
    std::vector<Posting> out;
    for (const auto& record : model_) {
      const auto has = [&](int t) { return record.second.contains(t); };
      if (std::all_of(terms.begin(), terms.end(), has)) out.push_back(posting(record.first));
    }
    return out;
  }
  void expect_found(const Terms& terms) {
    const auto found = search_for(terms);
    ASSERT_TRUE(found) << found.error().text;
    EXPECT_EQ(*found, expected(terms));
  }
  TermToken token(size_t lane, int term) { return tokens_[lane].token(hash_of(term)); }
  std::map<std::string, std::string> stored() {
    std::map<std::string, std::string> out;
    EXPECT_TRUE(store_->scan(store::Table::kPostings, {}, {},
                             [&](std::string_view key, std::string_view value) {
                               out.emplace(key, value);
                               return true;
                             }));
    return out;
  }
  void put(const std::string& key, const std::string& value) {
    ASSERT_TRUE(store_->put(std::vector<store::Put>{{store::Table::kPostings, key, value}},
                            store::Durability::kSynced));
  }

  std::unique_ptr<store::Store> store_ = store::open_memory_store();
  std::vector<LaneId> lanes_;
  std::vector<crypto::LaneTokens> tokens_;
  std::map<uint64_t, std::set<int>> model_;
  SearchStats stats_;

 private:
  static std::vector<TermHash> hashes(const Terms& terms) {
    std::vector<TermHash> out;
    for (const int t : terms) out.push_back(hash_of(t));
    return out;
  }
  void note(uint64_t idx, const Terms& terms) { model_[idx].insert(terms.begin(), terms.end()); }
};

std::map<uint64_t, Terms> records(uint64_t from, uint64_t count, const Terms& terms) {
  std::map<uint64_t, Terms> out;
  for (uint64_t i = 0; i < count; ++i) out[from + i] = terms;
  return out;
}

TEST_F(SearchTest, WithoutLanesNothingIsFound) {
  expect_found({1});
}

TEST_F(SearchTest, AnAbsentTermFindsNothingAndCostsOneBatch) {
  add_online(records(0, 3, {1}));
  add_packed(records(10, 100, {1}));
  expect_found({2});
  EXPECT_EQ(stats_.store_reads, 1u);
  EXPECT_EQ(stats_.scanned, 0u);
  expect_found({1, 2});
  EXPECT_EQ(stats_.store_reads, 1u) << "one absent term answers the conjunction";
}

// Sizes at the edges of the batches 1, 4, 16, 64 and of packing.
TEST_F(SearchTest, EveryPostingOfAnyNumberIsFound) {
  uint64_t at = 0;
  int term = 1;
  for (const uint64_t n : {1,  2,  4,  5,  6,   7,   8,   9,   20,  21,  22,  23,
                           24, 84, 85, 86, 114, 115, 116, 149, 150, 498, 499, 2000}) {
    std::map<uint64_t, Terms> lane = records(at, n, {term});
    at += n;
    add_online(lane);
    lane = records(at, n, {term});
    at += n;
    add_packed(lane);
    expect_found({term});
    EXPECT_EQ(stats_.postings, (std::vector<uint64_t>{2 * n}));
    ++term;
  }
}

TEST_F(SearchTest, SinglesAndBlocksOfManyLanesComeInOneOrder) {
  add_packed(records(500, 300, {1, 2}));
  add_online(records(100, 30, {1, 2}));
  add_packed(records(1000, 5, {1, 2}));
  add_online(records(0, 1, {1}));
  expect_found({1});
  expect_found({1, 2});
  expect_found({2, 1});
}

// Interpolation guesses by even spread; where it is wrong, it must only be slower.
TEST_F(SearchTest, ProbesFindWhatIsThereHoweverRecordsAreSpread) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  constexpr uint64_t kMany = 100'000;  // In many more blocks than are probed.
  const std::vector<std::function<uint64_t(uint64_t)>> spreads = {
      [](uint64_t i) { return 3 * i; }, [](uint64_t i) { return i * i; },
      [](uint64_t i) { return i < kMany / 10 * 9 ? i : RecordIndex::kMax - 2 * kMany + i; },
      [&](uint64_t) { return random() % (2 * kMany); },
      [&](uint64_t) { return random() & RecordIndex::kMax; }};
  int term = 1;
  for (const auto& spread : spreads) {
    std::map<uint64_t, Terms> lane;
    for (uint64_t i = 0; i < kMany; ++i) lane[spread(i)] = {term};
    // A few of those, of their neighbours, and of anywhere.
    for (int i = 0; i < 2; ++i) {
      auto at = lane.lower_bound(spread(random() % kMany));
      if (at == lane.end()) at = lane.begin();
      lane[at->first].push_back(term + 1);
      lane[at->first + 1].push_back(term + 1);
      lane[random() & RecordIndex::kMax].push_back(term + 1);
    }
    lane[0].push_back(term + 1);
    lane[RecordIndex::kMax].push_back(term + 1);
    for (auto& [idx, terms] : lane) {
      std::sort(terms.begin(), terms.end());
      terms.erase(std::unique(terms.begin(), terms.end()), terms.end());
    }
    add_packed(lane);
    expect_found({term, term + 1});
    EXPECT_LT(stats_.scanned, 1000u) << "the common term is not read whole";
    term += 2;
  }
}

TEST_F(SearchTest, ATermGivenTwiceChangesNothing) {
  add_packed(records(0, 300, {1}));
  add_online(records(300, 10, {1}));
  expect_found({1, 1});
}

// The rare term's candidates are looked up in the common term's blocks, not all of which are read.
TEST_F(SearchTest, ARareTermProbesTheBlocksOfACommonOne) {
  auto lane = records(0, 200'000, {1});
  for (const uint64_t idx : {0, 1, 110, 111, 112, 99'999, 199'998, 199'999}) lane[idx].push_back(2);
  lane[200'001] = {2};
  lane[5'000].push_back(3);
  lane[300'000] = {3};
  add_packed(lane);
  expect_found({1, 2});
  EXPECT_LT(stats_.scanned, 200u);
  expect_found({2, 1});
  expect_found({3, 1});
  expect_found({1, 2, 3});
}

TEST_F(SearchTest, RandomConjunctionsEqualTheModel) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto pick = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); };
  uint64_t idx = 0;
  for (int l = 0; l < 6; ++l) {
    std::map<uint64_t, Terms> lane;
    const int n = l % 2 == 0 ? 3000 : 1 + pick(100);
    for (int i = 0; i < n; ++i) {
      idx += 1 + static_cast<uint64_t>(pick(3));
      std::set<int> terms;
      for (int t = 0; t < 8; ++t) {
        if (pick(1 << t) == 0) terms.insert(t);  // Term t is in one of 2^t.
      }
      terms.insert(100 + pick(500));
      lane[idx] = {terms.begin(), terms.end()};
    }
    if (l % 2 == 0) {
      add_packed(lane);
    } else {
      add_online(lane);
    }
  }
  for (int q = 0; q < 150; ++q) {
    Terms terms;
    for (int t = 1 + pick(4); t > 0; --t) terms.push_back(pick(3) == 0 ? 100 + pick(500) : pick(8));
    expect_found(terms);
    if (HasFailure()) return;
  }
}

TEST_F(SearchTest, TooBroadIsRefusedWithItsNumber) {
  add_packed(records(0, 500, {1}));
  auto found = search_for({1}, 499);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::kTooBroad);
  EXPECT_EQ(found.error().number, 500);
  EXPECT_TRUE(search_for({1}, 500)) << "as many as there are may be read";

  add_online(records(1000, 400, {2}));
  found = search_for({2}, 100);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::kTooBroad);
  EXPECT_GT(found.error().number, 100);
  EXPECT_LT(stats_.scanned, 300u) << "it stops once it knows";
}

TEST_F(SearchTest, ARareTermMakesABroadOneAffordable) {
  auto lane = records(0, 5'000, {1});
  lane[77].push_back(2);
  add_packed(lane);
  EXPECT_EQ(search_for({1}, 1000).error().code, ErrorCode::kTooBroad);
  const auto found = search_for({1, 2}, 1000);
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, (std::vector<Posting>{posting(77)}));
}

// Only the rarest clause must fit: others are sifted, or probed where a query needs them twice.
TEST_F(SearchTest, ATermTooBroadToKeepNarrowsAnyNumberOfCandidates) {
  auto lane = records(0, 5'000, {1});
  for (uint64_t idx = 0; idx < 5'000; idx += 2) lane[idx].push_back(2);
  add_packed(lane);
  const auto found = search_for({1, 2}, 3'000);
  ASSERT_TRUE(found) << found.error().text;
  EXPECT_EQ(*found, expected({1, 2}));

  std::vector<TermToken> tokens;
  for (const int term : {1, 2}) tokens.push_back(token(0, term));
  SearchPlan twice;
  twice.clauses = {{{{{1}, 0}}, false}, {{{{0}, 0}, {{0, 1}, 1}}, false}};
  SearchStats stats;
  const auto again = search(*store_, lanes_, tokens, 2, twice, {3'000}, stats);
  ASSERT_TRUE(again) << again.error().text;
  EXPECT_EQ(postings_of(*again), expected({1, 2}));
}

TEST_F(SearchTest, TheBudgetIsOfTheWholeQueryNotOfALane) {
  add_packed(records(0, 60, {1}));
  add_packed(records(100, 60, {1}));
  EXPECT_TRUE(search_for({1}, 120));
  EXPECT_EQ(search_for({1}, 119).error().code, ErrorCode::kTooBroad);
}

TEST_F(SearchTest, ADamagedRowIsDataLossNeverAnAnswer) {
  auto lane = records(0, 1000, {1});
  lane[5].push_back(2);
  add_packed(lane);
  add_online(records(2000, 3, {1, 2}));
  for (const auto& [key, value] : stored()) {
    std::string flipped = value;
    flipped[value.size() / 2] = static_cast<char>(flipped[value.size() / 2] ^ 1);
    for (const std::string& bad :
         {std::string(), value.substr(1), value + "x", std::string(value.size(), '\0'), flipped}) {
      put(key, bad);
      for (const Terms& terms : {Terms{1}, Terms{2}, Terms{1, 2}}) {
        const auto found = search_for(terms);
        if (found) {
          EXPECT_EQ(*found, expected(terms)) << "a row this search does not read";
        } else {
          EXPECT_EQ(found.error().code, ErrorCode::kDataLoss);
        }
      }
    }
    put(key, value);
  }
  expect_found({1});
}

// So many that each block of theirs is full, and a second one is begun.
constexpr uint64_t kTwoBlocks = 70'000;

TEST_F(SearchTest, EveryRowThatIsReadIsChecked) {
  add_packed(records(0, kTwoBlocks, {1}));
  index::TermCipher cipher(lanes_[0], token(0, 1));
  const auto head = cipher.head_key();
  const auto block = cipher.packed_key(1);
  for (const auto& key : {std::string(as_text(head)), std::string(as_text(block))}) {
    const std::string value = stored()[key];
    ASSERT_FALSE(value.empty());
    std::string bad = value;
    bad[0] = static_cast<char>(bad[0] ^ 0x80);
    put(key, bad);
    EXPECT_EQ(search_for({1}).error().code, ErrorCode::kDataLoss);
    put(key, value);
  }
  ASSERT_TRUE(store_->erase(
      std::vector<store::KeyRef>{{store::Table::kPostings, std::string(as_text(block))}},
      store::Durability::kSynced));
  EXPECT_EQ(search_for({1}).error().code, ErrorCode::kDataLoss) << "a block that is missing";
}

TEST_F(SearchTest, RowsMovedToAnotherPlaceAreDataLoss) {
  add_packed(records(0, kTwoBlocks, {1}));
  index::TermCipher cipher(lanes_[0], token(0, 1));
  const auto rows = stored();
  const std::string first(as_text(cipher.packed_key(0)));
  const std::string second(as_text(cipher.packed_key(1)));
  put(first, rows.at(second));
  put(second, rows.at(first));
  EXPECT_EQ(search_for({1}).error().code, ErrorCode::kDataLoss);
}

TEST_F(SearchTest, AHeadThatSaysAnotherNumberThanThereIsIsDataLoss) {
  add_packed(records(0, 100, {1}));
  index::TermCipher cipher(lanes_[0], token(0, 1));
  const std::string head(as_text(cipher.head_key()));
  const auto right = cipher.open_head(as_bytes(stored().at(head))).value();
  ASSERT_EQ(right.postings, 100u);
  for (const index::PackedHead said : {index::PackedHead{0, 0},
                                       {0, right.blocks},
                                       {100, 0},
                                       {99, right.blocks},
                                       {101, right.blocks},
                                       {100, right.blocks + 1},
                                       {100, UINT32_MAX},
                                       {50'000, 50'000},
                                       {index::kTermPostingsMax + 1, right.blocks},
                                       {RecordIndex::kMax, UINT32_MAX}}) {
    put(head, std::string(as_text(cipher.seal_head(said))));
    const auto found = search_for({1});
    ASSERT_FALSE(found) << said.postings << " in " << said.blocks;
    EXPECT_EQ(found.error().code, ErrorCode::kDataLoss);
  }
  put(head, std::string(as_text(cipher.seal_head(right))));
  expect_found({1});
}

}  // namespace
}  // namespace strongroom::gateway
