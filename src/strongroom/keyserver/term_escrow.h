// keyserver/term-key.escrow: K_q, which gateways alone use, sealed under a key of the root for the
// day on which no gateway has it any more.
//
//   escrow = XChaCha20-Poly1305(H(root, "sr1.escrow" | 00h | 0 u64be), AD "sr1.term-key", K_q)
//
// Spec: docs/spec/files.md
#pragma once

#include <string>

#include "strongroom/base/bytes.h"
#include "strongroom/base/result.h"
#include "strongroom/base/secret.h"

namespace strongroom::keyserver {

inline constexpr size_t kTermEscrowSize = 24 + 32 + 16;

SealingKey term_escrow_key(const SealingKey& root);
std::string seal_term_key(const SealingKey& escrow_key, const TermKey& term_key);
//   kDataLoss  Damaged, or sealed under another root.
Result<TermKey> open_term_key(const SealingKey& escrow_key, Bytes escrow);

// keyserver/ca-key.escrow: the same of ca.key, the key of the authority that clients trust, with AD
// "sr1.ca-key". For backups, which may not hold it in the clear: whoever has it can pose as the
// doors, and be given shares.
inline constexpr size_t kAuthorityEscrowMax = size_t{64} << 10;
std::string seal_authority_key(const SealingKey& escrow_key, Bytes pem);
//   kDataLoss  Damaged, or sealed under another root.
Result<SecretBuffer> open_authority_key(const SealingKey& escrow_key, Bytes escrow);

}  // namespace strongroom::keyserver
