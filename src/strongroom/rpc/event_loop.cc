#include "strongroom/rpc/event_loop.h"

#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <utility>

#include "strongroom/rpc/event_loop_impl.h"

namespace strongroom::rpc {
namespace {

using ErrorCodeArg = const boost::system::error_code&;

void wait_for_next(const std::shared_ptr<LoopTimer>& timer, std::chrono::milliseconds period,
                   const std::shared_ptr<std::function<void()>>& work) {
  timer->async_wait([=](ErrorCodeArg error) {
    if (error) return;
    (*work)();
    const auto now = std::chrono::steady_clock::now();
    auto next = timer->expiry() + period;
    if (next <= now) next = now + period;
    timer->expires_at(next);
    wait_for_next(timer, period, work);
  });
}

void wait_for_signal(const std::shared_ptr<net::signal_set>& set,
                     const std::shared_ptr<std::function<void()>>& work) {
  set->async_wait([=](ErrorCodeArg error, int) {
    if (error) return;
    (*work)();
    wait_for_signal(set, work);
  });
}

}  // namespace

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {}

EventLoop::~EventLoop() = default;

void EventLoop::run() {
  impl_->thread = std::this_thread::get_id();
  impl_->io.run();
  impl_->thread = std::thread::id{};
}

void EventLoop::run_ready() {
  constexpr int kMost = 32;  // A door that many knock at must not keep others waiting.
  for (int i = 0; i < kMost && impl_->io.poll_one() != 0; ++i) {
  }
}

void EventLoop::stop() {
  impl_->io.stop();
}

void EventLoop::post(std::function<void()> work) {
  net::post(impl_->io, std::move(work));
}

void EventLoop::after(std::chrono::milliseconds delay, std::function<void()> work) {
  auto timer = std::make_shared<LoopTimer>(impl_->io, delay);
  timer->async_wait([timer, work = std::move(work)](ErrorCodeArg error) {
    if (!error) work();
  });
}

void EventLoop::every(std::chrono::milliseconds period, std::function<void()> work) {
  wait_for_next(std::make_shared<LoopTimer>(impl_->io, period), period,
                std::make_shared<std::function<void()>>(std::move(work)));
}

void EventLoop::on_signals(std::initializer_list<int> signals, std::function<void()> work) {
  auto set = std::make_shared<net::signal_set>(impl_->io);
  for (int number : signals) set->add(number);
  wait_for_signal(set, std::make_shared<std::function<void()>>(std::move(work)));
}

bool EventLoop::in_loop_thread() const {
  return impl_->thread == std::this_thread::get_id();
}

}  // namespace strongroom::rpc
