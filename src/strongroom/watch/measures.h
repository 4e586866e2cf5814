// What the rules count with, in integers: the same numbers on every machine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace strongroom::watch {

// How many different values came, about: a bit for each, and each new bit counts for as many values
// as are likely to have met set ones (linear counting; Whang, Vander-Zanden, Taylor 1990). Exact
// within 3 % up to twice kBits values; above that it stays behind, at about 8 x kBits at most.
template <size_t kBits>
class Distinct {
 public:
  // `hash`: uniform over 64 bits.
  void add(uint64_t hash) {
    const size_t bit = hash % kBits;
    uint64_t& word = words_[bit / 64];
    if ((word >> (bit % 64) & 1) != 0 || set_ == kBits - 1) return;
    word |= uint64_t{1} << (bit % 64);
    estimate_q8_ += static_cast<uint32_t>((kBits << 8) / (kBits - set_));
    ++set_;
  }
  uint64_t count() const { return (estimate_q8_ + 128) >> 8; }
  void clear() { *this = {}; }
  template <class A>
  void archive(A& a) {
    a(words_, set_, estimate_q8_);
  }

 private:
  static_assert((kBits & (kBits - 1)) == 0 && kBits >= 64);
  std::array<uint64_t, kBits / 64> words_{};
  uint32_t set_ = 0;
  uint32_t estimate_q8_ = 0;
};

// The mean of the windows in which there was anything at all, the newest weighing most.
class Usual {
 public:
  // Over about the last `horizon` windows.
  void add(uint64_t count, uint32_t horizon) {
    if (count == 0) return;
    ++periods_;
    const int64_t weight = periods_ < horizon ? periods_ : horizon;
    const auto target = static_cast<int64_t>((count < kMost ? count : kMost) << 8);
    mean_q8_ += (target - mean_q8_) / weight;
  }
  uint64_t mean() const { return static_cast<uint64_t>(mean_q8_ + 128) >> 8; }
  uint64_t mean_q8() const { return static_cast<uint64_t>(mean_q8_); }
  uint32_t periods() const { return periods_; }
  template <class A>
  void archive(A& a) {
    a(mean_q8_, periods_);
  }

 private:
  static constexpr uint64_t kMost = uint64_t{1} << 40;
  int64_t mean_q8_ = 0;
  uint32_t periods_ = 0;
};

// Whether a count is worth an alarm: the first above the limit, then at each doubling.
class Armed {
 public:
  bool fires(uint64_t observed, uint64_t limit) {
    if (observed <= limit || observed < next_) return false;
    next_ = observed * 2;
    return true;
  }
  void reset() { next_ = 0; }
  template <class A>
  void archive(A& a) {
    a(next_);
  }

 private:
  uint64_t next_ = 0;
};

}  // namespace strongroom::watch
