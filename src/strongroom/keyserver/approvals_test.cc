// What several must sign, at the key server: who may, what counts, how it ends, over restarts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strongroom/keyserver/test_vault.h"

namespace strongroom::keyserver {
namespace {

class ApprovalsTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(vault_.create()); }
  KeyServer& server() { return vault_.server(); }

  // Asks that the clerk's hourly records be raised.
  uint64_t ask(uint64_t records_per_hour = 200) {
    v1::ApplyPolicyRequest request;
    *request.mutable_policy() = server().show_policy("clerk", {})->policy();
    for (auto& grant : *request.mutable_policy()->mutable_roles(0)->mutable_grants()) {
      grant.mutable_budget()->set_records_per_hour(records_per_hour);
    }
    request.set_reason("year's end");
    const auto asked = server().apply_policy("officer", request);
    SR_CHECK(asked.has_value(), "a sound policy");
    EXPECT_TRUE(asked->widens());
    return asked->request();
  }
  uint64_t hourly() {
    return server()
        .show_policy("clerk", {})
        ->policy()
        .roles(0)
        .grants(0)
        .budget()
        .records_per_hour();
  }
  ErrorCode refusal(const std::string& who, uint64_t id, bool deny = false) {
    const auto signed_by = vault_.sign(who, id, deny);
    EXPECT_FALSE(signed_by);
    return signed_by ? ErrorCode::kInternal : signed_by.error().code;
  }
  v1::RequestView view(uint64_t id) {
    v1::ListRequestsRequest request;
    request.set_id(id);
    return server().list_requests("officer", request)->requests(0);
  }
  TestVault vault_;
};

TEST_F(ApprovalsTest, OnlyTheSecondOfTwoDoesItAndRestartsInBetweenChangeNothing) {
  const uint64_t id = ask();
  EXPECT_EQ(hourly(), 100u);
  ASSERT_TRUE(vault_.open());
  EXPECT_EQ(vault_.sign("approver1", id)->state(), v1::RequestView::OPEN);
  EXPECT_EQ(hourly(), 100u);
  EXPECT_EQ(refusal("approver1", id), ErrorCode::kAlreadyExists) << "one counts once";
  ASSERT_TRUE(vault_.open());
  EXPECT_THAT(view(id).approved(), testing::ElementsAre("approver1"));
  EXPECT_EQ(vault_.sign("approver3", id)->state(), v1::RequestView::DONE);
  EXPECT_EQ(hourly(), 200u);
  ASSERT_TRUE(vault_.open());
  EXPECT_EQ(hourly(), 200u);
  EXPECT_EQ(view(id).state(), v1::RequestView::DONE);
  EXPECT_EQ(refusal("approver2", id), ErrorCode::kFailedPrecondition);
}

TEST_F(ApprovalsTest, OnlyApproversDecideAndNobodyOnTheirOwn) {
  const uint64_t id = ask();
  for (const char* who : {"officer", "operator"}) {
    EXPECT_EQ(refusal(who, id), ErrorCode::kPermissionDenied) << who;
  }
  EXPECT_FALSE(vault_.sign("clerk", id)) << "who has no power does not even see it";
  v1::FreezeRequest freeze;
  freeze.set_scope("all");
  ASSERT_TRUE(server().freeze("officer", freeze));
  v1::ThawRequest thaw;
  thaw.set_scope("all");
  const auto own = server().thaw("approver1", thaw);
  ASSERT_TRUE(own);
  EXPECT_EQ(refusal("approver1", own->request()), ErrorCode::kPermissionDenied);
  EXPECT_TRUE(vault_.sign("approver2", own->request()));
  EXPECT_EQ(vault_.sign("approver3", own->request())->state(), v1::RequestView::DONE);
  EXPECT_EQ(server().status("operator", {})->frozen_size(), 0);
}

TEST_F(ApprovalsTest, ASignatureIsGoodForThatVeryRequestAndDecisionAlone) {
  const uint64_t first = ask(200);
  const uint64_t second = ask(300);
  ASSERT_NE(first, second);
  const std::string bytes = view(first).request();
  const auto attempt = [&](uint64_t id, bool deny, const std::string& message) {
    v1::SignRequestRequest request;
    request.set_id(id);
    request.set_deny(deny);
    request.set_signature(std::string(as_text(vault_.key("approver1").sign(as_bytes(message)))));
    const auto done = server().sign_request("approver1", request);
    return done ? ErrorCode::kInternal : done.error().code;
  };
  const std::string approve = policy::approval_message(policy::Decision::kApprove, bytes);
  EXPECT_EQ(attempt(second, false, approve), ErrorCode::kUnauthenticated);
  EXPECT_EQ(attempt(first, true, approve), ErrorCode::kUnauthenticated);
  EXPECT_EQ(attempt(first, false, approve + "x"), ErrorCode::kUnauthenticated);
  EXPECT_EQ(attempt(first, false, bytes), ErrorCode::kUnauthenticated);
  v1::SignRequestRequest others;
  others.set_id(first);
  others.set_signature(std::string(as_text(vault_.key("approver2").sign(as_bytes(approve)))));
  EXPECT_FALSE(server().sign_request("approver1", others));
  EXPECT_EQ(view(first).approved_size(), 0);
}

