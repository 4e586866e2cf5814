// Checks a store's files against their own checksums, without a key.
#pragma once

#include <functional>
#include <string>

#include "strongroom/base/result.h"

namespace strongroom::store {

// Reads every block of every file of a store that nobody writes: one that freeze() made, or of a
// vault that is stopped. `damaged` is told names, `done` bytes.
//   kUnavailable  The disk failed.
Result<void> verify_rocks_files(const std::string& folder,
                                const std::function<void(const std::string&)>& damaged,
                                const std::function<void(uint64_t)>& done);

}  // namespace strongroom::store
