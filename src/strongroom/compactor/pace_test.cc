#include "strongroom/compactor/pace.h"

#include <gtest/gtest.h>

namespace strongroom::compactor {
namespace {

class PaceTest : public testing::Test {
 protected:
  Pace pace(uint64_t per_second) {
    return Pace(per_second, clock_, [this](uint64_t us) {
      slept_us_ += us;
      clock_.advance_ms((us + 999) / 1000);
    });
  }
  env::ManualClock clock_;
  uint64_t slept_us_ = 0;
};

TEST_F(PaceTest, WorkTakesAsLongAsItsRateSays) {
  clock_.advance_ms(10'000);
  Pace p = pace(1000);
  for (int i = 0; i < 100; ++i) p.spend(50);
  EXPECT_NEAR(static_cast<double>(slept_us_), 5e6, 2e5);
}

TEST_F(PaceTest, APauseIsNotSavedUp) {
  Pace p = pace(1000);
  p.spend(1000);
  slept_us_ = 0;
  clock_.advance_ms(3'600'000);
  p.spend(1000);
  EXPECT_GE(slept_us_, 800'000u);
}

TEST_F(PaceTest, SlowWorkIsNotSlowedFurther) {
  Pace p = pace(1000);
  for (int i = 0; i < 100; ++i) {
    clock_.advance_ms(100);
    p.spend(50);
  }
  EXPECT_EQ(slept_us_, 0u);
}

TEST_F(PaceTest, NoRateIsNoLimit) {
  Pace p = pace(0);
  p.spend(1'000'000'000);
  EXPECT_EQ(slept_us_, 0u);
}

}  // namespace
}  // namespace strongroom::compactor
