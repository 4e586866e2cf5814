#include "strongroom/policy/policy.h"

#include <algorithm>
#include <set>

namespace strongroom::policy {
namespace {

Error fail(Problem* problem, const char* text, std::string path) {
  if (problem != nullptr) *problem = {text, std::move(path)};
  return make_error(ErrorCode::kInvalidArgument, text);
}

std::string at(const std::string& path, const char* list, int index) {
  return path + "." + list + "[" + std::to_string(index) + "]";
}

constexpr uint32_t kSearching = 1u << v1::FIND | 1u << v1::COUNT;
constexpr uint32_t kReading = 1u << v1::FIND | 1u << v1::GET;

Result<void> check_budget(const v1::Budget& budget, const std::string& path, Problem* problem) {
  for (const uint64_t limit :
       {budget.records_per_hour(), budget.records_per_day(), budget.searches_per_hour(),
        budget.searches_per_day(), budget.writes_per_day()}) {
    if (limit > kBudgetMax) {
      return fail(problem, "A budget is larger than the number of records there can be.", path);
    }
  }
  if (budget.records_per_hour() > budget.records_per_day() ||
      budget.searches_per_hour() > budget.searches_per_day()) {
    return fail(problem,
                "A budget allows more in an hour than in a day. Set both; a missing one is zero.",
                path);
  }
  return {};
}

Result<CompiledGrant> compile_grant(const v1::Grant& grant, const v1::Collection& collection,
                                    const std::string& path, Problem* problem) {
  CompiledGrant out;
  for (int i = 0; i < grant.actions_size(); ++i) {
    const v1::Action action = grant.actions(i);
    if (action == v1::ACTION_UNSPECIFIED || !v1::Action_IsValid(action)) {
      return fail(problem, "A grant names an action that this version does not know.",
                  at(path, "actions", i));
    }
    if ((out.actions >> action & 1) != 0) {
      return fail(problem, "A grant names one action twice.", at(path, "actions", i));
    }
    out.actions |= 1u << action;
  }
  if (out.actions == 0) return fail(problem, "A grant needs at least one action.", path);
  for (int i = 0; i < grant.groups_size(); ++i) {
    uint32_t bit = grant.groups(i) == "masked" ? 1u << kMaskedGroup : 0;
    for (const v1::Group& group : collection.groups()) {
      if (group.name() == grant.groups(i)) bit = 1u << group.id();
    }
    if (bit == 0) {
      return fail(problem, "A grant names a group that the collection does not have.",
                  at(path, "groups", i));
    }
    if ((out.groups & bit) != 0) {
      return fail(problem, "A grant names one group twice.", at(path, "groups", i));
    }
    out.groups |= bit;
  }
  if ((out.actions & kReading) != 0 && out.groups == 0) {
    return fail(problem,
                "A grant to find or get must name the groups it opens, masked at the least.", path);
  }
  if (!grant.search_hidden().empty() && (out.actions & kSearching) == 0) {
    return fail(problem, "A grant that lists search_hidden must allow to find or to count.", path);
  }
  SR_ASSIGN(out.search, SearchRights::of(grant, out.groups, collection, path, problem));
  SR_TRY(check_budget(grant.budget(), path + ".budget", problem));
  out.budget = grant.budget();
  out.records_per_query =
      grant.records_per_query() != 0 ? grant.records_per_query() : kRecordsPerQueryDefault;
  return out;
}

Result<CompiledRole> compile_role(const v1::Role& role, const NameMap<bool>& purposes,
                                  std::span<const v1::Collection> collections,
                                  const std::string& path, Problem* problem) {
  CompiledRole out;
  for (int i = 0; i < role.powers_size(); ++i) {
    const v1::Power power = role.powers(i);
    if (power == v1::POWER_UNSPECIFIED || !v1::Power_IsValid(power)) {
      return fail(problem, "A role names a power that this version does not know.",
                  at(path, "powers", i));
    }
    out.powers |= 1u << power;
  }
  for (int i = 0; i < role.grants_size(); ++i) {
    const v1::Grant& grant = role.grants(i);
    const std::string grant_path = at(path, "grants", i);
    const auto collection =
        std::find_if(collections.begin(), collections.end(),
                     [&](const v1::Collection& c) { return c.name() == grant.collection(); });
    if (collection == collections.end()) {
      return fail(problem, "A grant names a collection that does not exist. Apply it first.",
                  grant_path + ".collection");
    }
    SR_ASSIGN(const CompiledGrant compiled, compile_grant(grant, *collection, grant_path, problem));
    if (grant.purposes().empty()) {
      return fail(problem, "A grant needs at least one purpose.", grant_path);
    }
    for (int p = 0; p < grant.purposes_size(); ++p) {
      if (!purposes.contains(grant.purposes(p))) {
        return fail(problem, "A grant names a purpose that the policy does not define.",
                    at(grant_path, "purposes", p));
      }
      auto& grants = out.by_purpose[grant.purposes(p)];
      const CollectionId id{collection->id()};
      if (std::any_of(grants.begin(), grants.end(),
                      [&](const auto& entry) { return entry.first == id; })) {
        return fail(problem, "A role has two grants on one collection for one purpose. Merge them.",
                    at(grant_path, "purposes", p));
      }
      grants.emplace_back(id, compiled);
    }
  }
  return out;
}

}  // namespace

Result<CompiledPolicy> compile_policy(const v1::Policy& policy,
                                      std::span<const v1::Collection> collections,
                                      Problem* problem) {
  if (policy.ByteSizeLong() > kDefinitionBytesMax) {
    return fail(problem, "A policy must stay under 1 MiB.", "");
  }
  CompiledPolicy out;
  for (int i = 0; i < policy.purposes_size(); ++i) {
    const v1::Purpose& purpose = policy.purposes(i);
    const std::string path = "purposes[" + std::to_string(i) + "]";
    if (!is_principal_name(purpose.name())) {
      return fail(problem,
                  "A purpose's name must be a lower-case letter, then up to 63 lower-case "
                  "letters, digits, dots, dashes or underscores.",
                  path + ".name");
    }
    if (!out.purposes.emplace(purpose.name(), purpose.case_required()).second) {
      return fail(problem, "Two purposes have one name. Rename one.", path + ".name");
    }
  }
  for (int i = 0; i < policy.roles_size(); ++i) {
    const v1::Role& role = policy.roles(i);
    if (!is_principal_name(role.name())) {
      return fail(problem,
                  "A role's name must be a lower-case letter, then up to 63 lower-case letters, "
                  "digits, dots, dashes or underscores.",
                  "roles[" + std::to_string(i) + "].name");
    }
    if (out.roles.contains(role.name())) {
      return fail(problem, "Two roles have one name. Rename one.", "roles." + role.name());
    }
    SR_ASSIGN(CompiledRole compiled,
              compile_role(role, out.purposes, collections, "roles." + role.name(), problem));
    out.roles.emplace(role.name(), std::move(compiled));
  }
  if (policy.ticket_lifetime_s_max() > kTicketLifetimeMaxS) {
    return fail(problem, "A ticket may live for a day at most (86400 seconds).",
                "ticket_lifetime_s_max");
  }
  if (policy.ticket_lifetime_s_max() != 0) {
    out.ticket_lifetime_ms_max = uint64_t{policy.ticket_lifetime_s_max()} * 1000;
  }
  return out;
}

}  // namespace strongroom::policy
