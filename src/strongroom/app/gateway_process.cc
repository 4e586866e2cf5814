#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <iostream>
#include <memory>

#include "strongroom/app/linked_key_service.h"
#include "strongroom/app/processes.h"
#include "strongroom/app/vault_dir.h"
#include "strongroom/crypto/random.h"
#include "strongroom/env/clock.h"
#include "strongroom/env/files.h"
#include "strongroom/env/process.h"
#include "strongroom/gateway/compaction_service.h"
#include "strongroom/gateway/gateway.h"
#include "strongroom/gateway/lane_sweeper.h"
#include "strongroom/index/han.h"
#include "strongroom/index/words.h"
#include "strongroom/rpc/connect_server.h"
#include "strongroom/rpc/event_loop.h"
#include "strongroom/rpc/frames.h"
#include "strongroom/store/store.h"

namespace strongroom::app {
namespace {

constexpr std::chrono::milliseconds kMarkEvery{1000};
// Behind the start: whoever only starts and stops pays nothing, nor does the first who asks.
constexpr std::chrono::milliseconds kPrepareAfter{1000};

class GatewayProcess {
 public:
  explicit GatewayProcess(const ProcessOptions& options)
      : ready_fd_(options.ready_fd),
        listen_(options.listen),
        dir_(options.dir),
        accept_lost_writes_(options.accept_lost_writes),
        deadline_ms_(options.merge.query_deadline_ms) {
    gateway_options_.query_deadline_us = deadline_ms_ * 1000;
    // A quarter is for what grows with requests under way and for RocksDB's files being written.
    cache_bytes_ = options.memory_bytes / 8 * 3;
    gateway_options_.row_versions_bytes = options.memory_bytes / 16;
    gateway_options_.import.memory = {dir_.spool_files(), options.memory_bytes / 8 * 3};
    if (options.import_chunk != 0) {
      gateway_options_.import.first_chunk_records = options.import_chunk;
      gateway_options_.import.chunk_records_max = options.import_chunk;
    }
  }
  Result<void> start();
  void run() { loop_.run(); }
  // The compactor's thread may be waiting for the key server: it goes with the process.
  Result<void> end() {
    SR_TRY(env::real_files().remove(dir_.compactor_socket()));
    SR_TRY(store::remove_frozen(dir_.merge_copy()));
    SR_TRY(store::remove_frozen(dir_.backup_copy()));
    return store_->flush();
  }

 private:
  template <class Req, class Resp>
  void add(const char* method, void (gateway::Gateway::*call)(Req, gateway::Gateway::Done<Resp>));
  void sync_until_there();
  void prepare_chinese();
  Result<void> serve_compactor();

