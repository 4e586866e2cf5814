// OpenSSL's SHA-256 by its old functions: the same code of the processor's own instructions as
// behind EVP, but the state is ours to copy and lies on the stack. Most of what is hashed here is
// short: nodes of trees, commitments, labels. A node takes 130 ns, behind a reused EVP context 190
// (crypto_bench). Deprecated since OpenSSL 3.0, there in 3.x all the same.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "strongroom/crypto/hash.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>

#include "strongroom/crypto/evp.h"

namespace strongroom::crypto {
namespace {

// SHA-256 under way. What was hashed may have been a key: wiped.
class State {
 public:
  State() { SR_CHECK(SHA256_Init(&state_) == 1, "SHA-256 did not start"); }
  ~State() { OPENSSL_cleanse(&state_, sizeof state_); }
  State(const State&) = default;
  State& operator=(const State&) = default;

  void update(Bytes data) {
    SR_CHECK(SHA256_Update(&state_, data_or_dummy(data), data.size()) == 1, "SHA-256 failed");
  }
  void update(std::initializer_list<Bytes> parts) {
    for (const Bytes part : parts) update(part);
  }
  // Nothing can be added behind it.
  Digest finish() {
    Digest digest;
    SR_CHECK(SHA256_Final(digest.data(), &state_) == 1, "SHA-256 failed");
    return digest;
  }

 private:
  SHA256_CTX state_;
};

// RFC 2104: behind the key's inner and outer block.
struct Keyed {
  explicit Keyed(Bytes key) {
    constexpr size_t kBlock = 64;
    constexpr uint8_t kInnerPad = 0x36, kOuterPad = 0x5c;
    std::array<uint8_t, kBlock> padded{};
    if (key.size() > kBlock) {
      Digest hashed = sha256(key);
      std::copy(hashed.begin(), hashed.end(), padded.begin());
      OPENSSL_cleanse(hashed.data(), hashed.size());
    } else {
      std::copy(key.begin(), key.end(), padded.begin());
    }
    for (uint8_t& byte : padded) byte ^= kInnerPad;
    inner.update(padded);
    for (uint8_t& byte : padded) byte ^= kInnerPad ^ kOuterPad;
    outer.update(padded);
    OPENSSL_cleanse(padded.data(), padded.size());
  }
  // Both are used up.
  Digest finish(std::initializer_list<Bytes> parts) {
    inner.update(parts);
    outer.update(inner.finish());
    return outer.finish();
  }
  State inner, outer;
};

}  // namespace

Digest sha256(std::initializer_list<Bytes> parts) {
  State state;
  state.update(parts);
  return state.finish();
}

struct Sha256::Impl {
  State state;
};
Sha256::Sha256() : impl_(std::make_unique<Impl>()) {}
Sha256::~Sha256() = default;
void Sha256::update(Bytes data) {
  impl_->state.update(data);
}
Digest Sha256::finish() {
  const Digest digest = impl_->state.finish();
  impl_->state = State();
  return digest;
}

Digest hmac_sha256(Bytes key, std::initializer_list<Bytes> parts) {
  return Keyed(key).finish(parts);
}

struct Hmac::Impl {
  Keyed keyed;
};
Hmac::Hmac(Bytes key) : impl_(new Impl{Keyed(key)}) {}
Hmac::~Hmac() = default;
Hmac::Hmac(Hmac&&) noexcept = default;
Hmac& Hmac::operator=(Hmac&&) noexcept = default;

Digest Hmac::operator()(std::initializer_list<Bytes> parts) {
  return Keyed(impl_->keyed).finish(parts);
}

bool equal_ct(Bytes a, Bytes b) {
  return a.size() == b.size() && CRYPTO_memcmp(data_or_dummy(a), data_or_dummy(b), a.size()) == 0;
}

}  // namespace strongroom::crypto
