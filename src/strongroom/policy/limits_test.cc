// Budgets at all scopes at once, and records that cost nothing a second time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "strongroom/base/durations.h"
#include "strongroom/policy/engine.h"

namespace strongroom::policy {
namespace {

constexpr uint64_t kLimitsStart = 1'700'000'000'000;
using testing::HasSubstr;

class LimitsTest : public testing::Test {
 protected:
  LimitsTest() {
    for (const auto& [id, name] : {std::pair{1u, "person"}, {2u, "parcel"}}) {
      v1::Collection& collection = collections_.emplace_back();
      collection.set_id(id);
      collection.set_name(name);
      v1::Group& group = *collection.add_groups();
      group.set_id(1);
      group.set_name("all");
    }
    for (const char* purpose : {"service", "care"}) policy_.add_purposes()->set_name(purpose);
    v1::Role& clerk = *policy_.add_roles();
    clerk.set_name("clerk");
    for (const char* collection : {"person", "parcel"}) {
      v1::Grant& grant = *clerk.add_grants();
      grant.set_collection(collection);
      grant.add_purposes("service");
      grant.add_purposes("care");
      grant.add_groups("all");
      for (const auto action : {v1::FIND, v1::GET, v1::IMPORT}) grant.add_actions(action);
      grant.set_records_per_query(1000);
      v1::Budget& budget = *grant.mutable_budget();
      for (const auto set : {&v1::Budget::set_records_per_hour, &v1::Budget::set_records_per_day,
                             &v1::Budget::set_searches_per_hour, &v1::Budget::set_searches_per_day,
                             &v1::Budget::set_writes_per_day, &v1::Budget::set_erasures_per_day}) {
        (budget.*set)(1000);
      }
    }
    for (const char* name : {"alice", "bob"}) {
      v1::Principal principal;
      principal.set_name(name);
      principal.set_role("clerk");
      engine_.set_principal(principal, 1);
    }
    apply();
  }
  void apply() {
    const auto applied = engine_.set_policy(policy_, collections_);
    ASSERT_TRUE(applied) << applied.error().text;
  }

  static Ask ask(const char* who = "alice", const char* purpose = "service",
                 uint32_t collection = 1, const char* gateway = "g1") {
    Ask a;
    a.principal = who;
    a.purpose = purpose;
    a.gateway = gateway;
    a.collection = CollectionId{collection};
    a.action = v1::FIND;
    return a;
  }
  // How many single records may be opened, one after the other.
  uint64_t drain(Ask a, uint64_t t_ms = kLimitsStart) {
    a.amounts.records = 1;
    uint64_t count = 0;
    while (count < 2000 && engine_.decide(a, t_ms)) {
      charge(a, t_ms);
      ++count;
    }
    return count;
  }
  void charge(const Ask& a, uint64_t t_ms) {
    engine_.charge({a.principal, a.purpose, a.gateway, a.collection, a.amounts}, t_ms);
  }
  v1::Limits& limits() { return *policy_.mutable_limits(); }

