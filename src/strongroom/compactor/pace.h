// Holds work to a rate, by sleeping.
#pragma once

#include <cstdint>
#include <functional>

#include "strongroom/env/clock.h"

namespace strongroom::compactor {

inline constexpr uint64_t kPaceStep = 1024;  // Postings that are paid for at once.

// Not thread-safe. Borrows the clock.
class Pace {
 public:
  using Sleep = std::function<void(uint64_t us)>;
  // per_second 0: no limit.
  Pace(uint64_t per_second, const env::Clock& clock, Sleep sleep);
  // Returns once `units` more are due. What was not used for more than a tenth of a second is
  // forfeited, so that no burst follows a pause.
  void spend(uint64_t units);

 private:
  uint64_t per_second_;
  const env::Clock& clock_;
  Sleep sleep_;
  uint64_t due_us_ = 0;  // When what was spent so far is paid for.
  uint64_t owed_ = 0;    // Units not yet turned into time.
};

}  // namespace strongroom::compactor
