#include <signal.h>
#include <unistd.h>

#include <iostream>
#include <memory>
#include <thread>

#include "strongroom/app/processes.h"
#include "strongroom/app/yaml_file.h"
#include "strongroom/crypto/random.h"
#include "strongroom/env/clock.h"
#include "strongroom/env/files.h"
#include "strongroom/env/process.h"
#include "strongroom/keyserver/unseal.h"
#include "strongroom/rpc/event_loop.h"
#include "strongroom/rpc/frames.h"
#include "strongroom/sender/sender.h"

namespace strongroom::app {
namespace {

constexpr uint64_t kLookMs = 500;

class LinkedSource : public sender::AlarmSource {
 public:
  LinkedSource(rpc::KeyServiceLink& link, std::string credential)
      : link_(link), credential_(std::move(credential)) {}
  Result<v1::ListAlarmsResponse> alarms(uint64_t after, uint32_t count) override {
    v1::Call call;
    call.mutable_alarms()->set_credential(credential_);
    call.mutable_alarms()->mutable_request()->set_after(after);
    call.mutable_alarms()->mutable_request()->set_count(count);
    SR_ASSIGN(v1::Reply reply, link_.call_blocking(std::move(call)));
    return std::move(*reply.mutable_alarms());
  }

 private:
  rpc::KeyServiceLink& link_;
  std::string credential_;
};

class SenderProcess {
 public:
  explicit SenderProcess(const ProcessOptions& options) : dir_(options.dir) {
    auto credentials = read_credentials(options.credential_fd);
    if (!credentials.empty()) credential_ = std::move(credentials.front());
  }
  Result<void> start(const v1::SinksFile& sinks, std::string* about);
  void run() { loop_.run(); }

 private:
  void work();
  VaultDir dir_;
  std::string credential_;
  rpc::EventLoop loop_;
  std::unique_ptr<rpc::KeyServiceLink> link_;
  std::unique_ptr<LinkedSource> source_;
  std::unique_ptr<sender::Sender> sender_;
  std::unique_ptr<env::WorkerThread> worker_;
};

Result<void> SenderProcess::start(const v1::SinksFile& file, std::string* about) {
  SR_TRY(env::harden_process());
  env::lower_priority();
  auto& files = env::real_files();
  SR_ASSIGN(const auto vault, keyserver::load_vault_file(files, dir_.keyserver()));
  const sender::SinkContext context{dir_.root, {vault.vault(), kVersion}, files, env::real_clock()};
  SR_ASSIGN(auto sinks, sender::make_sinks(file, context, about));
  about->clear();
  SR_ASSIGN(link_, rpc::KeyServiceLink::connect(loop_, dir_.socket()));
  source_ = std::make_unique<LinkedSource>(*link_, std::move(credential_));
  const auto tell = [](const std::string& sink, const Error* error) {
    if (error == nullptr) {
      std::cerr << "strongroom: alarms reach " << sink << " again\n";
    } else {
      std::cerr << "strongroom: alarms do not reach " << sink
                << "; they are kept, and sent when they can be: " << error->text << "\n";
    }
  };
  SR_TRY(files.make_dirs(dir_.sender(), 0700));
  SR_ASSIGN(sender_, sender::Sender::open(*source_, std::move(sinks), files, dir_.sent(), tell));
  loop_.on_signals({SIGTERM, SIGINT}, [this] { loop_.stop(); });
  // What others send back is parsed in here, beside the vault's folder.
  SR_ASSIGN(auto writable, sender::paths_written(file, context));
  writable.push_back(dir_.sender());
  SR_TRY(env::enter_sandbox({std::move(writable), env::paths_for_connecting(), true}));
  worker_ = std::make_unique<env::WorkerThread>("alarms");
  worker_->post([this] { work(); });
  return {};
}

// Until the process ends, which it may anywhere: what was sent and not noted is sent again.
void SenderProcess::work() {
  bool told = false;
  for (;;) {
    const auto done = sender_->step(env::real_clock().monotonic_us() / 1000);
    // The key server may be sealed, or starting.
    const bool wrong = !done && done.error().code != ErrorCode::kUnavailable;
    if (wrong && !told) {
      std::cerr << "strongroom: alarms cannot be sent on; they are kept in the log: "
                << done.error().text << "\n";
    }
    told = wrong;
    std::this_thread::sleep_for(std::chrono::milliseconds(kLookMs));
  }
}

}  // namespace

int run_sender(const Global& global, const ProcessOptions& options) {
  crypto::init();
  v1::SinksFile sinks;
  const int read = read_yaml_file(global, VaultDir(options.dir).sinks(), sinks);
  if (read != kDone) return read;
  SenderProcess process(options);
  std::string about;
  if (const auto started = process.start(sinks, &about); !started) {
    return fail(global, started.error(), about.empty() ? "alarm sender" : "sink " + about);
  }
  process.run();
  _exit(kDone);
}

}  // namespace strongroom::app
