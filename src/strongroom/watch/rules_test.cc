#include "strongroom/watch/rules.h"

#include <gtest/gtest.h>

namespace strongroom::watch {
namespace {

using v1::AlarmItem;
using v1::WatchRule;

TEST(WatchRulesTest, NothingGivenIsTheDefaultAndEveryRuleIsOn) {
  const auto rules = compile_rules({});
  ASSERT_TRUE(rules);
  for (int rule = AlarmItem::RATE; rule <= AlarmItem::EMERGENCY; ++rule) {
    EXPECT_NE(rules->of(static_cast<Rule>(rule)).action, WatchRule::OFF) << rule;
    EXPECT_STRNE(rule_name(static_cast<Rule>(rule)), "unknown") << rule;
  }
  EXPECT_EQ(rules->of(AlarmItem::CANARY).action, WatchRule::FREEZE);
}

TEST(WatchRulesTest, WhatIsGivenReplacesTheDefaultAndTheRestStays) {
  v1::Watch watch;
  watch.mutable_rate()->set_action(WatchRule::MASK);
  watch.mutable_rate()->set_least(7);
  watch.mutable_drip()->set_factor(9);
  watch.mutable_walk()->set_action(WatchRule::OFF);
  const auto rules = compile_rules(watch);
  ASSERT_TRUE(rules);
  EXPECT_EQ(rules->of(AlarmItem::RATE).action, WatchRule::MASK);
  EXPECT_EQ(rules->of(AlarmItem::RATE).least, 7u);
  EXPECT_EQ(rules->of(AlarmItem::RATE).factor, compile_rules({})->of(AlarmItem::RATE).factor);
  EXPECT_EQ(rules->of(AlarmItem::DRIP).factor, 9u);
  EXPECT_EQ(rules->of(AlarmItem::WALK).action, WatchRule::OFF);
}

TEST(WatchRulesTest, WhatMakesNoSenseIsRefusedWithItsPlace) {
  const auto refused = [](const auto& change, const char* at) {
    v1::Watch watch;
    change(watch);
    std::string path;
    EXPECT_FALSE(compile_rules(watch, &path));
    EXPECT_EQ(path, at);
  };
  refused([](v1::Watch& w) { w.mutable_gateway_rate()->set_action(WatchRule::MASK); },
          "watch.gateway_rate");
  refused([](v1::Watch& w) { w.mutable_walk()->set_factor(2); }, "watch.walk");
  refused([](v1::Watch& w) { w.mutable_canary()->set_least(1); }, "watch.canary");
  refused([](v1::Watch& w) { w.mutable_rate()->set_factor(1001); }, "watch.rate");
  refused([](v1::Watch& w) { w.mutable_rate()->set_action(static_cast<WatchRule::Action>(9)); },
          "watch.rate");
}

}  // namespace
}  // namespace strongroom::watch
