// A door on an ephemeral port with a loop thread and an authority of its own. For tests and
// benchmarks.
#pragma once

#include <ctime>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "strongroom/base/check.h"
#include "strongroom/crypto/random.h"
#include "strongroom/crypto/x509.h"
#include "strongroom/rpc/connect_client.h"
#include "strongroom/rpc/connect_server.h"
#include "strongroom/rpc/event_loop.h"

namespace strongroom::rpc {

struct TestIdentity {
  std::string authority_pem;
  std::string certificate_pem;
  std::string key_pem;
};

inline TestIdentity make_test_identity() {
  crypto::init();
  const int64_t now = std::time(nullptr);
  const crypto::Validity validity{now - 60, now + 3600};
  auto authority = crypto::make_authority("strongroom test", validity);
  SR_CHECK(authority.has_value(), "test authority");
  auto server = crypto::make_server_certificate(
      authority->certificate_pem, authority->key_pem.read(SecretAccess{}), {}, validity);
  SR_CHECK(server.has_value(), "test certificate");
  return {authority->certificate_pem, server->certificate_pem,
          std::string(as_text(server->key_pem.read(SecretAccess{})))};
}

class LoopThread {
 public:
  ~LoopThread() { stop(); }
  void start() {
    thread_ = std::thread([this] { loop.run(); });
  }
  void stop() {
    loop.stop();
    if (thread_.joinable()) thread_.join();
  }
  // Runs `work` on the loop and waits for it.
  template <class F>
  auto on_loop(F work) {
    std::packaged_task<decltype(work())()> task(std::move(work));
    auto future = task.get_future();
    loop.post([&task] { task(); });
    return future.get();
  }
  EventLoop loop;

 private:
  std::thread thread_;
};

class TestDoor {
 public:
  explicit TestDoor(ConnectServer::Options options = {}) : identity_(make_test_identity()) {
    options.listen = "127.0.0.1:0";
    options.certificate_pem = identity_.certificate_pem;
    options.key_pem = identity_.key_pem;
    auto started = ConnectServer::start(loop_thread_.loop, std::move(options));
    SR_CHECK(started.has_value(), "test door");
    server = std::move(*started);
    endpoint = {"127.0.0.1", server->port(), identity_.authority_pem, "localhost"};
  }
  ~TestDoor() {
    loop_thread_.stop();
    server.reset();
  }
  void run() { loop_thread_.start(); }  // After the handlers are registered.
  LoopThread& loop_thread() { return loop_thread_; }
  std::unique_ptr<ConnectClient> client() {
    auto connected = ConnectClient::connect(endpoint);
    SR_CHECK(connected.has_value(), "test client");
    return std::move(*connected);
  }

  Endpoint endpoint;
  std::unique_ptr<ConnectServer> server;

 private:
  TestIdentity identity_;
  LoopThread loop_thread_;
};

}  // namespace strongroom::rpc
