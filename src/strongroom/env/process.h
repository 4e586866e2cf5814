// What a process does to itself: no core dumps, locked memory, the sandbox.
#pragma once

#include <string>
#include <vector>

#include "strongroom/base/result.h"

namespace strongroom::env {

// Not dumpable, no core files, not traceable by others of the same user. For every process that may hold keys.
Result<void> harden_process();
// mlockall for now and later, where RLIMIT_MEMLOCK allows it. False: it did not; say so to the operator.
bool lock_memory();
uint64_t resident_bytes();

struct Sandbox {
  std::vector<std::string> writable;  // Folders; everything else is unreachable.
  std::vector<std::string> readable;
};
// Landlock, then seccomp: from here on no new program, no new socket but accept4 on those open, no tracing, no files but
// these. Cannot be undone. kFailedPrecondition: the kernel lacks one of the two, the text says which.
Result<void> enter_sandbox(const Sandbox& sandbox);

}  // namespace strongroom::env
