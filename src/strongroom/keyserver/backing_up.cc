// KeyServer: what a backup needs of it, and the one entry by which a restored vault begins.
// Spec: docs/spec/backup.md
#include <algorithm>

#include "strongroom/crypto/random.h"
#include "strongroom/keyserver/key_server.h"
#include "strongroom/keyserver/pending.h"
#include "strongroom/keyserver/term_escrow.h"
#include "strongroom/keyserver/unseal.h"

namespace strongroom::keyserver {
namespace {

// Further than any writer of this vault got, or of another copy that was restored from the same
// backup: these draw another number. 2^48 versions are some hundred restores.
constexpr uint64_t kVersionsSkippedMin = uint64_t{1} << 32;
constexpr uint64_t kVersionsSkippedBits = 40;
// Lanes that the lost end of a log may have opened: their numbers are not used again.
constexpr uint32_t kLanesSkipped = 4096;
// Where a TPM holds what opens the key state: the copy's body, of no use without its head.
constexpr char kStateCopy[] = "state-copy";
// Copied as they are, beside log and state. What is not there is not needed.
constexpr const char* kKeyFiles[] = {"vault.json",      "ca.pem",       "ca-key.escrow",
                                     "term-key.escrow", "dev-root.key", "log/key-changes"};

}  // namespace

Result<v1::BackupResponse> KeyServer::backup(const std::string& who,
                                             const v1::BackupRequest& request) {
  SR_TRY(require(who, {v1::MANAGE_COLLECTIONS}));
  if (failed_) return unavailable();
  v1::BackupResponse out;
  if (request.step() == v1::BackupRequest::PREPARE) {
    out.set_folder(options_.folder);
    out.set_generation(ledger_.generation());
    out.set_t_ms(now_ms());
    return out;
  }
  const bool known = ledger_.backups().find(request.id()) != nullptr;
  v1::LogItem item;
  v1::BackupItem& backup = *item.mutable_backup();
  backup.set_id(request.id());
  switch (request.step()) {
    case v1::BackupRequest::KEYS:
      if (!is_backup_id(request.id()) || known) {
        return make_error(ErrorCode::kInvalidArgument,
                          "A backup needs an id of its own: 16 hex digits.");
      }
      if (ledger_.backups().key_backups().size() >= kKeyBackupsMax) {
        return make_error(ErrorCode::kFailedPrecondition,
                          "The log knows of 4096 copies of the key state. Destroy old ones, and "
                          "say so with `strongroom backup --destroyed ID`.");
      }
      // Of a lane merged since, the store's copy has not the rows, or the key state not the roots.
      if (request.generation() != ledger_.generation()) {
        return make_error(ErrorCode::kConflict,
                          "Lanes have changed since the store was frozen. Freeze it again.");
      }
      backup.set_step(v1::BackupItem::KEYS);
      break;
    case v1::BackupRequest::TAKEN:
    case v1::BackupRequest::DESTROYED:
      if (!known) {
        return make_error(ErrorCode::kNotFound,
                          "The log knows no such copy of the key state, or was told that it is "
                          "destroyed. `strongroom status` lists them.");
      }
      if (request.step() == v1::BackupRequest::DESTROYED) {
        backup.set_step(v1::BackupItem::DESTROYED);
        break;
      }
      if (request.store_manifest().size() != 32 || request.keys_manifest().size() != 32) {
        return make_error(ErrorCode::kInvalidArgument, "A manifest's hash is 32 bytes.");
      }
      SR_TRY(files_.remove(options_.dir + "/" + kStateCopy));
      backup.set_step(v1::BackupItem::TAKEN);
      backup.set_store_manifest(request.store_manifest());
      backup.set_keys_manifest(request.keys_manifest());
      backup.set_bytes(request.bytes());
      break;
    default:
      return make_error(ErrorCode::kInvalidArgument, "This is no step of a backup.");
  }
  if (request.step() == v1::BackupRequest::KEYS) SR_TRY(keep_authority_escrow());
  SR_ASSIGN(const uint64_t leaf, log_change(who, std::move(item), tlog::EntryType::kBackup));
  out.set_leaf(leaf);
  if (request.step() == v1::BackupRequest::KEYS) SR_TRY(list_key_files(out));
  return out;
}

// Under the root key of now, whatever it was when it was last written.
Result<void> KeyServer::keep_authority_escrow() {
  const std::string path = options_.dir + "/ca-key.escrow";
  const auto kept = files_.read(path, kAuthorityEscrowMax);
  if (kept && open_authority_key(escrow_key_, as_bytes(*kept))) return {};
  auto pem = files_.read(options_.dir + "/ca.key", kAuthorityEscrowMax);
  if (!pem && pem.error().code == ErrorCode::kNotFound) return {};  // It serves no doors.
  if (!pem) return pem.error();
  auto written =
      files_.write_atomic(path, as_bytes(seal_authority_key(escrow_key_, as_bytes(*pem))), 0600);
  explicit_bzero(pem->data(), pem->size());
  return written;
}

// Log and state of this moment: nothing is decided between the two.
Result<void> KeyServer::list_key_files(v1::BackupResponse& out) {
  SR_TRY(log_->write_checkpoint());
  out.set_checkpoint(log_->checkpoint_note());
  out.set_log_size(log_->size());
  const auto add = [&out](std::string name, uint64_t bytes) {
    v1::KeyStateFile& file = *out.add_files();
    file.set_name(std::move(name));
    file.set_bytes(bytes);
  };
  // First: a new epoch removes it.
  add("state/" + state_file_name(state_->epoch()), state_->file_bytes());
  if (state_->is_bound()) {
    // An image of this disk must stay worthless once the epoch has ended, whoever has the shares.
    v1::KeyStateFile& copy = *out.mutable_files(0);
    const std::string path = options_.dir + "/" + kStateCopy;
    SR_ASSIGN(*copy.mutable_head(), state_->write_copy(path));
    SR_ASSIGN(const uint64_t bytes, files_.file_size(path));
    copy.set_from(kStateCopy);
    copy.set_bytes(bytes);
  }
  SR_ASSIGN(const auto segments, log_->segments());
  for (const tlog::SegmentFile& segment : segments) add("log/" + segment.name, segment.bytes);
  for (const char* name : kKeyFiles) {
    const auto bytes = files_.file_size(options_.dir + "/" + name);
    if (bytes) add(name, *bytes);
  }
  return {};
}

void KeyServer::tell_backups(v1::StatusResponse& out) const {
  const Backups& backups = ledger_.backups();
  for (const Backups::KeyBackup& known : backups.key_backups()) {
    v1::KeyBackup& backup = *out.add_key_backups();
    backup.set_id(known.id);
    backup.set_t_ms(known.t_ms);
    backup.set_taken(known.taken);
    backup.set_erased_since(ledger_.erasures().in_order().size() - known.erased_before);
  }
  out.set_backup_ms(backups.taken_ms());
  out.set_restored_ms(backups.restored_ms());
  out.set_restored_from_ms(backups.restored_from_ms());
  out.set_log_end_lost(backups.log_end_lost());
}

Result<void> KeyServer::restore(const KeyServerOptions& options, const SealingKey& root,
                                const RestoreFrom& from, env::Files& files,
                                const env::Clock& clock) {
  SR_ASSIGN(const auto server, prepare(options, root, files, clock));
  v1::LogItem item;
  v1::RestoredItem& restored = *item.mutable_restored();
  SR_TRY(server->open_log(true, [&](uint64_t leaf) {
    if (leaf == from.log_size) server->ledger_.tell_restorable(restored);
  }));
  SR_TRY(server->check_clock());
  const uint64_t size = server->log_->size();
  if (size < from.log_size) {
    return make_error(ErrorCode::kDataLoss,
                      "This release log is shorter than that of the backup. Give a newer one, or "
                      "restore without --log.");
  }
  if (size == from.log_size) server->ledger_.tell_restorable(restored);
  for (const auto& [id, collection] : server->ledger_.collections()) {
    if (collection.leaf < from.log_size) continue;
    return make_error(ErrorCode::kFailedPrecondition,
                      "A collection was changed after this backup was taken, so its store lacks "
                      "what an index was built from. Restore a younger backup, or without --log.");
  }
  restored.set_backup(from.id);
  restored.set_log_size(from.log_size);
  restored.set_taken_ms(from.taken_ms);
  uint8_t drawn[8];
  crypto::random_bytes(drawn);
  restored.set_next_u(server->ledger_.next_u() + kVersionsSkippedMin +
                      (load_be<uint64_t>(drawn) >> (64 - kVersionsSkippedBits)));
  restored.set_next_lane(server->ledger_.next_lane() + kLanesSkipped);
  if (restored.next_u() > kVersionMax || restored.next_lane() > kLaneMax) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "This vault was restored so often that no record versions are left.");
  }
  // Nor can it go on if the key that it was signed with last is not in the backup.
  const auto& changes = server->ledger_.keys().log_keys().changes();
  const bool newer_key = !changes.empty() && changes.back().leaf >= from.log_size;
  const bool same_log = from.newest_log && !newer_key;
  if (!same_log) {
    // The end of the log may be lost, and witnesses have seen it: this is another log from here on.
    uint8_t name[4];
    crypto::random_bytes(name);
    restored.set_origin("strongroom.local/" + server->vault_.vault() + "/" + to_hex(name));
  }
  // What the state is as of stays: only open() may complete it.
  SR_TRY(server->state_->next_epoch(server->state_->applied()));
  item.set_author("restore");
  SR_TRY(server->stage(tlog::EntryType::kBackup, {&item, 1}, server->now_ms()));
  SR_TRY(server->log_->commit());
  if (same_log) {
    SR_TRY(save_vault_file(files, options.dir, server->vault_));
    return server->log_->write_checkpoint();
  }
  const std::string note =
      tlog::sign_checkpoint({restored.origin(), server->log_->size(), server->log_->root()},
                            server->state_->log_signers());
  SR_TRY(files.write_atomic(options.dir + "/log/checkpoint", as_bytes(note)));
  server->vault_.set_origin(restored.origin());
  return save_vault_file(files, options.dir, server->vault_);
}

