// Where work runs, injected: an event loop, a worker thread, or a test's own queue.
#pragma once

#include <functional>

namespace strongroom::env {

class Executor {
 public:
  virtual ~Executor() = default;
  // Thread-safe. Runs `work` later, in order of posting, never inside post().
  virtual void post(std::function<void()> work) = 0;
};

// One thread of its own. The destructor runs what was posted, then joins.
class WorkerThread : public Executor {
 public:
  explicit WorkerThread(const char* name);
  ~WorkerThread() override;
  void post(std::function<void()> work) override;

 private:
  struct Impl;
  Impl* impl_;
};

}  // namespace strongroom::env
