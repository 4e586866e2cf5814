// Erasing all old records of a collection: several sign it, a delay goes by, one can stop it, and
// what is under a hold or too young stays, whatever happens to the server.
#include <gtest/gtest.h>

#include "strongroom/base/durations.h"
#include "strongroom/keyserver/test_vault.h"

namespace strongroom::keyserver {
namespace {

using v1::DestructionView;

constexpr uint64_t kWeekMs = 7 * kDayMs;
constexpr uint32_t kBlock = RecordIndex::kPerBlock;

class DestroyingTest : public testing::Test {
 protected:
  DestroyingTest() {
    for (v1::Role& role : *vault_.founding().policy.mutable_roles()) {
      if (role.name() == "officer") role.add_powers(v1::HOLD_RECORDS);
      if (role.name() != "operator") continue;
      for (v1::Grant& grant : *role.mutable_grants()) grant.mutable_budget()->Clear();
      for (v1::Grant& grant : *role.mutable_grants()) {
        grant.mutable_budget()->set_writes_per_day(1'000'000);
      }
    }
  }
  void SetUp() override {
    ASSERT_TRUE(vault_.create());
    // Two whole blocks of people and one of parcels, and a block begun; a month later, more in it.
    grant(kPerson, kBlock);
    grant(kParcel, kBlock);
    grant(kPerson, kBlock);
    grant(kPerson, 10);
    sleep(30 * kDayMs);
    before_ms_ = vault_.clock().wall_ms();
    grant(kPerson, 10);
    sleep(kHourMs);
  }
  void grant(uint32_t collection, uint32_t count) {
    ASSERT_EQ(vault_.call(grant_call(vault_.import_ticket(collection), count)).grant().count(),
              count);
  }
  void sleep(uint64_t ms) {
    vault_.clock().advance_ms(ms);
    ASSERT_TRUE(vault_.server().tick());
  }
  void tick(int times) {
    for (int i = 0; i < times; ++i) ASSERT_TRUE(vault_.server().tick());
  }
  Result<v1::RequestDestructionResponse> ask(uint64_t before_ms, const char* collection = "person",
                                             const std::string& who = "operator") {
    v1::RequestDestructionRequest request;
    request.set_collection(collection);
    request.set_before_ms(before_ms);
    request.set_reason("kept long enough");
    return vault_.server().request_destruction(who, request);
  }
  // Asked for and signed by as many as it takes.
  void schedule(uint64_t before_ms) {
    const auto asked = ask(before_ms);
    ASSERT_TRUE(asked) << asked.error().text;
    ASSERT_TRUE(vault_.sign("approver1", asked->request()));
    ASSERT_TRUE(vault_.sign("approver2", asked->request()));
    tick(1);
  }
  DestructionView last() {
    const auto listed = vault_.server().list_destructions("officer", {});
    return listed && listed->destructions_size() > 0
               ? listed->destructions(listed->destructions_size() - 1)
               : DestructionView{};
  }
  Result<v1::CancelDestructionResponse> cancel(const std::string& who, uint64_t id) {
    v1::CancelDestructionRequest request;
    request.set_id(id);
    return vault_.server().cancel_destruction(who, request);
  }
  bool opens(uint64_t idx) {
    const auto reply = vault_.call(release_call(vault_.ticket(), {}, {{idx, 1}}, 2, true));
    return reply.has_release() && !reply.release().keys().empty();
  }
  void hold(std::vector<uint64_t> records) {
    v1::PlaceHoldRequest request;
    request.set_reference("C-1");
    request.set_collection("person");
    request.mutable_idx()->Add(records.begin(), records.end());
    ASSERT_TRUE(vault_.server().place_hold("officer", request));
  }
  void retention(uint32_t days) {
    v1::ApplyCollectionRequest request;
    *request.mutable_collection() = test_collection(kPerson, "person");
    request.mutable_collection()->set_retention_days(days);
    const auto asked = vault_.server().apply_collection("operator", request);
    ASSERT_TRUE(asked) << asked.error().text;
    ASSERT_NE(asked->request(), 0u) << "it destroys, so several sign it";
    ASSERT_TRUE(vault_.sign("approver1", asked->request()));
    ASSERT_TRUE(vault_.sign("approver2", asked->request()));
  }
  TestVault vault_;
  uint64_t before_ms_ = 0;
};

TEST_F(DestroyingTest, WholeBlocksThatAreOldGoAfterTheDelayAndNothingElse) {
  ASSERT_EQ(ask(before_ms_)->records(), 2 * kBlock);
  schedule(before_ms_);
  EXPECT_EQ(last().state(), DestructionView::SCHEDULED);
  EXPECT_EQ(last().left(), 2 * kBlock);
  sleep(kWeekMs - 1000);
  tick(5);
  EXPECT_EQ(last().erased(), 0u) << "before it is due";
  EXPECT_TRUE(opens(0));
  sleep(2000);
  EXPECT_EQ(last().state(), DestructionView::RUNNING);
  EXPECT_EQ(last().erased(), kBlock) << "one block at a time";
  EXPECT_FALSE(opens(0));
  EXPECT_FALSE(opens(kBlock - 1));
  tick(3);
  EXPECT_EQ(last().state(), DestructionView::DONE);
  EXPECT_EQ(last().erased(), 2 * kBlock);
  EXPECT_FALSE(opens(2 * kBlock + 17));
  EXPECT_TRUE(opens(3 * kBlock)) << "as old, but in a block with younger ones";
  EXPECT_TRUE(opens(3 * kBlock + 19));
  EXPECT_EQ(vault_.server().status("operator", {})->erased(), 2 * kBlock);
  ASSERT_TRUE(vault_.open());
  EXPECT_EQ(last().state(), DestructionView::DONE);
  EXPECT_FALSE(opens(0));
  EXPECT_TRUE(opens(3 * kBlock));
}

TEST_F(DestroyingTest, ARestartAfterEachBlockGoesOn) {
  schedule(before_ms_);
  ASSERT_TRUE(vault_.open());
  EXPECT_EQ(last().state(), DestructionView::SCHEDULED);
  vault_.clock().advance_ms(kWeekMs + 1);
  ASSERT_TRUE(vault_.open());
  tick(1);
  uint64_t before = 0;
  for (const uint64_t erased : {kBlock, 2 * kBlock, 2 * kBlock}) {
    sleep(kHourMs - 1);
    EXPECT_EQ(last().erased(), before) << "nobody could have cancelled it for an hour yet";
    sleep(1);
    EXPECT_EQ(last().erased(), erased);
    ASSERT_TRUE(vault_.open());
    EXPECT_EQ(last().erased(), erased);
    tick(1);
    before = erased;
  }
  EXPECT_EQ(last().state(), DestructionView::DONE);
}

TEST_F(DestroyingTest, AClockSetAheadGivesAnHourToNotice) {
  schedule(before_ms_);
  vault_.clock().set_wall_ms(vault_.clock().wall_ms() + 10 * kWeekMs);
  tick(5);
  EXPECT_TRUE(opens(0));
  sleep(kHourMs);
  EXPECT_FALSE(opens(0)) << "more the key server cannot know";
}

TEST(DestructionsTest, AfterARestoreTheDelayBeginsAnew) {
  Destructions all;
  Destruction added;
  added.due_ms = 1000;
  added.delay_ms = 600;
  ASSERT_TRUE(all.schedule(1, added));
  ASSERT_FALSE(all.schedule(1, added));
  all.restored(900);
  v1::DestructionItem step;
  step.set_id(1);
  step.set_step(v1::DestructionItem::ERASED);
  EXPECT_FALSE(all.apply(step, "", 1, 1499));
  EXPECT_FALSE(all.apply(step, "", 0, 1500)) << "of nothing";
  EXPECT_TRUE(all.apply(step, "", 1, 1500));
  EXPECT_FALSE(all.apply(step, "", 1, 1500)) << "the same block again";
  step.set_step(v1::DestructionItem::DONE);
  EXPECT_TRUE(all.apply(step, "", 0, 1500));
  EXPECT_FALSE(all.apply(step, "", 0, 1500));
  EXPECT_EQ(all.pending(), 0u);
  all.restored(5000);
  EXPECT_EQ(all.find(1)->due_ms, 1500u) << "what has ended stays as it was";
}

TEST_F(DestroyingTest, OneStopsItAtAnyTime) {
  schedule(before_ms_);
  const uint64_t id = last().id();
  EXPECT_EQ(cancel("clerk", id).error().code, ErrorCode::kPermissionDenied);
  EXPECT_EQ(cancel("officer", id + 1).error().code, ErrorCode::kNotFound);
  sleep(kWeekMs + 1);
  EXPECT_EQ(last().erased(), kBlock);
  ASSERT_TRUE(cancel("approver3", id));
  EXPECT_EQ(last().cancelled_by(), "approver3");
  ASSERT_TRUE(vault_.open());
  tick(3);
  EXPECT_EQ(last().state(), DestructionView::CANCELLED);
  EXPECT_EQ(last().erased(), kBlock);
  EXPECT_TRUE(opens(2 * kBlock));
  EXPECT_EQ(cancel("officer", id).error().code, ErrorCode::kFailedPrecondition);
}

TEST_F(DestroyingTest, WhatIsUnderAHoldStaysAlsoIfItWasPlacedInTheDelay) {
  hold({5});
  EXPECT_EQ(ask(before_ms_)->records(), 2 * kBlock - 1);
  schedule(before_ms_);
  hold({6, 2 * kBlock});
  sleep(kWeekMs + 1);
  tick(3);
  EXPECT_EQ(last().state(), DestructionView::DONE);
  EXPECT_EQ(last().erased(), 2 * kBlock - 3);
  EXPECT_EQ(last().held(), 3u);
  for (const uint64_t idx : {uint64_t{5}, uint64_t{6}, uint64_t{2 * kBlock}}) {
    EXPECT_TRUE(opens(idx)) << idx;
  }
  EXPECT_FALSE(opens(4));
  ASSERT_TRUE(vault_.open());
  EXPECT_TRUE(opens(5));
}

TEST_F(DestroyingTest, OneAloneErasesNothing) {
  EXPECT_EQ(ask(before_ms_, "person", "clerk").error().code, ErrorCode::kPermissionDenied);
  EXPECT_EQ(ask(before_ms_, "person", "officer").error().code, ErrorCode::kPermissionDenied);
  EXPECT_EQ(ask(before_ms_ + 100 * kDayMs).error().code, ErrorCode::kInvalidArgument)
      << "not what nobody knows of yet";
  EXPECT_EQ(ask(before_ms_ - 60 * kDayMs).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(ask(before_ms_, "nobody").error().code, ErrorCode::kNotFound);
  const auto asked = ask(before_ms_);
  ASSERT_TRUE(asked);
  ASSERT_TRUE(vault_.sign("approver1", asked->request()));
  EXPECT_FALSE(vault_.sign("approver1", asked->request())) << "twice";
  EXPECT_FALSE(vault_.sign("operator", asked->request())) << "its own";
  sleep(kWeekMs + 1);
  tick(3);
  EXPECT_EQ(vault_.server().list_destructions("officer", {})->destructions_size(), 0);
  EXPECT_TRUE(opens(0));
}

TEST_F(DestroyingTest, RecordsThatCameIntoABlockMeanwhileKeepIt) {
  const uint64_t later = vault_.clock().wall_ms();
  EXPECT_EQ(ask(later)->records(), 2 * kBlock + 20);
  schedule(later);
  grant(kPerson, 1);
  sleep(kWeekMs + 1);
  tick(4);
  EXPECT_EQ(last().erased(), 2 * kBlock);
  EXPECT_TRUE(opens(3 * kBlock));
}

TEST_F(DestroyingTest, RetentionSchedulesByItselfAndCanBePutOff) {
  retention(29);
  sleep(kHourMs);
  EXPECT_EQ(last().state(), DestructionView::SCHEDULED);
  EXPECT_EQ(last().request(), 0u);
  EXPECT_EQ(last().left(), 2 * kBlock);
  sleep(kHourMs);
  EXPECT_EQ(vault_.server().list_destructions("officer", {})->destructions_size(), 1) << "once";
  ASSERT_TRUE(cancel("officer", last().id()));
  sleep(kHourMs);
  EXPECT_EQ(last().state(), DestructionView::CANCELLED) << "put off for as long as the delay";
  sleep(kWeekMs);
  EXPECT_EQ(last().state(), DestructionView::SCHEDULED);
  ASSERT_TRUE(vault_.open());
  tick(1);
  EXPECT_EQ(last().state(), DestructionView::SCHEDULED);
  EXPECT_TRUE(opens(0));
  sleep(kWeekMs + 1);
  tick(3);
  EXPECT_EQ(last().state(), DestructionView::DONE);
  EXPECT_FALSE(opens(0));
  EXPECT_TRUE(opens(3 * kBlock)) << "not a month old";
  EXPECT_TRUE(vault_.call(grant_call(vault_.import_ticket(kParcel), 1)).has_grant());
  // Parcels are kept.
  EXPECT_EQ(vault_.server().status("operator", {})->erased(), 2 * kBlock);
}

TEST_F(DestroyingTest, AShorterDelayWidens) {
  v1::ApplyPolicyRequest request;
  *request.mutable_policy() = vault_.server().show_policy("officer", {})->policy();
  request.mutable_policy()->mutable_approvals()->set_destruction_delay_s(1);
  const auto asked = vault_.server().apply_policy("officer", request);
  ASSERT_TRUE(asked) << asked.error().text;
  EXPECT_NE(asked->request(), 0u);
  request.mutable_policy()->mutable_approvals()->set_destruction_delay_s(100 * 24 * 3600);
  EXPECT_EQ(vault_.server().apply_policy("officer", request).error().code,
            ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace strongroom::keyserver
