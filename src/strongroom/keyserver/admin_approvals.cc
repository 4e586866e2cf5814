// What widens access: asked here, signed by several, done with the last signature that was needed.
#include <algorithm>

#include "strongroom/crypto/sign.h"
#include "strongroom/keyserver/key_server.h"

namespace strongroom::keyserver {
namespace {

using policy::Decision;
using policy::RequestState;

Error changed_since() {
  return make_error(ErrorCode::kConflict,
                    "What this request would replace has changed since it was made. Deny it, or "
                    "have it withdrawn, and ask anew.");
}

// But for what the key server fills in.
bool asks_the_same(v1::ApprovalRequest a, v1::ApprovalRequest b) {
  for (v1::ApprovalRequest* request : {&a, &b}) {
    request->clear_vault();
    request->clear_id();
    request->clear_reason();
    request->clear_created_ms();
    request->clear_expires_ms();
  }
  return a.SerializeAsString() == b.SerializeAsString();
}

v1::RequestView::State state_of(const RequestState& state, uint64_t now) {
  if (state.expired(now)) return v1::RequestView::EXPIRED;
  switch (state.end) {
    case RequestState::End::kDone:
      return v1::RequestView::DONE;
    case RequestState::End::kDenied:
      return v1::RequestView::DENIED;
    case RequestState::End::kWithdrawn:
      return v1::RequestView::WITHDRAWN;
    default:
      return v1::RequestView::OPEN;
  }
}

v1::RequestView view_of(const RequestState& state, uint64_t now) {
  v1::RequestView view;
  view.set_request(state.bytes);
  view.set_state(state_of(state, now));
  for (const policy::Approval& approval : state.approved) view.add_approved(approval.approver);
  view.set_closed_by(state.closed_by);
  view.set_leaf(state.leaf);
  return view;
}

}  // namespace

Result<uint64_t> KeyServer::propose(const std::string& who, v1::ApprovalRequest request,
                                    const std::string& reason) {
  SR_TRY(check_reason(reason));
  const policy::Engine& engine = ledger_.engine();
  const uint64_t now = now_ms();
  auto approvers = engine.approvers();
  std::erase(approvers, who);
  if (approvers.size() < engine.approvals_needed()) {
    return make_error(
        ErrorCode::kFailedPrecondition,
        "This takes more approvers than there are besides you (the number is how many "
        "it takes).",
        engine.approvals_needed());
  }
  request.set_author(who);
  for (const auto& [id, state] : ledger_.approvals().all()) {
    if (state_of(state, now) == v1::RequestView::OPEN && asks_the_same(state.request, request)) {
      return id;
    }
  }
  // One stolen credential must not fill the table, and so keep others from asking for a thaw.
  const auto own = std::ranges::count_if(ledger_.approvals().all(), [&](const auto& item) {
    return item.second.request.author() == who &&
           state_of(item.second, now) == v1::RequestView::OPEN;
  });
  if (static_cast<size_t>(own) >= policy::kOpenRequestsOfOneMax) {
    return make_error(ErrorCode::kUnavailable,
                      "As many of your requests are open as may be. Have some of them decided, or "
                      "withdraw them.");
  }
  if (ledger_.approvals().open_count(now) >= policy::kOpenRequestsMax) {
    return make_error(ErrorCode::kUnavailable,
                      "As many requests are open as there may be. Have some of them decided, or "
                      "withdraw yours.");
  }
  const uint64_t id = ledger_.approvals().next_id();
  request.set_vault(std::string(as_text(vault_id_)));
  request.set_id(id);
  request.set_reason(reason);
  request.set_created_ms(now);
  request.set_expires_ms(now + engine.approval_ms_max());
  v1::LogItem item;
  item.mutable_approval()->set_request(id);
  item.mutable_approval()->set_bytes(request.SerializeAsString());
  SR_TRY(log_change(who, std::move(item), tlog::EntryType::kApproval));
  return id;
}

Result<policy::CompiledPolicy> KeyServer::check_policy(const v1::Policy& next) const {
  const policy::Engine& engine = ledger_.engine();
  SR_ASSIGN(auto compiled, policy::compile_policy(next, ledger_.definitions()));
  SR_TRY(Witnessing::check(next.witnesses()));
  for (const policy::PrincipalEntry* entry : engine.principals()) {
    if (!entry->principal.disabled() && !compiled.roles.contains(entry->principal.role())) {
      return make_error(ErrorCode::kFailedPrecondition,
                        "The new policy lacks a role that principals hold. Keep the role, or "
                        "disable them first.");
    }
  }
  if (!engine.anyone_manages_policy(compiled)) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "Nobody could change the policy after this. Leave MANAGE_POLICY with a role "
                      "that someone holds.");
  }
  if (engine.approvers(&compiled).size() < compiled.approvals_needed) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "Fewer principals than it takes could approve after this (the number is how "
                      "many it takes). Leave APPROVE with a role that enough hold, or set "
                      "approvals.needed.",
                      compiled.approvals_needed);
  }
  return compiled;
}

