#include "strongroom/gateway/two_threads.h"

#include <algorithm>
#include <atomic>
#include <latch>

namespace strongroom::gateway {
namespace {

constexpr size_t kWorthwhile = 64;  // Fewer rows are done sooner than another thread is woken.
constexpr size_t kPiece = 32;

}  // namespace

void TwoThreads::run(size_t count,
                     const std::function<void(size_t from, size_t to, size_t half)>& work,
                     const std::function<void()>& beside) {
  if (count < kWorthwhile) {
    beside();
    return work(0, count, 0);
  }
  std::atomic<size_t> next = 0;
  both([&](size_t half) {
    if (half == 0) beside();
    for (size_t from; (from = next.fetch_add(kPiece)) < count;) {
      work(from, std::min(from + kPiece, count), half);
    }
  });
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
