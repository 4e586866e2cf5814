// The key server as a gateway sees it: a call goes out, a reply or an error comes back. The
// transport coalesces.
#pragma once

#include <functional>

#include "strongroom/base/result.h"
#include "strongroom/v1/keyservice.pb.h"

namespace strongroom::gateway {

// Thread-safe.
class KeyService {
 public:
  using Callback = std::function<void(Result<v1::Reply>)>;
  virtual ~KeyService() = default;
  // `done` runs on the gateway's event loop. A CallError of the key server arrives as the Error it
  // was.
  virtual void call(v1::Call call, Callback done) = 0;
  // For worker threads only: from the event loop it would wait for itself.
  virtual Result<v1::Reply> call_blocking(v1::Call call) = 0;
};

}  // namespace strongroom::gateway
