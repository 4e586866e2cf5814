// Work on many rows, split between the calling thread and one helper: an import has two cores.
#pragma once

#include <functional>

#include "strongroom/env/executor.h"

namespace strongroom::gateway {

// Not thread-safe.
class TwoThreads {
 public:
  TwoThreads() : helper_("import-helper") {}
  // Calls work(from, to, 0) here and work(from, to, 1) on the helper, for ascending pieces of
  // [0, count) as each thread comes to them: one of them may be kept waiting by other processes.
  // Returns when all are done. `work` must not touch what another piece or the other half touches.
  // `beside`: called once, here, before the first piece that is done here. May use this object.
  void run(
      size_t count, const std::function<void(size_t from, size_t to, size_t half)>& work,
      const std::function<void()>& beside = [] {});
  // Calls work(0) here and work(1) on the helper, and returns when both have.
  void both(const std::function<void(size_t half)>& work);

 private:
  env::WorkerThread helper_;
};

}  // namespace strongroom::gateway
