// Alarms at the key server: set off, logged, acted upon, kept over restarts; canaries.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strongroom/env/faulty_files.h"
#include "strongroom/keyserver/test_vault.h"

namespace strongroom::keyserver {
namespace {

using v1::AlarmItem;
using v1::WatchRule;

class WatchingTest : public testing::Test {
 protected:
  void SetUp() override {
    auto& clerk = *vault_.founding().policy.mutable_roles(0);
    for (auto& grant : *clerk.mutable_grants()) {
      grant.mutable_budget()->set_records_per_hour(5000);
      grant.mutable_budget()->set_records_per_day(5000);
      grant.set_records_per_query(1000);
    }
    vault_.founding().policy.mutable_roles(2)->add_powers(v1::PLANT_CANARIES);
    ASSERT_EQ(vault_.founding().policy.roles(2).name(), "officer");
  }
  void create() {
    ASSERT_TRUE(vault_.create());
    granted_ = vault_.call(grant_call(vault_.import_ticket(), 4096)).grant();
    ASSERT_EQ(granted_.count(), 4096u);
  }
  v1::Watch& watch() { return *vault_.founding().policy.mutable_watch(); }
  v1::Call get(uint64_t offset, uint32_t groups = 2) {
    return release_call(vault_.ticket(), {}, {{granted_.first() + offset, granted_.u()}}, groups,
                        true);
  }
  std::vector<v1::Alarm> alarms(uint64_t after = 0) {
    v1::ListAlarmsRequest request;
    request.set_after(after);
    request.set_count(1000);
    const auto response = vault_.server().list_alarms("officer", request);
    EXPECT_TRUE(response);
    return {response->alarms().begin(), response->alarms().end()};
  }
  size_t count(AlarmItem::Rule rule) {
    size_t n = 0;
    for (const auto& alarm : alarms()) n += alarm.alarm().rule() == rule ? 1 : 0;
    return n;
  }
  Result<v1::PlantCanariesResponse> plant(std::vector<uint64_t> offsets) {
    v1::PlantCanariesRequest request;
    request.set_collection(kPerson);
    for (const uint64_t offset : offsets) request.add_records(granted_.first() + offset);
    return vault_.server().plant_canaries("officer", request);
  }

