// The keys that a log's checkpoints are signed with, one after the other, and how whoever was given
// one of them comes to the others: each change is a signed note by both keys.
//
//   strongroom log key change v1
//   <the log's family: its origin up to the second slash, or all of it>
//   <size>                    checkpoints of more entries are signed with the new key
//   <base64 SHA-256 of all changes before this one>
//   <verifier key, old>
//   <verifier key, new>
//
//   <a signature line by the old key, then one by the new>
//
// One behind the other they are the file `key-changes` beside the log's tiles.
// Source: c2sp.org/signed-note. Spec: docs/spec/log.md
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "strongroom/crypto/sign.h"
#include "strongroom/tlog/note.h"
#include "strongroom/tlog/tile_proofs.h"

namespace strongroom::tlog {

inline constexpr char kKeyChangesFile[] = "key-changes";
inline constexpr size_t kKeyChangesBytesMax = size_t{64} << 10;

// The part of a log's origin that stays when the log goes on under another name.
std::string_view family_of(std::string_view origin);

// The keys of one log, as far as they are known.
class LogKeys {
 public:
  // Of no change.
  explicit LogKeys(NoteKey key);
  // Of those in `changes`, among whose keys `pinned` must be, or which must be empty.
  //   kDataLoss  Not changes of this log's key, or not signed by both keys, or not by `pinned`.
  static Result<LogKeys> follow(const NoteKey& pinned, std::string_view changes);

  const std::string& origin() const { return origin_; }
  // That a checkpoint of this many entries must be signed with.
  const crypto::PublicKey& at(uint64_t size) const;
  const crypto::PublicKey& newest() const { return keys_.back(); }
  NoteKey newest_key() const { return {origin_, NoteKeyType::kEd25519, newest()}; }
  const std::vector<crypto::PublicKey>& keys() const { return keys_; }  // Oldest first.
  // Up to which size each but the last is good, ascending.
  const std::vector<uint64_t>& until() const { return until_; }

 private:
  std::string origin_;
  std::vector<crypto::PublicKey> keys_;
  std::vector<uint64_t> until_;
};

// Whether the first of them is, or says it is, of a log of this name.
bool are_changes_of(std::string_view changes, std::string_view origin);
// One more change, to be put behind those `before`.
std::string sign_key_change(std::string_view origin, std::string_view before, uint64_t size,
                            const crypto::SigningKey& old_key, const crypto::SigningKey& new_key);

// By what lies beside the log's tiles; where there is nothing, no change is known.
//   kDataLoss  As LogKeys::follow(). What `read` fails with.
Result<LogKeys> read_log_keys(const TileReader& read, const NoteKey& pinned);

}  // namespace strongroom::tlog
