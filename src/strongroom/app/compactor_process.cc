#include <signal.h>
#include <unistd.h>

#include <iostream>
#include <memory>
#include <thread>

#include "strongroom/app/processes.h"
#include "strongroom/compactor/compactor.h"
#include "strongroom/crypto/random.h"
#include "strongroom/env/clock.h"
#include "strongroom/env/files.h"
#include "strongroom/env/process.h"
#include "strongroom/rpc/event_loop.h"
#include "strongroom/rpc/frames.h"
#include "strongroom/store/store.h"

namespace strongroom::app {
namespace {

constexpr uint64_t kBackoffMsMax = 600'000;
// What it reads, it reads once and in order.
constexpr store::RocksOptions kReading{size_t{32} << 20, size_t{4} << 20};

class LinkedKeys : public compactor::Keys {
 public:
  explicit LinkedKeys(rpc::KeyServiceLink& link) : link_(link) {}
  Result<v1::Reply> call(v1::Call call) override { return link_.call_blocking(std::move(call)); }

 private:
  rpc::KeyServiceLink& link_;
};

// The store of the gateway beside it: read from a copy, written through sorted files.
class GatewayStore : public compactor::StoreAccess {
 public:
  GatewayStore(rpc::KeyServiceLink& gateway, const VaultDir& dir) : gateway_(gateway), dir_(dir) {}

  Result<std::vector<uint64_t>> measure(std::span<const LaneId> lanes) override {
    v1::Call call;
    for (const LaneId lane : lanes) call.mutable_measure_lanes()->add_lanes(lane.value);
    SR_ASSIGN(const v1::Reply reply, gateway_.call_blocking(std::move(call)));
    return std::vector<uint64_t>(reply.measure_lanes().bytes().begin(),
                                 reply.measure_lanes().bytes().end());
  }

  Result<std::shared_ptr<store::Store>> freeze() override {
    v1::Call call;
    call.mutable_freeze_store();
    SR_TRY(gateway_.call_blocking(std::move(call)));
    SR_ASSIGN(auto opened, store::open_frozen_store(dir_.merge_copy(), kReading));
    return std::shared_ptr<store::Store>(opened.release(), [this](store::Store* store) {
      delete store;
      // Keeps the disk from filling up with files that the store itself has dropped. If it fails,
      // the next copy, or the gateway's next start, does it.
      v1::Call release;
      release.mutable_freeze_store()->set_release(true);
      static_cast<void>(gateway_.call_blocking(std::move(release)).has_value());
    });
  }

  Result<std::unique_ptr<store::SortedRun>> begin_run(store::Table table) override {
    return store::begin_run_files(dir_.merge_files() + "/" + std::to_string(next_++) + "-", table);
  }

  Result<void> ingest(LaneId lane, std::unique_ptr<store::SortedRun> postings,
                      std::unique_ptr<store::SortedRun> directory) override {
    v1::Call call;
    auto& ingest = *call.mutable_ingest_lane();
    ingest.set_lane(lane.value);
    SR_ASSIGN(const auto posting_files, store::finish_run_files(*postings));
    SR_ASSIGN(const auto directory_files, store::finish_run_files(*directory));
    for (const auto& path : posting_files) *ingest.add_postings() = name_of(path);
    for (const auto& path : directory_files) *ingest.add_directory() = name_of(path);
    SR_TRY(gateway_.call_blocking(std::move(call)));
    return {};
  }

 private:
  static std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

  rpc::KeyServiceLink& gateway_;
  const VaultDir& dir_;
  uint64_t next_ = 0;
};

class CompactorProcess {
 public:
  explicit CompactorProcess(const ProcessOptions& options) : options_(options), dir_(options.dir) {
    auto credentials = read_credentials(options.credential_fd);
    if (!credentials.empty()) credential_ = std::move(credentials.front());
  }

  Result<void> start();
  void run() { loop_.run(); }

 private:
  void work();

  ProcessOptions options_;
  VaultDir dir_;
  std::string credential_;
  rpc::EventLoop loop_;
  std::unique_ptr<rpc::KeyServiceLink> key_link_, gateway_link_;
  std::unique_ptr<env::WorkerThread> worker_;
};

Result<void> CompactorProcess::start() {
  SR_TRY(env::harden_process());
  env::lock_memory();
  env::lower_priority();
  auto& files = env::real_files();
  SR_TRY(files.make_dirs(dir_.merge_files()));
  // What a compactor before this one was writing.
  SR_ASSIGN(const auto leftover, files.list(dir_.merge_files()));
  for (const auto& name : leftover) SR_TRY(files.remove(dir_.merge_files() + "/" + name));
  SR_ASSIGN(key_link_, rpc::KeyServiceLink::connect(loop_, dir_.socket()));
  SR_ASSIGN(gateway_link_, rpc::KeyServiceLink::connect(loop_, dir_.compactor_socket()));
  loop_.on_signals({SIGTERM, SIGINT}, [this] { loop_.stop(); });
  worker_ = std::make_unique<env::WorkerThread>("merge");
  worker_->post([this] { work(); });
  return {};
}

// Until the process ends: a merge may be cut off anywhere.
void CompactorProcess::work() {
  const auto sleep_us = [](uint64_t us) {
    std::this_thread::sleep_for(std::chrono::microseconds(us));
  };
  const env::Clock& clock = env::real_clock();
  LinkedKeys keys(*key_link_);
  GatewayStore store(*gateway_link_, dir_);
  compactor::Pace pace(options_.merge.postings_per_second, clock, sleep_us);
  compactor::Compactor compactor(
      keys, store, pace, std::move(credential_),
      {{options_.merge.lanes_max, 0}, {dir_.merge_files(), options_.memory_bytes / 4}});
  uint64_t wait_ms = options_.merge.idle_ms;
  for (;;) {
    const uint64_t from_us = clock.monotonic_us();
    const auto merged = compactor.run_once();
    if (merged && *merged) {
      const auto& last = compactor.last();
      uint64_t read = 0;
      for (const LaneId lane : last.sources) read += last.postings.at(lane);
      const uint64_t ms = (clock.monotonic_us() - from_us) / 1000;
      std::cerr << "strongroom: merged " << last.sources.size() << " lanes, " << format_count(read)
                << " postings, into one of " << format_count(last.kept) << ", in " << ms << " ms, "
                << (env::resident_bytes() >> 20) << " MiB resident\n";
      wait_ms = options_.merge.idle_ms;
      continue;
    }
    if (merged) {
      wait_ms = options_.merge.idle_ms;
    } else if (merged.error().code != ErrorCode::kUnavailable) {  // Sealed, or starting.
      std::cerr << "strongroom: the compactor could not merge; searches are right, but as slow as "
                   "they were: "
                << merged.error().text << "\n";
      wait_ms = std::min(wait_ms * 2, kBackoffMsMax);
    }
    sleep_us(wait_ms * 1000);
  }
}

}  // namespace

int run_compactor(const Global& global, const ProcessOptions& options) {
  crypto::init();
  CompactorProcess process(options);
  if (const auto started = process.start(); !started)
    return fail(global, started.error(), "compactor");
  process.run();
  _exit(kDone);
}

}  // namespace strongroom::app
