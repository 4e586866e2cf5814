#pragma once

#include "strongroom/app/cli.h"

namespace strongroom::app {

// `log export`.
void add_log_export(CLI::App& log, Global& global, int& status);

}  // namespace strongroom::app
