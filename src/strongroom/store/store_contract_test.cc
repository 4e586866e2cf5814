// What every engine promises, run against each.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <thread>

#include "strongroom/store/store.h"

namespace strongroom::store {
namespace {

class StoreContractTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { store_ = open(); }
  void TearDown() override {
    store_.reset();
    for (const auto& dir : dirs_) std::filesystem::remove_all(dir);
  }

  std::unique_ptr<Store> open() {
    if (std::string(GetParam()) == "memory") return open_memory_store();
    std::string dir = testing::TempDir() + "sr-store-XXXXXX";
    EXPECT_NE(mkdtemp(dir.data()), nullptr);
    dirs_.push_back(dir);
    auto opened = open_rocks_store(dir + "/db", {});
    EXPECT_TRUE(opened);
    return opened ? std::move(opened).value() : nullptr;
  }
  std::string get(Table table, const std::string& key) {
    std::vector<std::optional<std::string>> values;
    const auto got = store_->get(table, {&key, 1}, values);
    if (!got) return "<error>";
    return values.at(0).value_or("<absent>");
  }
  void put(Table table, const std::string& key, const std::string& value) {
    const Put one{table, key, value};
    EXPECT_TRUE(store_->put({&one, 1}, Durability::kBuffered));
  }
  // "key=value " in order.
  std::string scan(Table table, std::string_view from, std::string_view to, int limit = 1000) {
    std::string out;
    EXPECT_TRUE(store_->scan(table, from, to, [&](std::string_view key, std::string_view value) {
      out.append(key).append("=").append(value).append(" ");
      return --limit > 0;
    }));
    return out;
  }

