// The admin listener's calls about the vault's keys: to seal it, and to change its root key.
//
// A change of the root key is asked for, approved by several, and logged (BEGUN). Each holder then
// takes a share (TAKEN, before it leaves) and gives it back (CONFIRMED); with the last one the log
// says CHANGING, everything is sealed anew, and the log says CHANGED. Until then the old root key
// holds; the new one and its shares are in this process's memory alone.
// Spec: docs/spec/root.md
#include <algorithm>

#include "strongroom/crypto/hash.h"
#include "strongroom/crypto/random.h"
#include "strongroom/keyserver/key_server.h"
#include "strongroom/keyserver/refusals.h"
#include "strongroom/keyserver/root_files.h"
#include "strongroom/keyserver/term_escrow.h"
#include "strongroom/keyserver/unseal.h"

namespace strongroom::keyserver {
namespace {

using tlog::EntryType;

bool same_share(const crypto::Share& a, const crypto::Share& b) {
  return a.x == b.x && a.threshold == b.threshold &&
         crypto::equal_ct(a.y.read(SecretAccess{}), b.y.read(SecretAccess{}));
}

// What was given in place of the share, which is told apart without a word of either.
Error not_this_share(const v1::VaultFile& vault, const crypto::Share& given,
                     const crypto::Share& expected) {
  if (to_hex(given.set) == vault.share_set()) {
    return invalid(
        "This is a share of the root key that is to be replaced. Give the one you have just "
        "taken.");
  }
  if (given.set != expected.set) {
    return invalid(
        "This share is of another vault, or of a change that was given up. Give the one you have "
        "just taken, or take it anew.");
  }
  if (given.x != expected.x) return invalid("This is another holder's share. Give your own.");
  return invalid("This is not the share as it was made. Read it again.");
}

}  // namespace

Result<v1::SealResponse> KeyServer::seal(const std::string& who, const v1::SealRequest& request) {
  SR_TRY(require(who, {v1::FREEZE}));
  SR_TRY(check_reason(request.reason()));
  if (vault_.dev()) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "This vault's root key lies in a file, so it would open itself at once. "
                      "`freeze all` cuts everybody off.");
  }
  v1::LogItem item;
  item.mutable_seal()->set_reason(request.reason());
  SR_ASSIGN(const uint64_t leaf, log_change(who, std::move(item), EntryType::kKeys));
  sealed_ = true;
  // For those who ask a sealed vault why. The log has it in any case.
  v1::VaultFile next = vault_;
  next.set_sealed_by(who);
  next.set_sealed_ms(log_->last_t_ms());
  if (save_vault_file(files_, options_.dir, next)) vault_ = std::move(next);
  v1::SealResponse out;
  out.set_leaf(leaf);
  return out;
}

Result<void> KeyServer::check_holders(const v1::RootChange& change) const {
  SR_TRY(check_root_change(change));
  for (const std::string& name : change.holders()) {
    const policy::PrincipalEntry* entry = ledger_.engine().principal(name);
    if (entry == nullptr || entry->principal.disabled()) return no_principal();
  }
  return {};
}

Result<v1::ChangeRootResponse> KeyServer::change_root(const std::string& who,
                                                      const v1::ChangeRootRequest& request) {
  SR_TRY(require(who, {v1::MANAGE_POLICY}));
  SR_TRY(check_holders(request.change()));
  v1::ApprovalRequest asked;
  *asked.mutable_root() = request.change();
  asked.set_base(ledger_.keys().root_leaf());
  v1::ChangeRootResponse out;
  SR_ASSIGN(const uint64_t id, propose(who, std::move(asked), request.reason()));
  out.set_request(id);
  return out;
}

Result<KeyServer::NewRoot> KeyServer::make_root(const v1::RootChange& change) const {
  NewRoot out{crypto::random_secret<SealingKey>(), {}};
  if (change.key_file()) return out;
  SR_ASSIGN(out.shares, crypto::split_secret(out.root.read(SecretAccess{}),
                                             static_cast<uint8_t>(change.threshold()),
                                             static_cast<uint8_t>(change.holders_size())));
  return out;
}

Result<size_t> KeyServer::holder_number(const std::string& who) const {
  const auto& change = ledger_.keys().change();
  if (!change || !change->is_holder(who)) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "No change of the root key is under way in which you hold a share. `root "
                      "change` asks for one.");
  }
  if (ledger_.engine().is_frozen(who)) {
    return make_error(ErrorCode::kPermissionDenied,
                      "You or your role are frozen. To thaw takes several.");
  }
  const auto& holders = change->change.holders();
  return static_cast<size_t>(std::ranges::find(holders, who) - holders.begin());
}

