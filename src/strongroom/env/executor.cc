#include "strongroom/env/executor.h"

#include <pthread.h>
#include <signal.h>

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace strongroom::env {

struct WorkerThread::Impl {
  std::mutex mutex;
  std::condition_variable wake;
  std::vector<std::function<void()>> queue;
  bool stopping = false;
  std::thread thread;

  void run() {
    std::vector<std::function<void()>> batch;
    std::unique_lock lock(mutex);
    for (;;) {
      wake.wait(lock, [this] { return stopping || !queue.empty(); });
      if (queue.empty()) return;
      batch.swap(queue);
      lock.unlock();
      for (auto& work : batch) {
        work();
        work = nullptr;  // What it captured may be a secret or the last reference: gone in order.
      }
      batch.clear();
      lock.lock();
    }
  }
};

WorkerThread::WorkerThread(const char* name) : impl_(std::make_unique<Impl>()) {
  // Signals belong to the event loop's thread; the new thread inherits this mask.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(impl_->thread.native_handle(), std::string(name).substr(0, 15).c_str());
}

WorkerThread::~WorkerThread() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_one();
  impl_->thread.join();
}

void WorkerThread::post(std::function<void()> work) {
  bool was_empty;
  {
    std::lock_guard lock(impl_->mutex);
    was_empty = impl_->queue.empty();
    impl_->queue.push_back(std::move(work));
  }
  if (was_empty) impl_->wake.notify_one();
}

}  // namespace strongroom::env
