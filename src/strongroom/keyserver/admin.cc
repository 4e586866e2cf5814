// The admin listener's calls: who may read, who may change; each change is one log entry with its
// author.
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <set>

#include "strongroom/keyserver/key_server.h"
#include "strongroom/keyserver/unseal.h"
#include "strongroom/tlog/tiles.h"

namespace strongroom::keyserver {
namespace {

constexpr size_t kEntriesBytesMax = size_t{8} << 20;
constexpr uint32_t kLogEntriesDefault = 100;
constexpr size_t kUnitMax = 64;

// Those whose role a line is about; a line about no role is about everybody who has a grant.
std::vector<std::string> affected_by(const policy::PolicyDiff& diff, const policy::Engine& engine) {
  bool everybody = false;
  std::set<std::string> roles;
  for (const std::string& line : diff.lines) {
    const std::string_view path = std::string_view(line).substr(2);
    if (path.starts_with("roles.")) {
      // A name may hold dots: every role that it begins with.
      for (const v1::Role& role : engine.policy().roles()) {
        if (path.starts_with("roles." + role.name() + ".")) roles.insert(role.name());
      }
    } else if (!path.starts_with("contact") && path.find(".title: ") == std::string_view::npos) {
      everybody = true;
    }
  }
  std::vector<std::string> out;
  for (const policy::PrincipalEntry* entry : engine.principals()) {
    const auto of = [&](const v1::Role& role) {
      return role.name() == entry->principal.role() && !role.grants().empty();
    };
    if (entry->principal.disabled()) continue;
    if (roles.contains(entry->principal.role()) ||
        (everybody && std::ranges::any_of(engine.policy().roles(), of))) {
      out.push_back(entry->principal.name());
    }
  }
  return out;
}

Error is_frozen() {
  return make_error(ErrorCode::kPermissionDenied,
                    "You or your role are frozen. Ask whoever keeps the vault safe; to thaw takes "
                    "several.");
}

Result<void> check_public_key(const std::string& key) {
  if (key.size() != sizeof(crypto::PublicKey)) {
    return make_error(ErrorCode::kInvalidArgument,
                      "A public key is 32 bytes of Ed25519. Make one with `strongroom key new`.");
  }
  return {};
}

}  // namespace

Result<std::string> KeyServer::authenticate(std::string_view path, Bytes body_sha256,
                                            std::string_view authorization) {
  return admin_auth_->authenticate(path, body_sha256, authorization, now_ms());
}

std::string KeyServer::sign_reply(const AdminCall& call, const AdminReply& reply) const {
  if (call.path.empty() || call.body_sha256.size() != sizeof(crypto::Digest) ||
      !parse_authorization(call.authorization)) {
    return {};
  }
  return to_base64(state_->log_key().sign(as_bytes(reply_message(call, reply))));
}

Result<void> KeyServer::require(const std::string& who,
                                std::initializer_list<v1::Power> any_of) const {
  if (ledger_.engine().is_frozen(who)) return is_frozen();
  if (std::any_of(any_of.begin(), any_of.end(),
                  [&](v1::Power power) { return ledger_.engine().has_power(who, power); })) {
    return {};
  }
  return no_power();
}

Error KeyServer::no_principal() {
  return make_error(ErrorCode::kNotFound,
                    "There is no such principal. `principal list` shows all.");
}

Error KeyServer::no_power() {
  return make_error(ErrorCode::kPermissionDenied,
                    "Your role lacks the power to do this. Ask whoever keeps the policy.");
}

Result<uint64_t> KeyServer::log_change(const std::string& author, v1::LogItem item,
                                       tlog::EntryType type) {
  item.set_author(author);
  return log_items(type, {&item, 1});
}

Result<uint64_t> KeyServer::log_items(tlog::EntryType type, std::span<const v1::LogItem> items) {
  if (failed_) return unavailable();
  if (sealed_) return kSealed;
  SR_ASSIGN(const size_t position, stage(type, items, now_ms()));
  const auto leaves = log_->commit();
  if (!leaves) {
    failed_ = true;
    return leaves.error();
  }
  return (*leaves)[position].index().value;
}

Result<v1::StatusResponse> KeyServer::status(const std::string& who,
                                             const v1::StatusRequest&) const {
  // A frozen one may see that it is.
  if (!ledger_.engine().has_power(who, v1::READ_STATUS)) return no_power();
  v1::StatusResponse out;
  out.set_version(options_.version);
  out.set_vault(std::string(as_text(vault_id_)));
  out.set_name(vault_.name());
  out.set_dev(vault_.dev());
  out.set_shares_given(vault_.threshold());
  out.set_shares_needed(vault_.threshold());
  out.set_log_size(log_->size());
  out.set_checkpoint_size(log_->checkpoint_size());
  out.set_policy_version(ledger_.engine().policy().version());
  out.set_principals(static_cast<uint32_t>(ledger_.engine().principal_count()));
  out.set_collections(static_cast<uint32_t>(ledger_.collections().size()));
  out.set_blocks(ledger_.blocks().size());
  out.set_lanes_live(ledger_.live_lanes());
  for (const auto& [number, lane] : ledger_.lanes()) {
    if (lane.status == v1::LaneItem::OPENED && !lane.history) {
      out.set_lanes_open(out.lanes_open() + 1);
    }
  }
  out.set_lanes_merged(ledger_.merged_lanes());
  if (const auto& merge = ledger_.merge()) out.set_lanes_merging(merge->sources.size());
  for (const auto& [scope, freeze] : ledger_.engine().freezes().all()) {
    *out.add_frozen() = frozen_view(scope, freeze);
  }
  ledger_.keys().tell(out);
  out.mutable_root()->set_shares(vault_.shares());
  out.mutable_root()->set_threshold(vault_.threshold());
  out.mutable_root()->set_tpm(vault_.has_tpm());
  out.mutable_root()->set_tpm_epochs(vault_.tpm().epochs());
  out.set_disk_full(log_->full());
  if (log_->full()) {
    out.add_warnings(
        "The disk is full, so nothing leaves; freezes are still recorded. Free some space.");
  }
  for (const tlog::NoteKey& witness : witnessing_.witnesses()) {
    v1::WitnessStatus& status = *out.add_witnesses();
    status.set_name(witness.name);
    status.set_size(witnessing_.size_of(witness.name));
  }
  out.set_witnessed_size(witnessing_.witnessed_size());
  const LogKeyBook& log_keys = ledger_.keys().log_keys();
  if (log_keys.changing()) out.set_log_key_changing_ms(log_keys.changes().back().t_ms);
  out.set_epoch(state_->epoch());
  tell_horizon(out);
  tell_backups(out);
  out.set_started_ms(started_ms_);
  const std::string& logged_root = ledger_.keys().root_check();
  if (!logged_root.empty() && logged_root != vault_.root_check()) {
    out.add_warnings(
        "The root key was changed since the one that opened this vault: vault.json and key state "
        "are from a backup. Change the root key again, since holders of older shares hold this "
        "one.");
  }
  for (const char* warning : state_->warnings()) out.add_warnings(warning);
  if (counters_warning_ != nullptr) out.add_warnings(counters_warning_);
  out.set_counters_leaf(counters_->leaf());
  out.set_log_checked(counters_->checked() ? log_->size() : counters_->checked_to());
  if (vault_.dev()) {
    out.add_warnings(
        "This is a --dev vault: its root key lies in a file beside the data, so whoever has the "
        "disk has everything.");
  }
  return out;
}

Result<v1::ApplyCollectionResponse> KeyServer::apply_collection(
    const std::string& who, const v1::ApplyCollectionRequest& request) {
  SR_TRY(require(who, {v1::MANAGE_COLLECTIONS}));
  v1::Collection next = request.collection();
  SR_TRY(policy::check_collection(next));
  const CollectionInfo* old = ledger_.collection(CollectionId{next.id()});
  const CollectionInfo* namesake = ledger_.collection(next.name());
  if (namesake != nullptr && namesake != old) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "Another collection has this name (the number is its id). Choose another.",
                      namesake->definition.id());
  }
  const uint32_t revision = old != nullptr ? old->definition.revision() : 0;
  if (next.revision() != 0 && next.revision() != revision) {
    return make_error(ErrorCode::kConflict,
                      "The collection was changed since this definition was read (the number is "
                      "its revision). Read it again.",
                      revision);
  }
  v1::ApplyCollectionResponse out;
  next.clear_reindexing();
  next.clear_terms();
  if (old == nullptr && next.id() > kCollectionMax) {
    return make_error(ErrorCode::kInvalidArgument, "A collection's id is at most 65535.");
  }
  if (old != nullptr) {
    next.set_revision(revision);
    next.set_terms(old->definition.terms());
    if (old->definition.reindexing().renew() &&
        !policy::added_indexes(old->definition, next).empty()) {
      return make_error(ErrorCode::kFailedPrecondition,
                        "The terms of this collection are being made anew. Add the index when "
                        "`reindex` has finished that.");
    }
    ask_to_reindex(*old, next);
    if (google::protobuf::util::MessageDifferencer::Equals(old->definition, next)) {
      *out.mutable_collection() = std::move(next);
      out.set_leaf(old->leaf);
      return out;
    }
    SR_TRY(policy::check_collection_change(old->definition, next));
  }
  next.set_revision(revision + 1);
  // A new one opens nothing: nobody has a grant on it yet.
  if (old != nullptr) {
    v1::ApprovalRequest asked;
    *asked.mutable_collection() = next;
    asked.set_base(old->leaf);
    *out.mutable_collection() = std::move(next);
    SR_ASSIGN(const uint64_t id, propose(who, std::move(asked), request.reason()));
    out.set_request(id);
    return out;
  }
  v1::LogItem item;
  *item.mutable_collection() = next;
  SR_ASSIGN(const uint64_t leaf, log_change(who, std::move(item)));
  *out.mutable_collection() = std::move(next);
  out.set_changed(true);
  out.set_leaf(leaf);
  return out;
}

