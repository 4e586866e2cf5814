// A merge that is cut off at every call it makes to the store or the key server: every search finds
// what it found, and what was left behind goes.
#include <gtest/gtest.h>

#include "strongroom/gateway/import_testing.h"
#include "test/support/merging.h"

namespace strongroom::compactor {
namespace {

using gateway::people_file;
using test::GatewayVault;
using test::Merging;

gateway::GatewayOptions tiny_chunks() {
  gateway::GatewayOptions options;
  options.import.first_chunk_records = 30;
  options.import.chunk_records_max = 30;
  options.import.online_records_max = 5;
  return options;
}

// Three packed lanes, one online lane of a gateway that is gone, one that is open.
void fill(GatewayVault& vault) {
  ASSERT_TRUE(vault.import(people_file("first", 0, 90)));
  ASSERT_TRUE(vault.import(people_file("changes", 0, 20, "number", "Xian")));
  vault.restart();
  ASSERT_TRUE(vault.import(people_file("more changes", 10, 20, "number", "Harbin")));
}

uint64_t live_lanes(GatewayVault& vault) {
  return vault.vault().server().status("operator", {})->lanes_live();
}

void expect_all_found(GatewayVault& vault) {
  for (const auto& [city, count] :
       {std::pair{"Xian", 10u}, {"Harbin", 20u}, {"Wuhan", 60u}, {"Lanzhou", 0u}}) {
    const auto found = vault.find({{"city", city}});
    ASSERT_TRUE(found) << found.error().text;
    EXPECT_EQ(found->records_size(), static_cast<int>(count)) << city;
    EXPECT_EQ(vault.count({{"city", city}})->count(), count) << city;
  }
  for (int i = 0; i < 90; i += 9) {
    const auto found = vault.find({{"number", "N" + std::to_string(i)}});
    ASSERT_TRUE(found);
    ASSERT_EQ(found->records_size(), 1) << i;
    EXPECT_EQ(found->records(0).fields().at("name"), "Wang " + std::to_string(i));
  }
}

TEST(MergeTest, EverySearchFindsWhatItFoundInFewerLanes) {
  GatewayVault vault(tiny_chunks());
  fill(vault);
  ASSERT_EQ(live_lanes(vault), 5u);
  expect_all_found(vault);
  Merging merging(vault);
  const auto merges = merging.merge_all();
  ASSERT_TRUE(merges) << merges.error().text;
  EXPECT_EQ(live_lanes(vault), 2u) << "one merged, one open in the gateway";
  // 90 records of 4 terms, of which 20 were changed before the lane was closed, 10 of these and 10
  // others since.
  EXPECT_EQ(merging.compactor.last().kept, 4u * 70);
  expect_all_found(vault);
  vault.restart();
  expect_all_found(vault);
  ASSERT_TRUE(Merging(vault).merge_all());
  EXPECT_EQ(live_lanes(vault), 1u) << "the gateway's lane is closed by its restart";
  expect_all_found(vault);
}

TEST(MergeTest, OldLanesGoOneDeadlineLater) {
  GatewayVault vault(tiny_chunks());
  fill(vault);
  Merging merging(vault);
  ASSERT_EQ(*merging.merge_all(), 1u);
  EXPECT_EQ(*merging.sweeper.sweep(), 0u);
  vault.clock().advance_ms(test::kDeadlineUs / 1000 - 1);
  EXPECT_EQ(*merging.sweeper.sweep(), 0u);
  EXPECT_EQ(test::stored_lanes(vault.store()).size(), 6u);
  vault.clock().advance_ms(1);
  EXPECT_EQ(*merging.sweeper.sweep(), 4u);
  EXPECT_EQ(test::stored_lanes(vault.store()).size(), 2u);
  expect_all_found(vault);
}

// A search that was given its tokens before the swap reads the old lanes.
TEST(MergeTest, ASearchUnderWayEndsRightOrIsRefused) {
  for (const bool late : {false, true}) {
    GatewayVault vault(tiny_chunks());
    fill(vault);
    Merging merging(vault);
    std::optional<Result<v1::FindResponse>> answer;
    vault.faults().clear();
    // Its tokens are there, and it goes on only when the loop runs.
    vault.start_find(vault.find_request({{"city", "Xian"}}), answer);
    ASSERT_TRUE(merging.merge_all());
    if (late) {
      ASSERT_TRUE(merging.sweep_all());
      vault.clock().advance_ms(1);
    }
    vault.loop().run_until([&] { return answer.has_value(); });
    if (late) {
      ASSERT_FALSE(*answer);
      EXPECT_EQ(answer->error().code, ErrorCode::kDeadlineExceeded);
    } else {
      ASSERT_TRUE(*answer) << answer->error().text;
      EXPECT_EQ((*answer)->records_size(), 10);
    }
  }
}

TEST(MergeTest, ADamagedLaneStaysAsItIsAndOthersAreServed) {
  GatewayVault vault(tiny_chunks());
  fill(vault);
  const uint32_t first = *test::stored_lanes(vault.store()).begin();
  std::string from;
  append_be(from, first, 3);
  store::KeyRef lost{store::Table::kPostings, {}};
  ASSERT_TRUE(vault.store().scan(lost.table, from, {}, [&](std::string_view key, std::string_view) {
    lost.key = key;
    return false;
  }));
  ASSERT_TRUE(vault.store().erase({&lost, 1}, store::Durability::kSynced));
  Merging merging(vault);
  const auto merged = merging.merge_all();
  ASSERT_FALSE(merged);
  EXPECT_EQ(merged.error().code, ErrorCode::kDataLoss);
  EXPECT_EQ(*merging.merge_all(), 0u) << "said once";
  EXPECT_EQ(live_lanes(vault), 5u);
  EXPECT_EQ(vault.vault().server().status("operator", {})->lanes_merging(), 0u);
}

enum class After { kNothing, kRestart, kCrash, kKeyServer };

TEST(MergeCrashTest, ACutAtAnyCallLosesNothing) {
  uint64_t cuts = 0;
  for (const After after : {After::kNothing, After::kRestart, After::kCrash, After::kKeyServer}) {
    for (const bool applied : {false, true}) {
      for (uint64_t nth = 1;; ++nth) {
        SCOPED_TRACE("call " + std::to_string(nth) + (applied ? ", applied" : "") + ", then " +
                     std::to_string(static_cast<int>(after)));
        GatewayVault vault(tiny_chunks());
        fill(vault);
        bool struck = false;
        {
          Merging merging(vault);
          vault.faults().fail_from(nth, applied);
          const auto merged = merging.merge_all();
          if (merged) (void)merging.sweep_all();
          struck = vault.faults().struck();
        }
        vault.faults().clear();
        if (after == After::kRestart) vault.restart();
        if (after == After::kCrash) vault.crash();
        if (after == After::kKeyServer) {
          ASSERT_TRUE(vault.vault().open());
        }
        expect_all_found(vault);
        Merging again(vault);
        const auto merged = again.merge_all();
        ASSERT_TRUE(merged) << merged.error().text;
        ASSERT_TRUE(again.sweep_all());
        const bool closed = after == After::kRestart || after == After::kCrash;
        EXPECT_EQ(live_lanes(vault), closed ? 1u : 2u);
        EXPECT_EQ(test::stored_lanes(vault.store()).size(), closed ? 1u : 2u);
        expect_all_found(vault);
        if (testing::Test::HasFailure() || !struck) break;
        ++cuts;
        ASSERT_LT(nth, 1000u);
      }
      if (testing::Test::HasFailure()) return;
    }
  }
  EXPECT_GT(cuts, 50u);
}

}  // namespace
}  // namespace strongroom::compactor
