#include "strongroom/crypto/hash.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <array>

#include "strongroom/crypto/evp.h"

namespace strongroom::crypto {
namespace {

DigestContext new_digest() {
  // Fetched once and never freed: it must outlive every thread's context.
  static EVP_MD* const kSha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  DigestContext context(EVP_MD_CTX_new());
  SR_CHECK(kSha256 != nullptr && context != nullptr, "OpenSSL offers no SHA-256");
  SR_CHECK(EVP_DigestInit_ex2(context.get(), kSha256, nullptr) == 1, "SHA-256 did not start");
  return context;
}

void update(EVP_MD_CTX* context, Bytes data) {
  SR_CHECK(EVP_DigestUpdate(context, data_or_dummy(data), data.size()) == 1, "SHA-256 failed");
}

Digest finish(EVP_MD_CTX* context) {
  Digest digest;
  unsigned size = 0;
  SR_CHECK(EVP_DigestFinal_ex(context, digest.data(), &size) == 1 && size == digest.size() &&
               EVP_DigestInit_ex2(context, nullptr, nullptr) == 1,
           "SHA-256 failed");
  return digest;
}

MacContext new_mac() {
  static EVP_MAC* const kHmac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  SR_CHECK(kHmac != nullptr, "OpenSSL offers no HMAC");
  MacContext context(EVP_MAC_CTX_new(kHmac));
  char digest[] = "SHA256";
  const OSSL_PARAM params[] = {OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 6),
                               OSSL_PARAM_END};
  SR_CHECK(context != nullptr && EVP_MAC_CTX_set_params(context.get(), params) == 1,
           "OpenSSL offers no HMAC-SHA-256");
  return context;
}

void set_key(EVP_MAC_CTX* context, Bytes key) {
  SR_CHECK(EVP_MAC_init(context, data_or_dummy(key), key.size(), nullptr) == 1,
           "HMAC did not take its key");
}

Digest mac(EVP_MAC_CTX* context, std::initializer_list<Bytes> parts) {
  for (const Bytes part : parts) {
    SR_CHECK(EVP_MAC_update(context, data_or_dummy(part), part.size()) == 1, "HMAC failed");
  }
  Digest digest;
  size_t size = 0;
  SR_CHECK(
      EVP_MAC_final(context, digest.data(), &size, digest.size()) == 1 && size == digest.size(),
      "HMAC failed");
  return digest;
}

}  // namespace

Digest sha256(std::initializer_list<Bytes> parts) {
  thread_local const DigestContext context = new_digest();
  for (const Bytes part : parts) update(context.get(), part);
  return finish(context.get());
}

struct Sha256::Impl {
  DigestContext context = new_digest();
};
Sha256::Sha256() : impl_(std::make_unique<Impl>()) {}
Sha256::~Sha256() = default;
void Sha256::update(Bytes data) {
  crypto::update(impl_->context.get(), data);
}
Digest Sha256::finish() {
  return crypto::finish(impl_->context.get());
}

// RFC 2104 over a reused digest. EVP_MAC allocates 14 times whenever it takes a key, which for a
// key used once cost more than the hashing.
Digest hmac_sha256(Bytes key, std::initializer_list<Bytes> parts) {
  constexpr size_t kBlock = 64;
  constexpr uint8_t kInnerPad = 0x36, kOuterPad = 0x5c;
  thread_local const DigestContext context = new_digest();
  std::array<uint8_t, kBlock> padded{};
  if (key.size() > kBlock) {
    const Digest hashed = sha256(key);
    std::copy(hashed.begin(), hashed.end(), padded.begin());
  } else {
    std::copy(key.begin(), key.end(), padded.begin());
  }
  for (uint8_t& byte : padded) byte ^= kInnerPad;
  update(context.get(), padded);
  for (const Bytes part : parts) update(context.get(), part);
  const Digest inner = finish(context.get());
  for (uint8_t& byte : padded) byte ^= kInnerPad ^ kOuterPad;
  update(context.get(), padded);
  update(context.get(), inner);
  OPENSSL_cleanse(padded.data(), padded.size());
  return finish(context.get());
}

struct Hmac::Impl {
  MacContext context = new_mac();
};
Hmac::Hmac(Bytes key) : impl_(std::make_unique<Impl>()) {
  set_key(impl_->context.get(), key);
}
Hmac::~Hmac() = default;
Hmac::Hmac(Hmac&&) noexcept = default;
Hmac& Hmac::operator=(Hmac&&) noexcept = default;

Digest Hmac::operator()(std::initializer_list<Bytes> parts) {
  // No key: back to the state behind the inner key block, which is what makes this cheap.
  SR_CHECK(EVP_MAC_init(impl_->context.get(), nullptr, 0, nullptr) == 1, "HMAC did not restart");
  return mac(impl_->context.get(), parts);
}

bool equal_ct(Bytes a, Bytes b) {
  return a.size() == b.size() && CRYPTO_memcmp(data_or_dummy(a), data_or_dummy(b), a.size()) == 0;
}

}  // namespace strongroom::crypto
