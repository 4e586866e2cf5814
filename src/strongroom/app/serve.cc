#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <iostream>
#include <memory>

#include <google/protobuf/util/json_util.h>

#include "strongroom/app/cli.h"
#include "strongroom/app/folder_lock.h"
#include "strongroom/app/processes.h"
#include "strongroom/app/vault_dir.h"
#include "strongroom/crypto/random.h"
#include "strongroom/crypto/x509.h"
#include "strongroom/env/clock.h"
#include "strongroom/env/files.h"
#include "strongroom/env/process.h"
#include "strongroom/keyserver/unseal.h"
#include "strongroom/v1/credential.pb.h"

namespace strongroom::app {
namespace {

constexpr int64_t kCertificateDays = 397;
constexpr int kStartTimeoutMs = 600'000;  // Replaying a large log takes its time.

struct ServeOptions {
  std::string dir;
  std::string listen = kDefaultListen;
  std::string keyserver_listen;
  uint64_t import_chunk = 0;
  uint64_t memory_mib = 1024;
  bool no_compactor = false;
  bool accept_lost_writes = false;
  MergeOptions merge;
};

constexpr int kHelperRestartMs = 10'000;
using HelperCredential = Secret<32, struct HelperCredentialTag>;

struct Address {
  std::string host;
  uint16_t port = 0;
  std::string text(uint16_t p) const {
    return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" +
           std::to_string(p);
  }
};

Result<Address> parse_address(const std::string& text) {
  const auto malformed =
      make_error(ErrorCode::kInvalidArgument, "--listen takes HOST:PORT, as in 127.0.0.1:7420");
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == text.size()) return malformed;
  Address out;
  out.host = text.substr(0, colon);
  if (out.host.size() > 2 && out.host.front() == '[' && out.host.back() == ']') {
    out.host = out.host.substr(1, out.host.size() - 2);
  }
  uint32_t port = 0;
  for (size_t i = colon + 1; i < text.size(); ++i) {
    if (text[i] < '0' || text[i] > '9' || port > 65535) return malformed;
    port = port * 10 + static_cast<uint32_t>(text[i] - '0');
  }
  if (port > 65535) return malformed;
  out.port = static_cast<uint16_t>(port);
  return out;
}

}  // namespace

// Fresh certificates for the two doors at each start: nothing to renew, nothing to expire unseen.
Result<void> make_certificates(const VaultDir& dir, const std::vector<std::string>& hosts) {
  auto& files = env::real_files();
  SR_ASSIGN(const std::string authority, files.read(dir.authority_certificate(), kPemBytesMax));
  SR_ASSIGN(std::string key, files.read(dir.authority_key(), kPemBytesMax));
  const auto now_s = static_cast<int64_t>(env::real_clock().wall_ms() / 1000);
  std::vector<std::string> names;
  for (const auto& host : hosts) {
    if (!host.empty() && host != "0.0.0.0" && host != "::") names.push_back(host);
  }
  char hostname[256] = {};
  if (gethostname(hostname, sizeof hostname - 1) == 0 && hostname[0] != 0)
    names.emplace_back(hostname);
  for (const char* door : {"keyserver", "gateway"}) {
    auto made = crypto::make_server_certificate(authority, as_bytes(key), names,
                                                {now_s - 3600, now_s + kCertificateDays * 86400});
    if (!made) {
      explicit_bzero(key.data(), key.size());
      return made.error();
    }
    const std::string base = dir.run() + "/" + door;
    SR_TRY(files.write_atomic(base + ".pem", as_bytes(made->certificate_pem), 0600));
    SR_TRY(files.write_atomic(base + ".key", made->key_pem.read(SecretAccess{}), 0600));
  }
  explicit_bzero(key.data(), key.size());
  return {};
}

