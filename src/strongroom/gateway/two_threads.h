// Work on many rows, split between the calling thread and one helper: an import has two cores.
#pragma once

#include <functional>

#include "strongroom/env/executor.h"

namespace strongroom::gateway {

// Not thread-safe.
class TwoThreads {
 public:
  TwoThreads() : helper_("import-helper") {}
  // Calls work(from, to, 0) here and work(from, to, 1) on the helper, for the two halves of
  // [0, count). Returns when both have. `work` must not touch what the other half touches.
  void run(size_t count, const std::function<void(size_t from, size_t to, size_t half)>& work);
  // Calls work(0) here and work(1) on the helper, and returns when both have.
  void both(const std::function<void(size_t half)>& work);

 private:
  env::WorkerThread helper_;
};

}  // namespace strongroom::gateway
