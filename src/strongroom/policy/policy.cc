#include "strongroom/policy/policy.h"

#include <algorithm>
#include <set>

#include "strongroom/policy/problem.h"
#include "strongroom/watch/rules.h"

namespace strongroom::policy {
namespace {

std::string at(const std::string& path, const char* list, int index) {
  return path + "." + list + "[" + std::to_string(index) + "]";
}

constexpr uint32_t kSearching = 1u << v1::FIND | 1u << v1::COUNT;
constexpr uint32_t kReading = 1u << v1::FIND | 1u << v1::GET | 1u << v1::REINDEX | 1u << v1::EXPORT;

Result<void> check_budget(const v1::Budget& budget, const std::string& path, Problem* problem) {
  for (const auto& most : limits_of(budget).most) {
    if (most[0] > kBudgetMax || most[1] > kBudgetMax || most[2] > kBudgetMax * 30) {
      return fail(problem, "A budget is larger than the number of records there can be.", path);
    }
    if (most[0] > most[1]) {
      return fail(problem,
                  "A budget allows more in an hour than in a day. Set both; a missing one is zero.",
                  path);
    }
    if (most[1] > most[2]) {
      return fail(problem, "A budget allows more in a day than in a month.", path);
    }
  }
  return {};
}

Result<std::optional<MeterLimits>> compile_limit(bool present, const v1::Limit& limit,
                                                 const std::string& path, Problem* problem) {
  if (!present) return std::optional<MeterLimits>();
  const MeterLimits out = limits_of(limit);
  for (const auto& most : out.most) {
    if (most[0] != kNoLimit && (most[0] > most[1] || most[0] > most[2])) {
      return fail(problem, "A limit allows more in an hour than in a day or month.", path);
    }
    if (most[1] != kNoLimit && most[1] > most[2]) {
      return fail(problem, "A limit allows more in a day than in a month.", path);
    }
  }
  return std::optional<MeterLimits>(out);
}

Result<CompiledLimits> compile_limits(const v1::Limits& limits,
                                      std::span<const v1::Collection> collections,
                                      Problem* problem) {
  CompiledLimits out;
  SR_ASSIGN(out.principal, compile_limit(limits.has_each_principal(), limits.each_principal(),
                                         "limits.each_principal", problem));
  SR_ASSIGN(out.gateway, compile_limit(limits.has_each_gateway(), limits.each_gateway(),
                                       "limits.each_gateway", problem));
  SR_ASSIGN(out.collection, compile_limit(limits.has_each_collection(), limits.each_collection(),
                                          "limits.each_collection", problem));
  SR_ASSIGN(out.vault, compile_limit(limits.has_vault(), limits.vault(), "limits.vault", problem));
  for (int i = 0; i < limits.collections_size(); ++i) {
    const v1::CollectionLimit& of = limits.collections(i);
    const std::string path = "limits.collections[" + std::to_string(i) + "]";
    const auto collection =
        std::find_if(collections.begin(), collections.end(),
                     [&](const v1::Collection& c) { return c.name() == of.collection(); });
    if (collection == collections.end()) {
      return fail(problem, "A limit names a collection that does not exist. Apply it first.",
                  path + ".collection");
    }
    SR_ASSIGN(const auto limit, compile_limit(true, of.limit(), path + ".limit", problem));
    if (!out.collections.emplace(collection->id(), *limit).second) {
      return fail(problem, "A collection has two limits. Keep one.", path);
    }
  }
  if (limits.repeat_free_minutes() > kRepeatFreeMinutesMax) {
    return fail(problem, "A repeated record may be free for an hour at most (60 minutes).",
                "limits.repeat_free_minutes");
  }
  return out;
}

Result<CompiledGrant> compile_grant(const v1::Grant& grant, const v1::Collection& collection,
                                    int32_t offset_min, const std::string& path, Problem* problem) {
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
    return fail(
        problem,
        "A grant to find, get, export or reindex must name the groups it opens, masked at the "
        "least.",
        path);
  }
  if (!grant.search_hidden().empty() && (out.actions & kSearching) == 0) {
    return fail(problem, "A grant that lists search_hidden must allow to find or to count.", path);
  }
  SR_ASSIGN(out.search, SearchRights::of(grant, out.groups, collection, path, problem));
  SR_TRY(check_budget(grant.budget(), path + ".budget", problem));
  out.limits = limits_of(grant.budget());
  const auto opening = parse_opening(grant.hours(), grant.days(), offset_min);
  if (!opening) {
    return fail(problem,
                "A grant's hours are as in \"08:00-18:00\", its days among mon tue wed thu fri sat "
                "sun.",
                path + ".hours");
  }
  out.opening = *opening;
  if (static_cast<size_t>(grant.networks_size()) > kNetworksMax) {
    return fail(problem, "A grant names at most 64 networks.", path + ".networks");
  }
  for (int i = 0; i < grant.networks_size(); ++i) {
    const auto network = parse_network(grant.networks(i));
    if (!network) {
      return fail(problem,
                  "A network is as in \"10.20.0.0/16\", \"2001:db8::/32\" or \"10.20.3.4\", with "
                  "nothing but zeros behind the bits that count.",
                  at(path, "networks", i));
    }
    out.networks.push_back(*network);
  }
  out.records_per_query =
      grant.records_per_query() != 0 ? grant.records_per_query() : kRecordsPerQueryDefault;
  return out;
}

Result<CompiledRole> compile_role(const v1::Role& role, const NameMap<CompiledPurpose>& purposes,
                                  std::span<const v1::Collection> collections, int32_t offset_min,
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
    SR_ASSIGN(const CompiledGrant compiled,
              compile_grant(grant, *collection, offset_min, grant_path, problem));
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

const MeterLimits* CompiledLimits::of_collection(CollectionId id) const {
  const auto own = collections.find(id.value);
  if (own != collections.end()) return &own->second;
  return collection ? &*collection : nullptr;
}

Result<CompiledPolicy> compile_policy(const v1::Policy& policy,
                                      std::span<const v1::Collection> collections,
                                      Problem* problem) {
  if (policy.ByteSizeLong() > kDefinitionBytesMax) {
    return fail(problem, "A policy must stay under 1 MiB.", "");
  }
  CompiledPolicy out;
  const auto offset_min = parse_utc_offset(policy.utc_offset());
  if (!offset_min) {
    return fail(problem, "The clock's distance from UTC is as in \"+08:00\", at most 14 hours.",
                "utc_offset");
  }
  if (policy.contact().size() > kContactMax) {
    return fail(problem, "Whom to ask takes at most 200 bytes.", "contact");
  }
  SR_ASSIGN(out.limits, compile_limits(policy.limits(), collections, problem));
  const v1::Approvals& approvals = policy.approvals();
  if (approvals.needed() > kApprovalsNeededMax || approvals.expire_hours() > kApprovalHoursMax) {
    return fail(problem, "At most 16 approvals may be needed, and a request live for 720 hours.",
                "approvals");
  }
  if (approvals.destruction_delay_s() > kDestructionDelayMaxS) {
    return fail(problem, "The erasure of old records can be delayed by at most 90 days.",
                "approvals.destruction_delay_s");
  }
  if (approvals.destruction_delay_s() != 0) {
    out.destruction_delay_ms = uint64_t{approvals.destruction_delay_s()} * 1000;
  }
  if (approvals.needed() != 0) out.approvals_needed = approvals.needed();
  if (approvals.expire_hours() != 0) {
    out.approval_ms_max = uint64_t{approvals.expire_hours()} * 3'600'000;
  }
  out.repeat_free_ms = uint64_t{policy.limits().repeat_free_minutes()} * 60'000;
  for (int i = 0; i < policy.purposes_size(); ++i) {
    const v1::Purpose& purpose = policy.purposes(i);
    const std::string path = "purposes[" + std::to_string(i) + "]";
    if (!is_principal_name(purpose.name())) {
      return fail(problem,
                  "A purpose's name must be a lower-case letter, then up to 63 lower-case "
                  "letters, digits, dots, dashes or underscores.",
                  path + ".name");
    }
    if (static_cast<size_t>(purpose.case_patterns_size()) > kCasePatternsMax ||
        !std::all_of(purpose.case_patterns().begin(), purpose.case_patterns().end(),
                     is_case_pattern)) {
      return fail(problem,
                  "A purpose has at most 16 case patterns of 1 to 64 characters, with a * at the "
                  "end only.",
                  path + ".case_patterns");
    }
    if (purpose.embargo_days() > kEmbargoDaysMax || !v1::ShownAs_IsValid(purpose.shown_as())) {
      return fail(problem,
                  "A purpose's embargo is at most 3650 days, and shown_as ROLE, UNIT or PERSON.",
                  path);
    }
    CompiledPurpose compiled{purpose.case_required(),
                             purpose.emergency(),
                             {purpose.case_patterns().begin(), purpose.case_patterns().end()}};
    if (!out.purposes.emplace(purpose.name(), std::move(compiled)).second) {
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
    SR_ASSIGN(CompiledRole compiled, compile_role(role, out.purposes, collections, *offset_min,
                                                  "roles." + role.name(), problem));
    out.roles.emplace(role.name(), std::move(compiled));
  }
  std::string watch_path;
  if (const auto rules = watch::compile_rules(policy.watch(), &watch_path); !rules) {
    return fail(problem, rules.error().text, watch_path);
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
