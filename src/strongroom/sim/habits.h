// Clerks of ordinary habits: when they work, how much they look up, how they vary.
//
// Everything is drawn from a seed in integers. A clerk's week, from what counters and help desks
// are like: five days, eight or nine hours with a lunch, some look-ups an hour of their own pace,
// days twice as busy as others now and then, the same case again and again, a name typed wrong,
// overtime once in a while, a Saturday now and then, holidays, and a second purpose on some days.
#pragma once

#include <cstdint>
#include <vector>

#include "strongroom/synth/random.h"

namespace strongroom::sim {

// One look-up: a search, and the records it opens.
struct LookUp {
  uint64_t t_ms = 0;
  uint64_t term = 0;
  uint32_t purpose = 0;  // 0: the usual one.
  std::vector<uint64_t> records;
  uint32_t refused = 0;  // Tries refused before: a field too many, a case reference forgotten.
};

// Not thread-safe.
class Clerk {
 public:
  // `register_size`: records there are.
  Clerk(uint64_t seed, uint64_t number, uint64_t register_size);
  // One day's look-ups, in order of time. Days since 1970.
  std::vector<LookUp> day(uint64_t day);
  uint64_t an_hour() const { return an_hour_; }  // Look-ups, on the mean.

 private:
  uint64_t around(uint64_t mean);
  synth::Rng rng_;
  uint64_t register_size_;
  uint64_t an_hour_;
  uint64_t begins_;  // Hour of the day, UTC.
  uint64_t hours_;
  std::vector<uint64_t> cases_;  // Open ones: records looked at before.
  uint64_t holiday_until_ = 0;
};

}  // namespace strongroom::sim
