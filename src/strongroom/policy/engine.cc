#include "strongroom/policy/engine.h"

#include <algorithm>

namespace strongroom::policy {
namespace {

Error denied(const char* text, int64_t number = -1) {
  return make_error(ErrorCode::kPermissionDenied, text, number);
}

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t") == std::string_view::npos;
}

}  // namespace

size_t Engine::MeterKeyHash::operator()(const MeterKey& key) const {
  uint64_t h = (uint64_t{key.principal} << 32) | key.purpose;
  h = (h ^ (uint64_t{key.collection} << 16)) * 0x9e3779b97f4a7c15u;
  return static_cast<size_t>(h ^ (h >> 29));
}

Result<void> Engine::set_policy(const v1::Policy& policy,
                                std::span<const v1::Collection> collections, Problem* problem) {
  SR_ASSIGN(compiled_, compile_policy(policy, collections, problem));
  policy_ = policy;
  return {};
}

void Engine::set_principal(const v1::Principal& principal, uint64_t leaf) {
  PrincipalEntry& entry = principals_[principal.name()];
  if (entry.principal.public_key() != principal.public_key()) ++entry.generation;
  entry.principal = principal;
  entry.leaf = leaf;
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
  if (entry == nullptr || entry->principal.disabled()) return false;
  const auto role = compiled_.roles.find(entry->principal.role());
  return role != compiled_.roles.end() && (role->second.powers >> power & 1) != 0;
}

bool Engine::anyone_manages_policy(const CompiledPolicy& next) const {
  return std::any_of(principals_.begin(), principals_.end(), [&](const auto& item) {
    const v1::Principal& principal = item.second.principal;
    const auto role = next.roles.find(principal.role());
    return !principal.disabled() && role != next.roles.end() &&
           (role->second.powers >> v1::MANAGE_POLICY & 1) != 0;
  });
}

Engine::Meters* Engine::find_meters(std::string_view principal, std::string_view purpose,
                                    CollectionId collection) {
  const auto p = numbers_.find(principal);
  const auto q = numbers_.find(purpose);
  if (p == numbers_.end() || q == numbers_.end()) return nullptr;
  const auto it = meters_.find({p->second, q->second, collection.value});
  return it == meters_.end() ? nullptr : it->second.get();
}

Result<void> Engine::decide(const Ask& ask, uint64_t t_ms) {
  const PrincipalEntry* entry = principal(ask.principal);
  if (entry == nullptr) {
    return make_error(ErrorCode::kUnauthenticated,
                      "This principal is not registered. Ask whoever keeps the principals.");
  }
  if (entry->principal.disabled()) {
    return make_error(ErrorCode::kUnauthenticated,
                      "This principal is disabled. Ask whoever keeps the principals.");
  }
  const auto purpose = compiled_.purposes.find(ask.purpose);
  if (purpose == compiled_.purposes.end()) {
    return denied("The policy has no such purpose. `policy show` lists them.");
  }
  const auto role = compiled_.roles.find(entry->principal.role());
  if (role == compiled_.roles.end()) {
    return denied("The policy no longer has this principal's role. Ask whoever keeps the policy.");
  }
  const auto grants = role->second.by_purpose.find(ask.purpose);
  if (grants == role->second.by_purpose.end()) {
    return denied("This purpose is not open to your role. Ask whoever keeps the policy.");
  }
  const auto found = std::find_if(grants->second.begin(), grants->second.end(),
                                  [&](const auto& item) { return item.first == ask.collection; });
  if (found == grants->second.end()) {
    return denied("Your role may not use this collection for this purpose.");
  }
  const CompiledGrant& grant = found->second;
  if (purpose->second && is_blank(ask.case_reference)) {
    return denied("This purpose needs a case reference. Name the case with --case.");
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
  const Amounts& amounts = ask.amounts;
  if (amounts.records > grant.records_per_query ||
      ask.records_before > grant.records_per_query - amounts.records) {
    return denied(
        "This opens more records in one query than your role may (the number is the most). Lower "
        "the limit or narrow the search.",
        static_cast<int64_t>(grant.records_per_query));
  }

  // Nothing charged yet: an empty set of meters answers the same.
  Meters none;
  Meters* meters = find_meters(ask.principal, ask.purpose, ask.collection);
  if (meters == nullptr) meters = &none;
  const v1::Budget& budget = grant.budget;
  if (amounts.records != 0) {
    SR_TRY(meters->records_day.check(budget.records_per_day(), amounts.records, t_ms));
    SR_TRY(meters->records_hour.check(budget.records_per_hour(), amounts.records, t_ms));
  }
  if (amounts.searches != 0) {
    SR_TRY(meters->searches_day.check(budget.searches_per_day(), amounts.searches, t_ms));
    SR_TRY(meters->searches_hour.check(budget.searches_per_hour(), amounts.searches, t_ms));
  }
  if (amounts.writes != 0) {
    SR_TRY(meters->writes_day.check(budget.writes_per_day(), amounts.writes, t_ms));
  }
  if (amounts.uniques != 0) {
    SR_TRY(meters->uniques_day.check(budget.writes_per_day(), amounts.uniques, t_ms));
  }
  return {};
}

void Engine::charge(std::string_view principal, std::string_view purpose, CollectionId collection,
                    const Amounts& amounts, uint64_t t_ms) {
  Meters* meters = find_meters(principal, purpose, collection);
  if (meters == nullptr) {
    const auto number = [&](std::string_view name) {
      return numbers_.try_emplace(std::string(name), static_cast<uint32_t>(numbers_.size()))
          .first->second;
    };
    auto& slot = meters_[{number(principal), number(purpose), collection.value}];
    slot = std::make_unique<Meters>();
    meters = slot.get();
  }
  if (amounts.records != 0) {
    meters->records_hour.charge(amounts.records, t_ms);
    meters->records_day.charge(amounts.records, t_ms);
  }
  if (amounts.searches != 0) {
    meters->searches_hour.charge(amounts.searches, t_ms);
    meters->searches_day.charge(amounts.searches, t_ms);
  }
  if (amounts.writes != 0) meters->writes_day.charge(amounts.writes, t_ms);
  if (amounts.uniques != 0) meters->uniques_day.charge(amounts.uniques, t_ms);
}

}  // namespace strongroom::policy
