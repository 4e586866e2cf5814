// A blocking Connect client over one TLS 1.3 connection: for the command line, tests and
// benchmarks.
//
// The server must present a certificate of the given authority for the given name; there is no way
// to skip that. Not thread-safe: one client a thread. A server's error comes back with its code,
// numbers and text (see intern_text()).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "strongroom/base/result.h"
#include "strongroom/rpc/codec.h"
#include "strongroom/rpc/headers.h"

namespace strongroom::rpc {

struct Endpoint {
  std::string host;
  uint16_t port = 0;
  std::string ca_pem;       // The authority's certificate, and no other is trusted.
  std::string server_name;  // Empty: host.
};

struct HttpReply {
  int status = 0;
  Headers headers;  // Names in lower case.
  std::string body;
  std::string_view header(std::string_view name) const;  // Empty: absent.
};

struct CallOptions {
  bool json = false;
  // Safe to do twice: sent again, once, if a connection kept alive turns out closed before any byte
  // of the reply came.
  bool idempotent = false;
  int timeout_ms = 0;  // Sent as Connect-Timeout-Ms, too. 0: 120 s, not sent.
  Headers headers{};
  // Makes the header strongroom-authorization from the very bytes of the body.
  std::function<Result<std::string>(std::string_view body)> authorize{};
  // Looks at every reply, errors too, before anything in it is believed.
  std::function<Result<void>(const HttpReply& reply)> check_reply{};
};

class ConnectClient {
 public:
  struct Limits {
    int connect_timeout_ms = 10'000;
    size_t reply_bytes_max = 64u << 20;
  };

  //   kInvalidArgument  The authority's certificate does not load.
  //   kUnavailable      Nobody listens there, or not in time.
  //   kUnauthenticated  Its certificate is not of this authority or for this name.
  static Result<std::unique_ptr<ConnectClient>> connect(Endpoint endpoint, Limits limits);
  static Result<std::unique_ptr<ConnectClient>> connect(Endpoint endpoint) {
    return connect(std::move(endpoint), Limits{});
  }
  ~ConnectClient();

  // POSTs `body` and returns the reply whatever its status.
  //   kUnavailable       The connection broke: the call may or may not have been carried out.
  //   kDeadlineExceeded  No reply in time, with the same doubt. The connection is closed.
  Result<HttpReply> exchange(std::string_view path, std::string_view content_type,
                             std::string_view body, const CallOptions& options);
  // exchange(), then a non-200 status made an Error. Returns the body.
  Result<std::string> call(std::string_view path, std::string_view content_type,
                           std::string_view body, const CallOptions& options = {},
                           Headers* reply_headers = nullptr);
  template <class Req, class Resp>
  Result<Resp> unary(std::string_view path, const Req& request, const CallOptions& options = {},
                     Headers* reply_headers = nullptr) {
    SR_ASSIGN(const std::string body, encode_message(options.json, request));
    SR_ASSIGN(const std::string reply,
              call(path, options.json ? kJsonType : kProtoType, body, options, reply_headers));
    Resp response;
    SR_TRY(decode_message(options.json, reply, response));
    return response;
  }

 private:
  struct Impl;
  explicit ConnectClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The error a reply stands for. Only for a status other than 200.
Error error_of(const HttpReply& reply);

}  // namespace strongroom::rpc
