// F(k,x) = AES-256_k on 16-byte blocks: the only PRF of the design.
#pragma once

#include <memory>
#include <span>

#include "strongroom/base/bytes.h"
#include "strongroom/base/secret.h"

namespace strongroom::crypto {

using Block = ByteArray<16>;

// blk(t,v) = t u8 | 7 zero bytes | v u64le
inline Block blk(uint8_t t, uint64_t v) {
  Block b{};
  b[0] = t;
  store_le<uint64_t>(b.data() + 8, v);
  return b;
}

// F over each block, under a key used for this call. In place. Thread-safe (a context per thread,
// rekeyed).
void prf_blocks(std::span<const uint8_t, 32> key, std::span<Block> blocks);

// F(key,a) | F(key,b): how every 32-byte child, key and token of the design is made. `out` may be
// `key` itself.
void prf_pair(std::span<const uint8_t, 32> key, const Block& a, const Block& b,
              std::span<uint8_t, 32> out);

// The thread's context holds the last key of the two calls above until the next one: this
// overwrites it. For erasure, whose promise would otherwise wait for the next call.
void prf_forget();

// F under one key, many times. Not thread-safe: one per thread.
class Prf {
 public:
  explicit Prf(std::span<const uint8_t, 32> key);
  ~Prf();
  Prf(Prf&&) noexcept;
  Prf& operator=(Prf&&) noexcept;
  void operator()(std::span<Block> blocks);
  Block operator()(const Block& block);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace strongroom::crypto