// What several sign with a further index: that so many records may be opened for it. Half of it is
// for steps that are done again after a crash.
void KeyServer::ask_to_reindex(const CollectionInfo& old, v1::Collection& next) const {
  if (old.definition.has_reindexing()) {
    *next.mutable_reindexing() = old.definition.reindexing();
  }
  const uint64_t records = records_granted(CollectionId{next.id()});
  const auto added = policy::added_indexes(old.definition, next);
  const bool begins = !added.empty() && records != 0;
  const bool used_up =
      next.has_reindexing() && old.reindexed + kReleaseItemsMax > next.reindexing().records_max();
  if (!begins && !used_up) return;
  v1::Reindexing& reindexing = *next.mutable_reindexing();
  for (const v1::IndexRef& ref : added) *reindexing.add_indexes() = ref;
  if (begins) reindexing.clear_below_u();  // What was begun for fewer indexes begins anew.
  reindexing.set_records_max(old.reindexed + 2 * records + 10 * kReleaseItemsMax);
}

Result<v1::RenewTermsResponse> KeyServer::renew_terms(const std::string& who,
                                                      const v1::RenewTermsRequest& request) {
  SR_TRY(require(who, {v1::MANAGE_COLLECTIONS}));
  const CollectionInfo* known = ledger_.collection(request.collection());
  if (known == nullptr) {
    return make_error(ErrorCode::kNotFound, "There is no such collection.");
  }
  if (known->definition.has_reindexing()) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "An index of this collection is still being built, or its terms are being "
                      "made anew. Finish that with `reindex` first.");
  }
  if (known->definition.terms() >= kRenewalsMax) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "The terms of this collection were renewed as often as they may be.");
  }
  // Made before ids were bound: their unique rows would lie where those of renewed terms do.
  if (ledger_.collections().rbegin()->first > kCollectionMax) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "A collection of this vault has an id above 65535, so no terms can be "
                      "renewed.");
  }
  v1::ApprovalRequest asked;
  v1::Collection& next = *asked.mutable_collection();
  next = known->definition;
  next.set_revision(next.revision() + 1);
  next.mutable_reindexing()->set_renew(true);
  next.mutable_reindexing()->set_records_max(2 * records_granted(CollectionId{next.id()}) +
                                             10 * kReleaseItemsMax);
  asked.set_base(known->leaf);
  v1::RenewTermsResponse out;
  SR_ASSIGN(const uint64_t id, propose(who, std::move(asked), request.reason()));
  out.set_request(id);
  return out;
}

