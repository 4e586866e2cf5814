#include "strongroom/policy/engine.h"

#include <algorithm>
#include <tuple>

namespace strongroom::policy {
namespace {

Error denied(const char* text, int64_t number = -1) {
  return make_error(ErrorCode::kPermissionDenied, text, number);
}

Error is_disabled() {
  return make_error(ErrorCode::kUnauthenticated,
                    "This principal is disabled. Ask whoever keeps the principals.");
}

// Or nothing that can be read.
bool is_masked_view(uint32_t groups) {
  return (groups & ~(1u << kMaskedGroup)) == 0;
}

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t") == std::string_view::npos;
}

}  // namespace

Result<void> Engine::set_policy(const v1::Policy& policy,
                                std::span<const v1::Collection> collections, Problem* problem) {
  SR_ASSIGN(compiled_, compile_policy(policy, collections, problem));
  policy_ = policy;
  repeats_.set_window(compiled_.repeat_free_ms);
  collection_names_.clear();
  for (const v1::Collection& c : collections) collection_names_.emplace(c.id(), c.name());
  link_principals();
  return {};
}

void Engine::set_principal(const v1::Principal& principal, uint64_t leaf) {
  PrincipalEntry& entry = principals_[principal.name()];
  if (entry.principal.public_key() != principal.public_key()) ++entry.generation;
  entry.principal = principal;
  entry.leaf = leaf;
  link(entry);
}

const PrincipalEntry* Engine::principal(std::string_view name) const {
  const auto it = principals_.find(name);
  return it == principals_.end() ? nullptr : &it->second;
}

std::vector<const PrincipalEntry*> Engine::principals() const {
  std::vector<const PrincipalEntry*> out;
  out.reserve(principals_.size());
  for (const auto& [name, entry] : principals_) out.push_back(&entry);
  std::sort(out.begin(), out.end(), [](const PrincipalEntry* a, const PrincipalEntry* b) {
    return a->principal.name() < b->principal.name();
  });
  return out;
}

bool Engine::has_power(std::string_view name, v1::Power power) const {
  const PrincipalEntry* entry = principal(name);
  return entry != nullptr && !entry->principal.disabled() && entry->role != nullptr &&
         (entry->role->powers >> power & 1) != 0;
}

bool Engine::anyone_manages_policy(const CompiledPolicy& next) const {
  return std::any_of(principals_.begin(), principals_.end(), [&](const auto& item) {
    const v1::Principal& principal = item.second.principal;
    const auto role = next.roles.find(principal.role());
    return !principal.disabled() && role != next.roles.end() &&
           (role->second.powers >> v1::MANAGE_POLICY & 1) != 0;
  });
}

Party Engine::party(std::string_view principal, std::string_view role, std::string_view purpose,
                    std::string_view gateway, CollectionId collection) const {
  const auto name = collection_names_.find(collection.value);
  return {principal, role, purpose,
          name == collection_names_.end() ? std::string_view() : std::string_view(name->second),
          gateway};
}

bool Engine::is_emergency(std::string_view purpose) const {
  const auto it = compiled_.purposes.find(purpose);
  return it != compiled_.purposes.end() && it->second.emergency;
}

bool Engine::is_frozen(std::string_view name) const {
  const PrincipalEntry* entry = principal(name);
  if (entry == nullptr) return false;
  for (const Scope& scope : {Scope{Scope::Kind::kPrincipal, std::string(name)},
                             Scope{Scope::Kind::kRole, entry->principal.role()}}) {
    const Freeze* freeze = freezes_.find(scope);
    if (freeze != nullptr && !freeze->to_masked) return true;
  }
  return false;
}

Holder Engine::holder(const Ask& ask) const {
  const PrincipalEntry* entry = principal(ask.principal);
  return {entry,
          entry == nullptr ? 0 : entry->generation,
          std::string(ask.purpose),
          std::string(ask.gateway),
          ask.collection,
          ask.groups};
}

