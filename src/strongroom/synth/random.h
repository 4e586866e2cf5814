// Integer randomness that is the same on every machine: a counter-seeded SplitMix64 and a
// permutation of 0..n-1.
//
// For invented data only; nothing secret may come from here.
#pragma once

#include <cstddef>
#include <cstdint>

namespace strongroom::synth {

// The finaliser of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators,
// 2014).
inline uint64_t mix64(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

// One independent stream for each (seed, stream, row), so that any row can be made without those
// before it.
class Rng {
 public:
  Rng(uint64_t seed, uint64_t stream, uint64_t row)
      : state_(mix64(seed + 0x9e3779b97f4a7c15ull * (stream + 1)) ^ mix64(~row)) {}

  uint64_t next() { return mix64(state_ += 0x9e3779b97f4a7c15ull); }
  // 0..n-1, n > 0.
  uint64_t below(uint64_t n) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(next()) * n) >> 64);
  }
  bool chance(unsigned percent) { return below(100) < percent; }
  template <class T, size_t N>
  const T& pick(const T (&items)[N]) {
    return items[below(N)];
  }

 private:
  uint64_t state_;
};

// A bijection of 0..n-1, so that values are unique without remembering any: a Feistel network over
// the next even power of two, walked until it lands inside (Black, Rogaway: Ciphers with arbitrary
// finite domains, 2002).
class Permutation {
 public:
  Permutation(uint64_t n, uint64_t seed, uint64_t stream) : n_(n) {
    while (n_ > (uint64_t{1} << (2 * half_bits_))) ++half_bits_;
    mask_ = (uint64_t{1} << half_bits_) - 1;
    Rng rng(seed, stream, 0);
    for (uint64_t& key : keys_) key = rng.next();
  }
  uint64_t size() const { return n_; }
  uint64_t operator()(uint64_t x) const {
    do {
      uint64_t left = x >> half_bits_;
      uint64_t right = x & mask_;
      for (uint64_t key : keys_) {
        const uint64_t mixed = left ^ (mix64(right + key) & mask_);
        left = right;
        right = mixed;
      }
      x = (left << half_bits_) | right;
    } while (x >= n_);
    return x;
  }

 private:
  uint64_t n_;
  unsigned half_bits_ = 1;
  uint64_t mask_ = 0;
  uint64_t keys_[6];
};

}  // namespace strongroom::synth
