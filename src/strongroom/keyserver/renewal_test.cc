// A collection's terms under a fresh key: who may, what is searched meanwhile and afterwards, and
// that no crash makes two keys of one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strongroom/env/faulty_files.h"
#include "strongroom/keyserver/test_vault.h"

namespace strongroom::keyserver {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Renewing {
  explicit Renewing(env::Files& files = env::real_files()) : vault(files) {
    v1::Policy& policy = vault.founding().policy;
    for (v1::Role& role : *policy.mutable_roles()) {
      if (role.name() != "operator") continue;
      for (v1::Grant& grant : *role.mutable_grants()) {
        grant.add_actions(v1::REINDEX);
        grant.add_groups("identity");
        grant.mutable_budget()->set_reindexed_per_day(1000);
      }
    }
  }

  v1::Reply call(const v1::Call& call) {
    vault.clock().advance_ms(1);
    return vault.call(call);
  }
  Result<uint64_t> ask(const char* who = "operator") {
    v1::RenewTermsRequest request;
    request.set_collection("person");
    request.set_reason("a gateway was stolen");
    SR_ASSIGN(const auto asked, vault.server().renew_terms(who, request));
    return asked.request();
  }
  v1::Reply reindex(bool finish) {
    v1::Call call;
    *call.mutable_reindex()->mutable_ticket() = vault.import_ticket();
    call.mutable_reindex()->set_request_id(fresh(16));
    call.mutable_reindex()->set_finish(finish);
    return this->call(call);
  }
  uint32_t lane(bool packed, bool renew = false) {
    v1::Call call = lane_call(vault.import_ticket(), packed);
    call.mutable_open_lane()->set_renew(renew);
    return this->call(call).open_lane().lane();
  }
  uint32_t published(bool renew) {
    const uint32_t number = lane(true, renew);
    EXPECT_FALSE(call(publish_call(number, v1::PublishLaneCall::PUBLISH)).has_error());
    return number;
  }
  v1::Reply tokens(uint32_t renewals) {
    v1::Call call = tokens_call(vault.ticket(), {}, {kTerm});
    call.mutable_tokens()->set_renewals(renewals);
    return this->call(call);
  }
  std::vector<uint32_t> searched(uint32_t renewals) {
    const auto reply = tokens(renewals);
    EXPECT_TRUE(reply.has_tokens()) << reply.error().text();
    return {reply.tokens().lanes().begin(), reply.tokens().lanes().end()};
  }
  // Of what gateways are told at their start.
  std::string salt() {
    v1::Call call;
    call.mutable_sync();
    const auto reply = this->call(call).sync();
    for (const auto& terms : reply.terms()) {
      if (terms.collection() == kPerson) return terms.salt();
    }
    return {};
  }

