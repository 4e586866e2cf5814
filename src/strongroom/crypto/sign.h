// Ed25519 (RFC 8032), by libsodium.
#pragma once

#include <string>

#include "strongroom/base/bytes.h"
#include "strongroom/base/result.h"
#include "strongroom/base/secret.h"

namespace strongroom::crypto {

using Signature = ByteArray<64>;
using PublicKey = ByteArray<32>;

class SigningKey {
 public:
  static SigningKey generate();
  static SigningKey from_seed(std::span<const uint8_t, 32> seed);
  Signature sign(Bytes message) const;
  const PublicKey& public_key() const { return public_key_; }
  std::span<const uint8_t, 32> seed(SecretAccess) const;

 private:
  SigningKey() = default;
  Secret<64> secret_;
  PublicKey public_key_{};
};

// Strict: refuses non-canonical signatures and small-order keys.
bool verify(const PublicKey& key, Bytes message, Bytes signature);

}  // namespace strongroom::crypto
