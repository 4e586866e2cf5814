#include "strongroom/watch/rules.h"

namespace strongroom::watch {
namespace {

using v1::AlarmItem;
using v1::WatchRule;

struct RuleDefault {
  Rule rule;
  const char* name;
  const WatchRule& (v1::Watch::*section)() const;
  RuleSetting setting;
};

// Chosen so that simulated clerks raise less than one alarm in two years of work (habits_test.cc),
// and that each thief of the simulator is noticed.
constexpr RuleDefault kDefaults[] = {
    {AlarmItem::RATE, "rate", &v1::Watch::rate, {WatchRule::NOTIFY, 60, 4}},
    {AlarmItem::BREADTH, "breadth", &v1::Watch::breadth, {WatchRule::NOTIFY, 40, 4}},
    {AlarmItem::DRIP, "drip", &v1::Watch::drip, {WatchRule::NOTIFY, 100, 3}},
    {AlarmItem::WALK, "walk", &v1::Watch::walk, {WatchRule::NOTIFY, 15, 0}},
    {AlarmItem::HOURS, "hours", &v1::Watch::hours, {WatchRule::NOTIFY, 10, 0}},
    {AlarmItem::REFUSALS, "refusals", &v1::Watch::refusals, {WatchRule::NOTIFY, 30, 4}},
    {AlarmItem::PURPOSES, "purposes", &v1::Watch::purposes, {WatchRule::NOTIFY, 3, 2}},
    {AlarmItem::CANARY, "canary", &v1::Watch::canary, {WatchRule::FREEZE, 0, 0}},
    {AlarmItem::GATEWAY_RATE,
     "gateway_rate",
     &v1::Watch::gateway_rate,
     {WatchRule::NOTIFY, 1000, 4}},
    {AlarmItem::GATEWAY_REFUSALS,
     "gateway_refusals",
     &v1::Watch::gateway_refusals,
     {WatchRule::NOTIFY, 200, 4}},
    {AlarmItem::EMERGENCY, "emergency", &v1::Watch::emergency, {WatchRule::NOTIFY, 0, 0}},
};

Error fail(std::string* path, const char* name, const char* text) {
  if (path != nullptr) *path = std::string("watch.") + name;
  return make_error(ErrorCode::kInvalidArgument, text);
}

}  // namespace

Result<Rules> compile_rules(const v1::Watch& watch, std::string* path) {
  Rules out;
  for (const RuleDefault& item : kDefaults) {
    const WatchRule& given = (watch.*item.section)();
    RuleSetting setting = item.setting;
    if (!WatchRule::Action_IsValid(given.action())) {
      return fail(path, item.name, "A watch rule names an action that this version does not know.");
    }
    if (given.action() != WatchRule::DEFAULT) setting.action = given.action();
    const bool of_gateway =
        item.rule == AlarmItem::GATEWAY_RATE || item.rule == AlarmItem::GATEWAY_REFUSALS;
    if (of_gateway && setting.action == WatchRule::MASK) {
      return fail(path, item.name, "A gateway has no masked view: use NOTIFY or FREEZE.");
    }
    if (given.factor() != 0 && item.setting.factor == 0) {
      return fail(path, item.name, "This watch rule has no history, so it takes no factor.");
    }
    if (given.factor() > kFactorMax) {
      return fail(path, item.name, "A watch rule's factor is 1000 at most.");
    }
    if (given.least() != 0 && item.rule == AlarmItem::CANARY) {
      return fail(path, item.name, "Each canary counts: this watch rule takes an action only.");
    }
    if (given.least() != 0) setting.least = given.least();
    if (given.factor() != 0) setting.factor = given.factor();
    out.by_rule[static_cast<size_t>(item.rule)] = setting;
  }
  return out;
}

const char* rule_name(Rule rule) {
  for (const RuleDefault& item : kDefaults) {
    if (item.rule == rule) return item.name;
  }
  return "unknown";
}

}  // namespace strongroom::watch
