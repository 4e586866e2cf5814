// bench_lookup_floor FOLDER CLIENTS SECONDS
//
// What look-ups can be at most on this machine, whoever writes them: client, gateway and key server
// as three processes that do nothing but hand over what a look-up hands over. Two calls of the key
// server for each, one after the other, each durable before it is answered; calls that wait share a
// sync. No TLS, no HTTP, no parsing, no ciphers, no policy, no index, no record: plain sockets and
// a file in FOLDER, written past the page cache as the release log is. Prints one JSON object.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

// Bytes, about what ours have: lookup_load.cc's request and reply, a call of a batch, and its
// entry.
constexpr size_t kRequest = 400, kReply = 500, kCall = 300, kAnswer = 100, kEntry = 420;
constexpr size_t kBlock = 4096, kGroupMax = size_t{1} << 20, kFile = size_t{64} << 20;
constexpr uint32_t kKeyServer = UINT32_MAX;  // Among the numbers of clients.

using Clock = std::chrono::steady_clock;

void check(bool good, const char* what) {
  if (good) return;
  std::perror(what);
  std::exit(1);
}

void write_all(int fd, const std::string& bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t n = write(fd, bytes.data() + done, bytes.size() - done);
    check(n > 0, "write");
    done += static_cast<size_t>(n);
  }
}

// Appends what there is to read; false at the end.
bool read_some(int fd, std::string& in) {
  static char bytes[65536];
  const ssize_t n = read(fd, bytes, sizeof bytes);
  check(n >= 0, "read");
  in.append(bytes, static_cast<size_t>(n));
  return n > 0;
}

int new_poll() {
  const int poll = epoll_create1(0);
  check(poll >= 0, "epoll_create1");
  return poll;
}

void watch(int poll, int fd, uint32_t number) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u32 = number;
  check(epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

template <class Ready>
void wait_for(int poll, const Ready& ready) {
  epoll_event events[256];
  const int count = epoll_wait(poll, events, 256, -1);
  check(count >= 0, "epoll_wait");
  for (int i = 0; i < count; ++i) ready(events[i].data.u32);
}

void no_delay(int fd) {
  const int one = 1;
  check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0, "setsockopt");
}

void key_server(int gateway, const std::string& path) {
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
  check(file >= 0, "open");
  auto* group = static_cast<char*>(std::aligned_alloc(kBlock, kGroupMax));
  check(group != nullptr, "aligned_alloc");
  memset(group, 'x', kGroupMax);
  for (size_t at = 0; at < kFile; at += kGroupMax) {
    check(pwrite(file, group, kGroupMax, static_cast<off_t>(at)) == kGroupMax, "pwrite");
  }
  check(fsync(file) == 0, "fsync");
  size_t at = 0, used = 0;  // `used` of the block at `at` are written.
  for (std::string in; read_some(gateway, in);) {
    const size_t calls = in.size() / kCall;
    if (calls == 0) continue;
    used += calls * kEntry;
    const size_t bytes = (used + kBlock - 1) / kBlock * kBlock;
    check(bytes <= kGroupMax, "a batch that large");
    check(pwrite(file, group, bytes, static_cast<off_t>(at)) == static_cast<ssize_t>(bytes),
          "pwrite");
    check(fdatasync(file) == 0, "fdatasync");
    at += used / kBlock * kBlock;
    used %= kBlock;
    if (at + kGroupMax > kFile) at = 0;
    std::string out;
    for (size_t i = 0; i < calls; ++i) out.append(in, i * kCall, kAnswer);
    in.erase(0, calls * kCall);
    write_all(gateway, out);
  }
}

