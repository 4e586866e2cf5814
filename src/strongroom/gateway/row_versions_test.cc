#include "strongroom/gateway/row_versions.h"

#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "strongroom/record/record.h"

namespace strongroom::gateway {
namespace {

using index::Posting;
using store::Durability;
using store::Table;

constexpr CollectionId kVersioned{7};

// Counts the rows that are read of it.
class CountingStore : public store::Store {
 public:
  Result<void> get(Table table, std::span<const std::string> keys,
                   std::vector<std::optional<std::string>>& values) override {
    reads += keys.size();
    if (before_get) before_get();
    return base_->get(table, keys, values);
  }
  Result<void> put(std::span<const store::Put> puts, Durability d) override {
    return base_->put(puts, d);
  }
  Result<void> erase(std::span<const store::KeyRef> keys, Durability d) override {
    return base_->erase(keys, d);
  }
  Result<void> scan(Table table, std::string_view from, std::string_view to,
                    const std::function<bool(std::string_view, std::string_view)>& v) override {
    return base_->scan(table, from, to, v);
  }
  Result<std::unique_ptr<store::SortedRun>> begin_run(Table table) override {
    return base_->begin_run(table);
  }
  Result<void> ingest(std::unique_ptr<store::SortedRun> run) override {
    return base_->ingest(std::move(run));
  }
  Result<bool> compare_and_set(Table table, std::string_view key,
                               const std::optional<std::string>& expected,
                               std::string_view desired) override {
    return base_->compare_and_set(table, key, expected, desired);
  }
  Result<void> flush() override { return base_->flush(); }
  uint64_t position() override { return base_->position(); }
  Result<store::StoreStats> stats() override { return base_->stats(); }

  std::atomic<size_t> reads = 0;
  std::function<void()> before_get;

 private:
  std::unique_ptr<store::Store> base_ = store::open_memory_store();
};

class RowVersionsTest : public testing::Test {
 protected:
  // A row of that version; no more of it is looked at.
  static std::string row(uint64_t u) {
    std::string out;
    const WriteSecret secret{ByteArray<32>{}};
    std::vector<record::GroupValues> groups(1);
    groups[0].group = GroupId{1};
    groups[0].values = {{FieldId{1}, "x"}};
    EXPECT_TRUE(record::seal(kVersioned, {{1}, {u}}, secret, groups, out));
    return out;
  }
  static store::Put write(uint64_t idx, uint64_t u) {
    return {Table::kRecords, record::row_key(kVersioned, {idx}), row(u)};
  }
  void put(uint64_t idx, uint64_t u) {
    ASSERT_TRUE(versions_.put(std::vector{write(idx, u)}, Durability::kSynced));
  }
  std::vector<bool> current(const std::vector<Posting>& postings) {
    std::vector<bool> out;
    EXPECT_TRUE(versions_.current(kVersioned, postings, out));
    return out;
  }

