// Each test forks: what a process does to itself cannot be undone.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/landlock.h>
#include <netdb.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>

#include "strongroom/env/executor.h"
#include "strongroom/env/files.h"
#include "strongroom/env/process.h"

namespace strongroom::env {
namespace {

bool kernel_has_sandbox() {
  const bool landlock =
      syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 1;
  return landlock && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
}

class SandboxTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!kernel_has_sandbox()) GTEST_SKIP() << "this kernel has no Landlock or no seccomp";
    root_ = testing::TempDir() + "sr-sandbox-XXXXXX";
    ASSERT_NE(mkdtemp(root_.data()), nullptr);
    data_ = root_ + "/data";
    config_ = root_ + "/config";
    outside_ = root_ + "/outside";
    for (const auto& dir : {data_, config_, outside_}) {
      ASSERT_TRUE(real_files().make_dirs(dir));
      ASSERT_TRUE(real_files().write_atomic(dir + "/f", as_bytes("abc")));
    }
  }
  void TearDown() override {
    if (!root_.empty()) std::filesystem::remove_all(root_);
  }

  // What waitpid says of a child that ran `body`; body returns the first line that did not hold.
  static int in_child(const std::function<int()>& body) {
    const pid_t child = fork();
    if (child == 0) {
      const int line = body();
      if (line != 0) dprintf(STDERR_FILENO, "did not hold in the child: line %d\n", line);
      _exit(line == 0 ? 0 : 1);
    }
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return status;
  }
  Result<void> enter() const { return enter_sandbox({{data_}, {config_}}); }
  // What the kernel did to a child that enters and then does this.
  int signal_of(const std::function<void()>& hostile) const {
    const int status = in_child([&] {
      if (!enter()) return __LINE__;
      hostile();
      return 0;
    });
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  }

  std::string root_, data_, config_, outside_;
};

#define HOLDS(condition)               \
  do {                                 \
    if (!(condition)) return __LINE__; \
  } while (0)
// The call fails with this errno.
#define FAILS(error, call)                                 \
  do {                                                     \
    errno = 0;                                             \
    if ((call) != -1 || errno != (error)) return __LINE__; \
  } while (0)

TEST_F(SandboxTest, FilesAreReachedInTheNamedFoldersOnly) {
  EXPECT_EQ(in_child([&] {
              HOLDS(enter());
              Files& files = real_files();
              HOLDS(*files.read(data_ + "/f", 10) == "abc");
              HOLDS(*files.read(config_ + "/f", 10) == "abc");
              auto log = files.open_append(data_ + "/log", 0, 65536);
              HOLDS(log && (*log)->append(as_bytes("x")) && (*log)->sync());
              HOLDS(files.write_atomic(data_ + "/g", as_bytes("y")));
              HOLDS(files.make_dirs(data_ + "/d/e"));
              HOLDS(files.write_atomic(data_ + "/d/e/h", as_bytes("z")));
              HOLDS(rename((data_ + "/g").c_str(), (data_ + "/d/g").c_str()) == 0);
              HOLDS(files.list(data_)->size() == 3);
              HOLDS(files.remove(data_ + "/d/g") && files.sync_dir(data_));

              HOLDS(!files.write_atomic(config_ + "/f", as_bytes("no")));
              HOLDS(!files.open_append(config_ + "/f", 0, 0));
              HOLDS(!files.remove(config_ + "/f"));
              HOLDS(!files.read(outside_ + "/f", 10));
              HOLDS(!files.write_atomic(outside_ + "/g", as_bytes("no")));
              HOLDS(!files.remove(outside_ + "/f"));
              HOLDS(!files.list(outside_));
              HOLDS(!files.read("/etc/passwd", 1 << 20));
              HOLDS(!files.read("/proc/self/environ", 1 << 20));
              FAILS(EPERM, truncate((outside_ + "/f").c_str(), 0));
              FAILS(EPERM, symlink("/etc/passwd", (data_ + "/link").c_str()));
              FAILS(EPERM, link((data_ + "/f").c_str(), (data_ + "/hard").c_str()));
              FAILS(EPERM, chmod((data_ + "/f").c_str(), 0777));
              errno = 0;
              HOLDS(rename((data_ + "/f").c_str(), (outside_ + "/m").c_str()) == -1);
              HOLDS(errno == EACCES || errno == EXDEV);
              return 0;
            }),
            0);
  EXPECT_EQ(*real_files().read(outside_ + "/f", 10), "abc");
}

