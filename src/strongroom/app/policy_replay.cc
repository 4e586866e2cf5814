#include "strongroom/app/policy_replay.h"

#include <array>
#include <iostream>
#include <vector>

#include "strongroom/app/alarm_view.h"
#include "strongroom/app/log_reader.h"
#include "strongroom/v1/log.pb.h"
#include "strongroom/watch/explain.h"
#include "strongroom/watch/feed.h"

namespace strongroom::app {
namespace {

using v1::AlarmItem;

struct ReplayOutcome {
  std::vector<v1::Alarm> would;
  std::array<uint64_t, AlarmItem::Rule_ARRAYSIZE> were{}, would_be{};
  uint64_t entries = 0, unreadable = 0;
};

// The same steps as the key server's: an entry's event through the watcher.
class Replay {
 public:
  explicit Replay(const watch::Rules& rules) { watcher_.set_rules(rules); }
  void step(const v1::LogEntryView& entry) {
    ++out_.entries;
    items_.resize(static_cast<size_t>(entry.items_size()));
    for (int i = 0; i < entry.items_size(); ++i) {
      if (!items_[static_cast<size_t>(i)].ParseFromString(entry.items(i))) {
        ++out_.unreadable;
        return;
      }
    }
    const std::span<const v1::LogItem> items(items_);
    if (!items.empty() && (items[0].has_alarm() || items[0].has_refused())) {
      for (const auto& item : items) {
        if (item.has_alarm() && !item.alarm().test()) ++out_.were[item.alarm().rule()];
        feed(entry, {&item, 1});
      }
    } else {
      feed(entry, items);
    }
  }
  ReplayOutcome finish() { return std::move(out_); }

 private:
  void feed(const v1::LogEntryView& entry, std::span<const v1::LogItem> items) {
    const auto event = feed_.event(entry.leaf(), entry.t_ms(), items);
    if (!event) return;
    std::vector<AlarmItem> alarms;
    watcher_.step(*event, alarms);
    for (AlarmItem& alarm : alarms) {
      ++out_.would_be[alarm.rule()];
      v1::Alarm& would = out_.would.emplace_back();
      would.set_leaf(entry.leaf());
      would.set_t_ms(entry.t_ms());
      would.set_text(watch::explain(alarm));
      would.set_consequence("it would be " + v1::WatchRule::Action_Name(alarm.action()));
      *would.mutable_alarm() = std::move(alarm);
    }
  }
  watch::Feed feed_;
  watch::Watcher watcher_;
  std::vector<v1::LogItem> items_;
  ReplayOutcome out_;
};

void print(const Global& global, const ReplayOutcome& outcome) {
  if (global.json) {
    std::string out = "{\"entries\":" + std::to_string(outcome.entries) + ",\"alarms\":[";
    for (size_t i = 0; i < outcome.would.size(); ++i) {
      out += (i == 0 ? "" : ",") + to_json(outcome.would[i]);
    }
    out += "],\"rules\":{";
    for (int rule = 1; rule < AlarmItem::Rule_ARRAYSIZE; ++rule) {
      const auto at = static_cast<size_t>(rule);
      out += std::string(rule == 1 ? "" : ",") +
             json_string(watch::rule_name(static_cast<watch::Rule>(rule))) +
             ":{\"would\":" + std::to_string(outcome.would_be[at]) +
             ",\"were\":" + std::to_string(outcome.were[at]) + "}";
    }
    std::cout << out << "}}\n";
    return;
  }
  for (const auto& alarm : outcome.would) std::cout << describe_alarm(alarm) << "\n";
  std::vector<std::vector<std::string>> table = {{"rule", "with these rules", "as it was"}};
  for (int rule = 1; rule < AlarmItem::Rule_ARRAYSIZE; ++rule) {
    const auto at = static_cast<size_t>(rule);
    table.push_back({watch::rule_name(static_cast<watch::Rule>(rule)),
                     format_count(outcome.would_be[at]), format_count(outcome.were[at])});
  }
  print_table(table);
  std::cout
      << format_count(outcome.entries)
      << " entries of the log; canaries are known to the key server alone, and not replayed\n";
}

}  // namespace

Result<void> replay_watch(const Global& global, const v1::Policy& policy) {
  SR_ASSIGN(const auto rules, watch::compile_rules(policy.watch()));
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  Replay replay(rules);
  SR_TRY(read_log(*admin, 0, [&](const v1::LogEntryView& entry) -> Result<void> {
    replay.step(entry);
    return {};
  }));
  print(global, replay.finish());
  return {};
}

}  // namespace strongroom::app
