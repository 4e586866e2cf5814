// AES-256-GCM (SP 800-38D) for records, packed postings and log bodies; XChaCha20-Poly1305 for
// long-lived wrapping keys.
#pragma once

#include <string>

#include "strongroom/base/bytes.h"
#include "strongroom/base/result.h"
#include "strongroom/base/secret.h"

namespace strongroom::crypto {

inline constexpr size_t kGcmNonceSize = 12;
inline constexpr size_t kGcmTagSize = 16;

// Appends ct | tag (plaintext.size() + 16 bytes) to `out`. Thread-safe. The caller never uses (key,
// nonce) twice.
void gcm_seal(std::span<const uint8_t, 32> key, std::span<const uint8_t, kGcmNonceSize> nonce,
              Bytes ad, Bytes plaintext, std::string& out);
// Writes sealed.size() - 16 bytes to `plaintext`, which must be that long.
//   kDataLoss  Forged, damaged, or sealed under another key, nonce or ad. `plaintext` is wiped.
Result<void> gcm_open(std::span<const uint8_t, 32> key,
                      std::span<const uint8_t, kGcmNonceSize> nonce, Bytes ad, Bytes sealed,
                      MutableBytes plaintext);

inline constexpr size_t kXChaChaNonceSize = 24;
// nonce (24, random) | ct | tag (16). For state and wrapped keys: random nonces never meet.
std::string xchacha_seal(const SealingKey& key, Bytes ad, Bytes plaintext);
Result<SecretBuffer> xchacha_open(const SealingKey& key, Bytes ad, Bytes sealed);

}  // namespace strongroom::crypto
