// C2SP tlog-cosignature, Ed25519: a witness says that a checkpoint is the largest consistent one it
// has seen of its log, and when.  Source: c2sp.org/tlog-cosignature.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "strongroom/tlog/note.h"

namespace strongroom::tlog {

// A witness's own key.
struct WitnessSigner {
  std::string name;
  crypto::SigningKey key;
  NoteKey note_key() const { return {name, NoteKeyType::kCosignature, key.public_key()}; }
};

// The signature line over a checkpoint's text, with its newline. `t_s`: Unix time, not 0.
std::string cosign(const WitnessSigner& signer, std::string_view text, uint64_t t_s);

// The time of the newest cosignature by `witness` over `text`; 0 if there is none.
//   kDataLoss  A line under its name and key id does not verify.
Result<uint64_t> verify_cosignature(std::string_view text,
                                    std::span<const NoteSignature> signatures,
                                    const NoteKey& witness);

}  // namespace strongroom::tlog