TEST_F(SandboxTest, ServesSocketsThatWereListeningAndOpensNone) {
  EXPECT_EQ(in_child([&] {
              // Two listeners with a client each already in their queue, and a socket not yet
              // connected.
              sockaddr_in tcp{};
              tcp.sin_family = AF_INET;
              tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
              socklen_t size = sizeof tcp;
              auto* tcp_address = reinterpret_cast<sockaddr*>(&tcp);
              const int listener = socket(AF_INET, SOCK_STREAM, 0);
              HOLDS(bind(listener, tcp_address, size) == 0 && listen(listener, 4) == 0);
              HOLDS(getsockname(listener, tcp_address, &size) == 0);
              const int client = socket(AF_INET, SOCK_STREAM, 0);
              HOLDS(connect(client, tcp_address, size) == 0);
              const int unconnected = socket(AF_INET, SOCK_STREAM, 0);
              sockaddr_un local{};
              local.sun_family = AF_UNIX;
              strncpy(local.sun_path, (data_ + "/s").c_str(), sizeof local.sun_path - 1);
              auto* local_address = reinterpret_cast<sockaddr*>(&local);
              const int local_listener = socket(AF_UNIX, SOCK_STREAM, 0);
              HOLDS(bind(local_listener, local_address, sizeof local) == 0);
              HOLDS(listen(local_listener, 4) == 0);
              const int local_client = socket(AF_UNIX, SOCK_STREAM, 0);
              HOLDS(connect(local_client, local_address, sizeof local) == 0);
              HOLDS(enter());

              for (const auto& [from, to] :
                   {std::pair{listener, client}, {local_listener, local_client}}) {
                const int peer = accept4(from, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
                HOLDS(peer >= 0);
                HOLDS(send(to, "ping", 4, MSG_NOSIGNAL) == 4);
                char text[8] = {};
                HOLDS(read(peer, text, sizeof text) == 4);
                iovec part{text, 4};
                msghdr message{};
                message.msg_iov = &part;
                message.msg_iovlen = 1;
                HOLDS(sendmsg(peer, &message, MSG_NOSIGNAL) == 4);
                HOLDS(recvmsg(to, &message, 0) == 4);
                int yes = 1;
                HOLDS(setsockopt(peer, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes) == 0);
                HOLDS(fcntl(peer, F_SETFL, O_NONBLOCK) == 0);
                HOLDS(shutdown(peer, SHUT_RDWR) == 0 && close(peer) == 0);
              }
              FAILS(EPERM, socket(AF_INET, SOCK_STREAM, 0));
              FAILS(EPERM, socket(AF_UNIX, SOCK_STREAM, 0));
              FAILS(EPERM, socket(AF_NETLINK, SOCK_RAW, 0));
              FAILS(EPERM, connect(unconnected, tcp_address, size));
              FAILS(EPERM, bind(unconnected, tcp_address, size));
              FAILS(EPERM, listen(unconnected, 1));
              return 0;
            }),
            0);
}

TEST_F(SandboxTest, WhatConnectsReachesOthersAndNoFilesBesides) {
  EXPECT_EQ(in_child([&] {
              sockaddr_in tcp{};
              tcp.sin_family = AF_INET;
              tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
              socklen_t size = sizeof tcp;
              auto* address = reinterpret_cast<sockaddr*>(&tcp);
              const int listener = socket(AF_INET, SOCK_STREAM, 0);
              HOLDS(bind(listener, address, size) == 0 && listen(listener, 4) == 0);
              HOLDS(getsockname(listener, address, &size) == 0);
              HOLDS(enter_sandbox({{data_, outside_ + "/f"}, paths_for_connecting(), true}));

              const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
              HOLDS(client >= 0);
              HOLDS(connect(client, address, size) == 0 || errno == EINPROGRESS);
              HOLDS(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC) >= 0);
              addrinfo* found = nullptr;
              HOLDS(getaddrinfo("localhost", "443", nullptr, &found) == 0 && found != nullptr);
              freeaddrinfo(found);
              HOLDS(socket(AF_UNIX, SOCK_DGRAM, 0) >= 0);
              // Nobody is served, nothing of the kernel's is asked, no packet is made by hand.
              const int other = socket(AF_INET6, SOCK_STREAM, 0);
              FAILS(EPERM, bind(other, address, size));
              FAILS(EPERM, listen(other, 1));
              FAILS(EPERM, socket(AF_NETLINK, SOCK_RAW, 0));
              FAILS(EPERM, socket(AF_PACKET, SOCK_RAW, 0));
              auto file = real_files().open_append(outside_ + "/f", 3, 0);
              HOLDS(file && (*file)->append(as_bytes("d")) && (*file)->sync());
              HOLDS(!real_files().open_append(outside_ + "/g", 0, 0));
              HOLDS(!real_files().list(outside_) && !real_files().list(config_));
              HOLDS(real_files().write_atomic(data_ + "/g", as_bytes("y")));
              FAILS(EPERM, syscall(SYS_fork));
              return 0;
            }),
            0);
}

