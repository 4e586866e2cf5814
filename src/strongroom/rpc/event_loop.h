// The one thread a process does its network work on.
//
// run() is called once, by the thread that becomes the loop's. What listens or calls on a loop
// (servers, links) borrows it and must be destroyed before it, on its thread or when run() has
// returned. post(), stop(), after() and every() may be called by any thread.
#pragma once

#include <chrono>
#include <functional>
#include <initializer_list>
#include <memory>

#include "strongroom/env/executor.h"

namespace strongroom::rpc {

class EventLoop : public env::Executor {
 public:
  EventLoop();
  ~EventLoop() override;
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  void run();  // Until stop(). What is posted afterwards is dropped with the loop.
  // From within a piece of work: does what else is ready by now, but not much of it.
  void run_ready();
  void stop();  // Final. run() returns after the piece of work it is in.
  void post(std::function<void()> work) override;
  void after(std::chrono::milliseconds delay, std::function<void()> work);
  // First one period from now, then until the loop ends; periods missed while it was busy are
  // skipped.
  void every(std::chrono::milliseconds period, std::function<void()> work);
  // `work` runs on the loop, once for each signal that arrives.
  void on_signals(std::initializer_list<int> signals, std::function<void()> work);
  bool in_loop_thread() const;

  struct Impl;
  Impl& impl() { return *impl_; }  // For this folder: event_loop_impl.h.

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace strongroom::rpc
