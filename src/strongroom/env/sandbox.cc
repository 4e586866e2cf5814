// enter_sandbox: Landlock for files, seccomp for everything else. Landlock: Documentation/
// userspace-api/landlock.rst of the kernel; the numbers here are its ABI, newer than our headers.
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <initializer_list>

#include "strongroom/env/fd.h"
#include "strongroom/env/process.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

namespace strongroom::env {
namespace {

// --- Landlock ---

// Of Linux 6.12: grown at its end only, so a kernel of ABI n is given the first bytes of it.
struct RulesetAttr {
  uint64_t handled_access_fs;
  uint64_t handled_access_net;  // ABI 4
  uint64_t scoped;              // ABI 6
};

constexpr uint64_t kTruncate = 1 << 14;                // ABI 3
constexpr uint64_t kIoctlDev = 1 << 15;                // ABI 5
constexpr uint64_t kNetBindTcp = 1 << 0;               // ABI 4
constexpr uint64_t kNetConnectTcp = 1 << 1;            // ABI 4
constexpr uint64_t kScopeAbstractUnixSocket = 1 << 0;  // ABI 6
constexpr uint64_t kScopeSignal = 1 << 1;              // ABI 6

constexpr uint64_t kFileRead = LANDLOCK_ACCESS_FS_READ_FILE;
constexpr uint64_t kFileWrite = kFileRead | LANDLOCK_ACCESS_FS_WRITE_FILE | kTruncate;
constexpr uint64_t kFolderRead = kFileRead | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr uint64_t kFolderWrite = kFolderRead | LANDLOCK_ACCESS_FS_WRITE_FILE |
                                  LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |
                                  LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                                  LANDLOCK_ACCESS_FS_REFER | kTruncate;

uint64_t handled_fs(long abi) {
  uint64_t handled = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;  // Bits 0..12: ABI 1.
  if (abi >= 2) handled |= LANDLOCK_ACCESS_FS_REFER;
  if (abi >= 3) handled |= kTruncate;
  if (abi >= 5) handled |= kIoctlDev;
  return handled;
}

Result<void> allow_path(int ruleset, const std::string& path, bool writable, uint64_t handled) {
  const Fd fd(open(path.c_str(), O_PATH | O_CLOEXEC));
  struct stat info;
  if (fd.get() < 0 || fstat(fd.get(), &info) != 0) {
    return make_error(ErrorCode::kInvalidArgument,
                      "A folder the sandbox should leave open does not exist: create it first.");
  }
  const uint64_t wanted = S_ISDIR(info.st_mode) ? (writable ? kFolderWrite : kFolderRead)
                                                : (writable ? kFileWrite : kFileRead);
  const landlock_path_beneath_attr rule{wanted & handled, fd.get()};
  if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "Landlock refused a rule: the file system of the data folder is not fit for "
                      "the sandbox; use a local one.");
  }
  return {};
}

Result<void> enter_landlock(const Sandbox& sandbox) {
  const long abi =
      syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 1) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "This kernel has no Landlock: use Linux 5.13 or later with landlock in its "
                      "lsm= list.");
  }
  RulesetAttr attr{};
  attr.handled_access_fs = handled_fs(abi);
  size_t size = offsetof(RulesetAttr, handled_access_net);
  if (abi >= 4) {
    attr.handled_access_net = kNetBindTcp | (sandbox.connects ? 0 : kNetConnectTcp);
    size = offsetof(RulesetAttr, scoped);
  }
  if (abi >= 6) {
    attr.scoped = kScopeAbstractUnixSocket | kScopeSignal;
    size = sizeof attr;
  }
  const Fd ruleset(static_cast<int>(syscall(SYS_landlock_create_ruleset, &attr, size, 0)));
  if (ruleset.get() < 0) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "Landlock could not be set up: a container or an older kernel forbids it.");
  }
  for (const auto& path : sandbox.writable) {
    SR_TRY(allow_path(ruleset.get(), path, true, attr.handled_access_fs));
  }
  for (const auto& path : sandbox.readable) {
    SR_TRY(allow_path(ruleset.get(), path, false, attr.handled_access_fs));
  }
  if (syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "Landlock could not be entered: this thread already has too many layers.");
  }
  return {};
}

// --- seccomp ---