  TestVault vault_;
  v1::GrantReply granted_;
};

TEST_F(WatchingTest, ATooFastClerkIsAnAlarmThatSurvivesARestartOnce) {
  create();
  for (uint64_t i = 0; i <= 120; ++i) ASSERT_TRUE(vault_.call(get(i * 7)).has_release()) << i;
  ASSERT_EQ(count(AlarmItem::RATE), 1u);
  const auto before = alarms();
  for (int restart = 0; restart < 2; ++restart) {
    ASSERT_TRUE(vault_.open());
    const auto after = alarms();
    ASSERT_EQ(after.size(), before.size());
    for (size_t i = 0; i < after.size(); ++i) {
      EXPECT_EQ(after[i].SerializeAsString(), before[i].SerializeAsString());
    }
  }
  // The count goes on where it was: the next alarm is at twice as many.
  for (uint64_t i = 121; i <= 240; ++i) vault_.call(get(i * 7));
  EXPECT_EQ(count(AlarmItem::RATE), 1u);
  vault_.call(get(241 * 7));
  EXPECT_EQ(count(AlarmItem::RATE), 2u);
}

TEST_F(WatchingTest, RefusedCallsAreLoggedAddedUpAndAlarm) {
  create();
  for (int i = 0; i < 61; ++i) {
    EXPECT_TRUE(vault_.call(get(0, 1u << 2)).has_error()) << "a group the role may not see";
  }
  vault_.clock().advance_ms(10'000);
  ASSERT_TRUE(vault_.server().tick());
  ASSERT_EQ(count(AlarmItem::REFUSALS), 1u);
  EXPECT_EQ(alarms().front().alarm().principal(), "clerk");
  EXPECT_EQ(alarms().front().alarm().observed(), 61u);
  ASSERT_TRUE(vault_.open());
  EXPECT_EQ(count(AlarmItem::REFUSALS), 1u);
}

TEST_F(WatchingTest, TryingHiddenFieldsIsARefusalToo) {
  create();
  for (int i = 0; i < 61; ++i) {
    v1::Call call = tokens_call(vault_.ticket(), {}, {std::string(16, 't')});
    call.mutable_tokens()->mutable_terms(0)->set_field(3);
    call.mutable_tokens()->mutable_terms(0)->set_kind(v1::EXACT);
    const auto reply = vault_.call(call);
    ASSERT_EQ(reply.error().code(), static_cast<uint32_t>(ErrorCode::kSearchDenied));
  }
  vault_.clock().advance_ms(10'000);
  ASSERT_TRUE(vault_.server().tick());
  EXPECT_EQ(count(AlarmItem::REFUSALS), 1u);
}

TEST_F(WatchingTest, ForgedTicketsAreTheGatewaysAlarm) {
  create();
  auto forged = vault_.ticket();
  (*forged.mutable_signature())[5] ^= 1;
  for (int i = 0; i < 401; ++i) {
    EXPECT_TRUE(vault_.call(tokens_call(forged, {}, {std::string(16, 't')})).has_error());
  }
  vault_.clock().advance_ms(10'000);
  ASSERT_TRUE(vault_.server().tick());
  ASSERT_EQ(count(AlarmItem::GATEWAY_REFUSALS), 1u);
  EXPECT_EQ(alarms().front().alarm().principal(), "") << "nobody is named on a forger's word";
}

TEST_F(WatchingTest, ACanaryFreezesAndNothingOfThatCallLeaves) {
  create();
  const auto planted = plant({1000, 2000, 3000});
  ASSERT_TRUE(planted) << planted.error().text;
  EXPECT_EQ(planted->canaries(), 3u);
  EXPECT_EQ(planted->records(), 4096u);
  EXPECT_TRUE(vault_.call(get(999)).has_release());
  EXPECT_TRUE(alarms().empty());
  const auto hit = vault_.call(get(2000));
  ASSERT_EQ(count(AlarmItem::CANARY), 1u);
  EXPECT_EQ(alarms().front().alarm().principal(), "clerk");
  EXPECT_EQ(alarms().front().alarm().action(), WatchRule::FREEZE);
  ASSERT_TRUE(hit.has_error());
  EXPECT_TRUE(vault_.call(get(999)).has_error()) << "frozen";
  ASSERT_TRUE(vault_.open());
  EXPECT_TRUE(vault_.call(get(998)).has_error()) << "still frozen";
  EXPECT_EQ(count(AlarmItem::CANARY), 1u);
}

TEST_F(WatchingTest, ACanaryAmongOthersInOneCallKeepsAllBack) {
  create();
  ASSERT_TRUE(plant({7}));
  std::vector<std::pair<uint64_t, uint64_t>> items;
  for (uint64_t i = 0; i < 20; ++i) items.emplace_back(granted_.first() + i, granted_.u());
  v1::CallBatch batch;
  *batch.add_calls() = get(500);
  *batch.add_calls() = release_call(vault_.ticket(), {}, items, 2, true);
  *batch.add_calls() = get(501);
  const auto replies = vault_.server().handle(std::move(batch));
  EXPECT_FALSE(replies.replies(1).has_release());
  EXPECT_FALSE(replies.replies(2).has_release());
  EXPECT_FALSE(replies.replies(0).has_release()) << "decided before, but not gone yet";
}

TEST_F(WatchingTest, WhatIsOnlyToNotifyLetsTheRecordLeave) {
  watch().mutable_canary()->set_action(WatchRule::NOTIFY);
  create();
  ASSERT_TRUE(plant({5}));
  EXPECT_TRUE(vault_.call(get(5)).has_release());
  EXPECT_TRUE(vault_.call(get(5)).has_release());
  EXPECT_EQ(count(AlarmItem::CANARY), 2u) << "each hit is one";
}

TEST_F(WatchingTest, SteppedDownToTheMaskedView) {
  watch().mutable_rate()->set_action(WatchRule::MASK);
  create();
  for (uint64_t i = 0; i < 120; ++i) ASSERT_TRUE(vault_.call(get(i * 7)).has_release());
  EXPECT_TRUE(vault_.call(get(2000)).has_error());
  EXPECT_TRUE(vault_.call(get(2001)).has_error());
  EXPECT_TRUE(vault_.call(get(2001, 1)).has_release()) << "the masked view";
}

TEST_F(WatchingTest, CanariesAreInTheKeyStateAndNotInTheLog) {
  create();
  ASSERT_TRUE(plant({1000, 2000}));
  ASSERT_TRUE(plant({3000}));
  v1::LogEntriesRequest request;
  request.set_count(1000);
  const auto entries = vault_.server().log_entries("officer", request);
  ASSERT_TRUE(entries);
  size_t plantings = 0;
  for (const auto& entry : entries->entries()) {
    if (entry.type() != "watch") continue;
    v1::LogItem item;
    ASSERT_TRUE(item.ParseFromString(entry.items(0)));
    ASSERT_TRUE(item.has_canaries());
    EXPECT_EQ(item.canaries().digest().size(), 32u);
    EXPECT_EQ(item.author(), "officer");
    ++plantings;
  }
  EXPECT_EQ(plantings, 2u);
  ASSERT_TRUE(vault_.open());
  vault_.call(get(3000));
  EXPECT_EQ(count(AlarmItem::CANARY), 1u) << "known after a restart";
}

// Power goes at every point of a planting: the vault always opens again, and what was acknowledged
// is known.
TEST(CanaryCrashTest, APlantingIsWholeOrLostAndSaidToBe) {
  for (uint64_t point = 1; point < 100; ++point) {
    env::FaultyFiles files(env::real_files());
    TestVault vault(files);
    vault.founding().policy.mutable_roles(2)->add_powers(v1::PLANT_CANARIES);
    ASSERT_TRUE(vault.create());
    const auto granted = vault.call(grant_call(vault.import_ticket(), 16)).grant();
    v1::PlantCanariesRequest request;
    request.set_collection(kPerson);
    request.add_records(granted.first() + 3);
    files.stop_at(point);
    const bool planted = vault.server().plant_canaries("officer", request).has_value();
    const bool reached = files.operations() >= point;
    vault.close();
    ASSERT_TRUE(files.crash());
    for (int start = 0; start < 2; ++start) {
      ASSERT_TRUE(vault.open()) << "point " << point << ", start " << start;
    }
    const auto tested = vault.server().test_canaries("officer", {});
    ASSERT_TRUE(tested);
    if (planted) {
      EXPECT_EQ(tested->collections(0).alive(), 1u) << point;
    }
    if (tested->collections(0).alive() == 0) {
      EXPECT_TRUE(vault.server().plant_canaries("officer", request)) << "it may be done again";
    }
    if (!reached) {
      EXPECT_TRUE(planted);
      EXPECT_GT(point, 2u) << "the log and both copies of the state";
      return;
    }
  }
  FAIL() << "a planting takes fewer steps";
}

TEST_F(WatchingTest, OnlyOwnRecordsThatExistCanBecomeCanariesAndAllOrNone) {
  create();
  EXPECT_EQ(plant({}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(plant({1, 5000}).error().number, 1) << "never granted";
  EXPECT_FALSE(plant({1, 1}));
  ASSERT_TRUE(plant({1}));
  EXPECT_EQ(plant({2, 1}).error().number, 1) << "one already";
  v1::PlantCanariesRequest request;
  request.set_collection(kParcel);
  request.add_records(granted_.first());
  EXPECT_FALSE(vault_.server().plant_canaries("officer", request)) << "another collection's";
  EXPECT_EQ(vault_.server().plant_canaries("clerk", request).error().code,
            ErrorCode::kPermissionDenied);
  EXPECT_TRUE(vault_.call(get(2)).has_release());
  EXPECT_TRUE(alarms().empty());
}

TEST_F(WatchingTest, ATestGoesTheWholePathAndCutsNobodyOff) {
  create();
  const auto none = vault_.server().test_canaries("officer", {});
  ASSERT_TRUE(none);
  EXPECT_EQ(none->collections(0).leaf(), 0u) << "no canary, no false comfort";
  ASSERT_TRUE(plant({1, 2, 3}));
  const auto tested = vault_.server().test_canaries("officer", {});
  ASSERT_TRUE(tested) << tested.error().text;
  EXPECT_EQ(tested->collections(0).canaries(), 3u);
  EXPECT_EQ(tested->collections(0).alive(), 3u);
  EXPECT_EQ(tested->collections(0).records(), 4096u);
  ASSERT_EQ(alarms().size(), 1u);
  EXPECT_TRUE(alarms().front().alarm().test());
  EXPECT_EQ(alarms().front().leaf(), tested->collections(0).leaf());
  EXPECT_TRUE(vault_.call(get(9)).has_release());
  EXPECT_TRUE(vault_.server().test_canaries("officer", {})) << "the officer is not frozen";
  ASSERT_TRUE(vault_.open());
  EXPECT_TRUE(vault_.call(get(9)).has_release());
}

TEST_F(WatchingTest, ATestSaysSoWhenCanariesAreOff) {
  watch().mutable_canary()->set_action(WatchRule::OFF);
  create();
  ASSERT_TRUE(plant({1}));
  EXPECT_EQ(vault_.server().test_canaries("officer", {}).error().code,
            ErrorCode::kFailedPrecondition);
}

TEST_F(WatchingTest, AlarmsAreReadInOrderAndNoneTwice) {
  watch().mutable_canary()->set_action(WatchRule::NOTIFY);
  create();
  ASSERT_TRUE(plant({5}));
  for (int i = 0; i < 10; ++i) vault_.call(get(5));
  uint64_t after = 0;
  size_t seen = 0;
  for (;;) {
    v1::ListAlarmsRequest request;
    request.set_after(after);
    request.set_count(3);
    const auto response = vault_.server().list_alarms("officer", request);
    ASSERT_TRUE(response);
    if (response->alarms().empty()) break;
    for (const auto& alarm : response->alarms()) {
      EXPECT_GT(alarm.leaf(), after);
      after = alarm.leaf();
      ++seen;
    }
  }
  EXPECT_EQ(seen, 10u);
  EXPECT_FALSE(vault_.server().list_alarms("clerk", {}));
}

TEST_F(WatchingTest, TheSenderIsKnownByItsCredentialAlone) {
  create();
  v1::Call call;
  call.mutable_alarms()->set_credential("guess");
  EXPECT_TRUE(vault_.call(call).has_error());
  call.mutable_alarms()->set_credential(vault_.compactor_credential());
  EXPECT_TRUE(vault_.call(call).has_error());
  call.mutable_alarms()->set_credential(vault_.sender_credential());
  EXPECT_TRUE(vault_.call(call).has_alarms());
  auto merge = begin_merge_call(vault_.sender_credential(), {1});
  EXPECT_TRUE(vault_.call(merge).has_error()) << "and it may not merge";
}

}  // namespace
}  // namespace strongroom::keyserver
