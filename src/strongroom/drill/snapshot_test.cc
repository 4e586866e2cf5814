// What the thief makes of a copy: what is there is seen, and what would leak is found.
#include "strongroom/drill/snapshot.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "strongroom/store/store.h"

namespace strongroom::drill {
namespace {

namespace fs = std::filesystem;
using store::Durability;
using store::Put;
using store::Table;

std::string be(uint64_t value, size_t size) {
  std::string out;
  while (size-- > 0) out.push_back(static_cast<char>(value >> (8 * size)));
  return out;
}
std::string record_key(uint64_t idx) {
  return be(1, 4) + be(idx, 5);
}
std::string record_row(uint64_t u, std::vector<uint32_t> sizes) {
  std::string row = be(1, 1) + be(sizes.size(), 1) + be(u, 6);
  for (size_t g = 0; g < sizes.size(); ++g) row += be(g + 1, 1) + be(sizes[g], 3);
  for (const uint32_t size : sizes) row += std::string(size, 'x');
  return row;
}

class SnapshotTest : public testing::Test {
 protected:
  SnapshotTest() : path_(testing::TempDir() + "sr-thief-XXXXXX") {
    EXPECT_NE(mkdtemp(path_.data()), nullptr);
    auto opened = store::open_rocks_store(path_ + "/store", {});
    EXPECT_TRUE(opened);
    if (opened) store_ = std::move(opened).value();
  }
  ~SnapshotTest() override {
    store_.reset();
    fs::remove_all(path_);
  }
  Snapshot steal() {
    fs::copy(path_ + "/store", path_ + "/copy", fs::copy_options::recursive);
    auto snapshot = read_snapshot(path_ + "/copy");
    EXPECT_TRUE(snapshot);
    return snapshot ? std::move(snapshot).value() : Snapshot{};
  }
  // One online write of several records, as a gateway makes it.
  void write(const std::vector<std::pair<uint64_t, uint32_t>>& records, bool updates = false) {
    std::vector<Put> first, directory, rows;
    for (const auto& [idx, terms] : records) {
      for (uint32_t t = 0; t < terms; ++t) post(first);
      directory.push_back(
          {Table::kDirectory, be(9, 3) + be(directory_++, 5), std::string(41 + 16 * terms, 'd')});
      if (updates) {
        for (uint32_t t = 0; t < 8; ++t) post(first);
        directory.push_back(
            {Table::kDirectory, be(9, 3) + be(directory_++, 5), std::string(41 + 16 * 8, 'd')});
      }
      rows.push_back({Table::kRecords, record_key(idx), record_row(++u_, {92, 140})});
    }
    first.insert(first.end(), directory.begin(), directory.end());
    ASSERT_TRUE(store_->put(first, Durability::kBuffered));
    ASSERT_TRUE(store_->put(rows, Durability::kSynced));
  }
  void post(std::vector<Put>& to) {
    to.push_back({Table::kPostings, be(9, 3) + be(posting_ * 7919, 13), be(posting_, 16)});
    ++posting_;
  }

  std::string path_;
  std::unique_ptr<store::Store> store_;
  uint64_t posting_ = 0, directory_ = 0, u_ = 100;
};

TEST_F(SnapshotTest, OnlineWritesAreCutAndLinkedToTheirRecords) {
  write({{5, 8}, {6, 16}, {7, 8}});
  write({{8, 24}});
  const Snapshot seen = steal();
  ASSERT_EQ(seen.records.size(), 4u);
  EXPECT_EQ(seen.records[0].postings, 8u);
  EXPECT_EQ(seen.records[1].postings, 16u);
  EXPECT_EQ(seen.records[2].postings, 8u);
  EXPECT_EQ(seen.records[3].postings, 24u);
  EXPECT_EQ(seen.postings_per_write.at(8), 2u);
  EXPECT_EQ(seen.lanes.at(9).singles, 56u);
  EXPECT_EQ(seen.lanes.at(9).directory, 4u);
  EXPECT_FALSE(seen.lanes.at(9).ingested);
  EXPECT_EQ(seen.records[1].sizes, (std::vector<uint32_t>{92, 140}));
}

TEST_F(SnapshotTest, UpdatesAreSeenAsSuch) {
  write({{5, 8}, {6, 8}});
  write({{5, 16}, {6, 8}}, true);
  const Snapshot seen = steal();
  ASSERT_EQ(seen.records.size(), 2u);
  EXPECT_EQ(seen.records[0].versions, 2u);
  EXPECT_EQ(seen.records[0].postings, 16u);
  EXPECT_EQ(seen.records[1].postings, 8u);
  EXPECT_EQ(seen.old_versions, 2u);
}

TEST_F(SnapshotTest, ARepeatedLabelOrValueWouldBeFound) {
  const std::string same(16, 's');
  ASSERT_TRUE(store_->put(std::vector<Put>{{Table::kPostings, be(1, 3) + be(1, 13), same},
                                           {Table::kPostings, be(2, 3) + be(1, 13), be(4, 16)},
                                           {Table::kPostings, be(3, 3) + be(2, 13), same}},
                          Durability::kSynced));
  EXPECT_EQ(steal().postings_repeated, 2u);
}

TEST_F(SnapshotTest, EveryRecordHasALabelInEveryLabelling) {
  write({{5, 8}, {6, 16}});
  auto run = store_->begin_run(Table::kPostings);
  ASSERT_TRUE(run);
  for (uint64_t i = 0; i < 100; ++i) ASSERT_TRUE((*run)->add(be(3, 3) + be(i, 13), be(i + 1, 16)));
  ASSERT_TRUE(store_->ingest(std::move(run).value()));
  const Snapshot seen = steal();
  EXPECT_TRUE(seen.lanes.at(3).ingested);
  EXPECT_EQ(seen.bulk_postings.size(), 100u);
  EXPECT_EQ(label_comparable(seen).size(), 2u);
  for (const auto& labelling : label_records(seen)) EXPECT_EQ(labelling.labels.size(), 2u);
}

TEST_F(SnapshotTest, HalfACopyIsRefused) {
  write({{5, 8}});
  EXPECT_FALSE(read_snapshot(path_ + "/nothing"));
}

}  // namespace
}  // namespace strongroom::drill