  TestVault vault;
};

ErrorCode error_of(const v1::Reply& reply) {
  return static_cast<ErrorCode>(reply.error().code());
}

TEST(KeyRenewalTest, SeveralSignItAndUntilItsEndTheOldLanesAreSearched) {
  Renewing it;
  ASSERT_TRUE(it.vault.create());
  const uint32_t old = it.published(false);
  EXPECT_EQ(it.ask("clerk").error().code, ErrorCode::kPermissionDenied);
  EXPECT_TRUE(it.reindex(false).has_error()) << "nothing was signed";
  const auto request = it.ask();
  ASSERT_TRUE(request) << request.error().text;
  EXPECT_TRUE(it.reindex(false).has_error());
  EXPECT_EQ(it.lane(true, true), 0u);
  it.vault.approve(*request);
  EXPECT_EQ(it.lane(true, true), 0u) << "it has not begun";
  EXPECT_EQ(it.ask().error().code, ErrorCode::kFailedPrecondition) << "one at a time";
  const auto begun = it.reindex(false).reindex();
  EXPECT_EQ(begun.salt().size(), 32u);
  EXPECT_EQ(it.reindex(false).reindex().salt(), begun.salt());
  const uint32_t fresh_lane = it.published(true);
  EXPECT_THAT(it.searched(0), ElementsAre(old));
  EXPECT_EQ(it.salt(), "");
  EXPECT_EQ(error_of(it.tokens(1)), ErrorCode::kFailedPrecondition) << "not yet";
  ASSERT_TRUE(it.vault.open());
  EXPECT_THAT(it.searched(0), ElementsAre(old));
  EXPECT_EQ(it.reindex(false).reindex().salt(), begun.salt()) << "the same after a restart";

  ASSERT_TRUE(it.reindex(true).has_reindex());
  for (const bool restarted : {false, true}) {
    if (restarted) {
      ASSERT_TRUE(it.vault.open());
    }
    EXPECT_THAT(it.searched(1), ElementsAre(fresh_lane));
    EXPECT_EQ(error_of(it.tokens(0)), ErrorCode::kFailedPrecondition);
    EXPECT_EQ(it.salt(), begun.salt());
    EXPECT_TRUE(it.reindex(true).has_error()) << "once";
  }
  // And again, under another key.
  const auto again = it.ask();
  ASSERT_TRUE(again);
  it.vault.approve(*again);
  const auto second = it.reindex(false).reindex();
  EXPECT_NE(second.salt(), begun.salt());
  ASSERT_TRUE(it.reindex(true).has_reindex());
  EXPECT_EQ(it.salt(), second.salt());
  EXPECT_THAT(it.searched(2), IsEmpty());
}

TEST(KeyRenewalTest, ItDoesNotEndWhileSomebodyWritesUnderTheOldKey) {
  Renewing it;
  ASSERT_TRUE(it.vault.create());
  const uint32_t one = it.published(false), two = it.published(false);
  it.vault.approve(it.ask().value());
  ASSERT_TRUE(it.reindex(false).has_reindex());
  const uint32_t online = it.lane(false);
  EXPECT_EQ(error_of(it.reindex(true)), ErrorCode::kUnavailable);
  it.call(publish_call(online, v1::PublishLaneCall::CLOSE));
  const uint32_t packed = it.lane(true);
  EXPECT_EQ(error_of(it.reindex(true)), ErrorCode::kUnavailable);
  it.call(publish_call(packed, v1::PublishLaneCall::DROP));
  const auto merge =
      it.call(begin_merge_call(it.vault.compactor_credential(), {one, two}, kPerson)).begin_merge();
  EXPECT_EQ(error_of(it.reindex(true)), ErrorCode::kUnavailable);
  it.call(finish_merge_call(it.vault.compactor_credential(), merge.lane(), {one, two}));
  const uint32_t fresh_lane = it.published(true);
  EXPECT_TRUE(it.call(begin_merge_call(it.vault.compactor_credential(), {merge.lane(), fresh_lane},
                                       kPerson))
                  .has_error())
      << "of two keys";
  ASSERT_TRUE(it.reindex(true).has_reindex());
  EXPECT_THAT(it.searched(1), ElementsAre(fresh_lane));
}

TEST(KeyRenewalTest, UniqueValuesGetOtherLabels) {
  Renewing it;
  ASSERT_TRUE(it.vault.create());
  const auto unique = [&](bool renew) {
    v1::Call call = unique_call(it.vault.import_ticket(), {kTerm});
    call.mutable_unique_tokens()->set_renew(renew);
    return it.call(call);
  };
  const std::string before = unique(false).unique_tokens().tokens();
  EXPECT_TRUE(unique(true).has_error()) << "nothing is renewed";
  it.vault.approve(it.ask().value());
  ASSERT_TRUE(it.reindex(false).has_reindex());
  const std::string next = unique(true).unique_tokens().tokens();
  EXPECT_NE(next, before);
  EXPECT_EQ(unique(false).unique_tokens().tokens(), before);
  ASSERT_TRUE(it.reindex(true).has_reindex());
  EXPECT_EQ(unique(false).unique_tokens().tokens(), next);
  ASSERT_TRUE(it.vault.open());
  EXPECT_EQ(unique(false).unique_tokens().tokens(), next);
}

// What was told before a crash is the same behind it, wherever the disk stops.
TEST(KeyRenewalTest, ACrashAnywhereKeepsTheKeyThatWasTold) {
  uint64_t crashes = 0;
  for (uint64_t stop = 1;; ++stop) {
    SCOPED_TRACE("operation " + std::to_string(stop));
    env::FaultyFiles files(env::real_files());
    Renewing it(files);
    ASSERT_TRUE(it.vault.create());
    it.published(false);
    const uint64_t request = it.ask().value();
    it.vault.approve(request);
    files.stop_at(stop);
    const auto begun = it.reindex(false);
    const auto lane = it.call([&] {
      v1::Call call = lane_call(it.vault.import_ticket(), true);
      call.mutable_open_lane()->set_renew(true);
      return call;
    }());
    const auto published = it.call(publish_call(lane.open_lane().lane(), {}));
    const auto finished = it.reindex(true);
    const bool struck = files.operations() >= stop;
    ASSERT_TRUE(files.crash());
    ASSERT_TRUE(it.vault.open());
    if (finished.has_reindex()) {
      EXPECT_EQ(it.salt(), begun.reindex().salt());
      EXPECT_THAT(it.searched(1), ElementsAre(lane.open_lane().lane()));
    } else if (it.salt().empty()) {
      const auto again = it.reindex(false);
      ASSERT_TRUE(again.has_reindex()) << again.error().text();
      if (begun.has_reindex()) {
        EXPECT_EQ(again.reindex().salt(), begun.reindex().salt());
      }
      ASSERT_TRUE(it.reindex(true).has_reindex());
    } else if (begun.has_reindex()) {
      EXPECT_EQ(it.salt(), begun.reindex().salt());
    }
    ASSERT_TRUE(it.vault.open());
    EXPECT_EQ(it.salt().size(), 32u);
    if (!struck) break;
    ++crashes;
    ASSERT_LT(stop, 500u);
  }
  EXPECT_GT(crashes, 5u);
}

}  // namespace
}  // namespace strongroom::keyserver
