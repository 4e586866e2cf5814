#include "strongroom/sim/habits.h"

#include <algorithm>

#include "strongroom/base/durations.h"

namespace strongroom::sim {
namespace {

constexpr size_t kCasesMax = 40;

}  // namespace

Clerk::Clerk(uint64_t seed, uint64_t number, uint64_t register_size)
    : rng_(seed, 77, number), register_size_(register_size) {
  an_hour_ = 2 + rng_.below(12);
  begins_ = rng_.chance(15) ? 12 : 6 + rng_.below(4);
  hours_ = 7 + rng_.below(3);
}

// About Poisson for small means, with a tail: the sum of chances, twice as many on a busy hour.
uint64_t Clerk::around(uint64_t mean) {
  uint64_t out = 0;
  for (uint64_t i = 0; i < mean * 10; ++i) out += rng_.below(10) == 0 ? 1 : 0;
  return out;
}

std::vector<LookUp> Clerk::day(uint64_t day) {
  std::vector<LookUp> out;
  const bool weekend = (day + 3) % 7 >= 5;
  if (day < holiday_until_) return out;
  if (rng_.below(60) == 0) holiday_until_ = day + 1 + rng_.below(14);
  if (weekend && rng_.below(80) != 0) return out;
  if (!weekend && rng_.chance(3)) return out;  // Ill.
  const bool busy = rng_.chance(8);
  const uint64_t overtime = rng_.chance(5) ? 1 + rng_.below(2) : 0;
  const uint64_t lunch = begins_ + 4;
  const bool second_purpose = rng_.chance(20);
  for (uint64_t hour = begins_; hour < begins_ + hours_ + overtime; ++hour) {
    uint64_t count = around(an_hour_);
    if (busy) count *= 2;
    if (hour == lunch) count /= 3;
    for (uint64_t i = 0; i < count; ++i) {
      LookUp& up = out.emplace_back();
      up.t_ms = (day * 24 + hour) * kHourMs + rng_.below(kHourMs);
      up.purpose = second_purpose && rng_.chance(25) ? 1 : 0;
      if (rng_.chance(4)) up.refused = 1 + static_cast<uint32_t>(rng_.below(3));
      if (!cases_.empty() && rng_.chance(35)) {
        // The same person again.
        const uint64_t record = cases_[rng_.below(cases_.size())];
        up.term = record * 2 + 1;
        up.records.push_back(record);
      } else if (rng_.chance(12)) {
        up.term = rng_.next();  // Nobody of that name.
      } else {
        const uint64_t record = rng_.below(register_size_);
        up.term = record * 2 + 1;
        up.records.push_back(record);
        // A common name, or a family registered together.
        const uint64_t more = rng_.chance(10) ? 1 + rng_.below(4) : 0;
        for (uint64_t k = 1; k <= more; ++k) {
          up.records.push_back(rng_.chance(50) ? std::min(record + k, register_size_ - 1)
                                               : rng_.below(register_size_));
        }
        if (cases_.size() < kCasesMax) {
          cases_.push_back(record);
        } else {
          cases_[rng_.below(kCasesMax)] = record;
        }
      }
      std::sort(up.records.begin(), up.records.end());
      up.records.erase(std::unique(up.records.begin(), up.records.end()), up.records.end());
    }
  }
  std::sort(out.begin(), out.end(),
            [](const LookUp& a, const LookUp& b) { return a.t_ms < b.t_ms; });
  return out;
}

}  // namespace strongroom::sim
