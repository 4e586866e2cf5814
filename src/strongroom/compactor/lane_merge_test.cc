#include "strongroom/compactor/lane_merge.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "strongroom/compactor/lane_reader.h"
#include "strongroom/crypto/hash.h"
#include "strongroom/crypto/random.h"
#include "strongroom/index/lane_packer.h"
#include "strongroom/index/lanes.h"
#include "strongroom/record/record.h"
#include "test/support/temp_folder.h"

namespace strongroom::compactor {
namespace {

using index::Posting;
using store::Table;

constexpr CollectionId kCollection{7};
constexpr uint64_t kMost = index::kLanePostingsMax;

TermHash term(uint32_t n) {
  TermHash out;
  const auto digest = crypto::hmac_sha256(as_bytes("terms"), {as_bytes(std::to_string(n))});
  std::copy_n(digest.begin(), out.bytes.size(), out.bytes.begin());
  return out;
}

// Lanes of made-up records in a store in memory, and what must be found in them.
class LaneMergeTest : public testing::Test {
 protected:
  using Content = std::multiset<std::pair<TermHash, Posting>>;

  void put(Table table, std::string key, std::string value) {
    const store::Put one{table, std::move(key), std::move(value)};
    ASSERT_TRUE(store_->put({&one, 1}, store::Durability::kSynced));
  }
  // The row of a record, as far as the compactor looks at it.
  void put_row(uint64_t idx, uint64_t u) {
    std::string row;
    ASSERT_TRUE(record::seal(kCollection, {RecordIndex{idx}, Version{u}},
                             crypto::random_secret<WriteSecret>(),
                             std::vector<record::GroupValues>{{GroupId{1}, {}}}, row));
    put(Table::kRecords, record::row_key(kCollection, RecordIndex{idx}), row);
  }
  LaneRoot& make_root(uint32_t lane) {
    return roots_.insert_or_assign(lane, crypto::random_secret<LaneRoot>()).first->second;
  }
  // Every record has term 0, so that it is packed, and terms of its own.
  static std::vector<TermHash> terms_of(uint64_t idx) {
    return {term(0), term(static_cast<uint32_t>(1 + idx % 7)),
            term(static_cast<uint32_t>(100 + idx))};
  }
  void packed_lane(uint32_t lane, uint64_t from, uint64_t to, uint32_t u) {
    index::LanePacker packer(LaneId{lane}, make_root(lane).clone());
    for (uint64_t idx = from; idx < to; ++idx) {
      for (const TermHash& t : terms_of(idx)) packer.add(t, {RecordIndex{idx}, u});
    }
    auto postings = *store_->begin_run(Table::kPostings);
    auto directory = *store_->begin_run(Table::kDirectory);
    const auto into = [](store::SortedRun& run) {
      return [&run](std::string_view key, std::string_view value) { return run.add(key, value); };
    };
    ASSERT_TRUE(packer.finish(into(*postings), into(*directory)));
    ASSERT_TRUE(store_->ingest(std::move(postings)));
    ASSERT_TRUE(store_->ingest(std::move(directory)));
  }
  void online_lane(uint32_t lane, uint64_t from, uint64_t to, uint32_t u) {
    index::OnlineLane writer(LaneId{lane}, make_root(lane).clone());
    std::vector<index::SealedRow> postings, directory;
    for (uint64_t idx = from; idx < to; ++idx) {
      writer.write({RecordIndex{idx}, u}, terms_of(idx), index::WritePadding::kWide, postings,
                   directory);
    }
    for (auto& row : postings) put(Table::kPostings, row.key, row.value);
    for (auto& row : directory) put(Table::kDirectory, row.key, row.value);
  }
  Result<Content> read(uint32_t lane) {
    Content out;
    Versions versions(*store_, kCollection);
    LaneReader reader(*store_, LaneId{lane}, roots_.at(lane), pace_, memory_);
    SR_TRY(reader.read(versions, [&](const TermHash& t, const Posting& p) -> Result<void> {
      out.emplace(t, p);
      return {};
    }));
    return out;
  }
  static Content expected(uint64_t from, uint64_t to, uint32_t u) {
    Content out;
    for (uint64_t idx = from; idx < to; ++idx) {
      for (const TermHash& t : terms_of(idx)) out.emplace(t, Posting{RecordIndex{idx}, u});
    }
    return out;
  }
  Result<Merged> merge(std::vector<uint32_t> lanes, uint32_t target, uint64_t most = kMost) {
    std::vector<MergeSource> sources;
    for (const uint32_t lane : lanes) sources.push_back({LaneId{lane}, roots_.at(lane).clone()});
    auto postings = *store_->begin_run(Table::kPostings);
    auto directory = *store_->begin_run(Table::kDirectory);
    SR_ASSIGN(auto merged,
              merge_lanes(*store_, kCollection, sources, LaneId{target}, make_root(target).clone(),
                          most, pace_, memory_, *postings, *directory));
    SR_TRY(store_->ingest(std::move(postings)));
    SR_TRY(store_->ingest(std::move(directory)));
    return merged;
  }
  // The nth row of a lane.
  std::pair<std::string, std::string> row(Table table, uint32_t lane, size_t n) {
    std::pair<std::string, std::string> out;
    const auto [from, to] = index::lane_range(LaneId{lane});
    EXPECT_TRUE(store_->scan(table, from, to, [&](std::string_view key, std::string_view value) {
      if (n-- > 0) return true;
      out = {std::string(key), std::string(value)};
      return false;
    }));
    return out;
  }

