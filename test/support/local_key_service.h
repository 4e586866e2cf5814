// The key server as a gateway sees it, without a transport: a call is a call of KeyServer::handle.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "strongroom/env/executor.h"
#include "strongroom/gateway/key_service.h"
#include "strongroom/keyserver/key_server.h"
#include "test/support/faults.h"

namespace strongroom::test {

// Thread-safe. Borrows everything. `server` gives the key server of the moment, which a test may
// open again between calls.
class LocalKeyService : public gateway::KeyService {
 public:
  using Server = std::function<keyserver::KeyServer&()>;
  LocalKeyService(Server server, env::Executor& loop, Faults& faults)
      : server_(std::move(server)), loop_(loop), faults_(faults) {}

  void call(v1::Call call, Callback done) override {
    loop_.post([done = std::move(done), reply = handle(std::move(call))]() mutable {
      done(std::move(reply));
    });
  }
  Result<v1::Reply> call_blocking(v1::Call call) override { return handle(std::move(call)); }

  // What a reply becomes on its way, for tests of a key server that answers nonsense.
  std::function<void(v1::Reply&)> tamper;
  // Set only while nothing is under way.
  size_t calls(v1::Call::CallCase kind) const {
    const std::lock_guard hold(mutex_);
    const auto it = calls_.find(kind);
    return it == calls_.end() ? 0 : it->second;
  }
  // How often a gateway that started has found no lane left open: the last thing it does by itself,
  // on a thread of its own, before it takes imports.
  size_t settled() const {
    const std::lock_guard hold(mutex_);
    return settled_;
  }
  // Lanes whose change the key server acknowledged.
  std::set<uint32_t> lanes(v1::PublishLaneCall::Change change) const {
    const std::lock_guard hold(mutex_);
    const auto it = lanes_.find(change);
    return it == lanes_.end() ? std::set<uint32_t>() : it->second;
  }

 private:
  Result<v1::Reply> handle(v1::Call&& call) {
    const auto step = faults_.next();
    if (step == Faults::Step::kFail) return Faults::error();
    const std::lock_guard hold(mutex_);
    const auto kind = call.call_case();
    const v1::PublishLaneCall change = call.publish_lane();
    ++calls_[kind];
    v1::CallBatch batch;
    *batch.add_calls() = std::move(call);
    auto replies = server_().handle(std::move(batch));
    v1::Reply reply = std::move(*replies.mutable_replies(0));
    if (tamper) tamper(reply);
    if (reply.has_error()) return error_of(reply.error());
    if (kind == v1::Call::kPublishLane) lanes_[change.change()].insert(change.lane());
    if (kind == v1::Call::kResetLanes && reply.reset_lanes().leaf() == 0) ++settled_;
    if (step == Faults::Step::kRunThenFail) return Faults::error();
    return reply;
  }
  static Error error_of(const v1::CallError& error) {
    static std::set<std::string> texts;  // Few, and all of them static in the key server.
    return Error{static_cast<ErrorCode>(error.code()), texts.insert(error.text()).first->c_str(),
                 error.number(), error.retry_after_ms()};
  }

  Server server_;
  env::Executor& loop_;
  Faults& faults_;
  mutable std::mutex mutex_;
  std::map<v1::Call::CallCase, size_t> calls_;
  std::map<v1::PublishLaneCall::Change, std::set<uint32_t>> lanes_;
  size_t settled_ = 0;
};

}  // namespace strongroom::test