Result<v1::TakeShareResponse> KeyServer::take_share(const std::string& who,
                                                    const v1::TakeShareRequest&) {
  SR_ASSIGN(const size_t number, holder_number(who));
  const KeyBook::Change& change = *ledger_.keys().change();
  if (change.taken.contains(who)) {
    return make_error(ErrorCode::kAlreadyExists,
                      "Your share was taken already, and is shown once. If it is lost, or somebody "
                      "else took it, ask for the change anew: that share then opens nothing.");
  }
  if (!new_root_) {
    SR_ASSIGN(new_root_.emplace(), make_root(change.change));
  }
  v1::LogItem item;
  item.mutable_root()->set_step(v1::RootItem::TAKEN);
  v1::TakeShareResponse out;
  SR_ASSIGN(const uint64_t leaf, log_change(who, std::move(item), EntryType::kKeys));
  const SecretBuffer text = crypto::share_to_text(new_root_->shares[number]);
  out.mutable_share()->assign(as_text(text.read(SecretAccess{})));
  out.set_number(static_cast<uint32_t>(number) + 1);
  out.set_threshold(change.change.threshold());
  out.set_leaf(leaf);
  return out;
}

v1::LogItem KeyServer::changing_item() const {
  v1::LogItem item;
  item.mutable_root()->set_step(v1::RootItem::CHANGING);
  item.mutable_root()->set_root_check(root_check(new_root_->root));
  return item;
}

Result<v1::ConfirmShareResponse> KeyServer::confirm_share(const std::string& who,
                                                          const v1::ConfirmShareRequest& request) {
  SR_ASSIGN(const size_t number, holder_number(who));
  const KeyBook::Change& change = *ledger_.keys().change();
  if (change.confirmed.contains(who)) {
    return make_error(ErrorCode::kAlreadyExists, "You have given your share already.");
  }
  if (!change.taken.contains(who) || !new_root_) {
    return make_error(
        ErrorCode::kFailedPrecondition,
        "You have not taken your share yet, or the key server was started anew since. "
        "`root take` shows it.");
  }
  SR_ASSIGN(const crypto::Share given, crypto::parse_share(request.share()));
  const crypto::Share& expected = new_root_->shares[number];
  if (given.set != expected.set || !same_share(given, expected)) {
    return not_this_share(vault_, given, expected);
  }
  v1::ConfirmShareResponse out;
  out.set_shares(static_cast<uint32_t>(change.change.holders_size()));
  out.set_confirmed(static_cast<uint32_t>(change.confirmed.size()) + 1);
  out.set_changed(out.confirmed() == out.shares());
  std::vector<v1::LogItem> items(1);
  items[0].set_author(who);
  items[0].mutable_root()->set_step(v1::RootItem::CONFIRMED);
  if (out.changed()) {
    if (vault_.has_tpm() && options_.hardware == nullptr) {
      return make_error(ErrorCode::kUnavailable,
                        "The vault's TPM did not answer at the start, so the root key cannot be "
                        "sealed to it. Start the key server with it, then take the shares anew.");
    }
    // Written whole, twice: on a full disk that would end the server.
    if (log_->full()) {
      return make_error(ErrorCode::kNoSpace,
                        "The disk is full, so the root key cannot be changed now. Free some space, "
                        "then give your share again.");
    }
    items.push_back(changing_item());
  }
  SR_ASSIGN(const uint64_t leaf, log_items(EntryType::kKeys, items));
  out.set_leaf(leaf);
  if (out.changed()) SR_TRY(install_root());
  return out;
}

// What a crash between any two steps leaves is a vault that the shares of vault.json open, and no
// others: the state opens under both root keys from before vault.json changes until after.
Result<void> KeyServer::install_root() {
  const KeyBook::Change& change = *ledger_.keys().change();
  const SealingKey& root = new_root_->root;
  v1::VaultFile next = vault_;
  next.set_root_check(root_check(root));
  next.set_dev(change.change.key_file());
  next.set_shares(static_cast<uint32_t>(change.change.holders_size()));
  next.set_threshold(change.change.threshold());
  next.set_share_set(new_root_->shares.empty() ? "" : to_hex(new_root_->shares[0].set));
  const auto installed = [&]() -> Result<void> {
    if (next.has_tpm()) {
      if (options_.hardware == nullptr) return unavailable();
      SR_TRY(options_.hardware->seal_root(root, *next.mutable_tpm()));
    }
    SR_TRY(prepare_root(files_, options_.dir, escrow_key_, next, root));
    state_->add_root(root);
    SR_TRY(begin_epoch());
    SR_TRY(save_vault_file(files_, options_.dir, next));  // From here on the new one holds.
    vault_ = std::move(next);
    state_->drop_other_roots();
    SR_TRY(begin_epoch());
    SR_TRY(settle_root(files_, options_.dir, vault_, root));
    escrow_key_ = term_escrow_key(root);
    new_root_.reset();
    v1::LogItem item;
    item.mutable_root()->set_step(v1::RootItem::CHANGED);
    SR_TRY(log_items(EntryType::kKeys, {&item, 1}));
    return {};
  }();
  if (installed) return {};
  failed_ = true;
  new_root_.reset();
  return unavailable();
}

}  // namespace strongroom::keyserver