Result<v1::ListCollectionsResponse> KeyServer::list_collections(
    const std::string&, const v1::ListCollectionsRequest&) const {
  v1::ListCollectionsResponse out;
  for (v1::Collection& definition : ledger_.definitions()) {
    *out.add_collections() = std::move(definition);
  }
  return out;
}

Result<v1::ApplyPolicyResponse> KeyServer::apply_policy(const std::string& who,
                                                        const v1::ApplyPolicyRequest& request) {
  SR_TRY(require(who, {v1::MANAGE_POLICY}));
  const policy::Engine& engine = ledger_.engine();
  const v1::Policy& old = engine.policy();
  v1::Policy next = request.policy();
  if (next.version() != 0 && next.version() != old.version()) {
    return make_error(ErrorCode::kConflict,
                      "The policy was changed since this one was read (the number is its version). "
                      "Read it again.",
                      old.version());
  }
  SR_TRY(check_policy(next));
  policy::PolicyDiff diff = policy::diff_policies(old, next);
  v1::ApplyPolicyResponse out;
  for (std::string& name : affected_by(diff, engine)) out.add_affected(std::move(name));
  for (std::string& line : diff.lines) out.add_changes(std::move(line));
  out.set_widens(diff.widens);
  out.set_version(old.version());
  out.set_leaf(ledger_.policy_leaf());
  out.set_changed(!out.changes().empty());
  if (!out.changed()) return out;
  next.set_version(old.version() + 1);
  out.set_version(next.version());
  if (request.dry_run()) return out;
  if (diff.widens) {
    v1::ApprovalRequest asked;
    *asked.mutable_policy() = std::move(next);
    asked.set_base(ledger_.policy_leaf());
    SR_ASSIGN(const uint64_t id, propose(who, std::move(asked), request.reason()));
    out.set_request(id);
    return out;
  }
  v1::LogItem item;
  *item.mutable_policy() = std::move(next);
  SR_ASSIGN(const uint64_t leaf, log_change(who, std::move(item)));
  out.set_leaf(leaf);
  return out;
}

