// An event loop that runs on the test's own thread, when the test says so.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>

#include "strongroom/base/result.h"
#include "strongroom/env/executor.h"

namespace strongroom::test {

class TestLoop : public env::Executor {
 public:
  void post(std::function<void()> work) override {
    {
      const std::lock_guard hold(mutex_);
      queue_.push_back(std::move(work));
    }
    wake_.notify_one();
  }
  // Runs what is posted, and waits for more, until `done`.
  void run_until(const std::function<bool()>& done) {
    while (!done()) {
      std::unique_lock hold(mutex_);
      wake_.wait(hold, [this] { return !queue_.empty(); });
      auto work = std::move(queue_.front());
      queue_.pop_front();
      hold.unlock();
      work();
    }
  }
  // Runs what is posted by now and what that posts.
  void run_posted() {
    for (;;) {
      std::unique_lock hold(mutex_);
      if (queue_.empty()) return;
      auto work = std::move(queue_.front());
      queue_.pop_front();
      hold.unlock();
      work();
    }
  }
  // Forgets what is posted, as a process that ends does.
  void drop() {
    std::deque<std::function<void()>> dropped;
    const std::lock_guard hold(mutex_);
    dropped.swap(queue_);
  }
  // start(done) begins something that calls done(Result<T>) on this loop; returns what it was.
  template <class T, class Start>
  Result<T> wait(const Start& start) {
    std::optional<Result<T>> answer;
    start([&answer](Result<T> result) { answer.emplace(std::move(result)); });
    run_until([&answer] { return answer.has_value(); });
    return *std::move(answer);
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
};

}  // namespace strongroom::test
