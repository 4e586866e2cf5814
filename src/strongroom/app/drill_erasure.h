#pragma once

#include "strongroom/app/cli.h"

namespace strongroom::app {

// Adds `erasure` to `drill`.
void add_drill_erasure(CLI::App& drill, Global& global, int& status);

}  // namespace strongroom::app
