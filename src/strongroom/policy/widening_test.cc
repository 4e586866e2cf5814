// Which changes of a policy widen access: these take several to sign.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "strongroom/policy/policy.h"

namespace strongroom::policy {
namespace {

v1::Policy base() {
  v1::Policy policy;
  v1::Purpose& purpose = *policy.add_purposes();
  purpose.set_name("service");
  purpose.set_case_required(true);
  purpose.add_case_patterns("A-##");
  v1::Role& role = *policy.add_roles();
  role.set_name("clerk");
  role.add_powers(v1::READ_STATUS);
  v1::Grant& grant = *role.add_grants();
  grant.set_collection("person");
  grant.add_purposes("service");
  grant.add_groups("identity");
  grant.add_actions(v1::FIND);
  grant.set_records_per_query(10);
  grant.set_hours("08:00-18:00");
  grant.add_days("mon");
  grant.add_networks("10.20.0.0/16");
  v1::Budget& budget = *grant.mutable_budget();
  budget.set_records_per_hour(10);
  budget.set_records_per_day(20);
  policy.mutable_limits()->mutable_vault()->mutable_records()->set_day(100);
  policy.mutable_approvals()->set_needed(3);
  return policy;
}

using Change = std::function<void(v1::Policy&)>;
v1::Grant& grant(v1::Policy& p) {
  return *p.mutable_roles(0)->mutable_grants(0);
}

TEST(WideningTest, WhateverOpensMoreWidensAndItsReverseDoesNot) {
  const std::pair<const char*, Change> changes[] = {
      {"power", [](auto& p) { p.mutable_roles(0)->add_powers(v1::MANAGE_COLLECTIONS); }},
      {"action", [](auto& p) { grant(p).add_actions(v1::GET); }},
      {"group", [](auto& p) { grant(p).add_groups("contact"); }},
      {"per query", [](auto& p) { grant(p).set_records_per_query(11); }},
      {"per hour", [](auto& p) { grant(p).mutable_budget()->set_records_per_hour(11); }},
      {"per day", [](auto& p) { grant(p).mutable_budget()->set_records_per_day(21); }},
      {"per month", [](auto& p) { grant(p).mutable_budget()->set_records_per_month(601); }},
      {"searches", [](auto& p) { grant(p).mutable_budget()->set_searches_per_day(1); }},
      {"reindexed", [](auto& p) { grant(p).mutable_budget()->set_reindexed_per_day(1); }},
      {"erasures", [](auto& p) { grant(p).mutable_budget()->set_erasures_per_day(1); }},
      {"no days", [](auto& p) { grant(p).clear_days(); }},
      {"a day", [](auto& p) { grant(p).add_days("tue"); }},
      {"no networks", [](auto& p) { grant(p).clear_networks(); }},
      {"a network", [](auto& p) { grant(p).add_networks("10.21.0.0/16"); }},
      {"a wider network", [](auto& p) { grant(p).set_networks(0, "10.20.0.0/15"); }},
      {"no hours", [](auto& p) { grant(p).clear_hours(); }},
      {"limit raised",
       [](auto& p) { p.mutable_limits()->mutable_vault()->mutable_records()->set_day(101); }},
      {"limit gone", [](auto& p) { p.clear_limits(); }},
      {"repeats", [](auto& p) { p.mutable_limits()->set_repeat_free_minutes(1); }},
      {"approvals", [](auto& p) { p.mutable_approvals()->set_needed(2); }},
      {"approvals' default", [](auto& p) { p.clear_approvals(); }},
      {"tickets live longer", [](auto& p) { p.set_ticket_lifetime_s_max(901); }},
      {"case", [](auto& p) { p.mutable_purposes(0)->set_case_required(false); }},
      {"any case", [](auto& p) { p.mutable_purposes(0)->clear_case_patterns(); }},
      {"more cases", [](auto& p) { p.mutable_purposes(0)->add_case_patterns("B-##"); }},
      {"new grant",
       [](auto& p) {
         *p.mutable_roles(0)->add_grants() = grant(p);
         p.mutable_roles(0)->mutable_grants(1)->set_collection("x");
       }},
      {"new role",
       [](auto& p) {
         *p.add_roles() = p.roles(0);
         p.mutable_roles(1)->set_name("other");
       }},
  };
  for (const auto& [name, change] : changes) {
    v1::Policy next = base();
    change(next);
    EXPECT_TRUE(diff_policies(base(), next).widens) << name;
    EXPECT_FALSE(diff_policies(next, base()).widens) << name << " taken back";
  }
}

TEST(WideningTest, APartOfANetworkThatWasThereNarrows) {
  v1::Policy next = base();
  grant(next).set_networks(0, "10.20.128.0/17");
  grant(next).add_networks("10.20.3.4");
  EXPECT_FALSE(diff_policies(base(), next).widens);
  EXPECT_TRUE(diff_policies(next, base()).widens);
}

TEST(WideningTest, WhatCannotBeComparedWidensEitherWay) {
  const std::pair<const char*, Change> changes[] = {
      {"other hours", [](auto& p) { grant(p).set_hours("09:00-17:00"); }},
      {"another clock", [](auto& p) { p.set_utc_offset("+08:00"); }},
      {"a collection's own limit",
       [](auto& p) { p.mutable_limits()->add_collections()->set_collection("person"); }},
      {"an embargo", [](auto& p) { p.mutable_purposes(0)->set_embargo_days(30); }},
      {"people named", [](auto& p) { p.mutable_purposes(0)->set_shown_as(v1::PERSON); }},
      {"cases told", [](auto& p) { p.mutable_purposes(0)->set_show_case(true); }},
  };
  for (const auto& [name, change] : changes) {
    v1::Policy next = base();
    change(next);
    EXPECT_TRUE(diff_policies(base(), next).widens) << name;
    EXPECT_TRUE(diff_policies(next, base()).widens) << name;
  }
}

TEST(WideningTest, NobodyTakesTheWatchmenAwayAlone) {
  for (const v1::Power guard : {v1::FREEZE, v1::READ_LOG, v1::APPROVE}) {
    v1::Policy guarded = base();
    guarded.mutable_roles(0)->add_powers(guard);
    EXPECT_TRUE(diff_policies(guarded, base()).widens) << v1::Power_Name(guard);
    v1::Policy gone = guarded;
    gone.clear_roles();
    EXPECT_TRUE(diff_policies(guarded, gone).widens) << "with the whole role";
  }
}

TEST(WideningTest, WordsForPeopleNeverDo) {
  v1::Policy next = base();
  next.set_contact("the desk");
  next.mutable_purposes(0)->set_title("Service");
  next.mutable_roles(0)->set_title("Clerks");
  next.set_version(9);
  const auto diff = diff_policies(base(), next);
  EXPECT_EQ(diff.lines.size(), 3u);
  EXPECT_FALSE(diff.widens);
}

TEST(WideningTest, AFieldThatNobodyThoughtOfWidens) {
  v1::Policy next = base();
  // As a later version's field that this code has no line for.
  auto& grant_message = grant(next);
  grant_message.GetReflection()->MutableUnknownFields(&grant_message)->AddVarint(999, 1);
  EXPECT_TRUE(diff_policies(base(), next).widens);
  EXPECT_TRUE(diff_policies(next, base()).widens);
}

// One that is in the .proto must be judged by a line: this names those that are not.
TEST(WideningTest, EveryFieldThereIsIsJudged) {
  std::vector<std::string> missing;
  std::vector<const google::protobuf::Descriptor*> left{v1::Policy::descriptor()};
  while (!left.empty()) {
    const auto* message = left.back();
    left.pop_back();
    for (int i = 0; i < message->field_count(); ++i) {
      const auto* field = message->field(i);
      if (!is_judged(message->name(), field->number())) missing.push_back(field->full_name());
      if (field->message_type() != nullptr) left.push_back(field->message_type());
    }
  }
  EXPECT_THAT(missing, testing::IsEmpty());
}

}  // namespace
}  // namespace strongroom::policy
