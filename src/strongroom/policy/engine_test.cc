#include "strongroom/policy/engine.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "strongroom/base/archive.h"

namespace strongroom::policy {
namespace {

constexpr uint64_t kEngineStart = 1'700'000'000'000;

class EngineTest : public testing::Test {
 protected:
  EngineTest() {
    v1::Collection& collection = collections_.emplace_back();
    collection.set_id(1);
    collection.set_name("person");
    for (const auto& [id, name] : {std::pair{1, "identity"}, {2, "contact"}}) {
      v1::Group& group = *collection.add_groups();
      group.set_id(static_cast<uint32_t>(id));
      group.set_name(name);
    }
    policy_.add_purposes()->set_name("service");
    v1::Purpose& investigation = *policy_.add_purposes();
    investigation.set_name("investigation");
    investigation.set_case_required(true);
    policy_.add_purposes()->set_name("audit");
    v1::Role& clerk = *policy_.add_roles();
    clerk.set_name("clerk");
    v1::Grant& grant = *clerk.add_grants();
    grant.set_collection("person");
    grant.add_purposes("service");
    grant.add_purposes("investigation");
    grant.add_groups("identity");
    grant.add_actions(v1::FIND);
    grant.set_records_per_query(10);
    v1::Budget& budget = *grant.mutable_budget();
    budget.set_records_per_hour(20);
    budget.set_records_per_day(30);
    budget.set_searches_per_hour(5);
    budget.set_searches_per_day(50);
    v1::Role& officer = *policy_.add_roles();
    officer.set_name("officer");
    officer.add_powers(v1::MANAGE_POLICY);
    EXPECT_TRUE(engine_.set_policy(policy_, collections_));
    add("clerk", "clerk");
    add("other", "clerk");
    add("officer", "officer");
  }

  void add(const std::string& name, const std::string& role, bool disabled = false) {
    v1::Principal principal;
    principal.set_name(name);
    principal.set_role(role);
    principal.set_disabled(disabled);
    engine_.set_principal(principal, 1);
  }

  static Ask ask() {
    Ask ask;
    ask.principal = "clerk";
    ask.purpose = "service";
    ask.collection = CollectionId{1};
    ask.action = v1::FIND;
    return ask;
  }

  void charge(const Ask& ask, uint64_t t_ms) {
    engine_.charge({ask.principal, ask.purpose, ask.gateway, ask.collection, ask.amounts}, t_ms);
  }

  ErrorCode code(const Ask& ask, uint64_t t_ms = kEngineStart) {
    const auto decided = engine_.decide(ask, t_ms);
    texts_.insert({decided ? "" : decided.error().text, true});
    return decided ? ErrorCode{} : decided.error().code;
  }