// The change that was approved, if it still is what was asked for.
Result<v1::LogItem> KeyServer::change_of(const v1::ApprovalRequest& request) const {
  v1::LogItem item;
  item.set_author(request.author());
  switch (request.change_case()) {
    case v1::ApprovalRequest::kPolicy:
      if (request.base() != ledger_.policy_leaf()) return changed_since();
      SR_TRY(check_policy(request.policy()));
      *item.mutable_policy() = request.policy();
      item.mutable_policy()->set_version(ledger_.engine().policy().version() + 1);
      return item;
    case v1::ApprovalRequest::kPrincipal: {
      const auto* entry = ledger_.engine().principal(request.principal().name());
      if (request.base() != (entry == nullptr ? 0 : entry->leaf)) return changed_since();
      if (!ledger_.engine().has_role(request.principal().role())) return changed_since();
      *item.mutable_principal() = request.principal();
      return item;
    }
    case v1::ApprovalRequest::kCollection: {
      const auto* info = ledger_.collection(CollectionId{request.collection().id()});
      if (info == nullptr || request.base() != info->leaf) return changed_since();
      SR_TRY(policy::check_collection(request.collection()));
      SR_TRY(policy::check_collection_change(info->definition, request.collection()));
      // Its first records may have come since it was asked for.
      if (!request.collection().has_reindexing() &&
          records_granted(CollectionId{request.collection().id()}) != 0 &&
          !policy::added_indexes(info->definition, request.collection()).empty()) {
        return changed_since();
      }
      *item.mutable_collection() = request.collection();
      return item;
    }
    case v1::ApprovalRequest::kThaw: {
      SR_ASSIGN(const policy::Scope scope, policy::parse_scope(request.thaw()));
      const policy::Freeze* freeze = ledger_.engine().freezes().find(scope);
      if (freeze == nullptr || freeze->leaf != request.base()) return changed_since();
      item.mutable_freeze()->set_scope(request.thaw());
      item.mutable_freeze()->set_thaw(true);
      item.mutable_freeze()->set_reason(request.reason());
      return item;
    }
    case v1::ApprovalRequest::kRoot:
      if (request.base() != ledger_.keys().root_leaf()) return changed_since();
      if (!check_holders(request.root())) return changed_since();
      item.mutable_root()->set_step(v1::RootItem::BEGUN);
      *item.mutable_root()->mutable_change() = request.root();
      return item;
    case v1::ApprovalRequest::kLiftHold: {
      const Hold* hold = ledger_.holds().find(request.lift_hold());
      if (hold == nullptr || hold->leaf != request.base()) return changed_since();
      item.mutable_hold()->set_reference(request.lift_hold());
      item.mutable_hold()->set_lift(true);
      return item;
    }
    case v1::ApprovalRequest::kEmbargoLift: {
      const v1::EmbargoLift& lift = request.embargo_lift();
      const EmbargoLifts& lifts = ledger_.embargo_lifts();
      if (lifts.below(lift.purpose(), lift.case_reference()) != request.base()) {
        return changed_since();
      }
      *item.mutable_embargo_lift() = lift;
      return item;
    }
    case v1::ApprovalRequest::kExport: {
      v1::ExportItem& approved = *item.mutable_export_();
      approved.set_request(request.id());
      approved.set_until_ms(now_ms_ + uint64_t{request.export_().hours()} * 3'600'000);
      return item;
    }
    case v1::ApprovalRequest::kDestruction:
      return scheduled(request.id(), CollectionId{request.destruction().collection()},
                       request.destruction().before_ms());
    case v1::ApprovalRequest::kLogKey:
      if (request.base() != ledger_.keys().log_keys().leaf()) return changed_since();
      item.mutable_log_key()->set_step(v1::LogKeyItem::ASKED);
      return item;
    case v1::ApprovalRequest::CHANGE_NOT_SET:
      break;
  }
  return changed_since();
}

