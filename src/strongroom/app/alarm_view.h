// Alarms as people and programs read them.
#pragma once

#include <string>

#include "strongroom/v1/watch.pb.h"

namespace strongroom::app {

// One line: "2026-11-22 15:03:11Z  RATE      clerk opened ...; nobody was cut off (entry 4711)".
std::string describe_alarm(const v1::Alarm& alarm);

}  // namespace strongroom::app
