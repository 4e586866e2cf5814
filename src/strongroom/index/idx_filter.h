// Which record numbers are among some postings, as a bit each. A posting of a long list is held
// against it without a branch that nobody could predict, and without being kept first.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "strongroom/index/postings.h"

namespace strongroom::index {

class IdxFilter {
 public:
  // `postings` ascend.
  explicit IdxFilter(std::span<const Posting> postings)
      : first_(postings.empty() ? 0 : postings.front().idx.value),
        size_(postings.empty() ? 0 : span_of(postings)),
        bits_(size_ / 64 + 1) {
    for (const Posting& posting : postings) {
      const uint64_t at = posting.idx.value - first_;
      bits_[at / 64] |= uint64_t{1} << at % 64;
    }
  }
  // Whether it takes no more room than 8 bytes for each of so many.
  static bool is_small(std::span<const Posting> postings, uint64_t so_many) {
    return !postings.empty() && span_of(postings) / 64 <= so_many;
  }

  bool has(RecordIndex idx) const {
    const uint64_t at = idx.value - first_;  // Huge for what is below.
    return at < size_ && (bits_[at / 64] >> at % 64 & 1) != 0;
  }
  // False: none behind `before` up to `last`. True may be wrong where these are far apart.
  bool may_have(RecordIndex before, RecordIndex last) const {
    const uint64_t from = std::max(before.value + 1, first_) - first_;
    if (last.value < first_ || from >= size_) return false;
    const uint64_t to = std::min(last.value - first_, size_ - 1);
    if (to / 64 - from / 64 > kWordsLookedAt) return true;
    uint64_t any = bits_[from / 64] & ~uint64_t{0} << from % 64;
    for (uint64_t word = from / 64; word < to / 64; any = bits_[++word]) {
      if (any != 0) return true;
    }
    return (any & ~uint64_t{0} >> (63 - to % 64)) != 0;
  }

 private:
  static constexpr uint64_t kWordsLookedAt = 16;
  static uint64_t span_of(std::span<const Posting> postings) {
    return postings.back().idx.value - postings.front().idx.value + 1;
  }

  uint64_t first_, size_;
  std::vector<uint64_t> bits_;
};

}  // namespace strongroom::index
