#include "strongroom/watch/watcher.h"

#include <algorithm>

namespace strongroom::watch {
namespace {

using v1::AlarmItem;

uint64_t mix(uint64_t x) {  // SplitMix64's finaliser: record numbers are not uniform.
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

AlarmItem describe(const Event& event, Rule rule, const RuleSetting& setting) {
  AlarmItem alarm;
  alarm.set_rule(rule);
  alarm.set_action(setting.action);
  alarm.set_principal(std::string(event.principal));
  alarm.set_gateway(std::string(event.gateway));
  alarm.set_purpose(std::string(event.purpose));
  alarm.set_collection(event.collection.value);
  alarm.set_cause(event.leaf);
  return alarm;
}

// One step's rules, for the principal or for the gateway.
class Judge {
 public:
  Judge(const Rules& rules, const Event& event, std::vector<AlarmItem>& alarms)
      : rules_(rules), event_(event), alarms_(alarms) {}

  struct Count {
    Measure measure;
    uint64_t observed;
    uint64_t window_ms;
  };
  void against_history(Rule rule, const Count& count, const Usual& usual, uint32_t learned,
                       Armed& armed) {
    const RuleSetting& setting = rules_.of(rule);
    const uint64_t least = usual.periods() < learned ? setting.least * 2 : setting.least;
    const uint64_t limit = std::max(least, (usual.mean_q8() * setting.factor) >> 8);
    report(rule, count, limit, armed, usual.mean(), usual.periods());
  }
  void report(Rule rule, const Count& count, uint64_t limit, Armed& armed, uint64_t usual = 0,
              uint64_t periods = 0) {
    const RuleSetting& setting = rules_.of(rule);
    if (setting.action == v1::WatchRule::OFF || !armed.fires(count.observed, limit)) return;
    AlarmItem& alarm = alarms_.emplace_back(describe(event_, rule, setting));
    alarm.set_measure(count.measure);
    alarm.set_observed(count.observed);
    alarm.set_limit(limit);
    alarm.set_usual(usual);
    alarm.set_periods(periods);
    alarm.set_window_ms(count.window_ms);
  }

 private:
  const Rules& rules_;
  const Event& event_;
  std::vector<AlarmItem>& alarms_;
};

void turn_hour(PrincipalWatch& who, uint64_t hour) {
  if (who.calls != 0) who.hours.worked(who.hour);
  who.usual_records.add(who.records, kHoursUsual);
  who.usual_searches.add(who.searches, kHoursUsual);
  who.usual_refusals.add(who.refusals, kHoursUsual);
  who.usual_hour_records.add(who.hour_records.count(), kHoursUsual);
  who.usual_hour_terms.add(who.hour_terms.count(), kHoursUsual);
  who.records = who.searches = who.refusals = who.calls = 0;
  who.hour_records.clear();
  who.hour_terms.clear();
  for (Armed& armed : who.hourly) armed.reset();
  who.hour = hour;
}

void turn_day(PrincipalWatch& who, uint64_t day) {
  who.usual_day_records.add(who.day_records.count(), kDaysUsual);
  who.usual_day_terms.add(who.day_terms.count(), kDaysUsual);
  who.usual_purposes.add(who.purpose_count, kDaysUsual);
  who.day_records.clear();
  who.day_terms.clear();
  who.day_opened = who.day_next = who.day_emergency = 0;
  who.purpose_count = 0;
  who.purposes = {};
  who.neighbourhoods = {};
  for (Armed& armed : who.daily) armed.reset();
  who.day = day;
}

void note_purpose(PrincipalWatch& who, std::string_view purpose) {
  const auto hash = static_cast<uint32_t>(std::hash<std::string_view>{}(purpose));
  const auto end = who.purposes.begin() + who.purpose_count;
  if (std::find(who.purposes.begin(), end, hash) != end) return;
  if (who.purpose_count < who.purposes.size()) who.purposes[who.purpose_count++] = hash;
}

// How many of these records lie right beside one opened under an earlier request.
uint64_t note_records(PrincipalWatch& who, std::span<const RecordIndex> records) {
  uint64_t next = 0;
  for (const RecordIndex idx : records) {
    const uint64_t here = idx.value + 1;
    next += std::any_of(who.last.begin(), who.last.end(), [here](uint64_t before) {
      return before != 0 && (before == here + 1 || before + 1 == here);
    });
    who.hour_records.add(mix(idx.value));
    who.day_records.add(mix(idx.value));
  }
  for (const RecordIndex idx : records) {
    who.last[who.last_at++ % who.last.size()] = idx.value + 1;
  }
  return next;
}

// The largest number of different values in a neighbourhood that these terms touched.
uint64_t note_terms(PrincipalWatch& who, std::span<const Term> terms) {
  uint64_t most = 0;
  for (const Term& term : terms) {
    who.hour_terms.add(term.hash);
    who.day_terms.add(term.hash);
    if (term.near == 0) continue;
    auto at = std::find_if(who.neighbourhoods.begin(), who.neighbourhoods.end(),
                           [&](const Neighbourhood& n) { return n.near == term.near; });
    if (at == who.neighbourhoods.end()) {
      at = std::min_element(
          who.neighbourhoods.begin(), who.neighbourhoods.end(),
          [](const Neighbourhood& a, const Neighbourhood& b) { return a.used < b.used; });
      *at = {};
      at->near = term.near;
    }
    uint64_t& word = at->seen[term.hash >> 63];
    const uint64_t bit = uint64_t{1} << (term.hash >> 57 & 63);
    if ((word & bit) == 0) ++at->different;
    word |= bit;
    at->used = static_cast<uint32_t>(who.steps);
    most = std::max<uint64_t>(most, at->different);
  }
  return most;
}

// Whether so many neighbours cannot be chance: at least half of what was opened, and three times
// what random records of so small a collection would be. `kRecordsToTell`: below, it cannot be
// told.
constexpr uint64_t kRecordsToTell = 1024;
bool walks(const PrincipalWatch& who, uint64_t collection_records) {
  if (collection_records < kRecordsToTell) return false;
  const uint64_t by_chance_percent = 100 * 2 * who.last.size() / collection_records;
  const uint64_t share = std::max<uint64_t>(50, 3 * by_chance_percent);
  return who.day_next * 100 >= who.day_opened * share;
}

// Outside these hours somebody works less than once in so many days.
constexpr uint32_t kSeldom = 50;
constexpr uint32_t kDaysToTell = 10;

void judge_hours(Judge& judge, const Rules& rules, PrincipalWatch& who) {
  const auto usual = who.hours.usual(who.hour);
  if (usual.all_days < kDaysToTell || uint64_t{usual.times} * kSeldom > usual.days) return;
  judge.report(AlarmItem::HOURS, {AlarmItem::CALLS, who.calls, kHourMs},
               rules.of(AlarmItem::HOURS).least, who.hourly[AlarmItem::CALLS], usual.times,
               usual.days);
}

void step_principal(const Rules& rules, const Event& event, PrincipalWatch& who,
                    std::vector<AlarmItem>& alarms) {
  Judge judge(rules, event, alarms);
  const auto hourly = [&](Rule rule, Measure measure, uint64_t observed, const Usual& usual) {
    judge.against_history(rule, {measure, observed, kHourMs}, usual, kHoursLearned,
                          who.hourly[measure]);
  };
  const auto daily = [&](Rule rule, Measure measure, uint64_t observed, const Usual& usual) {
    judge.against_history(rule, {measure, observed, kDayMs}, usual, kDaysLearned,
                          who.daily[measure]);
  };
  ++who.steps;
  who.calls += event.kind == Kind::kRefusal ? event.count : 1;
  judge_hours(judge, rules, who);
  if (event.emergency) {
    judge.report(AlarmItem::EMERGENCY, {AlarmItem::EMERGENCY_CALLS, ++who.day_emergency, kDayMs},
                 rules.of(AlarmItem::EMERGENCY).least, who.daily[AlarmItem::EMERGENCY_CALLS]);
  }
  if (!event.purpose.empty() && event.kind != Kind::kRefusal) {
    note_purpose(who, event.purpose);
    daily(AlarmItem::PURPOSES, AlarmItem::DIFFERENT_PURPOSES, who.purpose_count,
          who.usual_purposes);
  }
  switch (event.kind) {
    case Kind::kRelease: {
      who.records += event.count;
      who.day_opened += event.records.size();
      who.day_next += note_records(who, event.records);
      hourly(AlarmItem::RATE, AlarmItem::RECORDS, who.records, who.usual_records);
      hourly(AlarmItem::BREADTH, AlarmItem::DIFFERENT_RECORDS, who.hour_records.count(),
             who.usual_hour_records);
      daily(AlarmItem::DRIP, AlarmItem::DIFFERENT_RECORDS, who.day_records.count(),
            who.usual_day_records);
      if (walks(who, event.collection_records)) {
        judge.report(AlarmItem::WALK, {AlarmItem::NEXT_RECORDS, who.day_next, kDayMs},
                     rules.of(AlarmItem::WALK).least, who.daily[AlarmItem::NEXT_RECORDS]);
      }
      break;
    }
    case Kind::kSearch: {
      who.searches += event.count;
      const uint64_t near = note_terms(who, event.terms);
      hourly(AlarmItem::RATE, AlarmItem::SEARCHES, who.searches, who.usual_searches);
      hourly(AlarmItem::BREADTH, AlarmItem::DIFFERENT_TERMS, who.hour_terms.count(),
             who.usual_hour_terms);
      daily(AlarmItem::DRIP, AlarmItem::DIFFERENT_TERMS, who.day_terms.count(),
            who.usual_day_terms);
      judge.report(AlarmItem::WALK, {AlarmItem::NEAR_TERMS, near, kDayMs},
                   rules.of(AlarmItem::WALK).least, who.daily[AlarmItem::NEAR_TERMS]);
      break;
    }
    case Kind::kRefusal:
      who.refusals += event.count;
      hourly(AlarmItem::REFUSALS, AlarmItem::REFUSED, who.refusals, who.usual_refusals);
      break;
    case Kind::kWrite:
      break;
  }
}

void step_gateway(const Rules& rules, const Event& event, uint64_t hour, GatewayWatch& gateway,
                  std::vector<AlarmItem>& alarms) {
  if (gateway.hour != hour) {
    gateway.usual_records.add(gateway.records, kHoursUsual);
    gateway.usual_refusals.add(gateway.refusals, kHoursUsual);
    gateway.records = gateway.refusals = 0;
    gateway.armed_records.reset();
    gateway.armed_refusals.reset();
    gateway.hour = hour;
  }
  Judge judge(rules, event, alarms);
  if (event.kind == Kind::kRelease) {
    gateway.records += event.count;
    judge.against_history(AlarmItem::GATEWAY_RATE, {AlarmItem::RECORDS, gateway.records, kHourMs},
                          gateway.usual_records, kHoursLearned, gateway.armed_records);
  } else if (event.kind == Kind::kRefusal) {
    gateway.refusals += event.count;
    judge.against_history(AlarmItem::GATEWAY_REFUSALS,
                          {AlarmItem::REFUSED, gateway.refusals, kHourMs}, gateway.usual_refusals,
                          kHoursLearned, gateway.armed_refusals);
  }
}

}  // namespace

void WorkingHours::close_day() {
  if (today_ == 0) return;
  const size_t sort = sort_of(day_);
  ++days_[sort];
  for (size_t h = 0; h < 24; ++h) times_[sort][h] += static_cast<uint8_t>(today_ >> h & 1);
  if (days_[sort] >= 128) {
    days_[sort] /= 2;
    for (uint8_t& times : times_[sort]) times /= 2;
  }
  today_ = 0;
}

void WorkingHours::worked(uint64_t hour) {
  if (hour / 24 != day_) {
    close_day();
    day_ = hour / 24;
  }
  today_ |= 1u << (hour % 24);
}

WorkingHours::Answer WorkingHours::usual(uint64_t hour) const {
  const size_t sort = sort_of(hour / 24);
  const size_t h = hour % 24;
  const auto& times = times_[sort];
  Answer out;
  out.all_days = uint32_t{days_[0]} + days_[1];
  out.days = days_[sort];
  // One day may have both beside it, so this is at least the number of days.
  out.times = uint32_t{times[h]} + times[(h + 1) % 24] + times[(h + 23) % 24];
  // Or earlier this day, before it is closed.
  if (hour / 24 == day_ && h != 0 && (today_ >> (h - 1) & 1) != 0) out.times += kSeldom;
  return out;
}

Watcher::Watcher() {
  const auto rules = compile_rules({});
  SR_CHECK(rules.has_value(), "the defaults are sound");
  rules_ = *rules;
}

template <class T>
T& Watcher::named(Named<T>& map, std::string_view name) {
  auto it = map.find(name);
  if (it == map.end()) it = map.emplace(std::string(name), std::make_unique<T>()).first;
  return *it->second;
}

void Watcher::step(const Event& given, std::vector<AlarmItem>& alarms) {
  now_ms_ = std::max(now_ms_, given.t_ms);
  Event event = given;
  event.t_ms = now_ms_;
  const uint64_t hour = now_ms_ / kHourMs;
  if (!event.principal.empty()) {
    PrincipalWatch& who = named(principals_, event.principal);
    if (who.hour != hour) turn_hour(who, hour);
    if (who.day != hour / 24) turn_day(who, hour / 24);
    step_principal(rules_, event, who, alarms);
  }
  if (!event.gateway.empty()) {
    Event as_gateway = event;
    as_gateway.principal = {};
    step_gateway(rules_, as_gateway, hour, named(gateways_, event.gateway), alarms);
  }
}

AlarmItem Watcher::canary_alarm(const Event& event, uint64_t canaries) const {
  AlarmItem alarm = describe(event, AlarmItem::CANARY, rules_.of(AlarmItem::CANARY));
  alarm.set_measure(AlarmItem::CANARIES);
  alarm.set_observed(canaries);
  return alarm;
}

}  // namespace strongroom::watch
