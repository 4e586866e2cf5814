// `strongroom drill theft`: thieves against the key server, simulated.
#pragma once

#include "strongroom/app/cli.h"

namespace strongroom::app {

void add_drill_theft(CLI::App& drill, Global& global, int& status);

}  // namespace strongroom::app