  std::vector<v1::Collection> collections_;
  v1::Policy policy_;
  Engine engine_;
};

TEST_F(LimitsTest, APrincipalsHoldsOverAllPurposesAndCollections) {
  limits().mutable_each_principal()->mutable_records()->set_hour(10);
  apply();
  EXPECT_EQ(drain(ask("alice", "service", 1)), 10u);
  EXPECT_EQ(drain(ask("alice", "care", 2)), 0u);
  EXPECT_EQ(drain(ask("bob")), 10u);
  EXPECT_EQ(drain(ask("alice"), kLimitsStart + kHourMs + 60'000), 10u);
}

TEST_F(LimitsTest, AGatewaysACollectionsAndTheVaultsHoldOverAllPrincipals) {
  limits().mutable_each_gateway()->mutable_records()->set_day(30);
  limits().mutable_each_collection()->mutable_records()->set_day(20);
  limits().mutable_vault()->mutable_records()->set_month(45);
  apply();
  EXPECT_EQ(drain(ask("alice", "service", 1, "g1")), 20u) << "the collection's";
  EXPECT_EQ(drain(ask("bob", "care", 1, "g2")), 0u);
  EXPECT_EQ(drain(ask("bob", "care", 2, "g1")), 10u) << "the gateway's";
  EXPECT_EQ(drain(ask("bob", "care", 2, "g2")), 10u) << "the collection's again";
  EXPECT_EQ(drain(ask("alice", "care", 1, "g3"), kLimitsStart + 25 * kHourMs), 5u)
      << "the vault's month";
  EXPECT_EQ(drain(ask("alice", "care", 1, "g3"), kLimitsStart + 31 * 24 * kHourMs), 20u);
}

TEST_F(LimitsTest, ACollectionsOwnLimitTakesThePlaceOfEachOnes) {
  limits().mutable_each_collection()->mutable_records()->set_day(20);
  v1::CollectionLimit& own = *limits().add_collections();
  own.set_collection("parcel");
  own.mutable_limit()->mutable_records()->set_day(50);
  apply();
  EXPECT_EQ(drain(ask("alice", "service", 1)), 20u);
  EXPECT_EQ(drain(ask("alice", "service", 2)), 50u);
}

TEST_F(LimitsTest, WhatIsCountedIsKeptThoughNothingLimitsItYet) {
  EXPECT_EQ(drain(ask()), 1000u);
  limits().mutable_vault()->mutable_records()->set_day(500);
  apply();
  EXPECT_EQ(drain(ask("bob", "care", 2)), 0u);
}

TEST_F(LimitsTest, EveryQuantityHasItsOwn) {
  v1::Limit& limit = *limits().mutable_vault();
  limit.mutable_searches()->set_hour(1);
  limit.mutable_writes()->set_hour(2);
  limit.mutable_erasures()->set_hour(3);
  apply();
  const auto fits = [&](Amounts amounts) {
    Ask a = ask();
    a.amounts = amounts;
    return engine_.decide(a, kLimitsStart).has_value();
  };
  EXPECT_TRUE(fits({.records = 100, .searches = 1, .writes = 2, .uniques = 2, .erasures = 3}));
  EXPECT_FALSE(fits({.searches = 2}));
  EXPECT_FALSE(fits({.writes = 3}));
  EXPECT_FALSE(fits({.uniques = 3}));
  EXPECT_FALSE(fits({.erasures = 4}));
}

TEST_F(LimitsTest, ARefusalNamesTheBudgetThatReopensLast) {
  limits().mutable_each_principal()->mutable_records()->set_hour(5);
  limits().mutable_vault()->mutable_records()->set_day(5);
  apply();
  EXPECT_EQ(drain(ask()), 5u);
  Ask a = ask();
  a.amounts.records = 1;
  const auto refused = engine_.decide(a, kLimitsStart);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kBudgetExhausted);
  EXPECT_THAT(refused.error().text, HasSubstr("records in a day of the whole vault is used up"));
  EXPECT_EQ(refused.error().number, 5);
  EXPECT_GT(refused.error().retry_after_ms, static_cast<int64_t>(23 * kHourMs));
  a.amounts.records = 6;
  const auto never = engine_.decide(a, kLimitsStart);
  EXPECT_EQ(never.error().retry_after_ms, -1);
  EXPECT_THAT(never.error().text, HasSubstr("more than the whole budget"));
}

TEST_F(LimitsTest, RepeatsAreFreeForAWhileForWhoPaidAndForThoseGroups) {
  limits().set_repeat_free_minutes(30);
  apply();
  const RecordIndex record{7};
  const auto free = [&](const char* who, uint32_t groups, uint64_t t_ms) {
    return engine_.free_repeats(who, std::span(&record, 1), groups, t_ms) == 1;
  };
  EXPECT_FALSE(free("alice", 2, kLimitsStart));
  engine_.note_opened("alice", record, 2, kLimitsStart);
  EXPECT_TRUE(free("alice", 2, kLimitsStart));
  EXPECT_FALSE(free("bob", 2, kLimitsStart));
  EXPECT_FALSE(free("alice", 6, kLimitsStart)) << "a group that was not paid for";
  engine_.note_opened("alice", record, 2, kLimitsStart + 20 * 60'000);
  EXPECT_TRUE(free("alice", 2, kLimitsStart + 30 * 60'000 - 1));
  EXPECT_FALSE(free("alice", 2, kLimitsStart + 30 * 60'000)) << "a repeat prolongs nothing";
  engine_.note_opened("alice", record, 2, kLimitsStart + 30 * 60'000);
  EXPECT_TRUE(free("alice", 2, kLimitsStart + 30 * 60'000));
  limits().set_repeat_free_minutes(0);
  apply();
  EXPECT_FALSE(free("alice", 2, kLimitsStart + 30 * 60'000));
}

TEST_F(LimitsTest, RepeatsCountAsRecordsOfAQueryAndNotOfABudget) {
  Ask a = ask();
  a.amounts.records = 0;
  a.amounts.repeats = 1000;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(engine_.decide(a, kLimitsStart));
    charge(a, kLimitsStart);
  }
  a.amounts.repeats = 1001;
  EXPECT_EQ(engine_.decide(a, kLimitsStart).error().code, ErrorCode::kPermissionDenied);
}

TEST_F(LimitsTest, UnsoundLimitsAreRefused) {
  const auto problem = [&](auto change) {
    v1::Policy policy = policy_;
    change(*policy.mutable_limits());
    Problem found;
    const auto compiled = compile_policy(policy, collections_, &found);
    return compiled ? std::string() : found.path;
  };
  EXPECT_EQ(problem([](v1::Limits& l) {
              l.mutable_vault()->mutable_records()->set_hour(5);
              l.mutable_vault()->mutable_records()->set_day(4);
            }),
            "limits.vault");
  EXPECT_EQ(problem([](v1::Limits& l) {
              l.mutable_each_gateway()->mutable_writes()->set_hour(5);
              l.mutable_each_gateway()->mutable_writes()->set_month(4);
            }),
            "limits.each_gateway");
  EXPECT_EQ(problem([](v1::Limits& l) { l.set_repeat_free_minutes(61); }),
            "limits.repeat_free_minutes");
  EXPECT_EQ(problem([](v1::Limits& l) { l.add_collections()->set_collection("cars"); }),
            "limits.collections[0].collection");
  EXPECT_EQ(problem([](v1::Limits& l) {
              l.add_collections()->set_collection("person");
              l.add_collections()->set_collection("person");
            }),
            "limits.collections[1]");
}

// Whatever is asked, by whom, through whatever: no window of any scope is ever overrun.
TEST_F(LimitsTest, RandomRequestsNeverOverrunAnyScope) {
  const uint64_t seed = 11;
  std::mt19937_64 random(seed);
  limits().mutable_each_principal()->mutable_records()->set_hour(40);
  limits().mutable_each_principal()->mutable_records()->set_month(900);
  limits().mutable_each_gateway()->mutable_records()->set_day(200);
  limits().mutable_each_collection()->mutable_records()->set_hour(50);
  limits().mutable_vault()->mutable_records()->set_day(260);
  limits().mutable_vault()->mutable_records()->set_month(1500);
  apply();
  struct Use {
    uint64_t t_ms;
    uint64_t records;
  };
  std::map<std::string, std::vector<Use>> uses;
  const auto within = [&](const std::string& scope, uint64_t now, uint64_t window_ms) {
    uint64_t sum = 0;
    const auto& list = uses[scope];
    for (auto use = list.rbegin(); use != list.rend() && use->t_ms + window_ms > now; ++use) {
      sum += use->records;
    }
    return sum;
  };
  uint64_t now = kLimitsStart, allowed = 0;
  for (int i = 0; i < 20'000; ++i) {
    now += random() % 600'000;
    Ask a = ask(random() % 2 ? "alice" : "bob", random() % 2 ? "service" : "care",
                1 + static_cast<uint32_t>(random() % 2), random() % 2 ? "g1" : "g2");
    a.amounts.records = 1 + random() % 12;
    if (!engine_.decide(a, now)) continue;
    charge(a, now);
    ++allowed;
    const Use use{now, a.amounts.records};
    const std::string who = "p:" + std::string(a.principal);
    const std::string through = "g:" + std::string(a.gateway);
    const std::string of = "c:" + std::to_string(a.collection.value);
    for (const auto& scope : {who, through, of, std::string("v")}) uses[scope].push_back(use);
    ASSERT_LE(within(who, now, kHourMs), 40u) << "seed " << seed;
    ASSERT_LE(within(who, now, 30 * 24 * kHourMs), 900u) << "seed " << seed;
    ASSERT_LE(within(through, now, 24 * kHourMs), 200u) << "seed " << seed;
    ASSERT_LE(within(of, now, kHourMs), 50u) << "seed " << seed;
    ASSERT_LE(within("v", now, 24 * kHourMs), 260u) << "seed " << seed;
    ASSERT_LE(within("v", now, 30 * 24 * kHourMs), 1500u) << "seed " << seed;
  }
  EXPECT_GT(allowed, 500u);
}

}  // namespace
}  // namespace strongroom::policy
