#include "strongroom/rpc/event_loop.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

namespace strongroom::rpc {
namespace {

using std::chrono::milliseconds;

TEST(EventLoopTest, RunsPostedWorkInOrderAndNeverInsidePost) {
  EventLoop loop;
  std::vector<int> order;
  loop.post([&] {
    loop.post([&] {
      order.push_back(3);
      loop.stop();
    });
    order.push_back(1);
  });
  loop.post([&] { order.push_back(2); });
  loop.run();
  EXPECT_EQ(order, std::vector<int>({1, 2, 3}));
}

TEST(EventLoopTest, PostsFromOtherThreadsArrive) {
  EventLoop loop;
  std::thread other([&] {
    for (int i = 0; i < 1000; ++i) {
      loop.post([&, i] {
        EXPECT_TRUE(loop.in_loop_thread());
        if (i == 999) loop.stop();
      });
    }
    EXPECT_FALSE(loop.in_loop_thread());
  });
  loop.run();
  other.join();
}

TEST(EventLoopTest, TimersRunOnceOrAgainAndAgain) {
  EventLoop loop;
  int once = 0;
  int often = 0;
  loop.after(milliseconds(1), [&] { ++once; });
  loop.every(milliseconds(1), [&] {
    if (++often == 5) loop.stop();
  });
  loop.run();
  EXPECT_EQ(once, 1);
  EXPECT_EQ(often, 5);
}

TEST(EventLoopTest, SignalsRunOnTheLoopEachTime) {
  EventLoop loop;
  int seen = 0;
  loop.on_signals({SIGUSR1, SIGUSR2}, [&] {
    if (++seen == 2) return loop.stop();
    raise(SIGUSR2);
  });
  loop.post([] { raise(SIGUSR1); });
  loop.run();
  EXPECT_EQ(seen, 2);
}

}  // namespace
}  // namespace strongroom::rpc
