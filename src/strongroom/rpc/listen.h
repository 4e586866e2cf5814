// Listening on an address a person wrote. For .cc files of this folder only.
#pragma once

#include <chrono>
#include <string_view>

#include "strongroom/base/result.h"
#include "strongroom/rpc/event_loop_impl.h"

namespace strongroom::rpc {

// After a connection could not be accepted: out of descriptors, as a rule.
inline constexpr std::chrono::milliseconds kAcceptPause{50};

// HOST:PORT, [IPV6]:PORT; port 0: any free one.
//   kInvalidArgument  Malformed.
//   kUnavailable      The address cannot be listened on.
Result<TcpAcceptor> listen_on(net::io_context& io, std::string_view address);

}  // namespace strongroom::rpc