Result<v1::ShowPolicyResponse> KeyServer::show_policy(const std::string&,
                                                      const v1::ShowPolicyRequest&) const {
  v1::ShowPolicyResponse out;
  *out.mutable_policy() = ledger_.engine().policy();
  return out;
}

Result<v1::AddPrincipalResponse> KeyServer::add_principal(const std::string& who,
                                                          const v1::AddPrincipalRequest& request) {
  SR_TRY(require(who, {v1::MANAGE_PRINCIPALS}));
  if (!policy::is_principal_name(request.name())) {
    return make_error(ErrorCode::kInvalidArgument,
                      "A principal's name must be a lower-case letter, then up to 63 lower-case "
                      "letters, digits, dots, dashes or underscores.");
  }
  SR_TRY(check_public_key(request.public_key()));
  if (request.unit().size() > kUnitMax) {
    return make_error(ErrorCode::kInvalidArgument, "A unit's name has at most 64 bytes.");
  }
  if (!ledger_.engine().has_role(request.role())) {
    return make_error(ErrorCode::kInvalidArgument,
                      "The policy has no such role. `policy show` lists them.");
  }
  if (ledger_.engine().principal(request.name()) != nullptr) {
    return make_error(ErrorCode::kAlreadyExists,
                      "There is a principal of this name. Choose another, or use rekey.");
  }
  v1::ApprovalRequest asked;
  v1::Principal& principal = *asked.mutable_principal();
  principal.set_name(request.name());
  principal.set_role(request.role());
  principal.set_public_key(request.public_key());
  principal.set_unit(request.unit());
  v1::AddPrincipalResponse out;
  SR_ASSIGN(const uint64_t id, propose(who, std::move(asked), request.reason()));
  out.set_request(id);
  return out;
}

Result<v1::ListPrincipalsResponse> KeyServer::list_principals(
    const std::string& who, const v1::ListPrincipalsRequest&) const {
  SR_TRY(require(who, {v1::MANAGE_PRINCIPALS, v1::MANAGE_POLICY, v1::READ_STATUS, v1::READ_LOG}));
  v1::ListPrincipalsResponse out;
  for (const policy::PrincipalEntry* entry : ledger_.engine().principals()) {
    *out.add_principals() = entry->principal;
  }
  return out;
}

// One person who keeps the principals could otherwise end all approving.
Result<void> KeyServer::check_approvers_without(const std::string& name) const {
  const policy::Engine& engine = ledger_.engine();
  auto left = engine.approvers();
  if (std::erase(left, name) == 0 || left.size() >= engine.approvals_needed()) return {};
  return make_error(
      ErrorCode::kFailedPrecondition,
      "Fewer approvers than it takes would be left (the number is how many it takes). "
      "Add another first; `freeze` cuts this one off meanwhile.",
      engine.approvals_needed());
}

Result<v1::DisablePrincipalResponse> KeyServer::disable_principal(
    const std::string& who, const v1::DisablePrincipalRequest& request) {
  SR_TRY(require(who, {v1::MANAGE_PRINCIPALS}));
  const policy::PrincipalEntry* entry = ledger_.engine().principal(request.name());
  if (entry == nullptr) return no_principal();
  v1::DisablePrincipalResponse out;
  out.set_leaf(entry->leaf);
  if (entry->principal.disabled()) return out;
  SR_TRY(check_approvers_without(request.name()));
  v1::LogItem item;
  *item.mutable_principal() = entry->principal;
  item.mutable_principal()->set_disabled(true);
  SR_ASSIGN(const uint64_t leaf, log_change(who, std::move(item)));
  out.set_leaf(leaf);
  return out;
}

