#include "strongroom/keyserver/state.h"

#include <algorithm>
#include <optional>
#include <set>

#include "strongroom/crypto/derive.h"
#include "strongroom/crypto/random.h"

namespace strongroom::keyserver {
namespace {

constexpr const char* kHealedText =
    "One of the two copies of the key state was missing or damaged and was written anew from the "
    "other. Check that disk.";

Error lost() {
  return make_error(ErrorCode::kDataLoss,
                    "The key state is missing or damaged in both places. Restore keyserver/state "
                    "or keyserver-mirror/state from a backup taken with the release log; do not "
                    "delete anything.");
}

Error secret_gone() {
  return make_error(
      ErrorCode::kDataLoss,
      "The TPM has no secret of this key state any more: it is a copy of an epoch that "
      "ended, or the TPM was cleared, or is another. Put the latest key state back; do "
      "not delete anything.");
}

std::string path_of(const std::string& dir, uint64_t epoch) {
  return dir + "/" + state_file_name(epoch);
}

Result<std::set<uint64_t>> epochs_in(env::Files& files, const std::string& dir) {
  SR_ASSIGN(const auto names, files.list(dir));
  std::set<uint64_t> epochs;
  for (const std::string& name : names) {
    uint64_t epoch = 0;
    if (parse_state_file_name(name, &epoch)) epochs.insert(epoch);
  }
  return epochs;
}

// A place that cannot be read has none: the other one must then do.
std::set<uint64_t> readable_epochs(env::Files& files, const std::string& dir) {
  auto epochs = epochs_in(files, dir);
  return epochs ? *std::move(epochs) : std::set<uint64_t>();
}

size_t frames_of(const std::optional<StateFile>& file) {
  return file ? file->frames.size() : 0;
}

}  // namespace

KeyState::KeyState(Places places, env::Files& files, const SealingKey& root, Hardware* hardware)
    : places_(std::move(places)), files_(files), hardware_(hardware) {
  add_root(root);
}

void KeyState::add_root(const SealingKey& root) {
  wraps_.push_back(crypto::derive_sealing_key(root.read(SecretAccess{}), "sr1.state"));
}

void KeyState::drop_other_roots() {
  wraps_.erase(wraps_.begin(), wraps_.end() - 1);
}

KeyState::~KeyState() = default;

Result<std::unique_ptr<KeyState>> KeyState::create(Places places, env::Files& files,
                                                   const SealingKey& root, Hardware* hardware) {
  for (const std::string& dir : {places.dir, places.mirror}) {
    SR_TRY(files.make_dirs(dir));
    SR_ASSIGN(const auto epochs, epochs_in(files, dir));
    if (!epochs.empty()) {
      return make_error(ErrorCode::kAlreadyExists,
                        "There is a key state here already. Choose another folder.");
    }
  }
  std::unique_ptr<KeyState> state(new KeyState(std::move(places), files, root, hardware));
  state->add_log_key();
  SR_TRY(state->next_epoch(0));
  return state;
}

Result<std::unique_ptr<KeyState>> KeyState::open(Places places, env::Files& files,
                                                 const SealingKey& root, Hardware* hardware) {
  std::unique_ptr<KeyState> state(new KeyState(std::move(places), files, root, hardware));
  SR_TRY(state->load());
  return state;
}

Result<void> KeyState::load() {
  std::set<uint64_t> epochs = readable_epochs(files_, places_.dir);
  epochs.merge(readable_epochs(files_, places_.mirror));
  if (epochs.empty()) return lost();
  epoch_ = *epochs.rbegin();
  // An older epoch's file is only there if the rewrite into the next was cut short, and before it
  // was complete nothing was added to the next: so the older one says the same.
  for (auto epoch = epochs.rbegin(); epoch != epochs.rend(); ++epoch) {
    SR_ASSIGN(const bool loaded, load_epoch(*epoch));
    if (loaded) return {};
  }
  return secret_gone_ ? secret_gone() : lost();
}

// False if neither place has a whole copy of this epoch.
Result<bool> KeyState::load_epoch(uint64_t epoch) {
  std::optional<StateFile> copies[2];
  bool present[2] = {false, false};
  const std::string* dirs[2] = {&places_.dir, &places_.mirror};
  for (int i = 0; i < 2; ++i) {
    const auto bytes = files_.read(path_of(*dirs[i], epoch), kStateBytesMax);
    present[i] = bytes.has_value() || bytes.error().code != ErrorCode::kNotFound;
    if (!bytes) continue;
    auto file = read_copy(as_bytes(*bytes), epoch);
    if (file) {
      if (file->has_base) copies[i] = *std::move(file);
    } else if (file.error().code != ErrorCode::kDataLoss) {
      return file.error();
    }
  }
  if (!copies[0] && !copies[1]) return false;
  const auto is_better = [&](int a, int b) {
    if (frames_of(copies[a]) != frames_of(copies[b])) {
      return frames_of(copies[a]) > frames_of(copies[b]);
    }
    return copies[a] && (!copies[b] || copies[a]->end < copies[b]->end);
  };
  const int best = is_better(1, 0) ? 1 : 0;
  const int other = 1 - best;
  // A frame is written and synced in one place before the other: a crash leaves at most one of them
  // torn. A whole frame that does not open, and no better copy, may have been acknowledged.
  if (copies[best]->end == StateFile::End::kDamaged) return lost();
  const bool other_sound = copies[other] && copies[other]->end != StateFile::End::kDamaged &&
                           frames_of(copies[other]) + 1 >= frames_of(copies[best]);
  // Interrupted while beginning this epoch: the second place has the one before.
  const bool just_begun = !present[other] && frames_of(copies[best]) > 0 && epoch > 1 &&
                          readable_epochs(files_, *dirs[other]).contains(epoch - 1);
  if ((!other_sound && !just_begun) || epoch != epoch_) warnings_.push_back(kHealedText);

  for (const SecretBuffer& frame : copies[best]->frames) {
    SR_TRY(read_records(frame.read(SecretAccess{}), contents_));
  }
  if (contents_.log_seeds.empty()) return lost();
  for (const LogSeed& seed : contents_.log_seeds) {
    log_keys_.push_back(crypto::SigningKey::from_seed(seed.read(SecretAccess{})));
  }
  return true;
}

Result<StateFile> KeyState::read_copy(Bytes bytes, uint64_t epoch) {
  if (!state_is_bound(bytes)) return read_state_file(bytes, epoch, wraps_.back());
  if (hardware_ == nullptr) {
    return make_error(
        ErrorCode::kUnavailable,
        "This key state is bound to a TPM, and there is none. Start the key server on "
        "the machine that has it; nothing was changed.");
  }
  const auto secret = hardware_->read(static_cast<uint32_t>(epoch % kEpochSlots));
  if (secret) return read_state_file(bytes, epoch, bind_wrap(wraps_.back(), *secret));
  if (secret.error().code != ErrorCode::kNotFound) return secret.error();
  secret_gone_ = true;
  return secret_gone();
}

const LaneRoot* KeyState::lane_root(LaneId lane) const {
  const auto it = contents_.lanes.find(lane);
  return it == contents_.lanes.end() ? nullptr : &it->second;
}

const LaneRoot* KeyState::unique_root(CollectionId space) const {
  const auto it = contents_.uniques.find(space);
  return it == contents_.uniques.end() ? nullptr : &it->second;
}

void KeyState::add_block(uint32_t block, CollectionId collection) {
  if (contents_.blocks.contains(block)) return;
  const auto added =
      contents_.tree.add_block(block, collection, crypto::random_secret<BlockSeed>());
  SR_CHECK(added.has_value(), "a block is added once");
  contents_.blocks[block] = collection;
  write_block(staged_, block, collection, *contents_.tree.nodes(block));
}

void KeyState::add_lane(LaneId lane) {
  const auto [it, added] = contents_.lanes.try_emplace(lane, crypto::random_secret<LaneRoot>());
  if (added) write_lane(staged_, lane, it->second);
}

void KeyState::drop_lane(LaneId lane) {
  if (contents_.lanes.erase(lane) > 0) write_lane_gone(staged_, lane);
}

void KeyState::add_unique(CollectionId space) {
  const auto [it, added] = contents_.uniques.try_emplace(space, crypto::random_secret<LaneRoot>());
  if (added) write_unique(staged_, space, it->second);
}

void KeyState::drop_unique(CollectionId space) {
  contents_.uniques.erase(space);
}

void KeyState::add_canaries(CanaryPlanting planting) {
  write_canaries(staged_, planting);
  contents_.canaries.add(std::move(planting));
}

const crypto::SigningKey& KeyState::add_log_key() {
  SR_CHECK(log_keys_.size() < kLogSeedsMax, "the log's key changes while it changes");
  const auto& key = log_keys_.emplace_back(crypto::SigningKey::generate());
  write_log_seed(staged_, contents_.log_seeds.emplace_back(key.seed(SecretAccess{})));
  return key;
}

void KeyState::drop_log_key(const crypto::PublicKey& key) {
  for (size_t i = 0; i < log_keys_.size(); ++i) {
    if (log_keys_[i].public_key() != key) continue;
    SR_CHECK(log_keys_.size() > 1, "the log keeps a key");
    log_keys_.erase(log_keys_.begin() + static_cast<ptrdiff_t>(i));
    contents_.log_seeds.erase(contents_.log_seeds.begin() + static_cast<ptrdiff_t>(i));
    write_log_seed_gone(staged_, key);
    return;
  }
}

void KeyState::erase(const DurableLeaf&, RecordIndex idx) {
  erase_replayed(idx);
}

void KeyState::erase_replayed(RecordIndex idx) {
  if (!contents_.tree.alive(idx)) return;
  contents_.tree.puncture(idx);
  write_erased(staged_, idx);
}

Error KeyState::broken() {
  broken_ = true;
  return make_error(ErrorCode::kLogUnavailable,
                    "The key state cannot be written, so nothing leaves. Check the disks and "
                    "start the key server again.");
}

Error KeyState::broken_by_tpm() {
  broken_ = true;
  return make_error(
      ErrorCode::kLogUnavailable,
      "The TPM does not take the secret of a new epoch, or does not give up the last, "
      "so nothing leaves. Nothing was lost: check the TPM and start the key server "
      "again.");
}

Result<void> KeyState::commit(uint64_t applied) {
  if (broken_) return broken();
  if (staged_.size() == 0) return {};
  if (append_[0] == nullptr) return broken();
  contents_.applied = applied;
  write_applied(staged_, applied);
  const std::string frame =
      state_frame(epoch_, epoch_key_, FrameKind::kJournal, frame_, staged_.bytes());
  staged_.wipe();
  // One place after the other, never both at once: see load_epoch().
  for (const auto& file : append_) {
    if (!file->append(as_bytes(frame)) || !file->sync()) return broken();
  }
  ++frame_;
  return {};
}

Result<void> KeyState::next_epoch(uint64_t applied) {
  if (broken_) return broken();
  contents_.applied = applied;
  staged_.wipe();  // All of it is in contents_.
  const uint64_t epoch = epoch_ + 1;
  auto epoch_key = crypto::random_secret<SealingKey>();
  std::string bytes;
  if (hardware_ != nullptr) {
    std::vector<SealingKey> bound;
    if (!begin_secret(epoch, bound)) return broken_by_tpm();
    bytes = state_header(epoch, bound, true, epoch_key);
  } else {
    bytes = state_header(epoch, wraps_, false, epoch_key);
  }
  uint64_t frames = 0;
  bytes += sealed_base(epoch, epoch_key, &frames);
  const std::string* dirs[2] = {&places_.dir, &places_.mirror};
  for (const std::string* dir : dirs) {
    if (!files_.make_dirs(*dir)) return broken();
    if (!files_.write_atomic(path_of(*dir, epoch), as_bytes(bytes))) return broken();
  }
  for (size_t i = 0; i < 2; ++i) {
    append_[i].reset();
    const auto present = epochs_in(files_, *dirs[i]);
    if (!present) return broken();
    for (const uint64_t old : *present) {
      if (old != epoch && !files_.remove(path_of(*dirs[i], old))) return broken();
    }
    if (!files_.sync_dir(*dirs[i])) return broken();
    auto file = files_.open_append(path_of(*dirs[i], epoch), bytes.size(), 0);
    if (!file) return broken();
    append_[i] = *std::move(file);
  }
  // Only now: until both places have this epoch, a crash may leave one with the last.
  if (hardware_ != nullptr && !destroy_other_secrets(epoch)) return broken_by_tpm();
  epoch_ = epoch;
  epoch_key_ = std::move(epoch_key);
  frame_ = frames;
  return {};
}

std::string KeyState::sealed_base(uint64_t epoch, const SealingKey& epoch_key,
                                  uint64_t* frames) const {
  std::string bytes;
  const auto parts = write_contents(contents_, kStateFrameMax);
  for (size_t i = 0; i < parts.size(); ++i) {
    const FrameKind kind = i + 1 == parts.size() ? FrameKind::kBaseEnd : FrameKind::kBasePart;
    bytes += state_frame(epoch, epoch_key, kind, i, parts[i].bytes());
  }
  *frames = parts.size();
  return bytes;
}

Result<std::string> KeyState::write_copy(const std::string& body_path) const {
  const auto key = crypto::random_secret<SealingKey>();
  uint64_t frames = 0;
  SR_TRY(files_.write_atomic(body_path, as_bytes(sealed_base(epoch_, key, &frames)), 0600));
  return state_header(epoch_, wraps_, false, key);
}

Result<void> KeyState::begin_secret(uint64_t epoch, std::vector<SealingKey>& wraps) {
  const auto secret = crypto::random_secret<EpochSecret>();
  SR_TRY(hardware_->write(static_cast<uint32_t>(epoch % kEpochSlots), secret));
  for (const SealingKey& wrap : wraps_) wraps.push_back(bind_wrap(wrap, secret));
  return {};
}

Result<void> KeyState::destroy_other_secrets(uint64_t epoch) {
  for (uint32_t slot = 0; slot < kEpochSlots; ++slot) {
    if (slot != epoch % kEpochSlots) SR_TRY(hardware_->destroy(slot));
  }
  return {};
}

std::vector<std::pair<uint32_t, SealingKey>> KeyState::body_keys() const {
  std::vector<std::pair<uint32_t, SealingKey>> keys;
  for (const auto& [month, key] : contents_.months) keys.emplace_back(month, key.clone());
  return keys;
}

Result<const SealingKey*> KeyState::key(uint32_t month) {
  if (broken_) return broken();
  if (const auto it = contents_.months.find(month); it != contents_.months.end()) {
    return &it->second;
  }
  if (append_[0] == nullptr) {
    // Still reading the log: a month without its key cannot be made up.
    return make_error(ErrorCode::kDataLoss,
                      "The key that seals a month of the release log is missing from the key "
                      "state. Restore state and log from one backup; do not delete anything.");
  }
  const auto it = contents_.months.emplace(month, crypto::random_secret<SealingKey>()).first;
  write_month(staged_, month, it->second);
  SR_TRY(commit(contents_.applied));
  return &it->second;
}

}  // namespace strongroom::keyserver
