#include "strongroom/crypto/sign.h"

#include <sodium.h>

#include "strongroom/crypto/evp.h"
#include "strongroom/crypto/random.h"

namespace strongroom::crypto {

SigningKey SigningKey::generate() {
  const auto seed = random_secret<Secret<32>>();
  return from_seed(seed.read(SecretAccess{}));
}

SigningKey SigningKey::from_seed(std::span<const uint8_t, 32> seed) {
  SigningKey key;
  SR_CHECK(crypto_sign_seed_keypair(key.public_key_.data(),
                                    key.secret_.write(SecretAccess{}).data(), seed.data()) == 0,
           "Ed25519 did not take its seed");
  return key;
}

Signature SigningKey::sign(Bytes message) const {
  Signature signature;
  SR_CHECK(crypto_sign_detached(signature.data(), nullptr, data_or_dummy(message), message.size(),
                                secret_.read(SecretAccess{}).data()) == 0,
           "Ed25519 failed to sign");
  return signature;
}

std::span<const uint8_t, 32> SigningKey::seed(SecretAccess access) const {
  return secret_.read(access).first<32>();  // libsodium's secret key is seed | public key.
}

bool verify(const PublicKey& key, Bytes message, Bytes signature) {
  return signature.size() == sizeof(Signature) &&
         crypto_sign_verify_detached(signature.data(), data_or_dummy(message), message.size(),
                                     key.data()) == 0;
}

}  // namespace strongroom::crypto
