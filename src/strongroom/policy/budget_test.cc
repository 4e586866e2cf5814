#include "strongroom/policy/budget.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "strongroom/base/durations.h"

namespace strongroom::policy {
namespace {

constexpr uint64_t kStart = 1'700'000'000'000;

TEST(BudgetTest, UpToTheLimitIsAllowedAndOverItIsExhausted) {
  HourWindow window;
  EXPECT_TRUE(window.check(10, 10, kStart));
  window.charge(9, kStart);
  EXPECT_TRUE(window.check(10, 1, kStart));
  const auto over = window.check(10, 2, kStart);
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code, ErrorCode::kBudgetExhausted);
}

TEST(BudgetTest, RetryAfterIsWhenTheSameAmountFits) {
  HourWindow window;
  window.charge(6, kStart);
  window.charge(4, kStart + 600'000);
  const uint64_t now = kStart + 700'000;
  for (const uint64_t amount : {1, 6, 7, 10}) {
    const auto over = window.check(10, amount, now);
    ASSERT_FALSE(over);
    const uint64_t retry = static_cast<uint64_t>(over.error().retry_after_ms);
    HourWindow early = window;
    HourWindow late = window;
    EXPECT_FALSE(early.check(10, amount, now + retry - 1)) << amount;
    EXPECT_TRUE(late.check(10, amount, now + retry)) << amount;
    EXPECT_LE(retry, kHourMs + 60'000);
  }
}

TEST(BudgetTest, MoreThanTheWholeLimitNeverFits) {
  HourWindow window;
  const auto over = window.check(10, 11, kStart);
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().retry_after_ms, -1);
  EXPECT_FALSE(window.check(0, 1, kStart));
  EXPECT_TRUE(window.check(0, 0, kStart));
}

TEST(BudgetTest, AnEarlierTimeReopensNothing) {
  HourWindow window;
  window.charge(10, kStart + 2 * kHourMs);
  EXPECT_FALSE(window.check(10, 1, kStart));
  window.charge(1, kStart);  // Counts as of the latest time seen.
  EXPECT_EQ(window.used(kStart + 3 * kHourMs - 60'000), 11u);
}

TEST(BudgetTest, SumsSaturateInsteadOfWrapping) {
  DayWindow window;
  window.charge(UINT64_MAX, kStart);
  window.charge(UINT64_MAX, kStart);
  EXPECT_FALSE(window.check(UINT64_MAX, 1, kStart));
}

// Against every charge ever allowed, kept exactly.
template <class Window>
void never_over(uint64_t seed, uint64_t step_max) {
  std::mt19937_64 random(seed);
  const uint64_t limit = 1 + random() % 50;
  Window window;
  std::deque<std::pair<uint64_t, uint64_t>> exact;
  uint64_t now = kStart + random() % kHourMs;
  uint64_t used = 0;
  uint64_t refused = 0;
  for (int i = 0; i < 4000; ++i) {
    now += random() % step_max;
    while (!exact.empty() && exact.front().first + Window::kWindowMs <= now) {
      used -= exact.front().second;
      exact.pop_front();
    }
    const uint64_t amount = random() % 8;
    if (window.check(limit, amount, now)) {
      window.charge(amount, now);
      exact.emplace_back(now, amount);
      used += amount;
      ASSERT_LE(used, limit) << "seed " << seed << " step " << i;
    } else {
      ++refused;
      // Conservative, but by one bucket at most: what a window one bucket longer holds explains it.
      ASSERT_GT(window.used(now) + amount, limit);
    }
  }
  EXPECT_GT(refused, 0u);
}

TEST(BudgetTest, NoSlidingHourEverExceedsTheLimit) {
  for (uint64_t seed = 1; seed <= 20; ++seed) never_over<HourWindow>(seed, 60'000);
}

TEST(BudgetTest, NoSlidingDayEverExceedsTheLimit) {
  for (uint64_t seed = 1; seed <= 20; ++seed) never_over<DayWindow>(seed, 1'800'000);
}

TEST(BudgetTest, WindowsReopenAfterOneBucketMoreThanTheirLength) {
  HourWindow hour;
  hour.charge(1, kStart);
  EXPECT_TRUE(hour.check(1, 1, kStart + kHourMs + 60'000));
  DayWindow day;
  day.charge(1, kStart);
  EXPECT_TRUE(day.check(1, 1, kStart + 24 * kHourMs + 1'800'000));
}

}  // namespace
}  // namespace strongroom::policy