// Harmless whatever their arguments, given Landlock on whatever is opened.
constexpr int kAllowed[] = {
    // Files. openat2, and everything by handle, stays out.
    SCMP_SYS(openat), SCMP_SYS(open), SCMP_SYS(close), SCMP_SYS(close_range), SCMP_SYS(read),
    SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(write), SCMP_SYS(writev),
    SCMP_SYS(pwrite64), SCMP_SYS(pwritev), SCMP_SYS(lseek), SCMP_SYS(fsync), SCMP_SYS(fdatasync),
    SCMP_SYS(sync_file_range), SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(fadvise64),
    SCMP_SYS(fstat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(newfstatat), SCMP_SYS(statx),
    SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(getdents64),
    SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(unlink), SCMP_SYS(unlinkat),
    SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(rmdir), SCMP_SYS(fchmod), SCMP_SYS(flock),
    SCMP_SYS(umask), SCMP_SYS(getcwd), SCMP_SYS(statfs), SCMP_SYS(fstatfs),
    // The event loop.
    SCMP_SYS(epoll_create), SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2), SCMP_SYS(eventfd2), SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_settime), SCMP_SYS(timerfd_gettime), SCMP_SYS(signalfd4), SCMP_SYS(pipe),
    SCMP_SYS(pipe2), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6),
    SCMP_SYS(dup), SCMP_SYS(dup3),
    // Sockets already there and those accepted on them.
    SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(sendto),
    SCMP_SYS(sendmsg), SCMP_SYS(shutdown), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
    SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
    // Memory. mmap and mprotect below.
    SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(brk), SCMP_SYS(madvise), SCMP_SYS(mlock),
    SCMP_SYS(mlock2), SCMP_SYS(munlock), SCMP_SYS(mlockall), SCMP_SYS(munlockall), SCMP_SYS(msync),
    // Threads and signals. clone and tgkill below.
    SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(get_robust_list),
    SCMP_SYS(set_tid_address), SCMP_SYS(rseq), SCMP_SYS(membarrier), SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_getparam), SCMP_SYS(sched_getscheduler),
    SCMP_SYS(getcpu), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigpending),
    SCMP_SYS(rt_sigtimedwait), SCMP_SYS(rt_sigsuspend), SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall), SCMP_SYS(pause),
    // Time, randomness, who and how much.
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(times), SCMP_SYS(getrandom), SCMP_SYS(getpid),
    SCMP_SYS(getppid), SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
    SCMP_SYS(getegid), SCMP_SYS(getrusage), SCMP_SYS(getrlimit), SCMP_SYS(sysinfo),
    SCMP_SYS(uname)};

// Nothing that serves keys ever calls these: whoever does has taken the process over.
constexpr int kHostile[] = {SCMP_SYS(execve),
                            SCMP_SYS(execveat),
                            SCMP_SYS(ptrace),
                            SCMP_SYS(process_vm_readv),
                            SCMP_SYS(process_vm_writev),
                            SCMP_SYS(process_madvise),
                            SCMP_SYS(pidfd_getfd),
                            SCMP_SYS(kcmp),
                            SCMP_SYS(init_module),
                            SCMP_SYS(finit_module),
                            SCMP_SYS(delete_module),
                            SCMP_SYS(kexec_load),
                            SCMP_SYS(kexec_file_load),
                            SCMP_SYS(bpf),
                            SCMP_SYS(perf_event_open),
                            SCMP_SYS(userfaultfd),
                            SCMP_SYS(io_uring_setup),
                            SCMP_SYS(open_by_handle_at),
                            SCMP_SYS(mount),
                            SCMP_SYS(umount2),
                            SCMP_SYS(move_mount),
                            SCMP_SYS(open_tree),
                            SCMP_SYS(fsopen),
                            SCMP_SYS(pivot_root),
                            SCMP_SYS(chroot),
                            SCMP_SYS(setns),
                            SCMP_SYS(unshare),
                            SCMP_SYS(keyctl),
                            SCMP_SYS(add_key),
                            SCMP_SYS(request_key),
                            SCMP_SYS(iopl),
                            SCMP_SYS(ioperm),
                            SCMP_SYS(reboot),
                            SCMP_SYS(swapon),
                            SCMP_SYS(personality)};

// One allowed value of one argument.
struct AllowedArgument {
  int call;
  unsigned index;
  scmp_datum_t value;
};
constexpr AllowedArgument kAllowedArguments[] = {
    {SCMP_SYS(ioctl), 1, FIONBIO},
    {SCMP_SYS(ioctl), 1, FIONREAD},
    {SCMP_SYS(ioctl), 1, TCGETS},  // isatty, by the C library's own buffering
    {SCMP_SYS(fcntl), 1, F_GETFL},
    {SCMP_SYS(fcntl), 1, F_SETFL},
    {SCMP_SYS(fcntl), 1, F_GETFD},
    {SCMP_SYS(fcntl), 1, F_SETFD},
    {SCMP_SYS(fcntl), 1, F_DUPFD_CLOEXEC},
    {SCMP_SYS(fcntl), 1, F_SETLK},
    {SCMP_SYS(fcntl), 1, F_GETLK},
    {SCMP_SYS(setpriority), 1, 0},  // Of the calling thread; to raise it takes a capability.
    {SCMP_SYS(prctl), 0, PR_SET_NAME},
    {SCMP_SYS(prctl), 0, PR_GET_NAME},
    {SCMP_SYS(prctl), 0, PR_GET_DUMPABLE},
    {SCMP_SYS(prctl), 0, PR_GET_NO_NEW_PRIVS},
    {SCMP_SYS(prctl), 0, PR_SET_VMA},  // names for anonymous memory, by the C library
};

