#include "strongroom/env/executor.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "strongroom/env/clock.h"

namespace strongroom::env {
namespace {

TEST(WorkerThreadTest, RunsInOrderOnOneOtherThread) {
  std::vector<int> seen;
  std::thread::id thread;
  {
    WorkerThread worker("a name longer than the kernel keeps");
    for (int i = 0; i < 1000; ++i) {
      worker.post([&, i] {
        seen.push_back(i);
        thread = std::this_thread::get_id();
      });
    }
  }
  ASSERT_EQ(seen.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(seen[static_cast<size_t>(i)], i);
  EXPECT_NE(thread, std::this_thread::get_id());
}

TEST(WorkerThreadTest, RunsWhatItsWorkPostsBeforeItJoins) {
  int ran = 0;
  {
    WorkerThread worker("nested");
    worker.post([&] {
      ++ran;
      worker.post([&] { ++ran; });
    });
  }
  EXPECT_EQ(ran, 2);
}

TEST(ClockTest, MonotonicNeverGoesBackAndWallIsThisCentury) {
  Clock& clock = real_clock();
  uint64_t last = 0;
  for (int i = 0; i < 1000; ++i) {
    const uint64_t now = clock.monotonic_us();
    EXPECT_GE(now, last);
    last = now;
  }
  EXPECT_GT(clock.wall_ms(), 1'600'000'000'000u);
}

}  // namespace
}  // namespace strongroom::env
