#include "strongroom/env/process.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <mutex>

namespace strongroom::env {

Result<void> harden_process() {
  // Soft and hard: nothing later in this process can turn core files on again.
  const rlimit none{0, 0};
  if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "This process could not be kept from leaving core dumps: run it on Linux 3.5 "
                      "or later, outside a container that forbids prctl.");
  }
  return {};
}

bool lock_memory() {
  // A finite limit would let this call succeed and a later allocation fail for it.
  rlimit limit{};
  if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return false;
  if (limit.rlim_cur != RLIM_INFINITY) {
    const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
    if (setrlimit(RLIMIT_MEMLOCK, &unlimited) != 0) return false;
  }
  // On fault: whole thread stacks and arenas need not be resident for their secrets to stay put.
  return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
}

void lower_priority() {
  constexpr int kNice = 15;
  constexpr int kIoprioWhoProcess = 1, kIoprioClassIdle = 3, kIoprioClassShift = 13;
  // Best effort: that it is refused makes nothing wrong.
  static_cast<void>(setpriority(PRIO_PROCESS, 0, kNice));
  static_cast<void>(
      syscall(SYS_ioprio_set, kIoprioWhoProcess, 0, kIoprioClassIdle << kIoprioClassShift));
}

uint64_t resident_bytes() {
  // The sandbox lets no file under /proc be opened, but the descriptor opened first stays good.
  // It names the process that opened it, so a forked child opens its own.
  static std::mutex mutex;
  static int fd = -1;
  static pid_t owner = 0;
  std::lock_guard lock(mutex);
  if (owner != getpid()) {
    if (fd >= 0) close(fd);
    fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    owner = getpid();
  }
  char text[128];
  const ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof text, 0);
  if (n <= 0) return 0;
  // "TOTAL RESIDENT ..." in pages.
  const char* const end = text + n;
  const char* const space = std::find(text, text + n, ' ');
  uint64_t pages = 0;
  if (space == end || std::from_chars(space + 1, end, pages).ec != std::errc()) return 0;
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace strongroom::env