class Filter {
 public:
  Filter() : context_(seccomp_init(SCMP_ACT_ERRNO(EPERM))), ok_(context_ != nullptr) {}
  ~Filter() {
    if (context_ != nullptr) seccomp_release(context_);
  }
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;

  void attribute(scmp_filter_attr name, uint32_t value) {
    ok_ = ok_ && seccomp_attr_set(context_, name, value) == 0;
  }
  void rule(uint32_t action, int call, std::initializer_list<scmp_arg_cmp> arguments = {}) {
    ok_ = ok_ &&
          seccomp_rule_add_array(context_, action, call, static_cast<unsigned>(arguments.size()),
                                 arguments.begin()) == 0;
  }
  bool load() { return ok_ && seccomp_load(context_) == 0; }

 private:
  scmp_filter_ctx context_;
  bool ok_;
};

// Of a process that connects: by which it does, and looks up names.
constexpr int kConnecting[] = {SCMP_SYS(connect), SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg)};
constexpr int kConnectingFamilies[] = {AF_UNIX, AF_INET, AF_INET6};

Result<void> enter_seccomp(bool connects) {
  Filter filter;
  filter.attribute(SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  filter.attribute(SCMP_FLTATR_CTL_TSYNC, 1);
  filter.attribute(SCMP_FLTATR_CTL_OPTIMIZE, 2);  // A tree: the log's path is made of calls.
  for (int call : kAllowed) filter.rule(SCMP_ACT_ALLOW, call);
  for (int call : kHostile) filter.rule(SCMP_ACT_KILL_PROCESS, call);
  for (const auto& a : kAllowedArguments) {
    filter.rule(SCMP_ACT_ALLOW, a.call, {{a.index, SCMP_CMP_EQ, a.value, 0}});
  }
  if (connects) {
    for (int call : kConnecting) filter.rule(SCMP_ACT_ALLOW, call);
    for (int family : kConnectingFamilies) {
      filter.rule(SCMP_ACT_ALLOW, SCMP_SYS(socket),
                  {{0, SCMP_CMP_EQ, static_cast<scmp_datum_t>(family), 0}});
    }
  }
  constexpr scmp_datum_t kExec = PROT_EXEC;
  filter.rule(SCMP_ACT_ALLOW, SCMP_SYS(mmap), {{2, SCMP_CMP_MASKED_EQ, kExec, 0}});
  filter.rule(SCMP_ACT_ALLOW, SCMP_SYS(mprotect), {{2, SCMP_CMP_MASKED_EQ, kExec, 0}});
  // Threads, not processes. clone3 hides its flags in memory where a filter cannot see them:
  // the C library takes ENOSYS for an old kernel and falls back to clone.
  filter.rule(SCMP_ACT_ALLOW, SCMP_SYS(clone),
              {{0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD}});
  filter.rule(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3));
  // abort() and pthread_kill(), of ourselves alone.
  const auto self = static_cast<scmp_datum_t>(getpid());
  filter.rule(SCMP_ACT_ALLOW, SCMP_SYS(tgkill), {{0, SCMP_CMP_EQ, self, 0}});
  // Reading limits, not setting them.
  filter.rule(SCMP_ACT_ALLOW, SCMP_SYS(prlimit64),
              {{0, SCMP_CMP_EQ, 0, 0}, {2, SCMP_CMP_EQ, 0, 0}});
  if (!filter.load()) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "This kernel has no seccomp filters, or a container forbids them: use Linux "
                      "4.14 or later with CONFIG_SECCOMP_FILTER.");
  }
  return {};
}

// Landlock binds one thread: any other would stay outside.
bool single_threaded() {
#ifdef __SANITIZE_THREAD__
  return true;  // The sanitizer's own thread is not ours to stop.
#else
  std::error_code error;
  size_t threads = 0;
  for (std::filesystem::directory_iterator it("/proc/self/task", error), end; !error && it != end;
       it.increment(error)) {
    ++threads;
  }
  return !error && threads == 1;
#endif
}

}  // namespace

Result<void> enter_sandbox(const Sandbox& sandbox) {
  if (!single_threaded()) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "The sandbox must be entered before any thread is started, with /proc "
                      "mounted: a thread already running would stay outside.");
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "New privileges could not be given up: use Linux 3.5 or later.");
  }
  resident_bytes();  // Opens what it reads while that can be opened.
  SR_TRY(enter_landlock(sandbox));
  return enter_seccomp(sandbox.connects);
}

std::vector<std::string> paths_for_connecting() {
  std::vector<std::string> out;
  for (const char* path : {"/etc", "/run/systemd/resolve", "/usr/lib/ssl", "/usr/share"}) {
    std::error_code error;
    if (std::filesystem::exists(path, error)) out.emplace_back(path);
  }
  return out;
}

}  // namespace strongroom::env
