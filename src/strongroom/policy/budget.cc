#include "strongroom/policy/budget.h"

#include <algorithm>
#include <limits>

namespace strongroom::policy {

template <uint64_t kBucketMs, uint64_t kBuckets>
void SlidingWindow<kBucketMs, kBuckets>::move_to(uint64_t t_ms) {
  now_ms_ = std::max(now_ms_, t_ms);
  const uint64_t bucket = now_ms_ / kBucketMs;
  size_t gone = 0;
  while (gone < slots_.size() && slots_[gone].bucket + kBuckets <= bucket) {
    total_ -= slots_[gone++].amount;
  }
  slots_.erase(slots_.begin(), slots_.begin() + static_cast<ptrdiff_t>(gone));
}

template <uint64_t kBucketMs, uint64_t kBuckets>
Result<void> SlidingWindow<kBucketMs, kBuckets>::check(uint64_t limit, uint64_t amount,
                                                       uint64_t t_ms) {
  move_to(t_ms);
  if (amount > limit) {
    return make_error(ErrorCode::kBudgetExhausted,
                      "This asks for more than the whole budget allows. Ask for less, or have the "
                      "budget raised.");
  }
  uint64_t kept = total_;
  if (kept <= limit - amount) return {};
  Error error = make_error(ErrorCode::kBudgetExhausted,
                           "The budget of this purpose is used up. Wait until its window reopens, "
                           "or have the budget raised.");
  for (const Slot& slot : slots_) {
    kept -= slot.amount;
    if (kept <= limit - amount) {
      error.retry_after_ms = static_cast<int64_t>((slot.bucket + kBuckets) * kBucketMs - now_ms_);
      break;
    }
  }
  return error;
}

template <uint64_t kBucketMs, uint64_t kBuckets>
void SlidingWindow<kBucketMs, kBuckets>::charge(uint64_t amount, uint64_t t_ms) {
  move_to(t_ms);
  if (amount == 0) return;
  // Saturates, so that a forged count can only close a window, never reopen it.
  amount = std::min(amount, std::numeric_limits<uint64_t>::max() - total_);
  const uint64_t bucket = now_ms_ / kBucketMs;
  if (slots_.empty() || slots_.back().bucket != bucket) slots_.push_back({bucket, 0});
  slots_.back().amount += amount;
  total_ += amount;
}

template <uint64_t kBucketMs, uint64_t kBuckets>
uint64_t SlidingWindow<kBucketMs, kBuckets>::used(uint64_t t_ms) {
  move_to(t_ms);
  return total_;
}

template class SlidingWindow<60'000, 61>;
template class SlidingWindow<1'800'000, 49>;
template class SlidingWindow<43'200'000, 61>;
template class SlidingWindow<86'400'000, 91>;

}  // namespace strongroom::policy
