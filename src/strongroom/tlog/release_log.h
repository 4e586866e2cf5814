// The release log: what is not in it did not happen.
//
// Entries and their bodies go to append files with one write and one fdatasync for all that was
// staged (group commit). A DurableLeaf exists only behind that fdatasync. After a failed one the
// log refuses everything: what is on disk is then unknown, and a retry could report as durable what
// is not.
//
//   entry = "SR1R" | type u8 | t_ms u64be | n u32be | MTH(c_0..c_{n-1})                      49 B,
//   the Merkle leaf's data c_j   = HMAC-SHA-256(salt_j, item_j), salt_j = H(rho,"sr1.salt" | j
//   u32be), rho random per entry body  = rho 32 | n x (len u32be | item), sealed by AES-256-GCM
//   under the key of the entry's month, AD = leaf u64be | entry MTH over the c_j as RFC 6962 leaves
//   (leaf_hash(c_j)).
//
// From these files the C2SP tlog-tiles tree is written at each checkpoint: tile/...,
// tile/entries/..., checkpoint. Source: RFC 6962, c2sp.org/tlog-tiles, c2sp.org/tlog-checkpoint.
// Spec: docs/spec/log.md
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "strongroom/base/durable_leaf.h"
#include "strongroom/base/result.h"
#include "strongroom/base/secret.h"
#include "strongroom/env/clock.h"
#include "strongroom/env/files.h"
#include "strongroom/tlog/checkpoint.h"
#include "strongroom/tlog/position.h"
#include "strongroom/tlog/tile_proofs.h"

namespace strongroom::tlog {

enum class EntryType : uint8_t {
  kStart = 1,
  kRelease = 2,
  kToken = 3,
  kGrant = 4,   // Records, lanes.
  kPolicy = 5,  // Policy, principals, collections.
  kApproval = 6,
  kFreeze = 7,
  kErasure = 8,
  kCounters = 9,
  kWatch = 10,   // Alarms, refusals, canaries planted.
  kReport = 11,  // What a person was told of their records.
  kKeys = 13,    // Sealing, and changes of the root key.
  kBackup = 14,  // Backups taken and destroyed; that the vault was restored from one.
};
const char* entry_type_name(EntryType type);  // "release" ...

inline constexpr size_t kEntrySize = 49;
inline constexpr size_t kItemsMax = 65536;
inline constexpr size_t kBodyMax = size_t{8} << 20;
// Kept free behind the log's end: some hundred freezes.
inline constexpr uint64_t kFreezeReserve = uint64_t{256} << 10;

struct Entry {
  LeafIndex leaf;
  EntryType type = EntryType::kStart;
  uint64_t t_ms = 0;
  ByteArray<32> rho{};
  std::vector<std::string> items;
};

// Keys that seal bodies, one a month (year * 12 + month - 1, UTC). Creates the key of a month it
// has not seen; it must be durable before it is returned.
class BodyKeys {
 public:
  virtual ~BodyKeys() = default;
  virtual Result<const SealingKey*> key(uint32_t month) = 0;
};

// A file of the log, and how much of it is durable.
struct SegmentFile {
  std::string name;
  uint64_t bytes = 0;
};

struct LogOptions {
  std::string dir;     // entries-XXXXXXXX.log, tile/, checkpoint
  std::string origin;  // "strongroom.local/<vault hex>"
  uint64_t segment_bytes = uint64_t{64} << 20;
  uint64_t preallocate_bytes = uint64_t{4} << 20;
  // An absent or empty log is kDataLoss, not a new one: for all starts but `init`.
  bool must_exist = false;
  // Whose signature under the last checkpoint does too, though it signs no more here.
  std::optional<crypto::PublicKey> signed_by{};
};

// Each signs every checkpoint; the newest last. One, or two while the log's key changes.
using LogSigners = std::vector<crypto::SigningKey>;

struct LogPoint;

// Not thread-safe: one event loop. `files`, `keys` and `signers` are borrowed and outlive it;
// whoever has them may change the signers between two calls.
class ReleaseLog {
 public:
  // Reads the whole log, checks every entry against its body and the tree against the last signed
  // checkpoint, and hands each entry to `replay` in order; after an error, what was replayed is
  // void. A torn tail that was never acknowledged is cut off; tiles that are missing or stale are
  // written again. Borrows `replay` for the call.
  //
  // With `from` (log_state.h) only what is behind that point is read and replayed, and the tree
  // must go on from there to the checkpoint; of what lies before it no more than the segments'
  // headers is looked at. A `from` that does not fit is kDataLoss too, or kFailedPrecondition: try
  // without.
  //   kDataLoss            Truncated, edited, or not matching its checkpoint: the text says so and
  //   what to do; `number` is
  //                        the first leaf that cannot be trusted. Nothing was changed on disk.
  //   kFailedPrecondition  Written by a newer version.
  //   kInvalidArgument     The origin cannot name a key; see checkpoint.h.
  static Result<std::unique_ptr<ReleaseLog>> open(
      const LogOptions& options, env::Files& files, BodyKeys& keys, const LogSigners& signers,
      const std::function<Result<void>(const Entry&)>& replay, const LogPoint* from = nullptr);
  ~ReleaseLog();

