// Sliding windows: how much was used in the last hour, the last day.
//
// Conservative: time is cut into buckets, and a bucket counts until its last instant has left the
// window. So the use over ANY window of this length never exceeds the limit; what is lost is at
// most one bucket's worth of reopening time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "strongroom/base/result.h"

namespace strongroom::policy {

// A window of (kBuckets - 1) * kBucketMs. Keeps only buckets in which something was used. Time
// never goes back: an earlier time counts as the latest one seen. Not thread-safe.
template <uint64_t kBucketMs, uint64_t kBuckets>
class SlidingWindow {
 public:
  static constexpr uint64_t kWindowMs = kBucketMs * (kBuckets - 1);

  // Whether `amount` more may be used at t_ms. Changes nothing that later answers depend on.
  //   kBudgetExhausted  retry_after_ms says when the same amount will fit; -1: it is more than the
  //   whole limit.
  Result<void> check(uint64_t limit, uint64_t amount, uint64_t t_ms);
  // Counts `amount`, whatever the limit: what was logged did happen.
  void charge(uint64_t amount, uint64_t t_ms);
  // Used in the window that ends at t_ms, as check() sees it.
  uint64_t used(uint64_t t_ms);
  // No less than what counts at any time from the latest one seen.
  uint64_t kept() const { return total_; }

  template <class A>
  void archive(A& a) {
    a(slots_, total_, now_ms_);
  }

 private:
  struct Slot {
    uint64_t bucket = 0;
    uint64_t amount = 0;
    template <class A>
    void archive(A& a) {
      a(bucket, amount);
    }
  };
  void move_to(uint64_t t_ms);
  std::vector<Slot> slots_;  // Ascending by bucket, none outside the window; at most kBuckets.
  uint64_t total_ = 0;       // Of slots_.
  uint64_t now_ms_ = 0;
};

using HourWindow = SlidingWindow<60'000, 61>;
using DayWindow = SlidingWindow<1'800'000, 49>;
using MonthWindow = SlidingWindow<43'200'000, 61>;    // 30 days.
using QuarterWindow = SlidingWindow<86'400'000, 91>;  // 90 days: what access reviews look at.

}  // namespace strongroom::policy
