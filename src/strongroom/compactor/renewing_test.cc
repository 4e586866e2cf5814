// Terms of a collection renewed beside a compactor that merges its lanes.
#include <gtest/gtest.h>

#include <functional>

#include "strongroom/gateway/import_testing.h"
#include "test/support/merging.h"
#include "test/support/reindexing.h"

namespace strongroom::compactor {
namespace {

using gateway::people_file;
using test::GatewayVault;
using test::Merging;

constexpr int kPeople = 90;

// Calls back in the middle of each merge: the key server has begun it, and it is not in place.
class InterruptedStore : public test::LocalStoreAccess {
 public:
  InterruptedStore(store::Store& store, std::function<void()> meanwhile)
      : LocalStoreAccess(store), meanwhile_(std::move(meanwhile)) {}
  Result<void> ingest(LaneId lane, std::unique_ptr<store::SortedRun> postings,
                      std::unique_ptr<store::SortedRun> directory) override {
    meanwhile_();
    return LocalStoreAccess::ingest(lane, std::move(postings), std::move(directory));
  }

 private:
  std::function<void()> meanwhile_;
};

class RenewingTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const auto& [name, from] : {std::pair{"first", 0}, {"second", 30}, {"third", 60}}) {
      ASSERT_TRUE(vault_.import(people_file(name, static_cast<size_t>(from), 30)));
    }
    test::allow(vault_, {v1::IMPORT, v1::REINDEX});
    vault_.vault().approve(test::ask_to_renew(vault_));
    ASSERT_TRUE(vault_.start());
  }
  void expect_all_found() {
    EXPECT_EQ(vault_.count({{"city", "Wuhan"}})->count(), uint64_t{kPeople});
    for (int i = 0; i < kPeople; i += 9) {
      EXPECT_EQ(vault_.find({{"number", "N" + std::to_string(i)}})->records_size(), 1) << i;
    }
  }
  // Unique values are taken still.
  void expect_imports() {
    const auto again = vault_.import(people_file("again" + keyserver::fresh(4), 0, 3));
    ASSERT_TRUE(again) << again.error().text;
    EXPECT_EQ(again->state.rejected(), 3u);
  }
  uint64_t live_lanes() { return vault_.vault().server().status("operator", {})->lanes_live(); }
  uint64_t merging_lanes() {
    return vault_.vault().server().status("operator", {})->lanes_merging();
  }

  GatewayVault vault_;
};

TEST_F(RenewingTest, ItDoesNotEndInTheMiddleOfAMerge) {
  int merges = 0;
  InterruptedStore store(vault_.faulty_store(), [&] {
    if (merges++ != 0) return;
    ASSERT_GT(merging_lanes(), 0u);
    // All that is left is the end, and that waits.
    for (int i = 0; i < 3; ++i) {
      const auto done = test::step(vault_, 1000);
      ASSERT_TRUE(done) << done.error().text;
      EXPECT_FALSE(done->finished()) << i;
    }
    expect_all_found();
  });
  Merging merging(vault_);
  Compactor compactor(merging.keys, store, merging.pace, vault_.vault().compactor_credential(),
                      {{1, 0}, {}});
  const auto merged = compactor.run_once();
  ASSERT_TRUE(merged) << merged.error().text;
  EXPECT_TRUE(*merged);
  EXPECT_EQ(merges, 1);
  expect_all_found();
  const auto renewed = test::reindex(vault_);
  ASSERT_TRUE(renewed) << renewed.error().text;
  expect_all_found();
  expect_imports();
  ASSERT_TRUE(merging.merge_all());
  ASSERT_TRUE(merging.sweep_all());
  expect_all_found();
  vault_.restart();
  expect_all_found();
}

// Lanes under the fresh key and under the old one are never merged into one.
TEST_F(RenewingTest, MergesBetweenItsStepsChangeNothing) {
  Merging merging(vault_);
  bool finished = false;
  for (int steps = 0; !finished; ++steps) {
    ASSERT_LT(steps, 50);
    const auto done = test::step(vault_, 10);
    ASSERT_TRUE(done) << done.error().text;
    finished = done->finished();
    const auto merged = merging.merge_all();
    ASSERT_TRUE(merged) << merged.error().text;
    ASSERT_TRUE(merging.sweep_all());
    expect_all_found();
  }
  EXPECT_LE(live_lanes(), 2u);
  vault_.restart();
  expect_all_found();
  expect_imports();
}

}  // namespace
}  // namespace strongroom::compactor