TEST_F(ApprovalsTest, DeniedWithdrawnAndExpiredAreClosedForGood) {
  const uint64_t denied = ask(200);
  ASSERT_TRUE(vault_.sign("approver1", denied));
  EXPECT_EQ(vault_.sign("approver2", denied, true)->state(), v1::RequestView::DENIED);
  const uint64_t withdrawn = ask(300);
  v1::WithdrawRequestRequest withdraw;
  withdraw.set_id(withdrawn);
  EXPECT_FALSE(server().withdraw_request("operator", withdraw)) << "another's";
  ASSERT_TRUE(server().withdraw_request("officer", withdraw));
  const uint64_t expired = ask(400);
  ASSERT_TRUE(vault_.sign("approver1", expired));
  vault_.clock().advance_ms(uint64_t{72} * 3'600'000);
  for (int restart = 0; restart < 2; ++restart) {
    for (const uint64_t id : {denied, withdrawn, expired}) {
      EXPECT_EQ(refusal("approver3", id), ErrorCode::kFailedPrecondition) << id;
    }
    EXPECT_EQ(view(expired).state(), v1::RequestView::EXPIRED);
    EXPECT_EQ(hourly(), 100u);
    ASSERT_TRUE(vault_.open());
  }
  EXPECT_EQ(server().list_requests("officer", {})->requests_size(), 0);
}

TEST_F(ApprovalsTest, WhatWasApprovedForAnotherStateIsNotDone) {
  const uint64_t id = ask();
  ASSERT_TRUE(vault_.sign("approver1", id));
  v1::ApplyPolicyRequest narrower;
  *narrower.mutable_policy() = test_policy();
  narrower.mutable_policy()
      ->mutable_roles(0)
      ->mutable_grants(0)
      ->mutable_budget()
      ->set_searches_per_hour(1);
  const auto done = server().apply_policy("officer", narrower);
  ASSERT_TRUE(done);
  EXPECT_FALSE(done->widens());
  EXPECT_EQ(done->request(), 0u) << "to narrow takes one";
  EXPECT_EQ(refusal("approver2", id), ErrorCode::kConflict);
}

TEST_F(ApprovalsTest, AnApprovalCountsAsLongAsItsApproverIsOne) {
  const uint64_t id = ask();
  ASSERT_TRUE(vault_.sign("approver1", id));
  v1::DisablePrincipalRequest disable;
  disable.set_name("approver1");
  ASSERT_TRUE(server().disable_principal("operator", disable));
  EXPECT_EQ(vault_.sign("approver2", id)->state(), v1::RequestView::OPEN);
  EXPECT_EQ(vault_.sign("approver3", id)->state(), v1::RequestView::DONE);
}

TEST_F(ApprovalsTest, TheSameAskedTwiceIsOneRequest) {
  EXPECT_EQ(ask(), ask());
  EXPECT_EQ(server().list_requests("officer", {})->requests_size(), 1);
}

TEST_F(ApprovalsTest, SomebodyElsesKeyIsCutAtOnceAndReplacedBySeveral) {
  auto key = crypto::SigningKey::generate();
  v1::RekeyPrincipalRequest request;
  request.set_name("clerk");
  request.set_public_key(std::string(as_text(key.public_key())));
  const auto stolen = vault_.ticket();
  const auto asked = server().rekey_principal("operator", request);
  ASSERT_TRUE(asked);
  const auto refused = [&](const v1::SignedTicket& ticket) {
    return vault_.call(tokens_call(ticket, {}, {std::string(16, 't')})).has_error();
  };
  EXPECT_TRUE(refused(stolen));
  vault_.approve(asked->request());
  EXPECT_TRUE(refused(stolen)) << "tickets of the old key are dead";
  vault_.set_key("clerk", std::move(key));
  EXPECT_FALSE(refused(vault_.ticket()));
}

TEST_F(ApprovalsTest, NobodyWhoKeepsThePrincipalsCanEndAllApproving) {
  v1::DisablePrincipalRequest disable;
  disable.set_name("approver1");
  ASSERT_TRUE(server().disable_principal("operator", disable));
  disable.set_name("approver2");
  EXPECT_EQ(server().disable_principal("operator", disable).error().code,
            ErrorCode::kFailedPrecondition);
}

TEST_F(ApprovalsTest, FrozenApproversCanStillThawAndNothingElse) {
  const uint64_t id = ask();
  v1::FreezeRequest freeze;
  freeze.set_scope("role:approver");
  ASSERT_TRUE(server().freeze("officer", freeze));
  EXPECT_EQ(refusal("approver1", id), ErrorCode::kPermissionDenied);
  v1::ThawRequest thaw;
  thaw.set_scope("role:approver");
  const auto asked = server().thaw("officer", thaw);
  ASSERT_TRUE(asked);
  vault_.approve(asked->request());
  EXPECT_TRUE(vault_.sign("approver1", id));
}