Result<v1::RekeyPrincipalResponse> KeyServer::rekey_principal(
    const std::string& who, const v1::RekeyPrincipalRequest& request) {
  // Everyone may replace an own key: the call itself is signed by the old one.
  if (who != request.name()) SR_TRY(require(who, {v1::MANAGE_PRINCIPALS}));
  // Else a thief whose key was just frozen would keep the account for when it is thawed.
  if (ledger_.engine().is_frozen(who)) return is_frozen();
  SR_TRY(check_public_key(request.public_key()));
  const policy::PrincipalEntry* entry = ledger_.engine().principal(request.name());
  if (entry == nullptr) return no_principal();
  v1::RekeyPrincipalResponse out;
  out.set_leaf(entry->leaf);
  if (who != request.name()) {
    // Whoever chooses somebody's key can be them. The old one may be stolen: that ends now.
    if (!entry->principal.disabled()) {
      v1::DisablePrincipalRequest disable;
      disable.set_name(request.name());
      SR_TRY(disable_principal(who, disable));
    }
    v1::ApprovalRequest asked;
    *asked.mutable_principal() = entry->principal;
    asked.mutable_principal()->set_public_key(request.public_key());
    asked.mutable_principal()->set_disabled(false);
    asked.set_base(entry->leaf);
    out.set_leaf(entry->leaf);
    SR_ASSIGN(const uint64_t id, propose(who, std::move(asked), request.reason()));
    out.set_request(id);
    return out;
  }
  if (entry->principal.public_key() == request.public_key()) return out;
  v1::LogItem item;
  *item.mutable_principal() = entry->principal;
  item.mutable_principal()->set_public_key(request.public_key());
  SR_ASSIGN(const uint64_t leaf, log_change(who, std::move(item)));
  out.set_leaf(leaf);
  return out;
}

Result<v1::LogCheckpointResponse> KeyServer::log_checkpoint(const std::string& who,
                                                            const v1::LogCheckpointRequest&) const {
  SR_TRY(require(who, {v1::READ_LOG, v1::READ_STATUS}));
  v1::LogCheckpointResponse out;
  out.set_note(log_->checkpoint_note());
  out.set_cosigned(witnessing_.cosigned_note());
  return out;
}

Result<v1::LogTileResponse> KeyServer::log_tile(const std::string& who,
                                                const v1::LogTileRequest& request) const {
  SR_TRY(require(who, {v1::READ_LOG, v1::READ_STATUS}));
  if (request.path().size() > tlog::kTilePathMax) {
    return make_error(ErrorCode::kInvalidArgument, "This is not the path of a tile.");
  }
  v1::LogTileResponse out;
  SR_ASSIGN(*out.mutable_data(), log_->tile(request.path()));
  return out;
}

Result<v1::LogEntriesResponse> KeyServer::log_entries(const std::string& who,
                                                      const v1::LogEntriesRequest& request) const {
  SR_TRY(require(who, {v1::READ_LOG}));
  v1::LogEntriesResponse out;
  out.set_size(log_->size());
  const uint64_t asked = request.count() != 0 ? request.count() : kLogEntriesDefault;
  const uint64_t first = std::min<uint64_t>(request.first(), log_->size());
  const uint64_t end = std::min({first + asked, first + kLogEntriesMax, log_->size()});
  // One at a time: a single entry may be as large as the whole reply should be.
  size_t bytes = 0;
  for (uint64_t leaf = first; leaf < end && bytes < kEntriesBytesMax; ++leaf) {
    SR_ASSIGN(const auto entries, log_->read(leaf, 1));
    if (entries.size() != 1) break;
    const tlog::Entry& entry = entries.front();
    v1::LogEntryView& view = *out.add_entries();
    view.set_leaf(entry.leaf.value);
    view.set_type(tlog::entry_type_name(entry.type));
    view.set_t_ms(entry.t_ms);
    for (const std::string& item : entry.items) view.add_items(item);
    view.set_rho(std::string(as_text(entry.rho)));
    bytes += view.ByteSizeLong();
  }
  return out;
}

}  // namespace strongroom::keyserver
