// diff_policies: both policies as sorted lines "path: value", then merged. Each line knows which
// way it widens.
#include <algorithm>
#include <map>
#include <set>

#include "strongroom/policy/approvals.h"
#include "strongroom/policy/policy.h"
#include "strongroom/watch/rules.h"

namespace strongroom::policy {
namespace {

// How a line's change is judged. Whatever is not sure to narrow, widens.
enum class Sense : uint8_t {
  kText,      // Says something to people: never widens.
  kMost,      // A number: more is wider.
  kLeast,     // A number: less is wider.
  kLimit,     // A number that limits where it is there: more is wider, and so is none.
  kSet,       // Words: one more is wider.
  kPowers,    // Likewise; and one less of those that guard against whoever took it away.
  kAnyOf,     // Words, none of them being all: one more is wider, so is none.
  kNetworks,  // Likewise; a part of one that was there is none more.
  kCloses,    // "yes" refuses more than "no".
  kOther,     // Any change widens.
};

struct Line {
  std::string value;
  Sense sense = Sense::kOther;
  uint64_t number = 0;
  std::set<std::string> words;
};
using Lines = std::map<std::string, Line>;

Line text(std::string value, Sense sense = Sense::kText) {
  return {std::move(value), sense, 0, {}};
}
Line number(uint64_t value, Sense sense) {
  return {std::to_string(value), sense, value, {}};
}
Line flag(bool value, Sense sense) {
  return {value ? "yes" : "no", sense, value ? 1u : 0u, {}};
}
template <class Names>
Line words(const Names& names, Sense sense) {
  Line out{{}, sense, 0, {names.begin(), names.end()}};
  for (const std::string& name : out.words) out.value += (out.value.empty() ? "" : " ") + name;
  return out;
}

std::vector<std::string> one_or_none(const std::string& text) {
  return text.empty() ? std::vector<std::string>() : std::vector<std::string>{text};
}

// Fields that no line is made of are lines of their own, whose every change widens: a new one
// cannot slip through unjudged.
void add_unjudged(const google::protobuf::Message& message, const std::string& path, Lines& lines) {
  const auto& reflection = *message.GetReflection();
  const auto& unknown = reflection.GetUnknownFields(message);
  for (int i = 0; i < unknown.field_count(); ++i) {
    lines[path + "field " + std::to_string(unknown.field(i).number())] =
        text("unknown", Sense::kOther);
  }
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const auto* field : fields) {
    const std::string to = path + field->name();
    const int count = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
    if (!is_judged(message.GetDescriptor()->name(), field->number())) {
      lines[to] = text(message.ShortDebugString(), Sense::kOther);
    } else if (field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) {
      for (int i = 0; i < count; ++i) {
        const auto& inner = field->is_repeated() ? reflection.GetRepeatedMessage(message, field, i)
                                                 : reflection.GetMessage(message, field);
        add_unjudged(inner, to + "[" + std::to_string(i) + "].", lines);
      }
    }
  }
}

void add_limit(const std::string& path, const v1::Limit& limit, Lines& lines) {
  const std::pair<const char*, const v1::Windows*> of[] = {{"records", &limit.records()},
                                                           {"searches", &limit.searches()},
                                                           {"writes", &limit.writes()},
                                                           {"erasures", &limit.erasures()}};
  for (const auto& [name, windows] : of) {
    const std::string to = path + "." + name + ".";
    if (windows->has_hour()) lines[to + "hour"] = number(windows->hour(), Sense::kLimit);
    if (windows->has_day()) lines[to + "day"] = number(windows->day(), Sense::kLimit);
    if (windows->has_month()) lines[to + "month"] = number(windows->month(), Sense::kLimit);
  }
}

void add_limits(const v1::Limits& limits, Lines& lines) {
  add_limit("limits.each_principal", limits.each_principal(), lines);
  add_limit("limits.each_gateway", limits.each_gateway(), lines);
  add_limit("limits.each_collection", limits.each_collection(), lines);
  add_limit("limits.vault", limits.vault(), lines);
  for (const v1::CollectionLimit& of : limits.collections()) {
    // In place of each_collection, which it may loosen: any change of whether it is there widens.
    lines["limits.collections." + of.collection()] = text("its own", Sense::kOther);
    add_limit("limits.collections." + of.collection(), of.limit(), lines);
  }
  lines["limits.repeat_free_minutes"] = number(limits.repeat_free_minutes(), Sense::kMost);
}

// Who watches over the log: another one, or one at another place, may be the asker's own.
void add_witnesses(const v1::Witnesses& witnesses, Lines& lines) {
  if (witnesses.list_size() == 0) return;
  for (const v1::WitnessEntry& entry : witnesses.list()) {
    lines["witnesses." + entry.key()] = text(entry.url(), Sense::kOther);
    lines["witnesses." + entry.key() + ".ca_pem"] = text(entry.ca_pem(), Sense::kOther);
  }
  lines["witnesses.quorum"] = number(std::max(witnesses.quorum(), 1u), Sense::kLeast);
  lines["witnesses.entries_max"] =
      number(witnesses.entries_max() != 0 ? witnesses.entries_max() : kUnwitnessedEntriesDefault,
             Sense::kMost);
  lines["witnesses.seconds_max"] =
      number(witnesses.seconds_max() != 0 ? witnesses.seconds_max() : kUnwitnessedSecondsDefault,
             Sense::kMost);
}

void add_grant(const std::string& path, const v1::Grant& grant, Lines& lines) {
  std::vector<std::string> actions;
  for (const int action : grant.actions()) {
    actions.push_back(v1::Action_Name(static_cast<v1::Action>(action)));
  }
  const MeterLimits limits = limits_of(grant.budget());
  for (const std::string& purpose : grant.purposes()) {
    const std::string to = path + "." + grant.collection() + "." + purpose + ".";
    lines[to + "actions"] = words(actions, Sense::kSet);
    lines[to + "groups"] = words(grant.groups(), Sense::kSet);
    lines[to + "search_hidden"] = words(grant.search_hidden(), Sense::kSet);
    lines[to + "records_per_query"] =
        number(grant.records_per_query() != 0 ? grant.records_per_query() : kRecordsPerQueryDefault,
               Sense::kMost);
    lines[to + "hours"] = words(one_or_none(grant.hours()), Sense::kAnyOf);
    lines[to + "days"] = words(grant.days(), Sense::kAnyOf);
    lines[to + "networks"] = words(grant.networks(), Sense::kNetworks);
    for (size_t q = 0; q < kQuantities; ++q) {
      if (static_cast<Quantity>(q) == Quantity::kUniques) continue;  // As writes.
      for (size_t w = 0; w < kWindows; ++w) {
        lines[to + quantity_name(static_cast<Quantity>(q)) + "_per_" +
              window_name(static_cast<Window>(w))] = number(limits.most[q][w], Sense::kMost);
      }
    }
  }
}

// With the defaults filled in: what is left out of both is the same in both.
void add_watch(const v1::Watch& watch, Lines& lines) {
  const auto rules = watch::compile_rules(watch);
  if (!rules) return;  // Of a policy that does not compile.
  for (int rule = 1; rule < v1::AlarmItem::Rule_ARRAYSIZE; ++rule) {
    const auto& setting = rules->of(static_cast<watch::Rule>(rule));
    const std::string to = std::string("watch.") + watch::rule_name(static_cast<watch::Rule>(rule));
    Line& action = lines[to + ".action"];
    action = number(static_cast<uint64_t>(setting.action), Sense::kLeast);
    action.value = v1::WatchRule::Action_Name(setting.action);
    if (setting.least != 0) lines[to + ".least"] = number(setting.least, Sense::kMost);
    if (setting.factor != 0) lines[to + ".factor"] = number(setting.factor, Sense::kMost);
  }
}

Lines flatten(const v1::Policy& policy) {
  Lines lines;
  lines["contact"] = text(policy.contact());
  lines["utc_offset"] = text(policy.utc_offset(), Sense::kOther);
  lines["ticket_lifetime_s_max"] =
      number(policy.ticket_lifetime_s_max() != 0 ? policy.ticket_lifetime_s_max()
                                                 : kTicketLifetimeDefaultS,
             Sense::kMost);
  const v1::Approvals& approvals = policy.approvals();
  lines["approvals.needed"] =
      number(approvals.needed() != 0 ? approvals.needed() : kApprovalsNeededDefault, Sense::kLeast);
  lines["approvals.destruction_delay_s"] =
      number(approvals.destruction_delay_s() != 0 ? approvals.destruction_delay_s()
                                                  : kDestructionDelayDefaultS,
             Sense::kLeast);
  lines["approvals.expire_hours"] =
      number(approvals.expire_hours() != 0 ? approvals.expire_hours() : kApprovalHoursDefault,
             Sense::kMost);
  add_limits(policy.limits(), lines);
  for (const v1::Purpose& purpose : policy.purposes()) {
    const std::string path = "purposes." + purpose.name();
    lines[path + ".title"] = text(purpose.title());
    lines[path + ".case_required"] = flag(purpose.case_required(), Sense::kCloses);
    lines[path + ".case_patterns"] = words(purpose.case_patterns(), Sense::kAnyOf);
    lines[path + ".emergency"] = flag(purpose.emergency(), Sense::kCloses);
    // More hides from the people in the records, less uncovers: either takes several.
    if (purpose.embargo_days() != 0) {
      lines[path + ".embargo_days"] = number(purpose.embargo_days(), Sense::kOther);
    }
    if (purpose.shown_as() != v1::ROLE) {
      lines[path + ".shown_as"] = text(v1::ShownAs_Name(purpose.shown_as()), Sense::kOther);
    }
    if (purpose.show_case()) lines[path + ".show_case"] = flag(true, Sense::kOther);
  }
  for (const v1::Role& role : policy.roles()) {
    const std::string path = "roles." + role.name();
    lines[path + ".title"] = text(role.title());
    std::vector<std::string> powers;
    for (const int power : role.powers()) {
      powers.push_back(v1::Power_Name(static_cast<v1::Power>(power)));
    }
    lines[path + ".powers"] = words(powers, Sense::kPowers);
    for (const v1::Grant& grant : role.grants()) add_grant(path, grant, lines);
  }
  add_watch(policy.watch(), lines);
  add_witnesses(policy.witnesses(), lines);
  add_unjudged(policy, "", lines);
  return lines;
}

// One that lies across two that were there counts as new: in doubt, wider.
bool gains_a_network(const Line& was, const Line& now) {
  std::vector<Network> old;
  for (const std::string& word : was.words) {
    if (const auto network = parse_network(word)) old.push_back(*network);
  }
  return std::any_of(now.words.begin(), now.words.end(), [&](const std::string& word) {
    const auto network = parse_network(word);
    return !network || std::none_of(old.begin(), old.end(),
                                    [&](const Network& one) { return one.contains(*network); });
  });
}

bool gains(const Line& was, const Line& now) {
  return !std::includes(was.words.begin(), was.words.end(), now.words.begin(), now.words.end());
}

// Without them nobody would see, or stop, what the one who takes them away is about to do.
bool loses_a_guard(const Line& was, const Line& now) {
  for (const v1::Power guard : {v1::READ_LOG, v1::FREEZE, v1::APPROVE}) {
    const std::string& name = v1::Power_Name(guard);
    if (was.words.contains(name) && !now.words.contains(name)) return true;
  }
  return false;
}

// A line that is new.
bool appears_wider(const Line& now) {
  switch (now.sense) {
    case Sense::kText:
    case Sense::kLimit:
    case Sense::kCloses:
    case Sense::kAnyOf:
    case Sense::kNetworks:
      return false;
    case Sense::kSet:
    case Sense::kPowers:
      return !now.words.empty();
    case Sense::kMost:
      return now.number != 0;
    default:
      return true;
  }
}

// A line that is gone.
bool vanishes_wider(const Line& was) {
  switch (was.sense) {
    case Sense::kText:
    case Sense::kSet:
    case Sense::kMost:
    case Sense::kCloses:  // Only with its purpose.
    case Sense::kAnyOf:   // Only with its purpose or grant.
    case Sense::kNetworks:
      return false;
    case Sense::kPowers:
      return loses_a_guard(was, Line());
    default:
      return true;
  }
}

bool changes_wider(const Line& was, const Line& now) {
  switch (now.sense) {
    case Sense::kText:
      return false;
    case Sense::kMost:
    case Sense::kLimit:
      return now.number > was.number;
    case Sense::kLeast:
    case Sense::kCloses:
      return now.number < was.number;
    case Sense::kSet:
      return gains(was, now);
    case Sense::kPowers:
      return gains(was, now) || loses_a_guard(was, now);
    case Sense::kAnyOf:
      return now.words.empty() || (!was.words.empty() && gains(was, now));
    case Sense::kNetworks:
      return now.words.empty() || (!was.words.empty() && gains_a_network(was, now));
    default:
      return true;
  }
}

}  // namespace

