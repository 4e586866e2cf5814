// Owners for OpenSSL contexts, and a fail-stop for calls that cannot fail but for a bug of ours or
// a broken library. For this folder only: OpenSSL's types stop here.
#pragma once

#include <openssl/evp.h>

#include <climits>
#include <memory>

#include "strongroom/base/bytes.h"
#include "strongroom/base/check.h"

namespace strongroom::crypto {

struct EvpDeleter {
  // Wipes the keys the context holds.
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, EvpDeleter>;

inline int evp_size(size_t size) {
  SR_CHECK(size <= INT_MAX, "more bytes than one call may take");
  return static_cast<int>(size);
}

// OpenSSL and libsodium want a pointer even to nothing.
inline const uint8_t* data_or_dummy(Bytes bytes) {
  static constexpr uint8_t kDummy = 0;
  return bytes.empty() ? &kDummy : bytes.data();
}

}  // namespace strongroom::crypto
