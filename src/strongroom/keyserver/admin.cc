// The admin listener's calls: who may read, who may change; each change is one log entry with its
// author.
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>

#include "strongroom/keyserver/key_server.h"
#include "strongroom/keyserver/unseal.h"

namespace strongroom::keyserver {
namespace {

constexpr size_t kEntriesBytesMax = size_t{8} << 20;
constexpr uint32_t kLogEntriesDefault = 100;
constexpr size_t kTilePathMax = 256;

Error no_principal() {
  return make_error(ErrorCode::kNotFound,
                    "There is no such principal. `principal list` shows all.");
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
  auto who = admin_auth_->authenticate(path, body_sha256, authorization, now_ms());
  if (!who) refusals_.note({}, who.error().code, now_ms_);
  return who;
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
  if (std::any_of(any_of.begin(), any_of.end(),
                  [&](v1::Power power) { return ledger_.engine().has_power(who, power); })) {
    return {};
  }
  refusals_.note(who, ErrorCode::kPermissionDenied, now_ms_);
  return make_error(ErrorCode::kPermissionDenied,
                    "Your role lacks the power to do this. Ask whoever keeps the policy.");
}

Result<uint64_t> KeyServer::log_change(const std::string& author, v1::LogItem item) {
  if (failed_) return unavailable();
  item.set_author(author);
  SR_ASSIGN(const size_t position, stage(tlog::EntryType::kPolicy, {&item, 1}, now_ms()));
  const auto leaves = log_->commit();
  if (!leaves) {
    failed_ = true;
    return leaves.error();
  }
  return (*leaves)[position].index().value;
}

Result<v1::StatusResponse> KeyServer::status(const std::string& who,
                                             const v1::StatusRequest&) const {
  SR_TRY(require(who, {v1::READ_STATUS}));
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
  out.set_epoch(state_->epoch());
  out.set_started_ms(started_ms_);
  for (const char* warning : state_->warnings()) out.add_warnings(warning);
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
  if (old != nullptr) {
    next.set_revision(revision);
    if (google::protobuf::util::MessageDifferencer::Equals(old->definition, next)) {
      *out.mutable_collection() = std::move(next);
      out.set_leaf(old->leaf);
      return out;
    }
    SR_TRY(policy::check_collection_change(old->definition, next));
  }
  next.set_revision(revision + 1);
  v1::LogItem item;
  *item.mutable_collection() = next;
  SR_ASSIGN(const uint64_t leaf, log_change(who, std::move(item)));
  *out.mutable_collection() = std::move(next);
  out.set_changed(true);
  out.set_leaf(leaf);
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
  SR_ASSIGN(const auto compiled, policy::compile_policy(next, ledger_.definitions()));
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
  v1::ApplyPolicyResponse out;
  for (std::string& line : policy::diff_policies(old, next)) out.add_changes(std::move(line));
  out.set_version(old.version());
  out.set_leaf(ledger_.policy_leaf());
  out.set_changed(!out.changes().empty());
  if (!out.changed()) return out;
  next.set_version(old.version() + 1);
  out.set_version(next.version());
  if (request.dry_run()) return out;
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
  if (!ledger_.engine().has_role(request.role())) {
    return make_error(ErrorCode::kInvalidArgument,
                      "The policy has no such role. `policy show` lists them.");
  }
  if (ledger_.engine().principal(request.name()) != nullptr) {
    return make_error(ErrorCode::kAlreadyExists,
                      "There is a principal of this name. Choose another, or use rekey.");
  }
  v1::LogItem item;
  v1::Principal& principal = *item.mutable_principal();
  principal.set_name(request.name());
  principal.set_role(request.role());
  principal.set_public_key(request.public_key());
  v1::AddPrincipalResponse out;
  SR_ASSIGN(const uint64_t leaf, log_change(who, std::move(item)));
  out.set_leaf(leaf);
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

Result<v1::DisablePrincipalResponse> KeyServer::disable_principal(
    const std::string& who, const v1::DisablePrincipalRequest& request) {
  SR_TRY(require(who, {v1::MANAGE_PRINCIPALS}));
  const policy::PrincipalEntry* entry = ledger_.engine().principal(request.name());
  if (entry == nullptr) return no_principal();
  v1::DisablePrincipalResponse out;
  out.set_leaf(entry->leaf);
  if (entry->principal.disabled()) return out;
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
  SR_TRY(check_public_key(request.public_key()));
  const policy::PrincipalEntry* entry = ledger_.engine().principal(request.name());
  if (entry == nullptr) return no_principal();
  v1::RekeyPrincipalResponse out;
  out.set_leaf(entry->leaf);
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
  return out;
}

Result<v1::LogTileResponse> KeyServer::log_tile(const std::string& who,
                                                const v1::LogTileRequest& request) const {
  SR_TRY(require(who, {v1::READ_LOG, v1::READ_STATUS}));
  if (request.path().size() > kTilePathMax) {
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