namespace {

class Child {
 public:
  // Starts this very program as `command`.
  // `credentials`: what it reads through its --credential-fd, one after the other.
  Result<void> start(const char* command, const ServeOptions& options, const std::string& listen,
                     std::initializer_list<const HelperCredential*> credentials = {}) {
    int ends[2], secret[2] = {-1, -1};
    if (pipe2(ends, O_CLOEXEC) != 0)
      return make_error(ErrorCode::kUnavailable, "no pipe can be made");
    if (credentials.size() != 0) {
      if (pipe2(secret, O_CLOEXEC) != 0)
        return make_error(ErrorCode::kUnavailable, "no pipe can be made");
      for (const auto* credential : credentials) {
        const auto bytes = credential->read(SecretAccess{});
        if (write(secret[1], bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
          return make_error(ErrorCode::kUnavailable, "a pipe could not be written to");
      }
      close(secret[1]);
    }
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ < 0) return make_error(ErrorCode::kUnavailable, "no process can be started");
    if (pid_ == 0) {
      // Ends with its parent, whatever ends that; exec keeps this. Who adopts orphans here need not
      // be process 1.
      prctl(PR_SET_PDEATHSIG, SIGTERM);
      if (getppid() != parent) _exit(127);
      sigset_t none;
      sigemptyset(&none);
      pthread_sigmask(SIG_SETMASK, &none, nullptr);
      const int fd = dup(ends[1]);  // Without close-on-exec.
      const std::string ready = std::to_string(fd);
      const std::string chunk = std::to_string(options.import_chunk);
      const std::string memory = std::to_string(options.memory_mib << 20);
      const std::string credential_fd = std::to_string(secret[0] < 0 ? -1 : dup(secret[0]));
      const std::string rate = std::to_string(options.merge.postings_per_second);
      const std::string idle = std::to_string(options.merge.idle_ms);
      const std::string lanes = std::to_string(options.merge.lanes_max);
      const std::string deadline = std::to_string(options.merge.query_deadline_ms);
      execl("/proc/self/exe", "strongroom", command, options.dir.c_str(), "--listen",
            listen.c_str(), "--ready-fd", ready.c_str(), "--import-chunk", chunk.c_str(),
            "--memory", memory.c_str(), "--credential-fd", credential_fd.c_str(), "--merge-rate",
            rate.c_str(), "--merge-idle-ms", idle.c_str(), "--merge-lanes", lanes.c_str(),
            "--query-deadline-ms", deadline.c_str(),
            options.accept_lost_writes ? "--accept-lost-writes" : nullptr, nullptr);
      _exit(127);
    }
    close(ends[1]);
    if (secret[0] >= 0) close(secret[0]);
    if (ready_fd_ >= 0) close(ready_fd_);
    ready_fd_ = ends[0];
    return {};
  }

  // Waits for "ready PORT". The child itself has said why not.
  bool wait_ready(int signal_fd) {
    std::string line;
    for (int waited = 0; waited < kStartTimeoutMs;) {
      pollfd fds[2] = {{ready_fd_, POLLIN, 0}, {signal_fd, POLLIN, 0}};
      const int n = poll(fds, 2, 1000);
      if (n < 0 && errno != EINTR) return false;
      if (n == 0) waited += 1000;
      if (n > 0 && (fds[1].revents & POLLIN) != 0) {
        signalfd_siginfo info;
        if (read(signal_fd, &info, sizeof info) == sizeof info && info.ssi_signo != SIGCHLD)
          return false;
      }
      if (n > 0 && (fds[0].revents & (POLLIN | POLLHUP)) != 0) {
        char buffer[64];
        const ssize_t got = read(ready_fd_, buffer, sizeof buffer);
        if (got <= 0) return false;
        line.append(buffer, static_cast<size_t>(got));
        if (line.find('\n') != std::string::npos) {
          constexpr std::string_view kReady = "ready ";
          if (!line.starts_with(kReady)) return false;
          const char* digits = line.data() + kReady.size();
          const auto parsed = std::from_chars(digits, line.data() + line.size(), port_);
          close(ready_fd_);
          ready_fd_ = -1;
          return parsed.ec == std::errc() && port_ != 0;
        }
      }
    }
    return false;
  }

  void end() {
    if (pid_ <= 0) return;
    kill(pid_, SIGTERM);
    int wait_status = 0;
    while (waitpid(pid_, &wait_status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  }
  // Whether it ended by itself.
  bool gone() {
    int wait_status = 0;
    if (pid_ > 0 && waitpid(pid_, &wait_status, WNOHANG) == pid_) {
      pid_ = -1;
      exit_status_ = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : kFailed;
    }
    return pid_ <= 0;
  }
  int exit_status() const { return exit_status_; }  // Once gone().
  uint16_t port() const { return port_; }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  int ready_fd_ = -1;
  int exit_status_ = kDone;
  uint16_t port_ = 0;
};

// A process without which the vault works all the same.
struct Helper {
  const char* command;
  const char* what;
  bool wanted;
  bool gone = false;
  Child child = {};
  HelperCredential credential = crypto::random_secret<HelperCredential>();

  Result<void> start(const ServeOptions& options) {
    return child.start(command, options, "-", {&credential});
  }
};

// Credentials that init left here follow the addresses in use.
Result<void> point_credentials(const VaultDir& dir, const std::string& gateway_at,
                               const std::string& keyserver_at) {
  auto& files = env::real_files();
  SR_ASSIGN(const bool exists, files.exists(dir.credentials()));
  if (!exists) return {};
  SR_ASSIGN(const auto names, files.list(dir.credentials()));
  for (const auto& name : names) {
    if (!name.ends_with(".json")) continue;
    const std::string path = dir.credentials() + "/" + name;
    auto text = files.read(path, kPemBytesMax);
    v1::CredentialFile file;
    if (!text || !google::protobuf::util::JsonStringToMessage(*text, &file).ok()) continue;
    if (file.gateway_at() != gateway_at || file.keyserver_at() != keyserver_at) {
      file.set_gateway_at(gateway_at);
      file.set_keyserver_at(keyserver_at);
      google::protobuf::util::JsonPrintOptions options;
      options.add_whitespace = true;
      options.preserve_proto_field_names = true;
      std::string json;
      if (google::protobuf::util::MessageToJsonString(file, &json, options).ok()) {
        SR_TRY(files.write_atomic(path, as_bytes(json), 0600));
      }
      explicit_bzero(json.data(), json.size());
    }
    explicit_bzero(text->data(), text->size());
    explicit_bzero(file.mutable_private_key()->data(), file.private_key().size());
  }
  return {};
}

// Where the two doors are. A port of 0 becomes the one that was taken.
struct Doors {
  Address gateway, keyserver;
};

Result<v1::VaultFile> load_vault(const VaultDir& dir) {
  auto vault = keyserver::load_vault_file(env::real_files(), dir.keyserver());
  if (!vault && vault.error().code == ErrorCode::kNotFound) {
    return make_error(ErrorCode::kNotFound,
                      "there is no vault in this folder; `strongroom init` founds one");
  }
  if (!vault) return vault.error();
  SR_ASSIGN(const bool half, env::real_files().exists(dir.restoring()));
  if (half) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "a restore into this folder was cut off, so there is no vault yet; run the "
                      "same `strongroom restore` again, it goes on from there");
  }
  return vault;
}

void announce(const Global& global, const v1::VaultFile& vault, const std::string& gateway_at,
              const std::string& keyserver_at, std::initializer_list<const Child*> children) {
  if (global.json) {
    constexpr const char* kNames[] = {"gateway", "keyserver", "compactor", "sender", "courier"};
    std::cout << "{\"gateway\":" << json_string(gateway_at)
              << ",\"keyserver\":" << json_string(keyserver_at);
    const char* const* name = kNames;
    for (const Child* child : children) {
      std::cout << ",\"" << *name++ << "_pid\":" << std::max<pid_t>(child->pid(), 0);
    }
    std::cout << "}" << std::endl;
    return;
  }
  std::cerr << "strongroom " << kVersion << " serves " << vault.name() << "\n"
            << "  gateway     https://" << gateway_at << "   (applications, clerks)\n"
            << "  key server  https://" << keyserver_at
            << "   (officers, auditors, share holders)\n"
            << (vault.dev() ? "  DEVELOPMENT VAULT: no real people in here\n"
                            : "  sealed until enough share holders have run `strongroom unseal`\n")
            << "Ctrl-C ends it." << std::endl;
}

// Until it is told to end, or a process that it cannot do without ends. True: since the vault was
// sealed on command, so it is to be started anew.
Result<bool> serve_once(const Global& global, const ServeOptions& options, Doors& doors,
                        int signal_fd, int& status) {
  const VaultDir dir(options.dir);
  SR_ASSIGN(const v1::VaultFile vault, load_vault(dir));
  SR_TRY(make_certificates(dir, {doors.gateway.host, doors.keyserver.host}));

  Child keyserver, gateway;
  // Of this start: the key server gets both, each helper its own, the gateway none.
  Helper compactor{"serve-compactor", "compactor", !options.no_compactor};
  Helper sender{"serve-sender", "alarm sender", false};
  // Idle while the policy names no witnesses.
  Helper courier{"serve-courier", "courier to witnesses", true};
  SR_ASSIGN(sender.wanted, env::real_files().exists(dir.sinks()));
  const auto end_all = [&] {
    courier.child.end();
    sender.child.end();
    compactor.child.end();
    gateway.end();  // First: it may still be waiting for an answer.
    keyserver.end();
  };
  SR_TRY(keyserver.start("serve-keyserver", options, doors.keyserver.text(doors.keyserver.port),
                         {&compactor.credential, &sender.credential, &courier.credential}));
  if (!keyserver.wait_ready(signal_fd)) {
    end_all();
    status = kFailed;
    return false;
  }
  SR_TRY(gateway.start("serve-gateway", options, doors.gateway.text(doors.gateway.port)));
  if (!gateway.wait_ready(signal_fd)) {
    end_all();
    status = kFailed;
    return false;
  }
  doors.gateway.port = gateway.port();
  doors.keyserver.port = keyserver.port();
  const std::string gateway_at = doors.gateway.text(doors.gateway.port);
  const std::string keyserver_at = doors.keyserver.text(doors.keyserver.port);
  SR_TRY(point_credentials(dir, gateway_at, keyserver_at));
  for (Helper* helper : {&compactor, &sender, &courier}) {
    if (helper->wanted) SR_TRY(helper->start(options));
  }

  announce(global, vault, gateway_at, keyserver_at,
           {&gateway, &keyserver, &compactor.child, &sender.child, &courier.child});
  bool told = false, again = false;
  while (!told && !again) {
    // Without them nothing is lost: they are started again, a while later.
    pollfd ready = {signal_fd, POLLIN, 0};
    if (poll(&ready, 1, compactor.gone || sender.gone || courier.gone ? kHelperRestartMs : -1) ==
        0) {
      for (Helper* helper : {&compactor, &sender, &courier}) {
        if (helper->gone) helper->gone = !helper->start(options).has_value();
      }
      continue;
    }
    signalfd_siginfo info;
    if (read(signal_fd, &info, sizeof info) != sizeof info) continue;
    told = info.ssi_signo != SIGCHLD;
    for (Helper* helper : {&compactor, &sender, &courier}) {
      if (told || !helper->wanted || helper->gone || !helper->child.gone()) continue;
      helper->gone = true;
      std::cerr << "strongroom: the " << helper->what
                << " ended by itself; nothing was lost, and it is started again\n";
    }
    if (!told && keyserver.gone() && keyserver.exit_status() == kSealedOnCommand) {
      std::cerr << "strongroom: sealed on command; starting again, sealed\n";
      again = true;
    } else if (!told && (keyserver.gone() || gateway.gone())) {
      std::cerr << "strongroom: the " << (keyserver.gone() ? "key server" : "gateway")
                << " ended by itself; stopping. What was acknowledged is safe\n";
      status = kFailed;
      break;
    }
  }
  end_all();
  return again;
}

Result<void> run(const Global& global, const ServeOptions& options, int& status) {
  const VaultDir dir(options.dir);
  SR_TRY(load_vault(dir));
  Doors doors;
  SR_ASSIGN(doors.gateway, parse_address(options.listen));
  doors.keyserver = doors.gateway;
  if (!options.keyserver_listen.empty()) {
    SR_ASSIGN(doors.keyserver, parse_address(options.keyserver_listen));
  } else if (doors.gateway.port != 0) {
    doors.keyserver.port =
        static_cast<uint16_t>(doors.gateway.port == 65535 ? 65534 : doors.gateway.port + 1);
  }
  umask(0077);  // For whatever a library may write.
  SR_TRY(lock_folder(dir.lock(),
                     "another `strongroom serve` is running on this folder; nothing was changed. "
                     "End that one first"));
  SR_TRY(env::real_files().make_dirs(dir.run(), 0700));

  sigset_t signals;
  sigemptyset(&signals);
  for (const int s : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&signals, s);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
  for (bool again = true; again;) {
    SR_ASSIGN(again, serve_once(global, options, doors, signal_fd, status));
  }
  return {};
}

}  // namespace

void report_ready(int ready_fd, uint16_t port) {
  if (ready_fd < 0) return;
  const std::string line = "ready " + std::to_string(port) + "\n";
  if (write(ready_fd, line.data(), line.size()) != static_cast<ssize_t>(line.size())) return;
  close(ready_fd);
}

std::vector<std::string> read_credentials(int credential_fd) {
  std::vector<std::string> out;
  if (credential_fd < 0) return out;
  std::string bytes(HelperCredential::kSize, '\0');
  while (read(credential_fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size())) {
    out.push_back(bytes);
  }
  explicit_bzero(bytes.data(), bytes.size());
  close(credential_fd);
  return out;
}

void add_serve(CLI::App& app, Global& global, int& status) {
  auto options = std::make_shared<ServeOptions>();
  auto* command = app.add_subcommand("serve", "Run the key server and the gateway of a vault");
  command->add_option("DIR", options->dir, "The vault's folder, from `init`")->required();
  command->add_option("--listen", options->listen,
                      "Where the gateway listens (127.0.0.1:7420); port 0: any");
  command->add_option("--keyserver-listen", options->keyserver_listen,
                      "Where the key server listens (the next port)");
  command
      ->add_option("--import-chunk", options->import_chunk,
                   "Records an import commits together (grows from 262,144 to 1,048,576)")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 20));
  command
      ->add_option("--memory", options->memory_mib,
                   "MiB for the gateway's cache, searches and imports, about (1,024); the "
                   "compactor takes a quarter as much. Imports sort on the disk beyond that")
      ->check(CLI::Range(uint64_t{128}, uint64_t{1} << 20));
  command->add_flag("--no-compactor", options->no_compactor,
                    "Do not merge lanes in the background: every import then slows searches down");
  command->add_option("--merge-rate", options->merge.postings_per_second,
                      "Postings a second that merging may take up (250,000); 0: no limit");
  command
      ->add_option("--merge-idle-ms", options->merge.idle_ms,
                   "Between looks for lanes to merge (10,000)")
      ->check(CLI::Range(uint64_t{10}, uint64_t{3'600'000}));
  command
      ->add_option("--merge-lanes", options->merge.lanes_max,
                   "Lanes of a collection, beside full ones, that are left unmerged (2)")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1000}));
  command
      ->add_option("--query-deadline-ms", options->merge.query_deadline_ms,
                   "A search that takes longer is refused; rows of merged lanes go as much later "
                   "(60,000)")
      ->check(CLI::Range(uint64_t{100}, uint64_t{3'600'000}));
  command->add_flag("--accept-lost-writes", options->accept_lost_writes,
                    "Go on with a store that lacks writes which the release log knows of: they are "
                    "lost, and the log says so");
  command->footer(
      "Examples:\n  strongroom serve ./vault\n  strongroom serve /srv/strongroom --listen "
      "0.0.0.0:7420");
  command->callback([&global, &status, options] {
    crypto::init();
    if (const auto done = run(global, *options, status); !done)
      status = fail(global, done.error(), options->dir);
  });
}