TEST_F(SandboxTest, RunsAnEventLoopThreadsAndLockedMemory) {
  EXPECT_EQ(in_child([&] {
              HOLDS(harden_process());
              lock_memory();
              HOLDS(enter());
              const int loop = epoll_create1(EPOLL_CLOEXEC);
              const int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
              const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
              HOLDS(loop >= 0 && wake >= 0 && timer >= 0);
              const itimerspec soon{{0, 0}, {0, 1}};
              HOLDS(timerfd_settime(timer, 0, &soon, nullptr) == 0);
              epoll_event event{EPOLLIN, {}};
              HOLDS(epoll_ctl(loop, EPOLL_CTL_ADD, timer, &event) == 0);
              HOLDS(epoll_wait(loop, &event, 1, 5000) == 1);

              // The thread is inside too, and allocates from an arena of its own.
              int line = -1;
              {
                WorkerThread worker("inside");
                worker.post([&] {
                  std::string large(size_t{8} << 20, 'x');
                  const int denied = open("/etc/passwd", O_RDONLY);
                  const bool closed = denied == -1 && errno == EACCES;
                  line = closed && socket(AF_INET, SOCK_STREAM, 0) == -1 ? 0 : __LINE__;
                });
              }
              HOLDS(line == 0);
              HOLDS(resident_bytes() > 100'000);
              char random[16];
              HOLDS(syscall(SYS_getrandom, random, sizeof random, 0) == sizeof random);
              rlimit limit{};
              HOLDS(getrlimit(RLIMIT_NOFILE, &limit) == 0);
              HOLDS(prctl(PR_SET_NAME, "renamed") == 0);
              HOLDS(raise(0) == 0);
              return 0;
            }),
            0);
}

TEST_F(SandboxTest, StartsNoProcessRaisesNoRightTouchesNoOther) {
  EXPECT_EQ(in_child([&] {
              HOLDS(enter());
              FAILS(EPERM, syscall(SYS_fork));
              FAILS(EPERM, syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
              FAILS(ENOSYS, syscall(SYS_clone3, nullptr, 0));
              FAILS(EPERM, kill(getppid(), 0));
              FAILS(EPERM, syscall(SYS_tgkill, getppid(), getppid(), 0));
              FAILS(EPERM, prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
              FAILS(EPERM, prctl(PR_CAPBSET_READ, 0, 0, 0, 0));
              const rlimit limit{1, 1};
              FAILS(EPERM, setrlimit(RLIMIT_NOFILE, &limit));
              FAILS(EPERM, setuid(0));
              FAILS(EPERM, ioctl(STDIN_FILENO, 0x5412 /* TIOCSTI: types into a terminal */, "x"));
              FAILS(EPERM, syscall(SYS_memfd_create, "m", 0));
              return 0;
            }),
            0);
}

TEST_F(SandboxTest, NoMemoryBecomesExecutable) {
  EXPECT_EQ(in_child([&] {
              HOLDS(enter());
              void* page =
                  mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
              HOLDS(page != MAP_FAILED);
              FAILS(EPERM, mprotect(page, 4096, PROT_READ | PROT_EXEC));
              FAILS(EPERM, syscall(SYS_pkey_mprotect, page, 4096, PROT_READ | PROT_EXEC, -1));
              FAILS(EPERM, reinterpret_cast<intptr_t>(mmap(nullptr, 4096, PROT_READ | PROT_EXEC,
                                                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
              return 0;
            }),
            0);
}

TEST_F(SandboxTest, WhatOnlyAnIntruderCallsEndsTheProcess) {
  char* const argv[] = {const_cast<char*>("/bin/true"), nullptr};
  EXPECT_EQ(signal_of([&] { execve(argv[0], argv, nullptr); }), SIGSYS);
  EXPECT_EQ(signal_of([] { ptrace(PTRACE_TRACEME, 0, nullptr, nullptr); }), SIGSYS);
  EXPECT_EQ(signal_of([] { process_vm_readv(getppid(), nullptr, 0, nullptr, 0, 0); }), SIGSYS);
  EXPECT_EQ(signal_of([] { syscall(SYS_bpf, 0, nullptr, 0); }), SIGSYS);
  EXPECT_EQ(signal_of([] { syscall(SYS_io_uring_setup, 1, nullptr); }), SIGSYS);
  EXPECT_EQ(signal_of([] { syscall(SYS_mount, "", "/", "", 0, nullptr); }), SIGSYS);
  EXPECT_EQ(signal_of([] { abort(); }), SIGABRT) << "a check that fails still says so";
}

TEST_F(SandboxTest, AMissingFolderOrARunningThreadRestrictsNothing) {
  EXPECT_EQ(in_child([&] {
              const auto missing = enter_sandbox({{data_, root_ + "/none"}, {}});
              HOLDS(!missing && missing.error().code == ErrorCode::kInvalidArgument);
              HOLDS(real_files().read(outside_ + "/f", 10));
              HOLDS(enter_sandbox({{data_}, {config_ + "/f"}}));
              HOLDS(real_files().read(config_ + "/f", 10));
              HOLDS(!real_files().list(config_));
              return 0;
            }),
            0);
#ifndef __SANITIZE_THREAD__
  EXPECT_EQ(in_child([&] {
              WorkerThread worker("outside");
              const auto threads = enter();
              HOLDS(!threads && threads.error().code == ErrorCode::kFailedPrecondition);
              HOLDS(real_files().read(outside_ + "/f", 10));
              return 0;
            }),
            0);
#endif
}

TEST_F(SandboxTest, AHardenedProcessIsNotDumpableAndStaysSo) {
  EXPECT_EQ(in_child([] {
              HOLDS(harden_process());
              HOLDS(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
              HOLDS(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
              rlimit core{};
              HOLDS(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0 && core.rlim_max == 0);
              return 0;
            }),
            0);
}

TEST_F(SandboxTest, LockedMemoryIsLockedOrSaidNotToBe) {
  EXPECT_EQ(in_child([] {
              const bool locked = lock_memory();
              rlimit limit{};
              HOLDS(getrlimit(RLIMIT_MEMLOCK, &limit) == 0);
              HOLDS(!locked || limit.rlim_cur == RLIM_INFINITY);
              auto status = real_files().read("/proc/self/status", 1 << 20);
              HOLDS(status);
              const bool none = status->find("VmLck:\t       0 kB") != std::string::npos;
              HOLDS(locked != none);
              return 0;
            }),
            0);
}

}  // namespace
}  // namespace strongroom::env