  std::vector<v1::Collection> collections_;
  v1::Policy policy_;
  Engine engine_;
  std::map<std::string, bool> texts_;
};

TEST_F(EngineTest, AGrantWithNetworksHoldsForCallsFromThemAndNoOthers) {
  v1::Policy policy = policy_;
  v1::Grant& grant = *policy.mutable_roles(0)->mutable_grants(0);
  grant.add_networks("10.20.0.0/16");
  grant.add_networks("2001:db8::/32");
  ASSERT_TRUE(engine_.set_policy(policy, collections_));
  Ask a = ask();
  for (const char* inside : {"10.20.3.4", "::ffff:10.20.3.4", "2001:db8::7"}) {
    a.from = parse_ip(inside);
    EXPECT_TRUE(engine_.decide(a, kEngineStart)) << inside;
  }
  for (const char* outside : {"10.21.3.4", "127.0.0.1", "2001:db9::7", "::"}) {
    a.from = parse_ip(outside);
    EXPECT_EQ(code(a), ErrorCode::kPermissionDenied) << outside;
  }
  a.from = std::nullopt;
  EXPECT_EQ(code(a), ErrorCode::kPermissionDenied) << "a gateway that does not say";
  a.leaves = false;
  EXPECT_TRUE(engine_.decide(a, kEngineStart)) << "only asked for";
  EXPECT_EQ(texts_.size(), 1u);
}

TEST_F(EngineTest, EachRuleRefusesWithATextOfItsOwn) {
  EXPECT_TRUE(engine_.decide(ask(), kEngineStart));
  Ask a = ask();
  a.principal = "nobody";
  EXPECT_EQ(code(a), ErrorCode::kUnauthenticated);
  add("gone", "clerk", true);
  a.principal = "gone";
  EXPECT_EQ(code(a), ErrorCode::kUnauthenticated);
  a = ask();
  a.purpose = "curiosity";
  EXPECT_EQ(code(a), ErrorCode::kPermissionDenied);
  a.purpose = "audit";
  EXPECT_EQ(code(a), ErrorCode::kPermissionDenied);
  a.purpose = "investigation";
  EXPECT_EQ(code(a), ErrorCode::kPermissionDenied);
  a.case_reference = " ";
  EXPECT_EQ(code(a), ErrorCode::kPermissionDenied);
  a.case_reference = "A-17";
  EXPECT_TRUE(engine_.decide(a, kEngineStart));
  a = ask();
  a.collection = CollectionId{2};
  EXPECT_EQ(code(a), ErrorCode::kPermissionDenied);
  a = ask();
  a.action = v1::IMPORT;
  EXPECT_EQ(code(a), ErrorCode::kPermissionDenied);
  a = ask();
  a.groups = 1u << 2;
  EXPECT_EQ(code(a), ErrorCode::kPermissionDenied);
  a = ask();
  a.amounts.records = 11;
  EXPECT_EQ(code(a), ErrorCode::kPermissionDenied);
  EXPECT_EQ(texts_.size(), 9u) << "two rules share a text, or two cases one rule";
}

TEST_F(EngineTest, RecordsOfOneRequestCountTogether) {
  Ask a = ask();
  a.amounts.records = 5;
  a.records_before = 5;
  EXPECT_TRUE(engine_.decide(a, kEngineStart));
  a.records_before = 6;
  EXPECT_FALSE(engine_.decide(a, kEngineStart));
  a.records_before = UINT64_MAX;
  EXPECT_FALSE(engine_.decide(a, kEngineStart));
}

TEST_F(EngineTest, OverLimitReturnsExhaustedWithAnHourToWait) {
  Ask a = ask();
  a.amounts.searches = 1;
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(engine_.decide(a, kEngineStart));
    charge(a, kEngineStart);
  }
  const auto over = engine_.decide(a, kEngineStart);
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code, ErrorCode::kBudgetExhausted);
  EXPECT_GT(over.error().retry_after_ms, 3'500'000);
  EXPECT_LE(over.error().retry_after_ms, 3'660'000);
  EXPECT_TRUE(engine_.decide(a, kEngineStart + 3'660'000));
}

TEST_F(EngineTest, BudgetsAreForEachPrincipalAndPurpose) {
  Ask a = ask();
  a.amounts.searches = 5;
  charge(a, kEngineStart);
  EXPECT_FALSE(engine_.decide(a, kEngineStart));
  a.purpose = "investigation";
  a.case_reference = "A-17";
  EXPECT_TRUE(engine_.decide(a, kEngineStart));
  a = ask();
  a.principal = "other";
  a.amounts.searches = 5;
  EXPECT_TRUE(engine_.decide(a, kEngineStart));
}

TEST_F(EngineTest, AChangeOfPolicyKeepsWhatWasCharged) {
  Ask a = ask();
  a.amounts.records = 10;
  charge(a, kEngineStart);
  charge(a, kEngineStart);
  EXPECT_FALSE(engine_.decide(a, kEngineStart));
  policy_.mutable_roles(0)->mutable_grants(0)->mutable_budget()->set_records_per_hour(30);
  ASSERT_TRUE(engine_.set_policy(policy_, collections_));
  EXPECT_TRUE(engine_.decide(a, kEngineStart));
  charge(a, kEngineStart);
  EXPECT_FALSE(engine_.decide(a, kEngineStart));
}

TEST_F(EngineTest, APolicyThatDoesNotCompileChangesNothing) {
  v1::Policy bad = policy_;
  bad.mutable_roles(0)->mutable_grants(0)->set_collection("people");
  Problem problem;
  EXPECT_FALSE(engine_.set_policy(bad, collections_, &problem));
  EXPECT_EQ(problem.path, "roles.clerk.grants[0].collection");
  EXPECT_TRUE(engine_.decide(ask(), kEngineStart));
}

