// One process to a folder.
#pragma once

#include <string>

#include "strongroom/base/result.h"

namespace strongroom::app {

// Held until this process ends, however it does.
//   kFailedPrecondition  Another process holds it: `busy`.
Result<void> lock_folder(const std::string& file, const char* busy);

}  // namespace strongroom::app
