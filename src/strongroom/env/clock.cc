#include "strongroom/env/clock.h"

#include <time.h>

namespace strongroom::env {
namespace {

class RealClock : public Clock {
 public:
  uint64_t wall_ms() const override {
    const timespec t = read(CLOCK_REALTIME);
    return static_cast<uint64_t>(t.tv_sec) * 1000 + static_cast<uint64_t>(t.tv_nsec) / 1'000'000;
  }
  uint64_t monotonic_us() const override {
    const timespec t = read(CLOCK_MONOTONIC);
    return static_cast<uint64_t>(t.tv_sec) * 1'000'000 + static_cast<uint64_t>(t.tv_nsec) / 1000;
  }

 private:
  static timespec read(clockid_t id) {
    timespec t{};
    clock_gettime(id, &t);
    return t;
  }
};

}  // namespace

Clock& real_clock() {
  static RealClock clock;
  return clock;
}

}  // namespace strongroom::env