void Ledger::tell_restorable(v1::RestoredItem& out) const {
  out.set_blocks(static_cast<uint32_t>(blocks_.size()));
  for (const auto& [number, lane] : lanes_) {
    if (lane.retired || lane.status == v1::LaneItem::DROPPED || is_merge_target(number)) continue;
    v1::RestoredLane& kept = *out.add_lanes();
    kept.set_lane(number);
    kept.set_status(lane.status == v1::LaneItem::OPENED ? v1::LaneItem::CLOSED : lane.status);
  }
}

// Key state and store are as of the backup, whatever was logged behind it. No number is given out
// again that may have been given out since.
Result<void> Ledger::apply_restored(const v1::RestoredItem& item, uint64_t leaf, uint64_t t_ms) {
  const Error foreign = make_error(ErrorCode::kDataLoss, "");
  if (item.log_size() > leaf || item.next_u() <= next_u_ || item.next_u() > kVersionMax ||
      item.next_lane() < next_lane_ || item.next_lane() > kLaneMax ||
      item.blocks() > blocks_.size()) {
    return foreign;
  }
  for (size_t block = item.blocks(); block < blocks_.size(); ++block) blocks_[block].lost = true;
  destructions_.restored(t_ms);
  keys_.restored(item.log_size());
  store_mark_.Clear();  // Of the store that was lost.
  for (auto& [id, info] : collections_) {
    info.open_block.reset();
    info.live_lanes.clear();
    info.history_lanes.clear();
    info.renewed_lanes.clear();
    info.reserved_lanes = 0;
    if (info.unique_leaf && *info.unique_leaf >= item.log_size()) info.unique_leaf.reset();
  }
  for (auto& [number, lane] : lanes_) {
    lane.retired = true;
    if (lane.status == v1::LaneItem::OPENED || lane.status == v1::LaneItem::RESERVED) {
      lane.status = v1::LaneItem::DROPPED;
    }
  }
  for (const v1::RestoredLane& kept : item.lanes()) {
    const auto it = lanes_.find(kept.lane());
    if (it == lanes_.end() || !it->second.retired) return foreign;
    LaneInfo& lane = it->second;
    CollectionInfo& info = collections_[lane.collection.value];
    lane.retired = false;
    lane.status = kept.status();
    switch (kept.status()) {
      case v1::LaneItem::RESERVED:
        ++info.reserved_lanes;
        break;
      case v1::LaneItem::CLOSED:
      case v1::LaneItem::PUBLISHED:
        (lane.history   ? info.history_lanes
         : lane.renewed ? info.renewed_lanes
                        : info.live_lanes)
            .push_back(kept.lane());
        break;
      default:
        return foreign;
    }
  }
  merge_.reset();
  next_u_ = item.next_u();
  next_lane_ = item.next_lane();
  ++generation_;
  ++revision_;
  backups_.restored(item, t_ms);
  return {};
}

Result<void> Ledger::apply_backup(const v1::LogItem& item, uint64_t leaf, uint64_t t_ms) {
  if (item.has_restored()) return apply_restored(item.restored(), leaf, t_ms);
  if (item.has_backup() && backups_.note(item.backup(), t_ms, erasures_.in_order().size())) {
    return {};
  }
  return make_error(ErrorCode::kDataLoss, "");
}

}  // namespace strongroom::keyserver
