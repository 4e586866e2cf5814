// SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104), made for many short inputs.
#pragma once

#include <memory>
#include <span>

#include "strongroom/base/bytes.h"
#include "strongroom/base/secret.h"

namespace strongroom::crypto {

using Digest = ByteArray<32>;

// SHA-256 of the concatenation of `parts`. Thread-safe.
Digest sha256(std::initializer_list<Bytes> parts);
inline Digest sha256(Bytes data) {
  return sha256({data});
}

// Incremental SHA-256. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(Bytes data);
  Digest finish();  // And starts anew.

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// HMAC-SHA-256 under a key used once or rarely. Thread-safe.
Digest hmac_sha256(Bytes key, std::initializer_list<Bytes> parts);

// HMAC-SHA-256 under one key, many times: the key's inner and outer states are cached. Not
// thread-safe: one per thread.
class Hmac {
 public:
  explicit Hmac(Bytes key);
  ~Hmac();
  Hmac(Hmac&&) noexcept;
  Hmac& operator=(Hmac&&) noexcept;
  Digest operator()(std::initializer_list<Bytes> parts);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Constant-time comparison of equal-length secrets. Unequal lengths are unequal.
bool equal_ct(Bytes a, Bytes b);

}  // namespace strongroom::crypto
