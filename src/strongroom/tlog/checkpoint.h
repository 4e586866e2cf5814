// C2SP signed-note and tlog-checkpoint: the tree head an outsider can check.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "strongroom/crypto/sign.h"
#include "strongroom/tlog/log_keys.h"
#include "strongroom/tlog/merkle.h"
#include "strongroom/tlog/note.h"

namespace strongroom::tlog {

struct Checkpoint {
  std::string origin;
  uint64_t size = 0;
  Hash root{};
  // Opaque lines behind the root, kept as they came. We write none.
  std::vector<std::string> extensions{};
  bool operator==(const Checkpoint&) const = default;
};

// Whether `origin` can name a key too: not empty, well-formed, no spaces, no plus.
bool is_origin(std::string_view origin);
// The key that signs a log's checkpoints, under the log's own name.
NoteKey log_key(std::string_view origin, const crypto::PublicKey& key);
// The text that is signed, and back. nullopt: no checkpoint.
std::string checkpoint_text(const Checkpoint& checkpoint);
std::optional<Checkpoint> parse_checkpoint_text(std::string_view text);
// One Ed25519 signature line under the name `origin` for each key, in their order.
std::string sign_checkpoint(const Checkpoint& checkpoint, std::span<const crypto::SigningKey> keys);
inline std::string sign_checkpoint(const Checkpoint& checkpoint, const crypto::SigningKey& key) {
  return sign_checkpoint(checkpoint, std::span(&key, 1));
}
// Lines of other keys are skipped, as the specification asks; a wrong signature by ours is not.
//   kDataLoss         Not a note, not a checkpoint, or not signed by `key`.
//   kInvalidArgument  Of another origin.
Result<Checkpoint> verify_checkpoint(std::string_view note, std::string_view origin,
                                     const crypto::PublicKey& key);
// By the key that one of its size is to be signed with. Errors as above.
Result<Checkpoint> verify_checkpoint(std::string_view note, const LogKeys& keys);
// "origin+hash+base64": the verifier key as C2SP writes it, for tools that are not ours.
std::string verifier_key(std::string_view origin, const crypto::PublicKey& key);

}  // namespace strongroom::tlog
