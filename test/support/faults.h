// Calls that fail on purpose: one counter over everything a gateway calls.
#pragma once

#include <mutex>

#include "strongroom/base/result.h"

namespace strongroom::test {

// Thread-safe.
class Faults {
 public:
  enum class Step { kRun, kRunThenFail, kFail };

  // The nth call from now on fails (1 is the next one), and so does every later one. `applied`: it
  // takes effect first, as when only the answer is lost.
  void fail_from(uint64_t nth, bool applied) {
    const std::lock_guard hold(mutex_);
    calls_ = 0;
    nth_ = nth;
    applied_ = applied;
  }
  void clear() { fail_from(0, false); }
  // Whether any call has failed since then.
  bool struck() const {
    const std::lock_guard hold(mutex_);
    return nth_ != 0 && calls_ >= nth_;
  }
  Step next() {
    const std::lock_guard hold(mutex_);
    ++calls_;
    if (nth_ == 0 || calls_ < nth_) return Step::kRun;
    return calls_ == nth_ && applied_ ? Step::kRunThenFail : Step::kFail;
  }
  static Error error() {
    return make_error(ErrorCode::kUnavailable, "This call fails because a test says so.");
  }

 private:
  mutable std::mutex mutex_;
  uint64_t calls_ = 0;
  uint64_t nth_ = 0;  // 0: none.
  bool applied_ = false;
};

}  // namespace strongroom::test