  std::unique_ptr<store::Store> store_ = store::open_memory_store();
  std::map<uint32_t, LaneRoot> roots_;
  env::ManualClock clock_;
  Pace pace_{0, clock_, [](uint64_t) {}};
  // Little: much is sorted on the disk.
  test::TempFolder folder_;
  index::PackerMemory memory_{folder_.path(), 16384};
};

TEST_F(LaneMergeTest, ALaneIsReadWhole) {
  for (uint64_t idx = 0; idx < 9000; ++idx) put_row(idx, 5);
  packed_lane(1, 0, 8999, 5);
  online_lane(2, 100, 130, 5);
  EXPECT_EQ(*read(1), expected(0, 8999, 5));
  EXPECT_EQ(*read(2), expected(100, 130, 5));
  EXPECT_EQ(*LaneReader(*store_, LaneId{1}, roots_.at(1), pace_).count(), 3u * 8999);
  EXPECT_EQ(*LaneReader(*store_, LaneId{2}, roots_.at(2), pace_).count(), 3u * 30);
}

TEST_F(LaneMergeTest, TheTargetHoldsWhatTheSourcesHeldAndIsCurrent) {
  for (uint64_t idx = 0; idx < 600; ++idx) put_row(idx, idx % 3 == 0 ? 9 : 5);
  packed_lane(1, 0, 300, 5);
  packed_lane(2, 300, 620, 5);  // The last 20 never got a row.
  online_lane(3, 0, 600, 9);
  const auto merged = merge({1, 2, 3}, 4);
  ASSERT_TRUE(merged) << merged.error().text;
  EXPECT_EQ(merged->sources.size(), 3u);
  EXPECT_EQ(merged->kept, 3u * 600);
  Content all;
  for (uint64_t idx = 0; idx < 600; ++idx) {
    all.merge(expected(idx, idx + 1, idx % 3 == 0 ? 9 : 5));
  }
  EXPECT_EQ(*read(4), all);
  // And once more, of what was merged.
  for (uint64_t idx = 0; idx < 200; ++idx) put_row(idx, 11);
  online_lane(5, 0, 200, 11);
  ASSERT_TRUE(merge({4, 5}, 6));
  for (uint64_t idx = 0; idx < 200; ++idx) {
    for (const auto& gone : expected(idx, idx + 1, idx % 3 == 0 ? 9 : 5)) all.erase(gone);
  }
  all.merge(expected(0, 200, 11));
  EXPECT_EQ(*read(6), all);
}

TEST_F(LaneMergeTest, ALaneOfNothingButStalePostingsVanishes) {
  packed_lane(1, 0, 50, 5);
  online_lane(2, 0, 50, 6);
  const auto merged = merge({1, 2}, 3);
  ASSERT_TRUE(merged);
  EXPECT_EQ(merged->kept, 0u);
  EXPECT_TRUE(read(3)->empty());
}

TEST_F(LaneMergeTest, WhatDoesNotFitTogetherIsLeftOut) {
  for (uint64_t idx = 0; idx < 100; ++idx) put_row(idx, 5);
  packed_lane(1, 0, 20, 5);
  packed_lane(2, 20, 80, 5);
  packed_lane(3, 80, 100, 5);
  const auto merged = merge({1, 2, 3}, 4, 130);
  ASSERT_TRUE(merged);
  EXPECT_EQ(merged->sources, (std::vector<LaneId>{LaneId{1}, LaneId{3}}));
  EXPECT_EQ(merged->postings.at(LaneId{2}), 180u);
  EXPECT_EQ(merged->kept, 120u);
}

TEST_F(LaneMergeTest, ADamagedLaneIsNotMerged) {
  for (uint64_t idx = 0; idx < 300; ++idx) put_row(idx, 5);
  packed_lane(1, 0, 300, 5);
  online_lane(2, 0, 30, 5);
  const auto damaged = [&](uint32_t lane) {
    const auto merged = merge({lane}, 9);
    return !merged && merged.error().code == ErrorCode::kDataLoss;
  };
  struct Case {
    Table table;
    uint32_t lane;
    size_t rows;
  };
  for (const Case& c :
       {Case{Table::kPostings, 1, 350}, {Table::kDirectory, 1, 2}, {Table::kDirectory, 2, 29}}) {
    for (size_t n = 0; n < c.rows; n += c.rows / 2) {
      const auto [key, value] = row(c.table, c.lane, n);
      ASSERT_FALSE(key.empty());
      std::string bad = value;
      bad[bad.size() / 2] ^= 1;
      put(c.table, key, bad);
      EXPECT_TRUE(damaged(c.lane)) << "changed " << n;
      // The last row of an online lane's directory may never have been written.
      const store::KeyRef ref{c.table, key};
      ASSERT_TRUE(store_->erase({&ref, 1}, store::Durability::kSynced));
      EXPECT_TRUE(damaged(c.lane)) << "missing " << n;
      put(c.table, key, value);
      ASSERT_TRUE(read(c.lane));
    }
  }
  std::string key = index::lane_prefix(1) + std::string(13, 'x');
  put(Table::kPostings, key, std::string(16, 'x'));
  EXPECT_TRUE(damaged(1)) << "one row too many: a term that the directory does not name";
  put(Table::kRecords, record::row_key(kCollection, RecordIndex{3}), "no row");
  EXPECT_TRUE(damaged(2));
}

}  // namespace
}  // namespace strongroom::compactor
