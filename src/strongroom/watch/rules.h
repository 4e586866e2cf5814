// The `watch` section of a policy, made ready: every rule with its action and numbers.
// Spec: docs/spec/watch.md
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "strongroom/base/result.h"
#include "strongroom/v1/watch.pb.h"

namespace strongroom::watch {

using Rule = v1::AlarmItem::Rule;
using Measure = v1::AlarmItem::Measure;
using Action = v1::WatchRule::Action;

struct RuleSetting {
  Action action = v1::WatchRule::OFF;
  uint64_t least = 0;
  uint32_t factor = 0;  // 0: this rule knows no history.
};

struct Rules {
  std::array<RuleSetting, v1::AlarmItem::Rule_ARRAYSIZE> by_rule{};
  const RuleSetting& of(Rule rule) const { return by_rule[static_cast<size_t>(rule)]; }
};

inline constexpr uint32_t kFactorMax = 1000;

// Fills in the defaults. Pure.
//   kInvalidArgument  `path`, where given, says which item.
Result<Rules> compile_rules(const v1::Watch& watch, std::string* path = nullptr);

const char* rule_name(Rule rule);  // As in the policy: "rate", "gateway_rate".

}  // namespace strongroom::watch
