// What a process does to itself: no core dumps, locked memory, the sandbox.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "strongroom/base/result.h"

namespace strongroom::env {

// Not dumpable, no core files, not traceable by others of the same user, no new privileges. For
// every process that may hold keys.
Result<void> harden_process();
// mlockall for now and later, page by page as they are touched. False: RLIMIT_MEMLOCK is finite
// and cannot be raised, so that a later allocation could fail for it; say so to the operator.
bool lock_memory();
// Of the calling thread and those it starts: behind whatever answers somebody, for work that can
// wait.
void lower_priority();
// Of this process, now; inside the sandbox too.
uint64_t resident_bytes();

struct Sandbox {
  std::vector<std::string> writable;  // Folders or files; everything else is unreachable.
  std::vector<std::string> readable;  // Folders or files.
  bool connects = false;              // To others; to listen stays forbidden.
};
// What looking up a host's name and checking its certificate reads, as far as it is there.
std::vector<std::string> paths_for_connecting();
// Landlock, then seccomp: from here on no new program or process, no new socket but those accepted
// on what is already listening (and those that connect, where it says so), no executable memory, no
// tracing, no files but these. Cannot be undone. Call it before any thread is started: Landlock
// binds the calling thread and those it starts. Have libraries load what they load on demand
// (providers, locales, name services) before.
//
// Most of what is forbidden fails with EPERM; what only an intruder would try (execve, ptrace,
// reading another process, loading modules, mounting ...) ends the process with SIGSYS.
//
//   kFailedPrecondition  The kernel lacks one of the two, or threads are running: the text says.
//   kInvalidArgument     A folder or file named does not exist; nothing was restricted.
Result<void> enter_sandbox(const Sandbox& sandbox);

}  // namespace strongroom::env