bool is_judged(std::string_view message, int field) {
  static const std::map<std::string_view, std::set<int>> kJudged{
      {"Policy", {1, 2, 3, 4, 5, 6, 7, 8, 20, 30}},
      {"Purpose", {1, 2, 3, 4, 5, 10, 11, 12}},
      {"Role", {1, 2, 3, 4}},
      {"Grant", {1, 2, 3, 4, 5, 6, 7, 20, 21, 22}},
      {"Budget", {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 40, 41}},
      {"Limits", {1, 2, 3, 4, 5, 6}},
      {"CollectionLimit", {1, 2}},
      {"Limit", {1, 2, 3, 4}},
      {"Windows", {1, 2, 3}},
      {"Approvals", {1, 2, 3}},
      {"Watch", {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
      {"WatchRule", {1, 2, 3}},
      {"Witnesses", {1, 2, 3, 4}},
      {"WitnessEntry", {1, 2, 3}},
  };
  const auto of = kJudged.find(message);
  return of != kJudged.end() && of->second.contains(field);
}

PolicyDiff diff_policies(const v1::Policy& old, const v1::Policy& next) {
  const Lines before = flatten(old);
  const Lines after = flatten(next);
  PolicyDiff out;
  const auto add = [&](std::string line, bool widens) {
    out.lines.push_back(std::move(line));
    out.widens = out.widens || widens;
  };
  auto was = before.begin();
  auto now = after.begin();
  while (was != before.end() || now != after.end()) {
    if (now == after.end() || (was != before.end() && was->first < now->first)) {
      add("- " + was->first + ": " + was->second.value, vanishes_wider(was->second));
      ++was;
    } else if (was == before.end() || now->first < was->first) {
      add("+ " + now->first + ": " + now->second.value, appears_wider(now->second));
      ++now;
    } else {
      if (was->second.value != now->second.value) {
        add("~ " + was->first + ": " + was->second.value + " -> " + now->second.value,
            changes_wider(was->second, now->second));
      }
      ++was, ++now;
    }
  }
  return out;
}

}  // namespace strongroom::policy
