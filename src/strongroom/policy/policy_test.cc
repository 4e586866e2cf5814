#include "strongroom/policy/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strongroom::policy {
namespace {

std::vector<std::string> diff_lines(const v1::Policy& old, const v1::Policy& next) {
  return diff_policies(old, next).lines;
}

using testing::ElementsAre;
using testing::IsEmpty;

v1::Collection person() {
  v1::Collection collection;
  collection.set_id(1);
  collection.set_name("person");
  v1::Group& group = *collection.add_groups();
  group.set_id(1);
  group.set_name("identity");
  v1::Field& field = *collection.add_fields();
  field.set_id(1);
  field.set_name("name");
  field.set_type(v1::NAME);
  field.set_group("identity");
  field.add_index(v1::EXACT);
  return collection;
}

v1::Policy sound() {
  v1::Policy policy;
  policy.add_purposes()->set_name("service");
  v1::Role& role = *policy.add_roles();
  role.set_name("clerk");
  v1::Grant& grant = *role.add_grants();
  grant.set_collection("person");
  grant.add_purposes("service");
  grant.add_groups("identity");
  grant.add_actions(v1::FIND);
  grant.mutable_budget()->set_records_per_hour(10);
  grant.mutable_budget()->set_records_per_day(20);
  return policy;
}

// What compile_policy says after one change to a sound policy.
template <class Change>
std::string problem_of(Change change) {
  v1::Policy policy = sound();
  change(policy);
  const std::vector<v1::Collection> collections{person()};
  Problem problem;
  const auto compiled = compile_policy(policy, collections, &problem);
  if (compiled) return "";
  EXPECT_EQ(compiled.error().code, ErrorCode::kInvalidArgument);
  EXPECT_STREQ(compiled.error().text, problem.text);
  return problem.path.empty() ? "?" : problem.path;
}

v1::Grant& grant_of(v1::Policy& policy) {
  return *policy.mutable_roles(0)->mutable_grants(0);
}

TEST(PolicyTest, ASoundPolicyCompilesWithDefaults) {
  const std::vector<v1::Collection> collections{person()};
  const auto compiled = compile_policy(sound(), collections);
  ASSERT_TRUE(compiled);
  EXPECT_EQ(compiled->ticket_lifetime_ms_max, 900'000u);
  const auto& grants = compiled->roles.find("clerk")->second.by_purpose.find("service")->second;
  EXPECT_EQ(grants.at(0).second.records_per_query, 100u);
  EXPECT_EQ(grants.at(0).second.groups, 2u);
}

TEST(PolicyTest, WhatIsUnknownDoubleOrMissingIsNamed) {
  EXPECT_EQ(problem_of([](auto&) {}), "");
  EXPECT_EQ(problem_of([](auto& p) { grant_of(p).set_collection("people"); }),
            "roles.clerk.grants[0].collection");
  EXPECT_EQ(problem_of([](auto& p) { grant_of(p).add_groups("contact"); }),
            "roles.clerk.grants[0].groups[1]");
  EXPECT_EQ(problem_of([](auto& p) { grant_of(p).add_groups("identity"); }),
            "roles.clerk.grants[0].groups[1]");
  EXPECT_EQ(problem_of([](auto& p) { grant_of(p).add_purposes("audit"); }),
            "roles.clerk.grants[0].purposes[1]");
  EXPECT_EQ(problem_of([](auto& p) { grant_of(p).add_purposes("service"); }),
            "roles.clerk.grants[0].purposes[1]");
  EXPECT_EQ(problem_of([](auto& p) { *p.mutable_roles(0)->add_grants() = grant_of(p); }),
            "roles.clerk.grants[1].purposes[0]");
  EXPECT_EQ(problem_of([](auto& p) { grant_of(p).clear_actions(); }), "roles.clerk.grants[0]");
  EXPECT_EQ(problem_of([](auto& p) { grant_of(p).clear_groups(); }), "roles.clerk.grants[0]");
  EXPECT_EQ(problem_of([](auto& p) { grant_of(p).clear_purposes(); }), "roles.clerk.grants[0]");
  EXPECT_EQ(problem_of([](auto& p) { grant_of(p).add_actions(v1::FIND); }),
            "roles.clerk.grants[0].actions[1]");
  EXPECT_EQ(problem_of([](auto& p) { grant_of(p).add_actions(static_cast<v1::Action>(77)); }),
            "roles.clerk.grants[0].actions[1]");
  EXPECT_EQ(problem_of([](auto& p) { p.mutable_roles(0)->add_powers(v1::POWER_UNSPECIFIED); }),
            "roles.clerk.powers[0]");
  EXPECT_EQ(problem_of([](auto& p) { p.add_roles(); }), "roles[1].name");
  EXPECT_EQ(problem_of([](auto& p) { p.add_roles()->set_name("clerk"); }), "roles.clerk");
  EXPECT_EQ(problem_of([](auto& p) { p.add_purposes()->set_name("service"); }), "purposes[1].name");
  EXPECT_EQ(problem_of([](auto& p) { p.add_purposes()->set_name("Bad Name"); }),
            "purposes[1].name");
  EXPECT_EQ(problem_of([](auto& p) { p.set_ticket_lifetime_s_max(86'401); }),
            "ticket_lifetime_s_max");
}

TEST(PolicyTest, BudgetsThatCannotBeMeantAreRefused) {
  EXPECT_EQ(problem_of([](auto& p) { grant_of(p).mutable_budget()->set_records_per_hour(21); }),
            "roles.clerk.grants[0].budget");
  EXPECT_EQ(problem_of([](auto& p) { grant_of(p).mutable_budget()->set_searches_per_hour(1); }),
            "roles.clerk.grants[0].budget");
  EXPECT_EQ(
      problem_of([](auto& p) { grant_of(p).mutable_budget()->set_writes_per_day(UINT64_MAX); }),
      "roles.clerk.grants[0].budget");
}

TEST(PolicyTest, DiffNamesEachChangeOnceAndNothingElse) {
  const v1::Policy old = sound();
  EXPECT_THAT(diff_lines(old, old), IsEmpty());
  v1::Policy next = old;
  next.set_version(7);
  next.mutable_roles(0)->add_powers(v1::READ_LOG);
  grant_of(next).mutable_budget()->set_records_per_day(30);
  EXPECT_THAT(diff_lines(old, next),
              ElementsAre("~ roles.clerk.person.service.records_per_day: 20 -> 30",
                          "~ roles.clerk.person.service.records_per_month: 600 -> 900",
                          "~ roles.clerk.powers:  -> READ_LOG"));
  v1::Policy less = old;
  less.clear_purposes();
  less.clear_roles();
  for (const std::string& line : diff_lines(old, less)) EXPECT_EQ(line[0], '-') << line;
  for (const std::string& line : diff_lines(less, old)) EXPECT_EQ(line[0], '+') << line;
}

TEST(CollectionTest, OnlySoundDefinitionsPass) {
  EXPECT_TRUE(check_collection(person()));
  const auto refused = [](auto change) {
    v1::Collection collection = person();
    change(collection);
    return !check_collection(collection);
  };
  EXPECT_TRUE(refused([](auto& c) { c.set_name("Person"); }));
  EXPECT_TRUE(refused([](auto& c) { c.set_id(0); }));
  EXPECT_TRUE(refused([](auto& c) { c.clear_fields(); }));
  EXPECT_TRUE(refused([](auto& c) { *c.add_fields() = c.fields(0); }));
  EXPECT_TRUE(refused([](auto& c) { *c.add_groups() = c.groups(0); }));
  EXPECT_TRUE(refused([](auto& c) { c.mutable_groups(0)->set_id(32); }));
  EXPECT_TRUE(refused([](auto& c) { c.mutable_groups(0)->set_name("masked"); }));
  EXPECT_TRUE(refused([](auto& c) { c.mutable_fields(0)->set_group("other"); }));
  EXPECT_TRUE(refused([](auto& c) { c.mutable_fields(0)->set_id(65536); }));
  EXPECT_TRUE(refused([](auto& c) { c.mutable_fields(0)->set_type(v1::JSON); }));
  EXPECT_TRUE(refused([](auto& c) { c.mutable_fields(0)->clear_type(); }));
  EXPECT_TRUE(refused([](auto& c) { c.mutable_fields(0)->add_index(v1::EXACT); }));
  EXPECT_TRUE(refused([](auto& c) { c.mutable_fields(0)->set_max_bytes(kFieldBytesMax + 1); }));
}

TEST(CollectionTest, KindsOfIndexFitTheTypeOfTheirField) {
  const auto sound = [](auto change) {
    v1::Collection collection = person();
    v1::Field& day = *collection.add_fields();
    day.set_id(2);
    day.set_name("day");
    day.set_type(v1::DATE);
    day.set_group("identity");
    change(collection, *collection.mutable_fields(0), *collection.mutable_fields(1));
    return check_collection(collection).has_value();
  };
  using C = v1::Collection;
  using F = v1::Field;
  const auto prefixes = [](F& f, std::initializer_list<uint32_t> lengths) {
    f.add_index(v1::PREFIX);
    for (const uint32_t length : lengths) f.add_prefixes(length);
  };
  EXPECT_TRUE(sound([](C&, F& name, F& day) {
    name.add_index(v1::FUZZY);
    day.add_index(v1::RANGE);
  }));
  EXPECT_TRUE(sound([&](C&, F& name, F&) { prefixes(name, {1, 3}); }));
  EXPECT_FALSE(sound([&](C&, F& name, F&) { prefixes(name, {}); }));
  EXPECT_FALSE(sound([&](C&, F& name, F&) { prefixes(name, {3, 1}); }));
  EXPECT_FALSE(sound([&](C&, F& name, F&) { prefixes(name, {33}); }));
  EXPECT_FALSE(sound([](C&, F& name, F&) { name.add_prefixes(1); })) << "lengths, but no index";
  EXPECT_FALSE(sound([](C&, F& name, F&) { name.add_index(v1::RANGE); }));
  EXPECT_FALSE(sound([](C&, F& name, F&) { name.add_index(v1::WORDS); }));
  EXPECT_FALSE(sound([](C&, F&, F& day) { day.add_index(v1::FUZZY); }));
  EXPECT_FALSE(sound([](C&, F&, F& day) { day.mutable_range(); })) << "a range of a date";
  const auto integer = [](F& f, int64_t min, int64_t max) {
    f.set_type(v1::INTEGER);
    f.add_index(v1::RANGE);
    f.mutable_range()->set_min(min);
    f.mutable_range()->set_max(max);
  };
  EXPECT_TRUE(sound([&](C&, F&, F& f) { integer(f, -5, 0xfffffffa); }));
  EXPECT_FALSE(sound([&](C&, F&, F& f) { integer(f, -5, 0xfffffffb); })) << "too wide";
  EXPECT_FALSE(sound([&](C&, F&, F& f) { integer(f, 1, 0); }));
  const auto composite = [&](C& c, F& name, F& day) {
    prefixes(name, {1});
    day.add_index(v1::RANGE);
    v1::Composite& made = *c.add_composites();
    made.set_id(1);
    v1::Composite::Part& first = *made.add_parts();
    first.set_field("name");
    first.set_prefix(1);
    v1::Composite::Part& second = *made.add_parts();
    second.set_field("day");
    second.set_unit(v1::YEAR_UNIT);
    return &made;
  };
  EXPECT_TRUE(sound(composite));
  EXPECT_FALSE(sound([&](C& c, F& name, F& day) {
    composite(c, name, day)->mutable_parts(0)->set_prefix(2);
  })) << "a prefix that is not indexed";
  EXPECT_FALSE(sound([&](C& c, F& name, F& day) {
    composite(c, name, day)->mutable_parts(1)->set_field("name");
  }));
  EXPECT_FALSE(sound(
      [&](C& c, F& name, F& day) { composite(c, name, day)->mutable_parts()->RemoveLast(); }));
  EXPECT_FALSE(sound([&](C& c, F& name, F& day) { composite(c, name, day)->set_id(0); }));

  v1::Collection old = person(), next = person();
  prefixes(*old.mutable_fields(0), {1});
  prefixes(*next.mutable_fields(0), {2});
  EXPECT_FALSE(check_collection_change(old, next)) << "stored records have the old lengths";
}

TEST(CollectionTest, AddedIndexesAreThoseThatOlderRecordsLack) {
  const v1::Collection old = person();
  EXPECT_TRUE(added_indexes(old, old).empty());
  v1::Collection next = old;
  v1::Field& name = *next.mutable_fields(0);
  name.add_index(v1::FUZZY);
  name.add_index(v1::PREFIX);
  name.add_prefixes(1);
  name.add_prefixes(3);
  v1::Field& late = *next.add_fields();
  late.set_id(9);
  late.add_index(v1::EXACT);
  next.add_composites()->set_id(4);
  const auto added = added_indexes(old, next);
  ASSERT_EQ(added.size(), 4u) << "older records have no value of a new field";
  EXPECT_EQ(added[0].kind(), v1::FUZZY);
  EXPECT_EQ(added[1].prefix(), 1u);
  EXPECT_EQ(added[2].prefix(), 3u);
  EXPECT_EQ(added[3].composite(), 4u);
}

TEST(CollectionTest, ChangesKeepTheMeaningOfStoredRecords) {
  const v1::Collection old = person();
  const auto allowed = [&](auto change) {
    v1::Collection next = old;
    change(next);
    EXPECT_TRUE(check_collection(next));
    const auto checked = check_collection_change(old, next);
    if (!checked) {
      EXPECT_EQ(checked.error().code, ErrorCode::kFailedPrecondition);
    }
    return checked.has_value();
  };
  const auto add_field = [](v1::Collection& c) -> v1::Field& {
    v1::Field& field = *c.add_fields();
    field.set_id(2);
    field.set_name("note");
    field.set_type(v1::TEXT);
    field.set_group("identity");
    return field;
  };
  EXPECT_TRUE(allowed([](auto& c) { c.set_title("People"); }));
  EXPECT_TRUE(allowed([](auto& c) { c.mutable_fields(0)->set_mask(v1::FIRST1); }));
  EXPECT_TRUE(allowed([&](auto& c) { add_field(c); }));
  EXPECT_FALSE(allowed([&](auto& c) { add_field(c).set_required(true); }));
  EXPECT_FALSE(allowed([](auto& c) { c.set_id(2); }));
  EXPECT_FALSE(allowed([](auto& c) { c.set_name("people"); }));
  EXPECT_FALSE(allowed([](auto& c) { c.mutable_fields(0)->set_type(v1::TEXT); }));
  EXPECT_FALSE(allowed([](auto& c) { c.mutable_fields(0)->set_name("title"); }));
  EXPECT_FALSE(allowed([](auto& c) { c.mutable_fields(0)->set_id(9); }));
  EXPECT_FALSE(allowed([](auto& c) { c.mutable_fields(0)->set_unique(true); }));
  EXPECT_FALSE(allowed([](auto& c) { c.mutable_fields(0)->clear_index(); }));
  EXPECT_TRUE(allowed([](auto& c) { c.mutable_fields(0)->add_index(v1::FUZZY); }));
  EXPECT_TRUE(allowed([](auto& c) {
    c.mutable_fields(0)->add_index(v1::PREFIX);
    c.mutable_fields(0)->add_prefixes(2);
  }));
  EXPECT_FALSE(allowed([](auto& c) { c.mutable_fields(0)->set_required(true); }));
  EXPECT_FALSE(allowed([](auto& c) { c.mutable_fields(0)->set_region("CN"); }));
  EXPECT_FALSE(allowed([](auto& c) {
    c.mutable_groups(0)->set_name("other");
    c.mutable_fields(0)->set_group("other");
  }));
}

}  // namespace
}  // namespace strongroom::policy