  int ready_fd_;
  std::string listen_;
  VaultDir dir_;
  gateway::GatewayOptions gateway_options_;
  size_t cache_bytes_ = 0;
  rpc::EventLoop loop_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<rpc::KeyServiceLink> link_;
  std::unique_ptr<LinkedKeyService> keys_;
  std::unique_ptr<gateway::StoreGuard> guard_;
  std::unique_ptr<gateway::Gateway> gateway_;
  std::unique_ptr<rpc::ConnectServer> door_;
  // The compactor's calls take long and are few: on a loop and a thread of their own.
  bool accept_lost_writes_;
  uint64_t deadline_ms_;
  rpc::EventLoop compactor_loop_;
  std::unique_ptr<gateway::CompactionService> compaction_;
  std::unique_ptr<rpc::KeyServiceListener> compactors_;
  std::unique_ptr<gateway::LaneSweeper> sweeper_;
  std::atomic<bool> swept_ = true, marked_ = true;  // The last look, or word, is over.
  bool told_ = false;                               // Why it does not start.
  std::unique_ptr<env::WorkerThread> sweeping_, compacting_, preparing_;
};

}  // namespace

Result<TermKey> load_term_key(const VaultDir& dir) {
  SR_ASSIGN(std::string hex, env::real_files().read(dir.term_key(), 128));
  TermKey key;
  const bool ok =
      hex.size() >= 64 && from_hex(std::string_view(hex).substr(0, 64), key.write(SecretAccess{}));
  explicit_bzero(hex.data(), hex.size());
  if (!ok) {
    return make_error(
        ErrorCode::kDataLoss,
        "the gateway's term key is damaged; put gateway/term.key back, or `restore` a "
        "backup, which has it sealed. Nothing was lost");
  }
  return key;
}

namespace {

Result<void> GatewayProcess::start() {
  auto& files = env::real_files();
  SR_TRY(env::harden_process());
  SR_ASSIGN(TermKey term_key, load_term_key(dir_));
  SR_ASSIGN(store_, store::open_rocks_store(dir_.store(), {.block_cache_bytes = cache_bytes_}));
  SR_TRY(files.make_dirs(dir_.spool_files()));
  SR_ASSIGN(const auto spooled, files.list(dir_.spool_files()));
  for (const auto& name : spooled) SR_TRY(files.remove(dir_.spool_files() + "/" + name));
  SR_ASSIGN(link_, rpc::KeyServiceLink::connect(loop_, dir_.socket()));
  keys_ = std::make_unique<LinkedKeyService>(*link_);
  guard_ = std::make_unique<gateway::StoreGuard>(*store_, *keys_, term_key, accept_lost_writes_);
  gateway_options_.guard = guard_.get();
  gateway_ = std::make_unique<gateway::Gateway>(*store_, *keys_, loop_, env::real_clock(),
                                                std::move(term_key), gateway_options_);
  rpc::ConnectServer::Options door;
  door.listen = listen_;
  SR_ASSIGN(door.certificate_pem, files.read(dir_.run() + "/gateway.pem", kPemBytesMax));
  SR_ASSIGN(door.key_pem, files.read(dir_.run() + "/gateway.key", kPemBytesMax));
  SR_TRY(files.remove(dir_.run() + "/gateway.key"));
  SR_ASSIGN(door_, rpc::ConnectServer::start(loop_, std::move(door)));
  add("Find", &gateway::Gateway::find);
  add("Get", &gateway::Gateway::get);
  add("Count", &gateway::Gateway::count);
  add("Put", &gateway::Gateway::put);
  add("Update", &gateway::Gateway::update);
  add("Erase", &gateway::Gateway::erase);
  add("BeginImport", &gateway::Gateway::begin_import);
  add("ImportBatch", &gateway::Gateway::import_batch);
  add("FinishImport", &gateway::Gateway::finish_import);
  add("Reindex", &gateway::Gateway::reindex);
  SR_TRY(serve_compactor());
  loop_.on_signals({SIGTERM, SIGINT}, [this] { loop_.stop(); });
  loop_.post([this] { sync_until_there(); });
  report_ready(ready_fd_, door_->port());
  return {};
}

Result<void> GatewayProcess::serve_compactor() {
  SR_TRY(store::remove_frozen(dir_.merge_copy()));
  SR_TRY(store::remove_frozen(dir_.backup_copy()));
  compaction_ = std::make_unique<gateway::CompactionService>(
      *store_, *keys_,
      gateway::CompactionFolders{dir_.merge_copy(), dir_.merge_files(), dir_.backup_copy()},
      guard_.get());
  SR_ASSIGN(compactors_,
            rpc::KeyServiceListener::listen(
                compactor_loop_, dir_.compactor_socket(),
                [this](v1::CallBatch&& batch) { return compaction_->handle(std::move(batch)); }));
  compacting_ = std::make_unique<env::WorkerThread>("compaction");
  compacting_->post([this] { compactor_loop_.run(); });
  sweeper_ = std::make_unique<gateway::LaneSweeper>(*store_, *keys_, env::real_clock(),
                                                    deadline_ms_ * 1000);
  sweeping_ = std::make_unique<env::WorkerThread>("sweep");
  // Often enough that rows go soon after their deadline. One that cannot reach the key server, or
  // the disk, leaves it to the next.
  const uint64_t every_ms = std::clamp<uint64_t>(deadline_ms_ / 4, 100, 10'000);
  loop_.every(std::chrono::milliseconds(every_ms), [this] {
    if (guard_->checked() && swept_.exchange(false)) {
      sweeping_->post([this] {
        static_cast<void>(sweeper_->sweep().has_value());
        swept_ = true;
      });
    }
  });
  loop_.every(kMarkEvery, [this] {
    if (marked_.exchange(false)) {
      sweeping_->post([this] {
        static_cast<void>(guard_->mark().has_value());
        marked_ = true;
      });
    }
  });
  return {};
}

void GatewayProcess::sync_until_there() {
  gateway_->start([this](Result<bool> done) {
    if (done) {
      loop_.after(kPrepareAfter, [this] { prepare_chinese(); });
      return;
    }
    if (done.error().code == ErrorCode::kDataLoss && !std::exchange(told_, true)) {
      std::cerr << "strongroom: gateway: " << done.error().text << std::endl;
    }
    loop_.after(std::chrono::milliseconds(200), [this] { sync_until_there(); });
  });
}

// Most of a second of processor time, once, which the first search by a name would wait for.
void GatewayProcess::prepare_chinese() {
  if (!gateway_->reads_chinese()) return;
  preparing_ = std::make_unique<env::WorkerThread>("prepare");
  preparing_->post([] {
    index::prepare_han();
    index::prepare_words();
  });
}

template <class Req, class Resp>
void GatewayProcess::add(const char* method,
                         void (gateway::Gateway::*call)(Req, gateway::Gateway::Done<Resp>)) {
  door_->unary<Req, Resp>(std::string("/strongroom.v1.VaultService/") + method,
                          [this, call](const rpc::CallContext& context, Req request,
                                       std::function<void(Result<Resp>)> respond) {
                            request.mutable_ticket()->set_from(context.from);
                            (gateway_.get()->*call)(std::move(request), std::move(respond));
                          });
}

}  // namespace

int run_gateway(const Global& global, const ProcessOptions& options) {
  crypto::init();
  GatewayProcess process(options);
  if (const auto started = process.start(); !started)
    return fail(global, started.error(), "gateway");
  process.run();
  if (const auto ended = process.end(); !ended) return fail(global, ended.error(), "gateway");
  // Imports under way may be waiting for the key server; every one of their steps can be cut off,
  // so nobody waits for them.
  _exit(kDone);
}

}  // namespace strongroom::app
