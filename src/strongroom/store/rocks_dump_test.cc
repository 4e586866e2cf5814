// What a copy of a store's folder gives away without a key, and that looking changes nothing.
#include "strongroom/store/rocks_dump.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace strongroom::store {
namespace {

namespace fs = std::filesystem;

struct Seen {
  std::string key, value;
  uint64_t sequence;
  bool erased;
};

class RocksDumpTest : public testing::Test {
 protected:
  RocksDumpTest() : root_(testing::TempDir() + "sr-dump-XXXXXX") {
    EXPECT_NE(mkdtemp(root_.data()), nullptr);
    auto store = open_rocks_store(path(), {});
    EXPECT_TRUE(store);
    if (store) store_ = std::move(store).value();
  }
  ~RocksDumpTest() override {
    store_.reset();
    fs::remove_all(root_);
  }
  std::string path() const { return root_ + "/store"; }
  // The folder as it lies there while the store is open, write-ahead log and all.
  std::string copy() const {
    const std::string to = root_ + "/copy";
    fs::remove_all(to);
    fs::copy(path(), to, fs::copy_options::recursive);
    return to;
  }
  static std::vector<Seen> dump(const std::string& folder, Table table) {
    std::vector<Seen> out;
    const auto dumped = dump_rocks_store(folder, [&](const StoredVersion& version) {
      if (version.table != table) return;
      out.push_back(
          {std::string(version.key), std::string(version.value), version.sequence, version.erased});
    });
    EXPECT_TRUE(dumped);
    return out;
  }
  void put(std::vector<Put> puts) { ASSERT_TRUE(store_->put(puts, Durability::kSynced)); }

  std::string root_;
  std::unique_ptr<Store> store_;
};

TEST_F(RocksDumpTest, TheLogOfALiveStoreTellsTheOrderOfWrites) {
  put({{Table::kPostings, "zz", "1"}, {Table::kPostings, "aa", "2"}});
  put({{Table::kRecords, "r", "3"}});
  const std::string folder = copy();
  const auto postings = dump(folder, Table::kPostings);
  const auto records = dump(folder, Table::kRecords);
  ASSERT_EQ(postings.size(), 2u);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(postings[0].key, "aa");
  EXPECT_EQ(postings[1].key, "zz");
  EXPECT_LT(postings[1].sequence, postings[0].sequence);
  EXPECT_LT(postings[0].sequence, records[0].sequence);
}

TEST_F(RocksDumpTest, OldVersionsAndErasuresAreThereUntilCompaction) {
  put({{Table::kRecords, "r", "old"}});
  put({{Table::kRecords, "r", "new"}});
  const KeyRef gone{Table::kRecords, "r"};
  ASSERT_TRUE(store_->erase({&gone, 1}, Durability::kSynced));
  const auto records = dump(copy(), Table::kRecords);
  ASSERT_EQ(records.size(), 3u);
  EXPECT_TRUE(records[0].erased);
  EXPECT_EQ(records[1].value, "new");
  EXPECT_EQ(records[2].value, "old");
}

TEST_F(RocksDumpTest, AnIngestedRunIsOneWrite) {
  auto run = store_->begin_run(Table::kRecords);
  ASSERT_TRUE(run);
  for (char c = 'a'; c <= 'e'; ++c) ASSERT_TRUE((*run)->add(std::string(1, c), "x"));
  ASSERT_TRUE(store_->ingest(std::move(run).value()));
  const auto records = dump(copy(), Table::kRecords);
  ASSERT_EQ(records.size(), 5u);
  for (const auto& seen : records) EXPECT_EQ(seen.sequence, records[0].sequence);
}

TEST_F(RocksDumpTest, EachVersionComesOnceAcrossPages) {
  std::vector<Put> puts;
  for (int i = 0; i < 70'000; ++i) {
    puts.push_back({Table::kPostings, "key" + std::to_string(1'000'000 + i), "v"});
  }
  put(puts);
  for (int i = 0; i < 40; ++i) put({puts[65'530]});  // Its versions lie across the page's end.
  std::map<std::string, int> times;
  for (const auto& seen : dump(copy(), Table::kPostings)) ++times[seen.key];
  ASSERT_EQ(times.size(), puts.size());
  for (const auto& [key, n] : times) EXPECT_EQ(n, key == puts[65'530].key ? 41 : 1);
}

TEST_F(RocksDumpTest, LookingChangesNothing) {
  put({{Table::kRecords, "r", "3"}});
  const std::string folder = copy();
  const auto listing = [&] {
    std::map<std::string, uintmax_t> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.is_regular_file()) files[entry.path()] = entry.file_size();
    }
    return files;
  };
  const auto before = listing();
  EXPECT_EQ(dump(folder, Table::kRecords).size(), 1u);
  EXPECT_EQ(listing(), before);
  EXPECT_FALSE(dump_rocks_store(root_ + "/nothing", [](const StoredVersion&) {}));
}

}  // namespace
}  // namespace strongroom::store
