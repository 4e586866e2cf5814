// Freezing: in memory at once, then durable. To thaw takes several.
#include <algorithm>

#include "strongroom/keyserver/key_server.h"

namespace strongroom::keyserver {

Result<void> KeyServer::check_reason(const std::string& reason) {
  const bool plain = std::none_of(reason.begin(), reason.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (plain && reason.size() <= policy::kFreezeReasonMax) return {};
  return make_error(ErrorCode::kInvalidArgument,
                    "A reason is at most 200 bytes of text without control characters.");
}

Result<v1::FreezeResponse> KeyServer::freeze(const std::string& who,
                                             const v1::FreezeRequest& request) {
  SR_TRY(require(who, {v1::FREEZE}));
  SR_ASSIGN(const policy::Scope scope, policy::parse_scope(request.scope()));
  SR_TRY(check_reason(request.reason()));
  if (failed_) return unavailable();
  v1::FreezeResponse out;
  const policy::Freeze* old = ledger_.engine().freezes().find(scope);
  // What is frozen wholly stays so: to loosen it is to thaw.
  if (old != nullptr && (!old->to_masked || request.to_masked())) {
    out.set_leaf(old->leaf);
    return out;
  }
  v1::LogItem item;
  v1::FreezeItem& freeze = *item.mutable_freeze();
  freeze.set_scope(policy::to_text(scope));
  freeze.set_to_masked(request.to_masked());
  freeze.set_reason(request.reason());
  SR_ASSIGN(const uint64_t leaf, log_change(who, std::move(item), tlog::EntryType::kFreeze));
  out.set_leaf(leaf);
  out.set_changed(true);
  return out;
}

Result<v1::ThawResponse> KeyServer::thaw(const std::string& who, const v1::ThawRequest& request) {
  const policy::Engine& engine = ledger_.engine();
  // A frozen one may ask, or a freeze of everyone who can could never end.
  if (!engine.has_power(who, v1::FREEZE) && !engine.has_power(who, v1::APPROVE)) return no_power();
  SR_ASSIGN(const policy::Scope scope, policy::parse_scope(request.scope()));
  v1::ThawResponse out;
  const policy::Freeze* freeze = engine.freezes().find(scope);
  if (freeze == nullptr) return out;
  v1::ApprovalRequest asked;
  asked.set_thaw(policy::to_text(scope));
  asked.set_base(freeze->leaf);
  SR_ASSIGN(const uint64_t id, propose(who, std::move(asked), request.reason()));
  out.set_leaf(freeze->leaf);
  out.set_request(id);
  return out;
}

}  // namespace strongroom::keyserver