void add_processes(CLI::App& app, Global& global, int& status) {
  const auto add = [&](const char* name, int (*run_process)(const Global&, const ProcessOptions&)) {
    auto options = std::make_shared<ProcessOptions>();
    auto* command = app.add_subcommand(name)->group("");  // Not for people.
    command->add_option("DIR", options->dir)->required();
    command->add_option("--listen", options->listen)->required();
    command->add_option("--ready-fd", options->ready_fd)->required();
    command->add_option("--import-chunk", options->import_chunk);
    command->add_option("--memory", options->memory_bytes);
    command->add_option("--credential-fd", options->credential_fd);
    command->add_option("--merge-rate", options->merge.postings_per_second);
    command->add_option("--merge-idle-ms", options->merge.idle_ms);
    command->add_option("--merge-lanes", options->merge.lanes_max);
    command->add_option("--query-deadline-ms", options->merge.query_deadline_ms);
    command->add_flag("--accept-lost-writes", options->accept_lost_writes);
    command->callback(
        [&global, &status, options, run_process] { status = run_process(global, *options); });
  };
  add("serve-keyserver", run_keyserver);
  add("serve-gateway", run_gateway);
  add("serve-compactor", run_compactor);
  add("serve-sender", run_sender);
  add("serve-courier", run_courier);
}

}  // namespace strongroom::app
