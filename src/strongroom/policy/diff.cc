// diff_policies: both policies as sorted lines "path: value", then merged.
#include <algorithm>
#include <map>

#include "strongroom/policy/policy.h"

namespace strongroom::policy {
namespace {

using Lines = std::map<std::string, std::string>;

template <class Names>
std::string join(const Names& names) {
  std::vector<std::string> sorted(names.begin(), names.end());
  std::sort(sorted.begin(), sorted.end());
  std::string out;
  for (const std::string& name : sorted) out += (out.empty() ? "" : " ") + name;
  return out;
}

Lines flatten(const v1::Policy& policy) {
  Lines lines;
  lines["ticket_lifetime_s_max"] =
      std::to_string(policy.ticket_lifetime_s_max() != 0 ? policy.ticket_lifetime_s_max()
                                                         : kTicketLifetimeDefaultS);
  for (const v1::Purpose& purpose : policy.purposes()) {
    const std::string path = "purposes." + purpose.name();
    lines[path + ".title"] = purpose.title();
    lines[path + ".case_required"] = purpose.case_required() ? "yes" : "no";
  }
  for (const v1::Role& role : policy.roles()) {
    const std::string path = "roles." + role.name();
    lines[path + ".title"] = role.title();
    std::vector<std::string> powers;
    for (const int power : role.powers()) powers.push_back(v1::Power_Name(power));
    lines[path + ".powers"] = join(powers);
    for (const v1::Grant& grant : role.grants()) {
      std::vector<std::string> actions;
      for (const int action : grant.actions()) actions.push_back(v1::Action_Name(action));
      const v1::Budget& budget = grant.budget();
      for (const std::string& purpose : grant.purposes()) {
        const std::string to = path + "." + grant.collection() + "." + purpose + ".";
        lines[to + "actions"] = join(actions);
        lines[to + "groups"] = join(grant.groups());
        lines[to + "search_hidden"] = join(grant.search_hidden());
        lines[to + "records_per_query"] = std::to_string(
            grant.records_per_query() != 0 ? grant.records_per_query() : kRecordsPerQueryDefault);
        lines[to + "records_per_hour"] = std::to_string(budget.records_per_hour());
        lines[to + "records_per_day"] = std::to_string(budget.records_per_day());
        lines[to + "searches_per_hour"] = std::to_string(budget.searches_per_hour());
        lines[to + "searches_per_day"] = std::to_string(budget.searches_per_day());
        lines[to + "writes_per_day"] = std::to_string(budget.writes_per_day());
      }
    }
  }
  return lines;
}

}  // namespace

std::vector<std::string> diff_policies(const v1::Policy& old, const v1::Policy& next) {
  const Lines before = flatten(old);
  const Lines after = flatten(next);
  std::vector<std::string> out;
  auto was = before.begin();
  auto now = after.begin();
  while (was != before.end() || now != after.end()) {
    if (now == after.end() || (was != before.end() && was->first < now->first)) {
      out.push_back("- " + was->first + ": " + was->second);
      ++was;
    } else if (was == before.end() || now->first < was->first) {
      out.push_back("+ " + now->first + ": " + now->second);
      ++now;
    } else {
      if (was->second != now->second) {
        out.push_back("~ " + was->first + ": " + was->second + " -> " + now->second);
      }
      ++was, ++now;
    }
  }
  return out;
}

}  // namespace strongroom::policy
