#include "strongroom/watch/explain.h"

#include "strongroom/watch/rules.h"

namespace strongroom::watch {
namespace {

using v1::AlarmItem;

std::string subject(const AlarmItem& alarm) {
  if (!alarm.principal().empty()) return alarm.principal();
  return "gateway " + alarm.gateway();
}

std::string what(const AlarmItem& alarm) {
  const std::string n = std::to_string(alarm.observed());
  switch (alarm.measure()) {
    case AlarmItem::RECORDS:
      return "opened " + n + " records";
    case AlarmItem::SEARCHES:
      return "searched " + n + " times";
    case AlarmItem::DIFFERENT_RECORDS:
      return "opened about " + n + " different records";
    case AlarmItem::DIFFERENT_TERMS:
      return "searched for about " + n + " different values";
    case AlarmItem::NEXT_RECORDS:
      return "opened " + n + " records that lie next to one opened before";
    case AlarmItem::NEAR_TERMS:
      return "searched for " + n + " values that differ in their last characters only";
    case AlarmItem::CALLS:
      return "made " + n + " calls";
    case AlarmItem::REFUSED:
      return "was refused " + n + " times";
    case AlarmItem::DIFFERENT_PURPOSES:
      return "named " + n + " different purposes";
    case AlarmItem::CANARIES:
      return "opened " + n + (alarm.observed() == 1 ? " canary" : " canaries");
    case AlarmItem::EMERGENCY_CALLS:
      return "made " + n + (alarm.observed() == 1 ? " call" : " calls") + " for an emergency";
    default:
      return "did " + n + " of something this version does not know";
  }
}

}  // namespace

std::string explain(const AlarmItem& alarm) {
  std::string out = subject(alarm) + " " + what(alarm);
  const bool day = alarm.window_ms() >= 24 * 3'600'000u;
  if (alarm.window_ms() != 0) out += day ? " in a day" : " in an hour";
  if (alarm.rule() == AlarmItem::HOURS) {
    out += ", an hour at which work was done on " + std::to_string(alarm.usual()) + " of " +
           std::to_string(alarm.periods()) + " such days before";
  } else if (alarm.rule() != AlarmItem::CANARY) {
    out += ": more than " + std::to_string(alarm.limit());
    if (alarm.periods() != 0) {
      out += "; usual are " + std::to_string(alarm.usual()) + ", over " +
             std::to_string(alarm.periods()) + (day ? " days" : " hours") + " of work";
    }
  } else {
    out += ": a record that was planted, and that nobody has a reason to open";
  }
  if (!alarm.purpose().empty()) out += " (last for " + alarm.purpose() + ")";
  return out;
}

std::string consequence(const AlarmItem& alarm) {
  if (alarm.test()) return "a test of the alarm's path: nothing was opened, nobody was cut off";
  switch (alarm.action()) {
    case v1::WatchRule::FREEZE:
      return subject(alarm) +
             " is frozen: nothing of the call that caused this left; to thaw takes several";
    case v1::WatchRule::MASK:
      return subject(alarm) + " is frozen to the masked view; to thaw takes several";
    default:
      return "nobody was cut off";
  }
}

}  // namespace strongroom::watch