void gateway(int listener, int key_server, int clients) {
  struct Call {
    uint32_t client;
    uint32_t second;  // 0 or 1.
  };
  const int poll = new_poll();
  std::vector<int> sockets;
  std::vector<std::string> in(static_cast<size_t>(clients));
  for (int i = 0; i < clients; ++i) {
    sockets.push_back(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    check(sockets.back() >= 0, "accept");
    no_delay(sockets.back());
    watch(poll, sockets.back(), static_cast<uint32_t>(i));
  }
  watch(poll, key_server, kKeyServer);
  const std::string reply(kReply, 'r');
  std::string answers, calls;
  const auto call = [&](Call what) {
    calls.resize(calls.size() + kCall);
    memcpy(calls.data() + calls.size() - kCall, &what, sizeof what);
  };
  for (int left = clients; left > 0;) {
    wait_for(poll, [&](uint32_t number) {
      if (number != kKeyServer) {
        if (!read_some(sockets[number], in[number])) {
          close(sockets[number]);
          --left;
        } else if (in[number].size() >= kRequest) {
          in[number].clear();
          call({number, 0});
        }
        return;
      }
      check(read_some(key_server, answers), "the key server ended");
      size_t at = 0;
      for (; at + kAnswer <= answers.size(); at += kAnswer) {
        Call answered;
        memcpy(&answered, answers.data() + at, sizeof answered);
        if (answered.second == 0) {
          call({answered.client, 1});
        } else {
          write_all(sockets[answered.client], reply);
        }
      }
      answers.erase(0, at);
    });
    write_all(key_server, calls);  // All that came of one wait share a batch.
    calls.clear();
  }
}

double cpu_us() {
  rusage used{};
  getrusage(RUSAGE_CHILDREN, &used);
  return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
         static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

void client(const sockaddr_in& address, int clients, double seconds, pid_t (&children)[2]) {
  const int poll = new_poll();
  std::vector<int> sockets;
  std::vector<std::string> in(static_cast<size_t>(clients));
  std::vector<Clock::time_point> sent(static_cast<size_t>(clients));
  std::vector<double> took_us;
  const std::string request(kRequest, 'q');
  for (int i = 0; i < clients; ++i) {
    sockets.push_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    check(connect(sockets.back(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0,
          "connect");
    no_delay(sockets.back());
    watch(poll, sockets.back(), static_cast<uint32_t>(i));
  }
  sleep(1);  // The key server's file.
  const auto start = Clock::now();
  const auto ask = [&](size_t i) {
    sent[i] = Clock::now();
    write_all(sockets[i], request);
  };
  for (size_t i = 0; i < sockets.size(); ++i) ask(i);
  for (int asking = clients; asking > 0;) {
    wait_for(poll, [&](uint32_t i) {
      check(read_some(sockets[i], in[i]), "the gateway ended");
      if (in[i].size() < kReply) return;
      in[i].clear();
      const auto now = Clock::now();
      took_us.push_back(std::chrono::duration<double, std::micro>(now - sent[i]).count());
      if (std::chrono::duration<double>(now - start).count() < seconds) return ask(i);
      --asking;
    });
  }
  const double took_s = std::chrono::duration<double>(Clock::now() - start).count();
  for (const int fd : sockets) close(fd);
  for (const pid_t child : children) {
    int status = 0;
    check(waitpid(child, &status, 0) == child && status == 0, "a process of the floor failed");
  }
  std::sort(took_us.begin(), took_us.end());
  const auto count = static_cast<double>(took_us.size());
  std::printf(
      "{\"clients\":%d,\"per_second\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"servers_cpu_us\":%.1f}"
      "\n",
      clients, count / took_s, took_us[took_us.size() / 2], took_us[took_us.size() * 99 / 100],
      cpu_us() / count);
}

}  // namespace

int main(int argc, char** argv) {
  const int clients = argc == 4 ? std::atoi(argv[2]) : 0;
  const double seconds = argc == 4 ? std::strtod(argv[3], nullptr) : 0;
  if (clients < 1 || clients > 1000 || !(seconds > 0)) {
    std::fprintf(stderr, "usage: bench_lookup_floor FOLDER CLIENTS SECONDS\n");
    return 2;
  }
  const std::string path = std::string(argv[1]) + "/lookup_floor.tmp";
  int pair[2];
  check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  check(bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
            listen(listener, 1024) == 0 &&
            getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0,
        "listen");
  pid_t children[2];
  for (int i = 0; i < 2; ++i) {
    children[i] = fork();
    check(children[i] >= 0, "fork");
    if (children[i] != 0) continue;
    close(pair[i]);
    if (i == 0) {
      key_server(pair[1], path);
    } else {
      gateway(listener, pair[0], clients);
    }
    std::_Exit(0);
  }
  close(pair[0]);
  close(pair[1]);
  client(address, clients, seconds, children);
  std::remove(path.c_str());
  return 0;
}