  CountingStore base_;
  RowVersions versions_{base_, size_t{1} << 20};
};

TEST_F(RowVersionsTest, AreReadOnceAndThenKnown) {
  for (uint64_t idx = 0; idx < 600; ++idx) put(idx * 50, 5);
  std::vector<Posting> postings;
  for (uint64_t idx = 0; idx < 600; ++idx) postings.push_back({{idx * 50}, 5});
  EXPECT_EQ(current(postings), std::vector<bool>(600, true));
  EXPECT_EQ(base_.reads, 600u);
  EXPECT_EQ(current(postings), std::vector<bool>(600, true));
  EXPECT_EQ(base_.reads, 600u);
  EXPECT_EQ(current({{{50}, 4}, {{50}, 5}, {{50}, 6}}), (std::vector<bool>{false, true, false}));
  EXPECT_EQ(base_.reads, 600u) << "one version says that others are not";
}

TEST_F(RowVersionsTest, AbsentRowsAreLookedForEachTime) {
  EXPECT_EQ(current({{{9}, 5}}), std::vector<bool>{false});
  ASSERT_TRUE(base_.put(std::vector{write(9, 5)}, Durability::kSynced));
  EXPECT_EQ(current({{{9}, 5}}), std::vector<bool>{true});
}

TEST_F(RowVersionsTest, WhatIsWrittenIsKnownAtOnce) {
  put(9, 5);
  EXPECT_EQ(current({{{9}, 5}}), std::vector<bool>{true});
  put(9, 6);
  EXPECT_EQ(current({{{9}, 5}, {{9}, 6}}), (std::vector<bool>{false, true}));
  ASSERT_TRUE(versions_.erase(
      std::vector<store::KeyRef>{{Table::kRecords, record::row_key(kVersioned, {9})}},
      Durability::kSynced));
  EXPECT_EQ(current({{{9}, 6}}), std::vector<bool>{false});

  put(10, 5);
  EXPECT_EQ(current({{{10}, 5}}), std::vector<bool>{true});
  auto run = versions_.begin_run(Table::kRecords);
  ASSERT_TRUE(run);
  ASSERT_TRUE((*run)->add(record::row_key(kVersioned, {10}), row(7)));
  ASSERT_TRUE(versions_.ingest(std::move(*run)));
  EXPECT_EQ(current({{{10}, 7}}), std::vector<bool>{true});
  ASSERT_TRUE(versions_.erase_range(Table::kRecords, "", ""));
  EXPECT_EQ(current({{{10}, 7}}), std::vector<bool>{false});
}

TEST_F(RowVersionsTest, AWriteDuringAReadIsNotOverwrittenByWhatWasRead) {
  put(9, 5);
  // The write comes between the look at what is known and the row that is read: then the row says
  // 6, and nothing may be remembered that would say otherwise later.
  base_.before_get = [&] {
    base_.before_get = nullptr;
    put(9, 6);
    ASSERT_TRUE(base_.put(std::vector{write(9, 5)}, Durability::kSynced));  // As if read before.
  };
  EXPECT_EQ(current({{{9}, 5}}), std::vector<bool>{true});
  ASSERT_TRUE(base_.put(std::vector{write(9, 6)}, Durability::kSynced));
  EXPECT_EQ(current({{{9}, 6}}), std::vector<bool>{true});
}

TEST_F(RowVersionsTest, MemoryIsBoundedAndAnswersStayRight) {
  for (uint64_t block = 0; block < 200; ++block) put(block * 4096, block);
  for (int round = 0; round < 2; ++round) {
    for (uint64_t block = 0; block < 200; ++block) {
      EXPECT_EQ(current({{{block * 4096}, static_cast<uint32_t>(block)}}), std::vector<bool>{true});
    }
  }
  EXPECT_GT(base_.reads, 300u) << "1 MiB has room for some 60 blocks";
  RowVersions none(base_, 0);
  std::vector<bool> out;
  ASSERT_TRUE(none.current(kVersioned, std::vector<Posting>{{{4096}, 1}}, out));
  EXPECT_EQ(out, std::vector<bool>{true});
}

TEST_F(RowVersionsTest, ReadersAndWritersAtOnceNeverSeeAnAcknowledgedWriteUndone) {
  for (uint64_t idx = 0; idx < 64; ++idx) put(idx, 0);
  std::atomic<uint32_t> acknowledged = 0;
  std::thread writer([&] {
    for (uint32_t u = 1; u <= 300; ++u) {
      std::vector<store::Put> puts;
      for (uint64_t idx = 0; idx < 64; ++idx) puts.push_back(write(idx, u));
      ASSERT_TRUE(versions_.put(puts, Durability::kBuffered));
      acknowledged = u;
    }
  });
  while (acknowledged < 300) {
    const uint32_t before = acknowledged;
    std::vector<Posting> older;
    for (uint64_t idx = 0; before > 0 && idx < 64; ++idx) older.push_back({{idx}, before - 1});
    std::vector<bool> out;
    ASSERT_TRUE(versions_.current(kVersioned, older, out));
    EXPECT_EQ(out, std::vector<bool>(older.size(), false));
  }
  writer.join();
  std::vector<Posting> newest;
  for (uint64_t idx = 0; idx < 64; ++idx) newest.push_back({{idx}, 300});
  EXPECT_EQ(current(newest), std::vector<bool>(64, true));
}

}  // namespace
}  // namespace strongroom::gateway
