// How often ordinary clerks set off an alarm: the rate that docs/spec/watch.md names.
#include "strongroom/sim/habits.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <iostream>

#include "strongroom/watch/watcher.h"

namespace strongroom::sim {
namespace {

using v1::AlarmItem;

constexpr uint64_t kFirstDay = 19'675;  // 2023-11-14.
constexpr uint64_t kDays = 730;
constexpr uint64_t kClerks = 60;
constexpr uint64_t kRegister = 2'000'000;

void look_up(watch::Watcher& watcher, const std::string& name, const LookUp& up,
             std::vector<AlarmItem>& alarms) {
  watch::Event event;
  event.t_ms = up.t_ms;
  event.principal = name;
  event.gateway = "gw";
  event.purpose = up.purpose == 0 ? "service" : "investigation";
  event.collection_records = kRegister;
  if (up.refused > 0) {
    event.kind = watch::Kind::kRefusal;
    event.count = up.refused;
    watcher.step(event, alarms);
  }
  const watch::Term term{synth::mix64(up.term), 0};
  event.kind = watch::Kind::kSearch;
  event.count = 1;
  event.terms = {&term, 1};
  watcher.step(event, alarms);
  if (up.records.empty()) return;
  std::vector<RecordIndex> records;
  for (const uint64_t record : up.records) records.push_back(RecordIndex{record});
  event.kind = watch::Kind::kRelease;
  event.terms = {};
  event.records = records;
  event.count = records.size();
  watcher.step(event, alarms);
}

TEST(HabitsTest, OrdinaryClerksSetOffLessThanOneAlarmInTwoYearsEach) {
  for (const uint64_t seed : {1u, 2u, 3u}) {
    watch::Watcher watcher;
    std::array<uint64_t, AlarmItem::Rule_ARRAYSIZE> by_rule{};
    uint64_t alarms_in_all = 0, look_ups = 0;
    std::vector<Clerk> clerks;
    for (uint64_t i = 0; i < kClerks; ++i) clerks.emplace_back(seed, i, kRegister);
    std::vector<AlarmItem> alarms;
    for (uint64_t day = kFirstDay; day < kFirstDay + kDays; ++day) {
      std::vector<std::pair<uint64_t, LookUp>> ups;
      for (uint64_t i = 0; i < kClerks; ++i) {
        for (LookUp& up : clerks[i].day(day)) ups.emplace_back(i, std::move(up));
      }
      std::sort(ups.begin(), ups.end(),
                [](const auto& a, const auto& b) { return a.second.t_ms < b.second.t_ms; });
      look_ups += ups.size();
      for (const auto& [who, up] : ups) look_up(watcher, "clerk" + std::to_string(who), up, alarms);
    }
    for (const AlarmItem& alarm : alarms) ++by_rule[static_cast<size_t>(alarm.rule())];
    alarms_in_all = alarms.size();
    std::cout << "seed " << seed << ": " << look_ups << " look-ups, " << alarms_in_all
              << " alarms in " << kClerks * 2 << " clerk-years:";
    for (size_t rule = 1; rule < by_rule.size(); ++rule) {
      std::cout << " " << watch::rule_name(static_cast<watch::Rule>(rule)) << " " << by_rule[rule];
    }
    std::cout << "\n";
    EXPECT_LT(alarms_in_all, kClerks) << "seed " << seed;
    uint64_t would_freeze = 0;
    for (const auto rule : {AlarmItem::RATE, AlarmItem::DRIP, AlarmItem::WALK}) {
      would_freeze += by_rule[static_cast<size_t>(rule)];
    }
    EXPECT_LE(would_freeze * 20, kClerks * 2) << "one in twenty years at most, seed " << seed;
  }
}

}  // namespace
}  // namespace strongroom::sim
