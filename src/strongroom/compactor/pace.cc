#include "strongroom/compactor/pace.h"

#include <algorithm>

namespace strongroom::compactor {
namespace {

constexpr uint64_t kSecondUs = 1'000'000;
constexpr uint64_t kGraceUs = 100'000;
constexpr uint64_t kSleepMinUs = 2'000;  // Shorter ones cost more than they save.

}  // namespace

Pace::Pace(uint64_t per_second, const env::Clock& clock, Sleep sleep)
    : per_second_(per_second), clock_(clock), sleep_(std::move(sleep)) {}

void Pace::spend(uint64_t units) {
  if (per_second_ == 0) return;
  owed_ += units;
  const uint64_t us = owed_ * kSecondUs / per_second_;
  if (us < kSleepMinUs) return;
  owed_ = 0;
  const uint64_t now = clock_.monotonic_us();
  due_us_ = std::max(due_us_, now > kGraceUs ? now - kGraceUs : 0) + us;
  if (due_us_ > now) sleep_(due_us_ - now);
}

}  // namespace strongroom::compactor