  std::vector<std::string> dirs_;
  std::unique_ptr<Store> store_;
};

TEST_P(StoreContractTest, ARangeIsErasedWhereverItsRowsAre) {
  auto run = store_->begin_run(Table::kPostings);
  ASSERT_TRUE(run);
  for (const char* key : {"a1", "a2", "b1", "b2", "c1"}) ASSERT_TRUE((*run)->add(key, "run"));
  ASSERT_TRUE(store_->ingest(std::move(*run)));
  put(Table::kPostings, "b0", "put");
  put(Table::kPostings, "b3", "put");
  put(Table::kDirectory, "b1", "other table");
  const auto bytes = store_->measure(Table::kPostings, "a", "d");
  EXPECT_TRUE(bytes);
  ASSERT_TRUE(store_->erase_range(Table::kPostings, "b", "c"));
  EXPECT_EQ(scan(Table::kPostings, "", ""), "a1=run a2=run c1=run ");
  EXPECT_EQ(get(Table::kPostings, "b3"), "<absent>");
  EXPECT_EQ(get(Table::kDirectory, "b1"), "other table");
  ASSERT_TRUE(store_->erase_range(Table::kPostings, "b", "c")) << "nothing left is fine";
  put(Table::kPostings, "b1", "again");
  EXPECT_EQ(get(Table::kPostings, "b1"), "again");
  put(Table::kPostings, "\xff\xff\xff last", "put");
  EXPECT_TRUE(store_->measure(Table::kPostings, "c", ""));
  ASSERT_TRUE(store_->erase_range(Table::kPostings, "c", "")) << "to the end of the table";
  EXPECT_EQ(scan(Table::kPostings, "", ""), "a1=run a2=run b1=again ");
}

TEST_P(StoreContractTest, TablesAreApartAndBatchesSpanThem) {
  const std::vector<Put> puts{{Table::kRecords, "k", "record"},
                              {Table::kPostings, "k", "posting"},
                              {Table::kUnique, "k", std::string("\0unique\0", 8)},
                              {Table::kDirectory, "k", ""},
                              {Table::kMeta, "k", "first"},
                              {Table::kMeta, "k", "second"}};
  ASSERT_TRUE(store_->put(puts, Durability::kSynced));
  EXPECT_EQ(get(Table::kRecords, "k"), "record");
  EXPECT_EQ(get(Table::kPostings, "k"), "posting");
  EXPECT_EQ(get(Table::kUnique, "k"), std::string("\0unique\0", 8));
  EXPECT_EQ(get(Table::kDirectory, "k"), "");
  EXPECT_EQ(get(Table::kMeta, "k"), "second") << "the later of one batch wins";

  const std::vector<KeyRef> keys{{Table::kRecords, "k"}, {Table::kRecords, "never there"}};
  ASSERT_TRUE(store_->erase(keys, Durability::kSynced));
  ASSERT_TRUE(store_->erase(keys, Durability::kBuffered)) << "idempotent";
  EXPECT_EQ(get(Table::kRecords, "k"), "<absent>");
  EXPECT_EQ(get(Table::kPostings, "k"), "posting");
  ASSERT_TRUE(store_->put({}, Durability::kSynced));
  ASSERT_TRUE(store_->flush());
}

TEST_P(StoreContractTest, GetAnswersInRequestOrderWhateverTheOrder) {
  for (int i = 0; i < 300; i += 3)
    put(Table::kPostings, "key" + std::to_string(i), std::to_string(i));
  std::vector<std::string> keys;
  for (int i = 299; i >= 0; --i) keys.push_back("key" + std::to_string(i));
  keys.push_back("key0");  // Asked for twice.
  std::vector<std::optional<std::string>> values(7, "stale");
  ASSERT_TRUE(store_->get(Table::kPostings, keys, values));
  ASSERT_EQ(values.size(), keys.size());
  for (int i = 0; i < 300; ++i) {
    const auto& value = values[static_cast<size_t>(299 - i)];
    EXPECT_EQ(value, i % 3 == 0 ? std::optional(std::to_string(i)) : std::nullopt);
  }
  EXPECT_EQ(values.back(), "0");
  ASSERT_TRUE(store_->get(Table::kPostings, {}, values));
  EXPECT_TRUE(values.empty());
}

TEST_P(StoreContractTest, ScanIsOrderedHalfOpenAndStopsWhenTold) {
  for (const char* key : {"b", "a", "d", "c", "\xff", "ab"}) put(Table::kDirectory, key, key);
  put(Table::kMeta, "b2", "elsewhere");
  EXPECT_EQ(scan(Table::kDirectory, "ab", "d"), "ab=ab b=b c=c ");
  EXPECT_EQ(scan(Table::kDirectory, "ab", "d", 2), "ab=ab b=b ");
  EXPECT_EQ(scan(Table::kDirectory, "c", ""), "c=c d=d \xff=\xff ");
  EXPECT_EQ(scan(Table::kDirectory, "aa", "ab"), "");
  EXPECT_EQ(scan(Table::kDirectory, "d", "a"), "");
  EXPECT_EQ(scan(Table::kRecords, "", ""), "");
}

TEST_P(StoreContractTest, ScanReadsASnapshotWhileItsVisitorWrites) {
  put(Table::kMeta, "a", "1");
  put(Table::kMeta, "b", "1");
  std::string seen;
  ASSERT_TRUE(store_->scan(Table::kMeta, "", "", [&](std::string_view key, std::string_view value) {
    seen.append(key).append(value);
    put(Table::kMeta, "b", "2");
    put(Table::kMeta, "c", "2");
    return true;
  }));
  EXPECT_EQ(seen, "a1b1");
  EXPECT_EQ(get(Table::kMeta, "b"), "2");
}

TEST_P(StoreContractTest, ARunIsInvisibleUntilIngestedAndThenWins) {
  put(Table::kUnique, "k1", "old");
  put(Table::kUnique, "k9", "kept");
  auto run = store_->begin_run(Table::kUnique);
  ASSERT_TRUE(run);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE((*run)->add("k" + std::to_string(i), "run"));
  EXPECT_EQ((*run)->entries(), 5u);
  EXPECT_EQ((*run)->bytes(), 25u);
  EXPECT_EQ(scan(Table::kUnique, "", ""), "k1=old k9=kept ");
  ASSERT_TRUE(store_->ingest(std::move(run).value()));
  EXPECT_EQ(scan(Table::kUnique, "", ""), "k0=run k1=run k2=run k3=run k4=run k9=kept ");
  put(Table::kUnique, "k2", "new");
  EXPECT_EQ(get(Table::kUnique, "k2"), "new");

  auto later = store_->begin_run(Table::kUnique);
  ASSERT_TRUE(later);
  ASSERT_TRUE((*later)->add("k2", "later"));
  ASSERT_TRUE(store_->ingest(std::move(later).value()));
  EXPECT_EQ(get(Table::kUnique, "k2"), "later");
}

TEST_P(StoreContractTest, ARunRefusesKeysThatDoNotAscend) {
  auto run = store_->begin_run(Table::kPostings);
  ASSERT_TRUE(run);
  ASSERT_TRUE((*run)->add("b", "1"));
  EXPECT_EQ((*run)->add("b", "1").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ((*run)->add("a", "1").error().code, ErrorCode::kInvalidArgument);
}

TEST_P(StoreContractTest, ARunDroppedEmptyOrOfAnotherStoreChangesNothing) {
  {
    auto dropped = store_->begin_run(Table::kRecords);
    ASSERT_TRUE(dropped);
    ASSERT_TRUE((*dropped)->add("k", "v"));
  }
  auto empty = store_->begin_run(Table::kRecords);
  ASSERT_TRUE(empty);
  ASSERT_TRUE(store_->ingest(std::move(empty).value()));

  const auto other = open();
  auto foreign = other->begin_run(Table::kRecords);
  ASSERT_TRUE(foreign);
  ASSERT_TRUE((*foreign)->add("k", "v"));
  EXPECT_EQ(store_->ingest(std::move(foreign).value()).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(store_->ingest(nullptr).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(scan(Table::kRecords, "", ""), "");
}

TEST_P(StoreContractTest, CompareAndSetSetsOnlyWhatIsAsExpected) {
  EXPECT_FALSE(*store_->compare_and_set(Table::kUnique, "k", "x", "y"));
  EXPECT_TRUE(*store_->compare_and_set(Table::kUnique, "k", std::nullopt, "1"));
  EXPECT_FALSE(*store_->compare_and_set(Table::kUnique, "k", std::nullopt, "2"));
  EXPECT_FALSE(*store_->compare_and_set(Table::kUnique, "k", "2", "3"));
  EXPECT_TRUE(*store_->compare_and_set(Table::kUnique, "k", "1", "2"));
  EXPECT_EQ(get(Table::kUnique, "k"), "2");
}

TEST_P(StoreContractTest, CompareAndSetFromManyThreadsLosesNoStep) {
  constexpr int kThreads = 4, kSteps = 200;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int done = 0; done < kSteps;) {
        const std::string now = get(Table::kMeta, "n");
        const bool absent = now == "<absent>";
        const std::string next = std::to_string(absent ? 1 : std::stoi(now) + 1);
        const auto expected = absent ? std::nullopt : std::optional(now);
        auto set = store_->compare_and_set(Table::kMeta, "n", expected, next);
        if (set && *set) ++done;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(get(Table::kMeta, "n"), std::to_string(kThreads * kSteps));
}

TEST_P(StoreContractTest, RandomOperationsEqualAModel) {
  std::mt19937 random(7);
  std::map<std::string, std::string> model;
  for (int step = 0; step < 150; ++step) {
    std::map<std::string, std::string> rows;
    for (uint32_t i = random() % 8; i > 0; --i) {
      rows[std::to_string(random() % 200)] = std::to_string(random());
    }
    switch (random() % 4) {
      case 0: {
        auto run = store_->begin_run(Table::kPostings);
        ASSERT_TRUE(run);
        for (const auto& [key, value] : rows) ASSERT_TRUE((*run)->add(key, value));
        if (random() % 8 == 0) continue;  // Dropped.
        ASSERT_TRUE(store_->ingest(std::move(run).value()));
        for (const auto& [key, value] : rows) model[key] = value;
        break;
      }
      case 1: {
        std::vector<KeyRef> keys;
        for (const auto& [key, value] : rows)
          keys.push_back({Table::kPostings, key}), model.erase(key);
        ASSERT_TRUE(store_->erase(keys, Durability::kBuffered));
        break;
      }
      default: {
        std::vector<Put> puts;
        for (const auto& [key, value] : rows) {
          puts.push_back({Table::kPostings, key, value});
          model[key] = value;
        }
        ASSERT_TRUE(store_->put(puts, Durability::kBuffered));
      }
    }
  }
  std::string expected;
  for (const auto& [key, value] : model) expected += key + "=" + value + " ";
  EXPECT_EQ(scan(Table::kPostings, "", ""), expected);
}

INSTANTIATE_TEST_SUITE_P(Engines, StoreContractTest, testing::Values("memory", "rocks"),
                         [](const auto& engine) { return std::string(engine.param); });

}  // namespace
}  // namespace strongroom::store
