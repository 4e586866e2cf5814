#include "strongroom/tpm/swtpm.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "strongroom/tpm/tpm.h"

namespace strongroom::tpm {
namespace {

constexpr char kProgram[] = "/usr/bin/swtpm";
constexpr int kTries = 20;  // For two free ports in a row.
constexpr int kAnswerTries = 100;
constexpr useconds_t kAnswerWaitUs = 50'000;

// A port that is free, and the one behind it, as far as that can be known.
uint16_t free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool bound = fd >= 0 &&
                     bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                     getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  if (fd >= 0) close(fd);
  return bound ? ntohs(address.sin_port) : 0;
}

void end(pid_t pid) {
  kill(pid, SIGTERM);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
}

pid_t spawn(const std::string& state_dir, uint16_t port) {
  const std::string state = "dir=" + state_dir + ",mode=0600";
  const std::string server = "type=tcp,bindaddr=127.0.0.1,port=" + std::to_string(port);
  const std::string control = "type=tcp,bindaddr=127.0.0.1,port=" + std::to_string(port + 1);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(127);
  sigset_t none;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, nullptr);
  const int null = open("/dev/null", O_RDWR);
  for (const int fd : {0, 1, 2}) dup2(null, fd);
  execl(kProgram, "swtpm", "socket", "--tpm2", "--tpmstate", state.c_str(), "--server",
        server.c_str(), "--ctrl", control.c_str(), "--flags", "not-need-init,startup-clear",
        nullptr);
  _exit(127);
}

}  // namespace

bool swtpm_is_installed() {
  return access(kProgram, X_OK) == 0;
}

Result<std::unique_ptr<Swtpm>> Swtpm::start(const std::string& state_dir) {
  for (int i = 0; i < kTries; ++i) {
    const uint16_t port = free_port();
    if (port == 0 || port == 65535) continue;
    std::unique_ptr<Swtpm> out(new Swtpm);
    out->pid_ = spawn(state_dir, port);
    if (out->pid_ < 0) break;
    out->tcti_ = "swtpm:host=127.0.0.1,port=" + std::to_string(port);
    for (int j = 0; j < kAnswerTries; ++j) {
      int status = 0;
      if (waitpid(out->pid_, &status, WNOHANG) != 0) {  // Ended: somebody took a port.
        out->pid_ = -1;
        break;
      }
      if (Tpm::open(out->tcti_)) return out;
      usleep(kAnswerWaitUs);
    }
  }
  return make_error(ErrorCode::kUnavailable,
                    "swtpm does not start. Is it installed, and may it write to its folder?");
}

Swtpm::~Swtpm() {
  if (pid_ > 0) end(pid_);
}

}  // namespace strongroom::tpm
