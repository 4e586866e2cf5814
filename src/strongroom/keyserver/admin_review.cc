// What people may know of use: their own, and for reviewers that of all.
#include <algorithm>

#include "strongroom/keyserver/key_server.h"

namespace strongroom::keyserver {
namespace {

constexpr size_t kReviewLeavesMax = 10'000;

}  // namespace

std::string KeyServer::collection_name(CollectionId id) const {
  const CollectionInfo* info = ledger_.collection(id);
  return info == nullptr ? std::to_string(id.value) : info->definition.name();
}

v1::UseLine KeyServer::use_line(const Use& use) const {
  v1::UseLine line;
  line.set_leaf(use.leaf);
  line.set_t_ms(use.t_ms);
  line.set_type(tlog::entry_type_name(use.type));
  line.set_purpose(use.purpose);
  line.set_case_reference(use.case_reference);
  line.set_collection(collection_name(use.collection));
  line.set_amount(use.amount);
  return line;
}

v1::Frozen KeyServer::frozen_view(const policy::Scope& scope, const policy::Freeze& freeze) {
  v1::Frozen frozen;
  frozen.set_scope(policy::to_text(scope));
  frozen.set_to_masked(freeze.to_masked);
  frozen.set_reason(freeze.reason);
  frozen.set_author(freeze.author);
  frozen.set_t_ms(freeze.t_ms);
  frozen.set_leaf(freeze.leaf);
  return frozen;
}

Result<v1::MeResponse> KeyServer::me(const std::string& who, const v1::MeRequest&) {
  policy::Engine& engine = ledger_.engine();
  v1::MeResponse out;
  const policy::PrincipalEntry* entry = engine.principal(who);
  if (entry == nullptr) return no_principal();
  *out.mutable_principal() = entry->principal;
  out.set_contact(engine.policy().contact());
  for (const auto& [scope, freeze] : engine.freezes().all()) {
    const bool mine = scope.kind == policy::Scope::Kind::kAll ||
                      scope == policy::Scope{policy::Scope::Kind::kPrincipal, who} ||
                      scope == policy::Scope{policy::Scope::Kind::kRole, entry->principal.role()};
    if (mine) {
      *out.add_frozen() = frozen_view(scope, freeze);
      out.mutable_frozen()->rbegin()->clear_reason();  // It may say what the thief should not know.
    }
  }
  for (const policy::BudgetUse& use : engine.budgets_of(who, now_ms())) {
    v1::BudgetLine& line = *out.add_budgets();
    line.set_scope(policy::scope_name(use.scope));
    line.set_purpose(use.purpose);
    if (use.collection.value != 0) line.set_collection(collection_name(use.collection));
    line.set_quantity(policy::quantity_name(use.quantity));
    line.set_window(policy::window_name(use.window));
    line.set_used(use.used);
    line.set_most(use.most);
  }
  const auto& uses = ledger_.history().of(who);
  for (auto use = uses.rbegin(); use != uses.rend(); ++use) *out.add_uses() = use_line(*use);
  return out;
}

Result<v1::ReviewAccessResponse> KeyServer::review_access(const std::string& who,
                                                          const v1::ReviewAccessRequest& request) {
  SR_TRY(require(who, {v1::READ_LOG, v1::MANAGE_PRINCIPALS, v1::MANAGE_POLICY}));
  policy::Engine& engine = ledger_.engine();
  if (!request.principal().empty() && engine.principal(request.principal()) == nullptr) {
    return no_principal();
  }
  const uint64_t now = now_ms();
  v1::ReviewAccessResponse out;
  for (const policy::PrincipalEntry* entry : engine.principals()) {
    const v1::Principal& principal = entry->principal;
    if (!request.principal().empty() && request.principal() != principal.name()) continue;
    v1::AccessView& view = *out.add_principals();
    *view.mutable_principal() = principal;
    view.mutable_principal()->clear_public_key();
    for (const v1::Role& role : engine.policy().roles()) {
      if (role.name() != principal.role()) continue;
      *view.mutable_powers() = role.powers();
      *view.mutable_grants() = role.grants();
    }
    for (const policy::QuarterUse& use : engine.quarter_of(principal.name(), now)) {
      v1::QuarterLine& line = *view.add_used();
      line.set_purpose(use.purpose);
      line.set_collection(collection_name(use.collection));
      const auto used = [&](policy::Quantity q) { return use.used[static_cast<size_t>(q)]; };
      line.set_records(used(policy::Quantity::kRecords));
      line.set_searches(used(policy::Quantity::kSearches));
      line.set_writes(used(policy::Quantity::kWrites));
      line.set_erasures(used(policy::Quantity::kErasures));
      line.set_exported(used(policy::Quantity::kExported));
    }
    view.set_last_used_ms(ledger_.history().last_ms(principal.name()));
  }
  return out;
}

Result<v1::ListEmergenciesResponse> KeyServer::list_emergencies(
    const std::string& who, const v1::ListEmergenciesRequest&) const {
  SR_TRY(require(who, {v1::READ_LOG}));
  v1::ListEmergenciesResponse out;
  for (const auto& [leaf, emergency] : ledger_.history().unreviewed()) {
    if (static_cast<size_t>(out.uses_size()) == kReviewLeavesMax) break;
    v1::EmergencyUse& use = *out.add_uses();
    *use.mutable_use() = use_line(emergency.use);
    use.set_principal(emergency.principal);
  }
  return out;
}

Result<v1::ReviewEmergenciesResponse> KeyServer::review_emergencies(
    const std::string& who, const v1::ReviewEmergenciesRequest& request) {
  SR_TRY(require(who, {v1::READ_LOG}));
  SR_TRY(check_reason(request.finding()));
  const auto& unreviewed = ledger_.history().unreviewed();
  v1::LogItem item;
  v1::ReviewItem& review = *item.mutable_review();
  review.set_finding(request.finding());
  std::vector<uint64_t> leaves(request.leaves().begin(), request.leaves().end());
  if (leaves.empty()) {
    for (const auto& [leaf, emergency] : unreviewed) {
      if (emergency.principal != who) leaves.push_back(leaf);
    }
  }
  if (leaves.size() > kReviewLeavesMax) leaves.resize(kReviewLeavesMax);
  for (const uint64_t leaf : leaves) {
    const auto it = unreviewed.find(leaf);
    if (it == unreviewed.end()) {
      return make_error(ErrorCode::kNotFound, "There is no such use to review (the number).",
                        static_cast<int64_t>(leaf));
    }
    if (it->second.principal == who) {
      return make_error(ErrorCode::kPermissionDenied, "Nobody reviews their own use.");
    }
    review.add_leaves(leaf);
  }
  v1::ReviewEmergenciesResponse out;
  out.set_reviewed(static_cast<uint32_t>(leaves.size()));
  if (leaves.empty()) return out;
  SR_ASSIGN(const uint64_t leaf, log_change(who, std::move(item), tlog::EntryType::kApproval));
  out.set_leaf(leaf);
  return out;
}

}  // namespace strongroom::keyserver