TEST_F(EngineTest, PowersAreTheRolesAndEndWithTheAccount) {
  EXPECT_TRUE(engine_.has_power("officer", v1::MANAGE_POLICY));
  EXPECT_FALSE(engine_.has_power("officer", v1::READ_LOG));
  EXPECT_FALSE(engine_.has_power("clerk", v1::MANAGE_POLICY));
  EXPECT_FALSE(engine_.has_power("nobody", v1::MANAGE_POLICY));
  const auto compiled = compile_policy(policy_, collections_);
  ASSERT_TRUE(compiled);
  EXPECT_TRUE(engine_.anyone_manages_policy(*compiled));
  add("officer", "officer", true);
  EXPECT_FALSE(engine_.has_power("officer", v1::MANAGE_POLICY));
  EXPECT_FALSE(engine_.anyone_manages_policy(*compiled));
}

// Whatever is asked in whatever order, what was allowed stays within the budget of any hour and
// day.
TEST_F(EngineTest, RandomRequestsNeverExceedAnyBudget) {
  std::mt19937_64 random(7);
  struct Use {
    uint64_t t_ms, records, searches;
  };
  std::map<std::pair<std::string, std::string>, std::vector<Use>> uses;
  const char* principals[] = {"clerk", "other"};
  const char* purposes[] = {"service", "investigation"};
  uint64_t now = kEngineStart;
  int allowed = 0;
  for (int i = 0; i < 5000; ++i) {
    now += random() % 200'000;
    Ask a = ask();
    a.principal = principals[random() % 2];
    a.purpose = purposes[random() % 2];
    a.case_reference = "A";
    a.amounts.records = random() % 10;
    a.amounts.searches = random() % 2;
    if (!engine_.decide(a, now)) continue;
    ++allowed;
    charge(a, now);
    auto& list = uses[{std::string(a.principal), std::string(a.purpose)}];
    list.push_back({now, a.amounts.records, a.amounts.searches});
    uint64_t hour_records = 0, hour_searches = 0, day_records = 0, day_searches = 0;
    for (auto use = list.rbegin(); use != list.rend() && use->t_ms + 86'400'000 > now; ++use) {
      day_records += use->records;
      day_searches += use->searches;
      if (use->t_ms + 3'600'000 > now) {
        hour_records += use->records;
        hour_searches += use->searches;
      }
    }
    ASSERT_LE(hour_records, 20u);
    ASSERT_LE(hour_searches, 5u);
    ASSERT_LE(day_records, 30u);
    ASSERT_LE(day_searches, 50u);
  }
  EXPECT_GT(allowed, 100);
}

// What an engine remembers, and one that was told so.
std::string written(Engine& engine) {
  std::string out;
  ArchiveWriter writer([&](Bytes part) -> Result<void> {
    append(out, part);
    return {};
  });
  engine.archive(writer);
  EXPECT_TRUE(writer.finish());
  return out;
}

bool read_back(const std::string& bytes, Engine& engine) {
  bool given = false;
  ArchiveReader reader(
      [&]() -> Result<std::string> { return std::exchange(given, true) ? std::string() : bytes; });
  engine.archive(reader);
  return reader.finish().has_value();
}

TEST_F(EngineTest, OneThatWasWrittenDownRefusesWhatThisOneWould) {
  Ask a = ask();
  a.amounts.records = 10;
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(engine_.decide(a, kEngineStart));
    charge(a, kEngineStart);
  }
  ASSERT_EQ(code(a), ErrorCode::kBudgetExhausted);
  Engine other;
  ASSERT_TRUE(read_back(written(engine_), other));
  ASSERT_TRUE(other.set_policy(policy_, collections_));
  const auto decided = other.decide(a, kEngineStart);
  ASSERT_FALSE(decided);
  EXPECT_EQ(decided.error().code, ErrorCode::kBudgetExhausted);
  EXPECT_EQ(written(other), written(engine_));
}

TEST_F(EngineTest, WhateverByteOfWhatIsReadWasChangedItIsRefusedOrCanBeAsked) {
  Ask a = ask();
  a.amounts.records = 1;
  charge(a, kEngineStart);
  const std::string sound = written(engine_);
  size_t taken = 0;
  for (size_t at = 0; at < sound.size(); ++at) {
    for (const char to : {char(0), char(1), char(0x7f)}) {
      std::string forged = sound;
      forged[at] = to;
      Engine other;
      if (!read_back(forged, other) || !other.set_policy(policy_, collections_)) continue;
      ++taken;
      (void)other.decide(a, kEngineStart);
      (void)other.budgets_of("clerk", kEngineStart);
      for (const QuarterUse& use : other.quarter_of("clerk", kEngineStart)) {
        EXPECT_LT(use.purpose.size(), sound.size());
      }
    }
  }
  EXPECT_GT(taken, 0u);
}

}  // namespace
}  // namespace strongroom::policy