TEST_F(ApprovalsTest, OneAuthorCannotFillTheTable) {
  for (uint64_t i = 0; i < policy::kOpenRequestsOfOneMax; ++i) ask(200 + i);
  v1::AddPrincipalRequest request;
  request.set_name("second");
  request.set_role("clerk");
  request.set_public_key(std::string(32, 'k'));
  EXPECT_TRUE(server().add_principal("operator", request)) << "others go on asking";
  v1::ApplyPolicyRequest more;
  *more.mutable_policy() = test_policy();
  more.mutable_policy()->mutable_roles(0)->add_powers(v1::READ_LOG);
  EXPECT_EQ(server().apply_policy("officer", more).error().code, ErrorCode::kUnavailable);
}

TEST_F(ApprovalsTest, AFrozenOneCannotTakeTheAccountAlongWithANewKey) {
  v1::FreezeRequest freeze;
  freeze.set_scope("principal:clerk");
  ASSERT_TRUE(server().freeze("officer", freeze));
  v1::RekeyPrincipalRequest request;
  request.set_name("clerk");
  request.set_public_key(std::string(32, 'k'));
  EXPECT_EQ(server().rekey_principal("clerk", request).error().code, ErrorCode::kPermissionDenied);
}

TEST_F(ApprovalsTest, AThawIsOfThatFreezeAlone) {
  v1::FreezeRequest freeze;
  freeze.set_scope("principal:clerk");
  freeze.set_to_masked(true);
  ASSERT_TRUE(server().freeze("officer", freeze));
  v1::ThawRequest thaw;
  thaw.set_scope("principal:clerk");
  const auto asked = server().thaw("officer", thaw);
  freeze.set_to_masked(false);
  ASSERT_TRUE(server().freeze("officer", freeze)->changed());
  ASSERT_TRUE(vault_.sign("approver1", asked->request()));
  EXPECT_EQ(refusal("approver2", asked->request()), ErrorCode::kConflict);
}

TEST_F(ApprovalsTest, EmergencyUseIsFlaggedAndWaitsForSomebodyElsesReview) {
  TestVault vault;
  vault.founding().policy.mutable_purposes(1)->set_emergency(true);  // service
  vault.founding().policy.mutable_roles(0)->add_powers(v1::READ_LOG);
  ASSERT_TRUE(vault.create());
  const auto search = [&] {
    return vault.call(tokens_call(vault.ticket(), {}, {std::string(16, 't')}));
  };
  ASSERT_TRUE(search().has_tokens());
  ASSERT_TRUE(vault.open());
  const auto listed = vault.server().list_emergencies("officer", {});
  ASSERT_EQ(listed->uses_size(), 1);
  EXPECT_EQ(listed->uses(0).principal(), "clerk");
  v1::ReviewEmergenciesRequest request;
  request.add_leaves(listed->uses(0).use().leaf());
  EXPECT_EQ(vault.server().review_emergencies("clerk", request).error().code,
            ErrorCode::kPermissionDenied);
  vault.clock().advance_ms(kReviewWithinMs);
  EXPECT_TRUE(search().has_error()) << "left unreviewed for too long";
  EXPECT_EQ(vault.server().review_emergencies("officer", request)->reviewed(), 1u);
  EXPECT_TRUE(search().has_tokens());
  ASSERT_TRUE(vault.open());
  EXPECT_EQ(vault.server().list_emergencies("officer", {})->uses_size(), 1) << "the second";
}

TEST_F(ApprovalsTest, EverybodySeesTheirOwnBudgetAndLastCalls) {
  ASSERT_TRUE(vault_.call(tokens_call(vault_.ticket(), {}, {std::string(16, 't')})).has_tokens());
  for (int restart = 0; restart < 2; ++restart) {
    const auto me = server().me("clerk", {});
    ASSERT_TRUE(me);
    ASSERT_EQ(me->uses_size(), 1);
    EXPECT_EQ(me->uses(0).type(), "token");
    uint64_t used = 0;
    for (const auto& line : me->budgets()) {
      if (line.purpose() == "service" && line.quantity() == "searches" && line.window() == "hour") {
        used = line.used();
      }
    }
    EXPECT_EQ(used, 1u);
    const auto review = server().review_access("officer", {});
    ASSERT_TRUE(review);
    for (const auto& view : review->principals()) {
      EXPECT_EQ(view.used_size(), view.principal().name() == "clerk" ? 1 : 0);
      EXPECT_TRUE(view.principal().public_key().empty());
    }
    ASSERT_TRUE(vault_.open());
  }
}

}  // namespace
}  // namespace strongroom::keyserver
