// Key state: block seeds, lane roots, unique roots, log body keys and the log's signing seed,
// sealed, in two places.
//
// Log first, then state: what the log does not name is never here, and what is here tells how far
// into the log it goes (applied()). One file per epoch in each place: a base, then an append
// journal, all sealed under the epoch key, which is itself sealed under a key of the root, and
// where there is a TPM depends on a secret of the epoch that only it has. Rewriting under the next
// epoch key destroys the last: what it held and the new one does not is gone.  Spec:
// docs/spec/keystate.md
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "strongroom/base/durable_leaf.h"
#include "strongroom/crypto/sign.h"
#include "strongroom/env/files.h"
#include "strongroom/keyserver/state_file.h"
#include "strongroom/keyserver/state_records.h"
#include "strongroom/tlog/release_log.h"

namespace strongroom::keyserver {

// Not thread-safe. Borrows `files`.
class KeyState : public tlog::BodyKeys {
 public:
  struct Places {
    std::string dir;
    std::string mirror;
  };

  // Makes the folders and the first epoch, with a fresh log signing key. `hardware`, borrowed,
  // where given: holds a secret that each epoch's files are bound to.
  //   kAlreadyExists  There is a key state here already.
  static Result<std::unique_ptr<KeyState>> create(Places places, env::Files& files,
                                                  const SealingKey& root,
                                                  Hardware* hardware = nullptr);
  // Reads both places and takes what is whole. Writes nothing: next_epoch() must follow before
  // anything is added.
  //   kDataLoss     Missing or damaged in both places; the text says what to do.
  //   kUnavailable  It is bound to a TPM, which does not answer.
  static Result<std::unique_ptr<KeyState>> open(Places places, env::Files& files,
                                                const SealingKey& root,
                                                Hardware* hardware = nullptr);
  ~KeyState() override;

  const keytree::KeyTree& tree() const { return contents_.tree; }
  const std::map<uint32_t, CollectionId>& blocks() const { return contents_.blocks; }
  // The newest, and all that sign checkpoints: it last.
  const crypto::SigningKey& log_key() const { return log_keys_.back(); }
  const tlog::LogSigners& log_signers() const { return log_keys_; }
  const LaneRoot* lane_root(LaneId lane) const;  // nullptr: never made, or destroyed.
  const LaneRoot* unique_root(CollectionId space) const;
  const std::map<CollectionId, LaneRoot>& unique_roots() const { return contents_.uniques; }
  const std::unordered_map<LaneId, LaneRoot>& lane_roots() const { return contents_.lanes; }
  const Canaries& canaries() const { return contents_.canaries; }
  uint64_t epoch() const { return epoch_; }
  bool is_bound() const { return hardware_ != nullptr; }  // To a TPM, from the next epoch on.
  // How much of this epoch's file in the first place is durable. After next_epoch().
  uint64_t file_bytes() const { return append_[0]->size(); }
  // This moment's state for another place, bound to no TPM, cut in two: what opens it stays off the
  // disk that `body_path` is on. `body_path`, head and then body are a state file of epoch().
  Result<std::string> write_copy(const std::string& body_path) const;
  // Everything that log entries below this leaf brought about is here.
  uint64_t applied() const { return contents_.applied; }
  // A copy of every month's body key.
  std::vector<std::pair<uint32_t, SealingKey>> body_keys() const;
  // Static texts about what was found damaged and healed.
  const std::vector<const char*>& warnings() const { return warnings_; }

  // Adds to memory and to the next commit(). A secret that is there already is kept.
  void add_block(uint32_t block, CollectionId collection);
  void add_lane(LaneId lane);
  void drop_lane(LaneId lane);  // Idempotent.
  // `space`: as term_space() has it.
  void add_unique(CollectionId space);
  void drop_unique(CollectionId space);  // Its last copy goes with the epoch. Idempotent.
  void add_canaries(CanaryPlanting planting);
  // A fresh one beside that which there is; nothing may be signed with it before commit().
  const crypto::SigningKey& add_log_key();
  // Its last copy goes with the epoch. Idempotent.
  void drop_log_key(const crypto::PublicKey& key);
  // The nodes that open the record go, under the entry that says so. Their last copy, in this
  // epoch's files, goes with the epoch. Idempotent.
  void erase(const DurableLeaf& leaf, RecordIndex idx);
  // The same for an entry read back from the log, before next_epoch().
  void erase_replayed(RecordIndex idx);
  // What was added is durable in both places when it returns; no I/O if nothing was. After an error
  // nothing more may be added or read: stop the process.
  //   kLogUnavailable
  Result<void> commit(uint64_t applied);
  // Rewrites everything under a fresh epoch key in both places, then removes the files of earlier
  // epochs.
  //   kLogUnavailable  As commit().
  Result<void> next_epoch(uint64_t applied);

  // From the next epoch on this root opens the state too; and with drop_other_roots(), from the
  // next epoch on, it alone.
  void add_root(const SealingKey& root);
  void drop_other_roots();

  // The month's body key; a new one is durable in both places first.
  Result<const SealingKey*> key(uint32_t month) override;

 private:
  KeyState(Places places, env::Files& files, const SealingKey& root, Hardware* hardware);
  Result<void> load();
  Result<bool> load_epoch(uint64_t epoch);
  Result<StateFile> read_copy(Bytes bytes, uint64_t epoch);
  // All contents as a base, without the header.
  std::string sealed_base(uint64_t epoch, const SealingKey& epoch_key, uint64_t* frames) const;
  // Fresh, in the TPM, before a file is bound to it; and those of other epochs out of it.
  Result<void> begin_secret(uint64_t epoch, std::vector<SealingKey>& wraps);
  Result<void> destroy_other_secrets(uint64_t epoch);
  Error broken();
  Error broken_by_tpm();

  Places places_;
  env::Files& files_;
  Hardware* hardware_;
  std::vector<SealingKey> wraps_;  // Each seals the epoch keys. The last one's root is the newest.
  tlog::LogSigners log_keys_;
  StateContents contents_;
  SealingKey epoch_key_;
  uint64_t epoch_ = 0;  // The highest seen.
  uint64_t frame_ = 0;  // Number of the next frame in this epoch's file.
  SecretWriter staged_;
  std::unique_ptr<env::AppendFile> append_[2];
  bool broken_ = false;
  bool secret_gone_ = false;  // Of a file that was to be read.
  std::vector<const char*> warnings_;
};

}  // namespace strongroom::keyserver
