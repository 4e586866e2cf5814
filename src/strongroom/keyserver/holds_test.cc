// Legal holds: what is held is not erased, by anybody, whatever happens to the server; and to end a
// hold takes several.
#include <gtest/gtest.h>

#include "strongroom/keyserver/test_vault.h"

namespace strongroom::keyserver {
namespace {

class HoldsTest : public testing::Test {
 protected:
  HoldsTest() {
    v1::Policy& policy = vault_.founding().policy;
    for (v1::Role& role : *policy.mutable_roles()) {
      if (role.name() == "officer") role.add_powers(v1::HOLD_RECORDS);
      if (role.name() != "operator") continue;
      for (v1::Grant& grant : *role.mutable_grants()) {
        grant.add_actions(v1::ERASE);
        grant.add_actions(v1::UPDATE);
        grant.mutable_budget()->set_erasures_per_hour(100);
        grant.mutable_budget()->set_erasures_per_day(100);
      }
    }
  }
  void SetUp() override {
    ASSERT_TRUE(vault_.create());
    first_ = vault_.call(grant_call(vault_.import_ticket(), 8)).grant().first();
  }

  v1::Reply erase(std::vector<uint64_t> records) {
    std::vector<RecordIndex> named;
    v1::Call call;
    for (const uint64_t idx : records) {
      named.push_back(RecordIndex{idx});
      call.mutable_erase()->add_records(idx);
    }
    v1::Ticket ticket = vault_.ticket_terms({.principal = "operator", .purpose = "import"});
    ticket.set_erases(erasure_digest(named));
    *call.mutable_erase()->mutable_ticket() = sign_ticket(ticket, vault_.key("operator"));
    call.mutable_erase()->set_request_id(fresh(16));
    return vault_.call(call);
  }
  v1::SignedTicket changer(uint64_t idx) {
    return vault_.change_ticket("operator", "import", RecordIndex{idx});
  }
  bool held(const v1::Reply& reply) {
    return reply.has_error() && reply.error().text().find("legal hold") != std::string::npos;
  }
  Result<v1::PlaceHoldResponse> place(const std::string& reference, std::vector<uint64_t> records,
                                      const std::string& who = "officer") {
    v1::PlaceHoldRequest request;
    request.set_reference(reference);
    request.set_collection("person");
    request.mutable_idx()->Add(records.begin(), records.end());
    request.set_reason("court order");
    return vault_.server().place_hold(who, request);
  }
  // Signed by both approvers that it takes.
  Result<v1::RequestView> lift(const std::string& reference) {
    v1::LiftHoldRequest request;
    request.set_reference(reference);
    SR_ASSIGN(const auto asked, vault_.server().lift_hold("officer", request));
    SR_TRY(vault_.sign("approver1", asked.request()));
    return vault_.sign("approver2", asked.request());
  }

  TestVault vault_;
  uint64_t first_ = 0;
};

TEST_F(HoldsTest, WhatIsHeldIsNotErased) {
  const auto placed = place("C-1", {first_ + 1, first_ + 2, first_ + 1});
  ASSERT_TRUE(placed) << placed.error().text;
  EXPECT_EQ(placed->added(), 2u);
  const v1::Reply refused = erase({first_, first_ + 1});
  EXPECT_TRUE(held(refused));
  EXPECT_EQ(refused.error().number(), 1);
  EXPECT_EQ(vault_.server().status("operator", {})->erased(), 0u) << "all or none";
  EXPECT_TRUE(erase({first_}).has_erase());
  // The server stops and starts.
  ASSERT_TRUE(vault_.open());
  EXPECT_TRUE(held(erase({first_ + 1})));
  const auto listed = vault_.server().list_holds("officer", {});
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->holds_size(), 1);
  EXPECT_EQ(listed->holds(0).reference(), "C-1");
  EXPECT_EQ(listed->holds(0).records(), 2u);
  EXPECT_EQ(listed->holds(0).author(), "officer");
}

TEST_F(HoldsTest, ARecordUnderTwoIsFreeWhenBothAreLifted) {
  ASSERT_TRUE(place("C-1", {first_ + 1}));
  ASSERT_TRUE(place("C-2", {first_ + 1, first_ + 3}));
  ASSERT_TRUE(lift("C-1"));
  EXPECT_TRUE(held(erase({first_ + 1})));
  ASSERT_TRUE(vault_.open());
  EXPECT_TRUE(held(erase({first_ + 1})));
  ASSERT_TRUE(lift("C-2"));
  EXPECT_TRUE(erase({first_ + 1}).has_erase());
  EXPECT_TRUE(erase({first_ + 3}).has_erase());
  EXPECT_EQ(vault_.server().list_holds("officer", {})->holds_size(), 0);
}

TEST_F(HoldsTest, OneAloneDoesNotEndIt) {
  ASSERT_TRUE(place("C-1", {first_ + 1}));
  v1::LiftHoldRequest request;
  request.set_reference("C-1");
  const auto asked = vault_.server().lift_hold("officer", request);
  ASSERT_TRUE(asked);
  ASSERT_TRUE(vault_.sign("approver1", asked->request()));
  EXPECT_TRUE(held(erase({first_ + 1})));
  // More came under it meanwhile: that is not what was signed.
  ASSERT_TRUE(place("C-1", {first_ + 2}));
  const auto second = vault_.sign("approver2", asked->request());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kConflict);
  EXPECT_TRUE(held(erase({first_ + 1})));
}

TEST_F(HoldsTest, PlacedByThoseWhoMayOnWhatIsThere) {
  EXPECT_EQ(place("C-1", {first_}, "operator").error().code, ErrorCode::kPermissionDenied);
  EXPECT_EQ(place("C-1", {first_, first_ + 9}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(place("C-1", {first_, first_ + 9}).error().number, 1);
  EXPECT_EQ(place("", {first_}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(place("a b", {first_}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(place(std::string(65, 'a'), {first_}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(place("C-1", {}).error().code, ErrorCode::kInvalidArgument);
  ASSERT_TRUE(erase({first_}).has_erase());
  EXPECT_EQ(place("C-1", {first_}).error().code, ErrorCode::kNotFound) << "erased";
  EXPECT_EQ(vault_.server().list_holds("officer", {})->holds_size(), 0);
  EXPECT_EQ(vault_.server().list_holds("clerk", {}).error().code, ErrorCode::kPermissionDenied);
  v1::LiftHoldRequest none;
  none.set_reference("C-9");
  EXPECT_EQ(vault_.server().lift_hold("officer", none).error().code, ErrorCode::kNotFound);
}

TEST_F(HoldsTest, WhatIsHeldIsNotReplacedEither) {
  ASSERT_TRUE(place("C-1", {first_ + 1}));
  v1::Call call = grant_call(changer(first_ + 1), 1);
  call.mutable_grant()->set_replaces(first_ + 1);
  EXPECT_TRUE(held(vault_.call(call)));
  call = grant_call(changer(first_ + 2), 1);
  call.mutable_grant()->set_replaces(first_ + 2);
  EXPECT_TRUE(vault_.call(call).has_grant());
  call = grant_call(changer(first_ + 2), 2);
  call.mutable_grant()->set_replaces(first_ + 2);
  EXPECT_TRUE(vault_.call(call).has_error()) << "one for one";
}

}  // namespace
}  // namespace strongroom::keyserver
