// Time, injected. Decision code takes a time as an argument; only the edges hold a Clock.
#pragma once

#include <cstdint>

namespace strongroom::env {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual uint64_t wall_ms() const = 0;       // Unix time. May jump either way.
  virtual uint64_t monotonic_us() const = 0;  // Never goes back.
};

// The machine's. Static lifetime, thread-safe.
Clock& real_clock();

// Set by hand, for tests and the simulator. Not thread-safe.
class ManualClock : public Clock {
 public:
  explicit ManualClock(uint64_t wall_ms = 1'700'000'000'000) : wall_ms_(wall_ms) {}
  uint64_t wall_ms() const override { return wall_ms_; }
  uint64_t monotonic_us() const override { return monotonic_us_; }
  void advance_ms(uint64_t ms) { wall_ms_ += ms, monotonic_us_ += ms * 1000; }
  void set_wall_ms(uint64_t ms) { wall_ms_ = ms; }

 private:
  uint64_t wall_ms_;
  uint64_t monotonic_us_ = 1;
};

}  // namespace strongroom::env
