// What commands that take long share: they stop between two steps, and wait for a budget to reopen.
#pragma once

#include <cstdint>
#include <functional>

namespace strongroom::app {

// From here on SIGINT and SIGTERM are noted, and end nothing by themselves.
void stop_between_steps();
bool stop_wanted();
// A second at a time, until it is over or stop_wanted(); `show` gets the seconds left.
void wait_shown(int64_t ms, const std::function<void(int64_t seconds)>& show);

}  // namespace strongroom::app
