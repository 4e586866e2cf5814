// What the key state holds, and its records: the plaintext inside the frames of a state file.
//
//   record = type u8 | ...
//     1 block        block u32be | collection u32be | n u16be | n x (depth u8 | prefix u16be | node
//     32) 2 lane root    lane u32be | root 32 3 lane gone    lane u32be 4 unique root  collection
//     u32be | root 32 5 body key     month u32be | key 32 6 log seed     seed 32 7 applied leaf
//     u64be 8 canaries     collection u32be | salt 32 | n u16be | n x idx u64be
//     9 erased       idx u64be 10 block erased  block u32be | collection u32be
//     11 log seed gone  public key 32. Of seeds there are one, or two while the log's key changes:
//     the newest last.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <unordered_map>

#include "strongroom/base/ids.h"
#include "strongroom/base/result.h"
#include "strongroom/base/secret.h"
#include "strongroom/crypto/sign.h"
#include "strongroom/keyserver/canaries.h"
#include "strongroom/keytree/keytree.h"

namespace strongroom::keyserver {

// Grows by copying and wiping: no old buffer keeps secrets. Move-only.
class SecretWriter {
 public:
  SecretWriter() = default;
  SecretWriter(SecretWriter&& other) noexcept : bytes_(std::move(other.bytes_)) { other.wipe(); }
  SecretWriter& operator=(SecretWriter&&) = delete;
  ~SecretWriter() { wipe(); }
  void add(Bytes bytes);
  template <class T>
  void be(T value) {
    uint8_t buffer[sizeof(T)];
    store_be<T>(buffer, value);
    add(buffer);
  }
  Bytes bytes() const { return as_bytes(bytes_); }
  size_t size() const { return bytes_.size(); }
  void wipe();

 private:
  std::string bytes_;
};

using LogSeed = Secret<32, struct LogSeedTag>;

inline constexpr size_t kLogSeedsMax = 2;

struct StateContents {
  keytree::KeyTree tree;
  std::map<uint32_t, CollectionId> blocks;  // Those whose records are all erased, too.
  std::unordered_map<LaneId, LaneRoot> lanes;
  std::map<CollectionId, LaneRoot> uniques;
  std::map<uint32_t, SealingKey> months;
  Canaries canaries;
  std::vector<LogSeed> log_seeds;  // The newest last.
  uint64_t applied = 0;
};

void write_block(SecretWriter& out, uint32_t block, CollectionId collection,
                 const std::vector<keytree::Node>& nodes);
void write_lane(SecretWriter& out, LaneId lane, const LaneRoot& root);
void write_lane_gone(SecretWriter& out, LaneId lane);
void write_unique(SecretWriter& out, CollectionId collection, const LaneRoot& root);
void write_month(SecretWriter& out, uint32_t month, const SealingKey& key);
void write_log_seed(SecretWriter& out, const LogSeed& seed);
void write_log_seed_gone(SecretWriter& out, const crypto::PublicKey& key);
void write_canaries(SecretWriter& out, const CanaryPlanting& planting);
void write_erased(SecretWriter& out, RecordIndex idx);
void write_block_erased(SecretWriter& out, uint32_t block, CollectionId collection);
void write_applied(SecretWriter& out, uint64_t leaf);

// Everything, in writers of at most `bytes_max` each; at least one.
std::vector<SecretWriter> write_contents(const StateContents& contents, size_t bytes_max);

// Folds records in.
//   kDataLoss  Not records that this version writes.
Result<void> read_records(Bytes plaintext, StateContents& contents);

}  // namespace strongroom::keyserver
