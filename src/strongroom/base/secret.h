// Secret<N>: N bytes of key material. Move-only, wiped when moved from and when destroyed, never
// printed or compared.
//
// Whoever reads one says so with SecretAccess{}: grep for it to find every place.
#pragma once

#include <string.h>  // explicit_bzero

#include <ostream>

#include "strongroom/base/bytes.h"

namespace strongroom {

struct SecretAccess {
  explicit SecretAccess() = default;
};

template <size_t N, class Tag = void>
class Secret {
 public:
  static constexpr size_t kSize = N;

  Secret() { bytes_.fill(0); }
  explicit Secret(std::span<const uint8_t, N> bytes) { memcpy(bytes_.data(), bytes.data(), N); }
  Secret(Secret&& other) noexcept : bytes_(other.bytes_) { other.wipe(); }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      bytes_ = other.bytes_;
      other.wipe();
    }
    return *this;
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { wipe(); }

  // A second owner, made on purpose.
  Secret clone() const { return Secret(std::span<const uint8_t, N>(bytes_)); }
  std::span<const uint8_t, N> read(SecretAccess) const { return bytes_; }
  std::span<uint8_t, N> write(SecretAccess) { return bytes_; }
  void wipe() { explicit_bzero(bytes_.data(), N); }

  bool operator==(const Secret&) const = delete;

 private:
  std::array<uint8_t, N> bytes_;
};

template <size_t N, class Tag>
std::ostream& operator<<(std::ostream&, const Secret<N, Tag>&) = delete;

// A growable buffer for secret bytes whose size is not known at compile time.
class SecretBuffer {
 public:
  SecretBuffer() = default;
  explicit SecretBuffer(size_t size) : bytes_(size, '\0') {}
  SecretBuffer(SecretBuffer&& other) noexcept : bytes_(std::move(other.bytes_)) { other.wipe(); }
  SecretBuffer& operator=(SecretBuffer&& other) noexcept {
    if (this != &other) {
      wipe();
      bytes_ = std::move(other.bytes_);
      other.wipe();
    }
    return *this;
  }
  SecretBuffer(const SecretBuffer&) = delete;
  SecretBuffer& operator=(const SecretBuffer&) = delete;
  ~SecretBuffer() { wipe(); }

  size_t size() const { return bytes_.size(); }
  Bytes read(SecretAccess) const { return as_bytes(bytes_); }
  MutableBytes write(SecretAccess) {
    return {reinterpret_cast<uint8_t*>(bytes_.data()), bytes_.size()};
  }
  void wipe() {
    explicit_bzero(bytes_.data(), bytes_.size());
    bytes_.clear();
  }

 private:
  std::string bytes_;
};

// The keys and tokens of the design, as types that do not mix.
using BlockSeed =
    Secret<32, struct BlockSeedTag>;              // One per block of 4096 records. Key server only.
using LeafNode = Secret<32, struct LeafNodeTag>;  // L. Key server only.
using WriteSecret = Secret<32, struct WriteSecretTag>;  // S_{idx,u}: what a writer gets.
using RecordKey = Secret<32, struct RecordKeyTag>;      // K_{idx,u,g}: what a reader gets.
using LaneRoot =
    Secret<32, struct LaneRootTag>;  // R_l. Key server, and the lane's writer while it is open.
using TermToken = Secret<32, struct TermTokenTag>;  // T: opens one term in one lane.
using TermKey = Secret<32, struct TermKeyTag>;      // K_q. Gateways only.
using TermSalt =
    Secret<32, struct TermSaltTag>;  // With K_q it makes the key of a collection's renewed terms.
using SealingKey =
    Secret<32, struct SealingKeyTag>;  // Symmetric keys that wrap state and log bodies.

}  // namespace strongroom
