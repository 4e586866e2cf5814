#include "strongroom/sender/event.h"

#include <cstdio>
#include <ctime>

#include "strongroom/sender/ocsf_object.h"

namespace strongroom::sender {
namespace {

using v1::AlarmItem;
using v1::WatchRule;

std::string time_of(uint64_t t_ms) {
  const auto t = static_cast<time_t>(t_ms / 1000);
  tm parts{};
  gmtime_r(&t, &parts);
  char seconds[32], out[48];
  std::strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(out, sizeof out, "%s.%03uZ", seconds, static_cast<unsigned>(t_ms % 1000));
  return out;
}

std::string whole_text(const v1::Alarm& alarm) {
  return alarm.text() + "; " + alarm.consequence() + " (log entry " + std::to_string(alarm.leaf()) +
         ")";
}

}  // namespace

uint32_t severity_of(const AlarmItem& alarm) {
  if (alarm.test()) return 1;
  if (alarm.rule() == AlarmItem::CANARY) return 5;
  switch (alarm.action()) {
    case WatchRule::FREEZE:
      return 5;
    case WatchRule::MASK:
      return 4;
    default:
      if (alarm.rule() == AlarmItem::EMERGENCY) return 4;
      return alarm.rule() == AlarmItem::HOURS || alarm.rule() == AlarmItem::PURPOSES ? 2 : 3;
  }
}

std::string to_ocsf(const v1::Alarm& alarm, const Origin& origin) {
  const AlarmItem& item = alarm.alarm();
  const bool cut = item.action() == WatchRule::FREEZE && !item.test();
  const std::string rule = AlarmItem::Rule_Name(item.rule());
  google::protobuf::Struct event;
  OcsfObject root(event);
  root.number("class_uid", 2004).number("category_uid", 2).number("type_uid", 200401);
  root.number("activity_id", 1).number("severity_id", severity_of(item)).number("status_id", 1);
  root.number("action_id", cut ? 2 : 1).number("disposition_id", cut ? 2 : 1);
  root.number("time", alarm.t_ms()).text("message", whole_text(alarm)).flag("is_alert", true);
  add_metadata(root, origin,
               origin.vault + "-" + std::to_string(alarm.leaf()) + "-" + rule + "-" +
                   AlarmItem::Measure_Name(item.measure()) + "-" + item.principal());
  auto finding = root.object("finding_info");
  finding.text("uid", origin.vault + "-" + std::to_string(alarm.leaf()));
  finding.text("title", (item.test() ? "Test: " : "") + alarm.text())
      .text("desc", alarm.consequence());
  finding.number("created_time", alarm.t_ms());
  finding.object("analytic").text("name", rule).number("type_id", 1);
  auto evidence = root.item("evidences");
  if (!item.principal().empty()) {
    evidence.object("actor").object("user").text("name", item.principal());
  }
  auto data = evidence.object("data");
  data.text("gateway", item.gateway()).text("purpose", item.purpose());
  data.text("measure", AlarmItem::Measure_Name(item.measure()));
  data.number("collection", item.collection()).number("observed", item.observed());
  data.number("limit", item.limit()).number("usual", item.usual());
  data.number("periods", item.periods()).number("window_ms", item.window_ms());
  data.number("log_leaf", alarm.leaf()).number("cause_leaf", item.cause());
  data.text("action", WatchRule::Action_Name(item.action())).flag("test", item.test());
  return ocsf_line(event);
}

std::string to_syslog(const v1::Alarm& alarm) {
  constexpr uint32_t kAuthPriv = 10;
  constexpr uint32_t kBySeverity[] = {6, 6, 5, 4, 3, 2};  // OCSF's to syslog's.
  const uint32_t priority = kAuthPriv * 8 + kBySeverity[severity_of(alarm.alarm())];
  return "<" + std::to_string(priority) + ">1 " + time_of(alarm.t_ms()) +
         " - strongroom - alarm - " + whole_text(alarm);
}

}  // namespace strongroom::sender
