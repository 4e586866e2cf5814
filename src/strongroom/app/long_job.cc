#include "strongroom/app/long_job.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <thread>

namespace strongroom::app {
namespace {

std::atomic<bool> interrupted{false};  // Lock-free, so a signal may set it.
static_assert(std::atomic<bool>::is_always_lock_free);

}  // namespace

void stop_between_steps() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = true; };
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool stop_wanted() {
  return interrupted;
}

void wait_shown(int64_t ms, const std::function<void(int64_t seconds)>& show) {
  for (; ms > 0 && !stop_wanted(); ms -= 1000) {
    show(ms / 1000 + 1);
    std::this_thread::sleep_for(std::chrono::milliseconds(std::min<int64_t>(ms, 1000)));
  }
}

}  // namespace strongroom::app
