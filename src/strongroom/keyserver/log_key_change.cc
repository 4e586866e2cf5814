// The key that the release log is signed with changes while the server serves. Asked for by one,
// signed by several (ASKED); within a second a fresh key is durable in the key state and then named
// by the log (CHANGED). From there on both sign, so that whoever checks has time to learn of it,
// until one person ends the old key (ENDED).
// Spec: docs/spec/log.md
#include <algorithm>

#include "strongroom/keyserver/key_server.h"
#include "strongroom/keyserver/unseal.h"

namespace strongroom::keyserver {
namespace {

Error other_keys() {
  return make_error(ErrorCode::kDataLoss,
                    "The key state does not hold the keys that the release log says it is signed "
                    "with: they are of different times or vaults. Restore both from one backup; do "
                    "not delete anything.");
}

}  // namespace

Result<v1::ChangeLogKeyResponse> KeyServer::change_log_key(const std::string& who,
                                                           const v1::ChangeLogKeyRequest& request) {
  SR_TRY(require(who, {v1::MANAGE_POLICY}));
  const LogKeyBook& book = ledger_.keys().log_keys();
  if (book.changing() || book.asked()) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "The log's key is being changed already. `log key finish` ends the old one.");
  }
  v1::ApprovalRequest asked;
  asked.mutable_log_key();
  asked.set_base(book.leaf());
  v1::ChangeLogKeyResponse out;
  SR_ASSIGN(const uint64_t id, propose(who, std::move(asked), request.reason()));
  out.set_request(id);
  return out;
}

Result<void> KeyServer::stage_log_key(uint64_t now) {
  if (!ledger_.keys().log_keys().asked() || log_->full()) return {};
  v1::LogItem item;
  item.mutable_log_key()->set_step(v1::LogKeyItem::CHANGED);
  item.mutable_log_key()->set_key(std::string(as_text(state_->add_log_key().public_key())));
  // Durable before the log names it. One that a crash keeps from the log is dropped at the start.
  const auto kept = state_->commit(state_->applied());
  const auto position = kept ? stage(tlog::EntryType::kKeys, {&item, 1}, now) : kept.error();
  if (!position) {
    failed_ = true;
    return unavailable();
  }
  witnessing_.key_changed(log_->size() + *position);
  return {};
}

Result<v1::FinishLogKeyResponse> KeyServer::finish_log_key(const std::string& who,
                                                           const v1::FinishLogKeyRequest& request) {
  SR_TRY(require(who, {v1::MANAGE_POLICY}));
  SR_TRY(check_reason(request.reason()));
  const LogKeyBook& book = ledger_.keys().log_keys();
  if (!book.changing()) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "The log's key is not being changed. `log key change` asks for that.");
  }
  SR_TRY(write_key_changes());
  if (log_->checkpoint_size() <= book.changes().back().leaf) {
    Error error =
        make_error(ErrorCode::kUnavailable,
                   "No checkpoint is signed with the new key yet. One comes each second.");
    error.retry_after_ms = 1000;
    return error;
  }
  static_cast<void>(check_witnessed(now_ms()));  // By the witnesses that the policy names now.
  if (!witnessing_.follows_newest_key()) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "Too few witnesses take the new key yet, so nothing would leave behind this. "
                      "Have them started with `--key-changes`; `log key show` tells which do.");
  }
  const crypto::PublicKey old_key = state_->log_signers().front().public_key();
  v1::LogItem item;
  item.mutable_log_key()->set_step(v1::LogKeyItem::ENDED);
  item.mutable_log_key()->set_note(key_change_under_way());
  v1::FinishLogKeyResponse out;
  SR_ASSIGN(const uint64_t leaf, log_change(who, std::move(item), tlog::EntryType::kKeys));
  out.set_leaf(leaf);
  state_->drop_log_key(old_key);
  // Its last copies go with the epoch.
  if (!state_->commit(log_->size()) || !begin_epoch()) {
    failed_ = true;
    return unavailable();
  }
  return out;
}

Result<v1::LogKeysResponse> KeyServer::log_keys(const std::string&,
                                                const v1::LogKeysRequest&) const {
  if (sealed_) return kSealed;
  const LogKeyBook& book = ledger_.keys().log_keys();
  v1::LogKeysResponse out;
  out.set_changes(key_changes());
  if (!book.changes().empty()) out.set_since_ms(book.changes().back().t_ms);
  out.set_changing(book.changing());
  for (const std::string& name : witnessing_.following()) out.add_following(name);
  return out;
}

std::string KeyServer::ended_key_changes() const {
  std::string out;
  for (const LogKeyChanged& changed : ledger_.keys().log_keys().changes()) out += changed.note;
  return out;
}

std::string KeyServer::key_change_under_way() const {
  const LogKeyBook& book = ledger_.keys().log_keys();
  if (!book.changing()) return {};
  const tlog::LogSigners& signers = state_->log_signers();
  SR_CHECK(signers.size() == 2, "both keys, while the log's key changes");
  // The same bytes each time.
  return tlog::sign_key_change(vault_.origin(), ended_key_changes(), book.changes().back().leaf,
                               signers[0], signers[1]);
}

std::string KeyServer::key_changes() const {
  return ended_key_changes() + key_change_under_way();
}

// What lies beside the tiles is written again whenever it is not what it should be.
Result<void> KeyServer::write_key_changes() {
  const std::string changes = key_changes();
  if (written_key_changes_ && *written_key_changes_ == changes) return {};
  const std::string path = options_.dir + "/log/" + tlog::kKeyChangesFile;
  const auto there = files_.read(path, tlog::kKeyChangesBytesMax);
  const bool missing = !there && there.error().code == ErrorCode::kNotFound;
  if (changes.empty() && !missing) {
    SR_TRY(files_.remove(path));
  } else if (!changes.empty() && (!there || *there != changes)) {
    SR_TRY(files_.write_atomic(path, as_bytes(changes), 0600));
  }
  written_key_changes_ = changes;
  return {};
}

Result<tlog::LogKeys> KeyServer::own_log_keys() const {
  return tlog::LogKeys::follow(tlog::log_key(vault_.origin(), keyserver::log_public_key(vault_)),
                               key_changes());
}

std::optional<crypto::PublicKey> KeyServer::last_signer() const {
  const auto keys = log_keys_of(files_, options_.dir + "/log", vault_);
  if (!keys || keys->until().empty()) return std::nullopt;
  return keys->newest();
}

// vault.json has the key of `init`, the log what came behind it, and the state those that still
// sign.
Result<void> KeyServer::reconcile_log_keys() {
  const LogKeyBook& book = ledger_.keys().log_keys();
  std::vector<crypto::PublicKey> keys{keyserver::log_public_key(vault_)};
  for (const LogKeyChanged& changed : book.changes()) keys.push_back(changed.key);
  const auto expected = std::span(keys).last(book.changing() ? 2 : 1);
  std::vector<crypto::PublicKey> held;
  for (const auto& signer : state_->log_signers()) held.push_back(signer.public_key());
  for (const crypto::PublicKey& key : expected) {
    if (std::ranges::find(held, key) == held.end()) return other_keys();
  }
  for (const crypto::PublicKey& key : held) {
    if (std::ranges::find(expected, key) == expected.end()) state_->drop_log_key(key);
  }
  return {};
}

}  // namespace strongroom::keyserver
