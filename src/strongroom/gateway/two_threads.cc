#include "strongroom/gateway/two_threads.h"

#include <latch>

namespace strongroom::gateway {
namespace {

constexpr size_t kWorthwhile = 64;  // Fewer rows are done sooner than another thread is woken.

}  // namespace

void TwoThreads::run(size_t count,
                     const std::function<void(size_t from, size_t to, size_t half)>& work) {
  if (count < kWorthwhile) return work(0, count, 0);
  const size_t middle = count / 2;
  both([&](size_t half) { half == 0 ? work(0, middle, 0) : work(middle, count, 1); });
}

void TwoThreads::both(const std::function<void(size_t half)>& work) {
  std::latch done(1);
  helper_.post([&] {
    work(1);
    done.count_down();
  });
  work(0);
  done.wait();
}

}  // namespace strongroom::gateway
