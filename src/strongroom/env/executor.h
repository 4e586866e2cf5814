// Where work runs, injected: an event loop, a worker thread, or a test's own queue.
#pragma once

#include <functional>
#include <memory>

namespace strongroom::env {

class Executor {
 public:
  virtual ~Executor() = default;
  // Thread-safe. Runs `work` later, in order of posting, never inside post().
  virtual void post(std::function<void()> work) = 0;
};

// One thread of its own, all signals blocked in it. The destructor runs what was posted, then
// joins; work may post more work until then. Work must not throw.
class WorkerThread : public Executor {
 public:
  explicit WorkerThread(const char* name);  // As ps shows it; the kernel keeps 15 characters.
  ~WorkerThread() override;
  void post(std::function<void()> work) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace strongroom::env