  // Takes an entry into the group to be committed; no I/O but for a new month's key. `t_ms` never
  // less than the entry before: the later of the two is used. 1..kItemsMax items, kBodyMax bytes
  // with 4 for each item and 32 more. After an error (kInvalidArgument, kLogUnavailable, or that of
  // `keys`) the group is as it was. Returns the entry's place in the vector that commit() returns.
  //   kNoSpace  full(), and this is no freeze: only these may use what is left.
  Result<size_t> stage(EntryType type, std::span<const std::string> items, uint64_t t_ms);
  // One write, one fdatasync. Leaves in order of staging. Empty group: no I/O.
  //   kLogUnavailable  Nothing may leave, now or later: stop the process.
  Result<std::vector<DurableLeaf>> commit();
  bool failed() const;
  // The disk is full: freezes are taken, into the space kept for them, and nothing else. The log
  // itself is sound.
  bool full() const;
  // Whether it still is; between commits. Call now and then.
  void look_for_space();

  uint64_t size() const;  // Durable entries.
  Hash root() const;      // Of these.
  uint64_t last_t_ms() const;
  Position end() const;  // Of the next frame, about: it may begin a segment.

  // Writes tiles and entry bundles up to size(), then the signed checkpoint; atomic replacement.
  // No-op if nothing was added since. Call each second and at the end.
  Result<void> write_checkpoint();
  std::string checkpoint_note() const;  // The last one written.
  uint64_t checkpoint_size() const;
  uint64_t tiles_rewritten()
      const;  // By open(): worth a line to the operator, since someone or a crash broke them.

  // Opens entries for an auditor: `count`, or what there is from `first` on. kInvalidArgument
  // beyond size().
  Result<std::vector<Entry>> read(uint64_t first, uint32_t count) const;
  // What is durable, to the last commit(): all a copy needs, beside a checkpoint.
  Result<std::vector<SegmentFile>> segments() const;
  // A static file of the tiled log by its tlog-tiles path ("checkpoint" and "key-changes" too), or
  // kNotFound / kInvalidArgument for a path that is none.
  Result<std::string> tile(std::string_view path) const;

 private:
  struct Impl;
  explicit ReleaseLog(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct VerifyReport {
  Checkpoint checkpoint;
  uint64_t entries = 0;
  uint64_t by_type[16] = {};
  uint64_t first_t_ms = 0, last_t_ms = 0;
};
// Recomputes the tree from the entry bundles alone, at the size of the checkpoint, and compares it
// with every tile and the checkpoint. Knows no secret. `pinned` is any of the log's keys: the
// changes of it are read too.
//   kDataLoss  `number` is the first leaf (or the tile's first leaf) that does not fit.
Result<VerifyReport> verify_log(const TileReader& read, const NoteKey& pinned,
                                const std::function<void(uint64_t done, uint64_t size)>& progress);

}  // namespace strongroom::tlog