Result<v1::ListRequestsResponse> KeyServer::list_requests(const std::string& who,
                                                          const v1::ListRequestsRequest& request) {
  const policy::Engine& engine = ledger_.engine();
  const bool all = std::ranges::any_of(
      std::initializer_list<v1::Power>{v1::APPROVE, v1::MANAGE_POLICY, v1::MANAGE_PRINCIPALS,
                                       v1::MANAGE_COLLECTIONS, v1::READ_LOG, v1::READ_STATUS},
      [&](v1::Power power) { return engine.has_power(who, power); });
  const uint64_t now = now_ms();
  v1::ListRequestsResponse out;
  out.set_needed(engine.approvals_needed());
  for (const std::string& name : engine.approvers()) out.add_approvers(name);
  for (const auto& [id, state] : ledger_.approvals().all()) {
    if (!all && state.request.author() != who) continue;
    if (request.id() != 0 ? request.id() != id
                          : !request.closed() && state_of(state, now) != v1::RequestView::OPEN) {
      continue;
    }
    *out.add_requests() = view_of(state, now);
  }
  if (request.id() != 0 && out.requests().empty()) {
    return make_error(ErrorCode::kNotFound, "There is no such request. `requests` lists them.");
  }
  return out;
}

Result<v1::SignRequestResponse> KeyServer::sign_request(const std::string& who,
                                                        const v1::SignRequestRequest& request) {
  const policy::Engine& engine = ledger_.engine();
  const uint64_t now = now_ms();
  const RequestState* state = ledger_.approvals().find(request.id());
  // Else a freeze of the approvers could never be thawed. Several must sign all the same.
  const bool thaws = state != nullptr && state->request.has_thaw();
  if (!thaws) SR_TRY(require(who, {v1::APPROVE}));
  if (!engine.has_power(who, v1::APPROVE)) return no_power();
  SR_TRY(ledger_.approvals().check_open(request.id(), who, now));
  crypto::PublicKey key{};
  crypto::Signature signature{};
  const std::string& public_key = engine.principal(who)->principal.public_key();
  const auto decision = request.deny() ? Decision::kDeny : Decision::kApprove;
  if (public_key.size() != key.size() || request.signature().size() != signature.size()) {
    return make_error(ErrorCode::kUnauthenticated, "The decision is not signed.");
  }
  std::copy_n(as_bytes(public_key).begin(), key.size(), key.begin());
  std::copy_n(as_bytes(request.signature()).begin(), signature.size(), signature.begin());
  if (!crypto::verify(key, as_bytes(policy::approval_message(decision, state->bytes)), signature)) {
    return make_error(ErrorCode::kUnauthenticated,
                      "The signature is not by your registered key over this very request.");
  }

  std::vector<v1::LogItem> items(1);
  items[0].set_author(who);
  v1::ApprovalItem& step = *items[0].mutable_approval();
  step.set_request(request.id());
  step.set_step(request.deny() ? v1::ApprovalItem::DENIED : v1::ApprovalItem::APPROVED);
  step.set_signature(request.signature());
  if (!request.deny()) {
    // Those before count as long as they could still approve, with the key they signed with.
    const auto counts = [&](const policy::Approval& approval) {
      return engine.has_power(approval.approver, v1::APPROVE) &&
             engine.principal(approval.approver)->generation == approval.generation;
    };
    const auto before = std::ranges::count_if(state->approved, counts);
    if (static_cast<uint64_t>(before) + 1 >= engine.approvals_needed()) {
      SR_ASSIGN(items.emplace_back(), change_of(state->request));
      step.set_done(true);
    }
  }
  const bool begins = items.back().has_root();
  const bool installs = begins && items.back().root().change().key_file();
  if (begins) new_root_.reset();  // Of a change that was under way.
  if (installs) {
    SR_ASSIGN(new_root_.emplace(), make_root(items.back().root().change()));
    items.push_back(changing_item());
  }
  SR_TRY(log_items(tlog::EntryType::kApproval, items));
  if (installs) SR_TRY(install_root());
  v1::SignRequestResponse out;
  *out.mutable_request() = view_of(*ledger_.approvals().find(request.id()), now);
  return out;
}

Result<v1::WithdrawRequestResponse> KeyServer::withdraw_request(
    const std::string& who, const v1::WithdrawRequestRequest& request) {
  const RequestState* state = ledger_.approvals().find(request.id());
  if (state == nullptr || state->request.author() != who) {
    return make_error(ErrorCode::kNotFound, "You have made no such request.");
  }
  if (state_of(*state, now_ms()) != v1::RequestView::OPEN) {
    return make_error(ErrorCode::kFailedPrecondition, "This request is closed already.");
  }
  v1::LogItem item;
  item.mutable_approval()->set_request(request.id());
  item.mutable_approval()->set_step(v1::ApprovalItem::WITHDRAWN);
  v1::WithdrawRequestResponse out;
  SR_ASSIGN(const uint64_t leaf, log_change(who, std::move(item), tlog::EntryType::kApproval));
  out.set_leaf(leaf);
  return out;
}

}  // namespace strongroom::keyserver
