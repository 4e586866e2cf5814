// The transport to the key server, as the gateway wants it.
#pragma once

#include <utility>

#include "strongroom/gateway/key_service.h"
#include "strongroom/rpc/frames.h"

namespace strongroom::app {

// Borrows the link.
class LinkedKeyService : public gateway::KeyService {
 public:
  explicit LinkedKeyService(rpc::KeyServiceLink& link) : link_(link) {}
  void call(v1::Call call, Callback done) override { link_.call(std::move(call), std::move(done)); }
  Result<v1::Reply> call_blocking(v1::Call call) override {
    return link_.call_blocking(std::move(call));
  }

 private:
  rpc::KeyServiceLink& link_;
};

}  // namespace strongroom::app