Result<Clearance> Engine::clear(const Holder& holder) const {
  std::string_view name, role;
  if (holder.principal != nullptr) {
    const v1::Principal& principal = holder.principal->principal;
    if (principal.disabled()) return is_disabled();
    if (holder.principal->generation != holder.generation) {
      return make_error(ErrorCode::kUnauthenticated,
                        "This principal was given a new key meanwhile. Sign with that.");
    }
    name = principal.name();
    role = principal.role();
  }
  if (!freezes_.all().empty()) {
    SR_TRY(freezes_.check(party(name, role, holder.purpose, holder.gateway, holder.collection),
                          is_masked_view(holder.groups)));
  }
  return Clearance();
}

std::vector<std::string> Engine::approvers(const CompiledPolicy* policy) const {
  const NameMap<CompiledRole>& roles = (policy != nullptr ? *policy : compiled_).roles;
  std::vector<std::string> out;
  for (const auto& [name, entry] : principals_) {
    const auto role = roles.find(entry.principal.role());
    if (!entry.principal.disabled() && role != roles.end() &&
        (role->second.powers >> v1::APPROVE & 1) != 0) {
      out.push_back(name);
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::optional<uint32_t> Engine::number_of(std::string_view name) const {
  const auto it = numbers_.find(name);
  if (it == numbers_.end()) return std::nullopt;
  return it->second;
}

uint32_t Engine::make_number(std::string_view name) {
  if (const auto known = number_of(name)) return *known;
  const auto number = static_cast<uint32_t>(names_.size());
  numbers_.emplace(name, number);
  names_.emplace_back(name);
  return number;
}

void Engine::number_names() {
  numbers_.clear();
  for (uint32_t number = 0; number < names_.size(); ++number) {
    numbers_.emplace(names_[number], number);
  }
}

bool Engine::ways_are_known() const {
  return std::all_of(users_.begin(), users_.end(), [&](const auto& item) {
    return std::all_of(item.second.ways.begin(), item.second.ways.end(),
                       [&](const User::Way& way) { return way.purpose < names_.size(); });
  });
}

void Engine::link(PrincipalEntry& entry) {
  const auto role = compiled_.roles.find(entry.principal.role());
  entry.role = role == compiled_.roles.end() ? nullptr : &role->second;
  entry.user = user(entry.principal.name());
}

void Engine::link_principals() {
  for (auto& [name, entry] : principals_) link(entry);
}

User* Engine::user(std::string_view name) {
  const auto number = number_of(name);
  const auto it = number ? users_.find(*number) : users_.end();
  return it == users_.end() ? nullptr : &it->second;
}

Result<void> Engine::decide(const Ask& ask, uint64_t t_ms) {
  const PrincipalEntry* entry = principal(ask.principal);
  if (entry == nullptr) {
    return make_error(ErrorCode::kUnauthenticated,
                      "This principal is not registered. Ask whoever keeps the principals.");
  }
  if (entry->principal.disabled()) return is_disabled();
  if (!freezes_.all().empty()) {
    SR_TRY(freezes_.check(
        party(ask.principal, entry->principal.role(), ask.purpose, ask.gateway, ask.collection),
        is_masked_view(ask.groups)));
  }
  const auto purpose = compiled_.purposes.find(ask.purpose);
  if (purpose == compiled_.purposes.end()) {
    return denied("The policy has no such purpose. `policy show` lists them.");
  }
  if (entry->role == nullptr) {
    return denied("The policy no longer has this principal's role. Ask whoever keeps the policy.");
  }
  const auto grants = entry->role->by_purpose.find(ask.purpose);
  if (grants == entry->role->by_purpose.end()) {
    return denied("This purpose is not open to your role. Ask whoever keeps the policy.");
  }
  const auto found = std::find_if(grants->second.begin(), grants->second.end(),
                                  [&](const auto& item) { return item.first == ask.collection; });
  if (found == grants->second.end()) {
    return denied("Your role may not use this collection for this purpose.");
  }
  const CompiledGrant& grant = found->second;
  if (ask.leaves && !grant.networks.empty() &&
      !(ask.from && any_contains(grant.networks, *ask.from))) {
    return denied(
        "This purpose is not open to your role from the network you call from. Ask from one that "
        "the policy names.");
  }
  const bool no_case = is_blank(ask.case_reference);
  if (purpose->second.case_required && no_case) {
    return denied("This purpose needs a case reference. Name the case with --case.");
  }
  const auto& patterns = purpose->second.case_patterns;
  if (!no_case && !patterns.empty() &&
      std::none_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
        return matches_case(pattern, ask.case_reference);
      })) {
    return denied(
        "The case reference does not look like one of this purpose. `policy show` has its "
        "case_patterns: # is a digit, ? a letter.");
  }
  if (!grant.opening.open(t_ms)) {
    Error error = denied("This purpose is not open to your role at this hour.");
    error.retry_after_ms = static_cast<int64_t>(grant.opening.opens_in_ms(t_ms));
    return error;
  }
  if (ask.action == v1::ACTION_UNSPECIFIED || !v1::Action_IsValid(ask.action) ||
      (grant.actions >> ask.action & 1) == 0) {
    return denied("Your role may not do this with this collection for this purpose.");
  }
  if ((ask.groups & ~grant.groups) != 0) {
    return denied(
        "Your role may not open some of the fields asked for. Ask for fewer, or --masked.");
  }
  for (const AskedTerm& term : ask.terms) SR_TRY(grant.search.check(term));
  const uint64_t opened = ask.amounts.records + ask.amounts.repeats;
  if (opened > grant.records_per_query || ask.records_before > grant.records_per_query - opened) {
    return denied(
        "This opens more records in one query than your role may (the number is the most). Lower "
        "the limit or narrow the search.",
        static_cast<int64_t>(grant.records_per_query));
  }

  return check_budgets(ask, entry->user, grant, t_ms);
}

// All hold at once; the refusal tells of the one that reopens last.
Result<void> Engine::check_budgets(const Ask& ask, User* user, const CompiledGrant& grant,
                                   uint64_t t_ms) {
  // Nothing charged yet: an empty set of meters answers the same.
  Meters none;
  const auto meters_in = [&](auto& map, const auto& key) -> Meters& {
    const auto it = map.find(key);
    return it == map.end() ? none : it->second;
  };
  Meters* own = &none;
  if (user != nullptr) {
    const auto purpose = number_of(ask.purpose);
    if (User::Way* way = purpose ? user->way(*purpose, ask.collection) : nullptr) {
      own = &way->meters;
    }
  }
  Result<void> worst;
  const auto check = [&](Meters& meters, const MeterLimits& limits, BudgetScope scope) {
    keep_later(worst, meters.check(limits, ask.amounts, scope, t_ms));
  };
  check(*own, grant.limits, BudgetScope::kPurpose);
  const CompiledLimits& limits = compiled_.limits;
  if (limits.principal) {
    check(user != nullptr ? user->all : none, *limits.principal, BudgetScope::kPrincipal);
  }
  if (limits.gateway) {
    const auto gateway = number_of(ask.gateway);
    check(gateway ? meters_in(by_gateway_, *gateway) : none, *limits.gateway,
          BudgetScope::kGateway);
  }
  if (const MeterLimits* of = limits.of_collection(ask.collection)) {
    check(meters_in(by_collection_, ask.collection.value), *of, BudgetScope::kCollection);
  }
  if (limits.vault) check(vault_, *limits.vault, BudgetScope::kVault);
  return worst;
}

void Engine::charge(const Charge& charge, uint64_t t_ms) {
  const uint32_t principal = make_number(charge.principal);
  const uint32_t purpose = make_number(charge.purpose);
  const auto [it, is_new] = users_.try_emplace(principal);
  User& user = it->second;
  if (is_new) {
    const auto entry = principals_.find(charge.principal);
    if (entry != principals_.end()) entry->second.user = &user;
  }
  User::Way* way = user.way(purpose, charge.collection);
  if (way == nullptr) {
    way = &user.ways.emplace_back();
    way->purpose = purpose;
    way->collection = charge.collection.value;
  }
  way->meters.charge(charge.amounts, t_ms);
  for (size_t q = 0; q < kQuantities; ++q) {
    (*way->quarter)[q].charge(charge.amounts.of(static_cast<Quantity>(q)), t_ms);
  }
  user.all.charge(charge.amounts, t_ms);
  by_gateway_[make_number(charge.gateway)].charge(charge.amounts, t_ms);
  by_collection_[charge.collection.value].charge(charge.amounts, t_ms);
  vault_.charge(charge.amounts, t_ms);
}

uint64_t Engine::free_repeats(std::string_view principal, std::span<const RecordIndex> records,
                              uint32_t groups, uint64_t t_ms) const {
  const auto number = number_of(principal);
  return number ? repeats_.free(*number, records, groups, t_ms) : 0;
}

void Engine::note_opened(std::string_view principal, RecordIndex record, uint32_t groups,
                         uint64_t t_ms) {
  repeats_.opened(make_number(principal), record, groups, t_ms);
}

std::vector<BudgetUse> Engine::budgets_of(std::string_view name, uint64_t t_ms) {
  std::vector<BudgetUse> out;
  const PrincipalEntry* entry = principal(name);
  if (entry == nullptr || entry->role == nullptr) return out;
  Meters none;
  const auto add = [&](Meters& meters, const MeterLimits& limits, BudgetUse use) {
    for (size_t q = 0; q < kQuantities; ++q) {
      for (size_t w = 0; w < kWindows; ++w) {
        use.quantity = static_cast<Quantity>(q);
        use.window = static_cast<Window>(w);
        use.most = limits.most[q][w];
        use.used = meters.used(use.quantity, use.window, t_ms);
        if (use.most == kNoLimit || (use.most == 0 && use.used == 0)) continue;
        out.push_back(use);
      }
    }
  };
  for (const auto& [purpose, grants] : entry->role->by_purpose) {
    const auto of = number_of(purpose);
    for (const auto& [collection, grant] : grants) {
      User::Way* way = entry->user && of ? entry->user->way(*of, collection) : nullptr;
      add(way == nullptr ? none : way->meters, grant.limits,
          {BudgetScope::kPurpose, purpose, collection, {}, {}, 0, 0});
    }
  }
  if (compiled_.limits.principal) {
    add(entry->user == nullptr ? none : entry->user->all, *compiled_.limits.principal,
        {BudgetScope::kPrincipal, {}, {}, {}, {}, 0, 0});
  }
  std::stable_sort(out.begin(), out.end(), [](const BudgetUse& a, const BudgetUse& b) {
    return std::tie(a.scope, a.collection, a.purpose) < std::tie(b.scope, b.collection, b.purpose);
  });
  return out;
}

std::vector<QuarterUse> Engine::quarter_of(std::string_view name, uint64_t t_ms) {
  std::vector<QuarterUse> out;
  const User* of = user(name);
  if (of == nullptr) return out;
  for (const User::Way& way : of->ways) {
    QuarterUse use{names_[way.purpose], CollectionId{way.collection}, {}};
    for (size_t q = 0; q < kQuantities; ++q) use.used[q] = (*way.quarter)[q].used(t_ms);
    out.push_back(std::move(use));
  }
  std::sort(out.begin(), out.end(), [](const QuarterUse& a, const QuarterUse& b) {
    return std::tie(a.collection, a.purpose) < std::tie(b.collection, b.purpose);
  });
  return out;
}

}  // namespace strongroom::policy
