// The door: Connect unary calls over HTTP/1.1 and TLS 1.3 (docs/spec/wire.md;
// https://connectrpc.com/docs/protocol).
//
// It decides nothing: it takes a request in, bounded in size and time, hands it to the handler of
// its path and sends back what the handler answers. Requests of one connection are answered one
// after the other, in order. Buffers that held a request or a reply are wiped before they are used
// again. Everything runs on the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "strongroom/base/result.h"
#include "strongroom/rpc/codec.h"
#include "strongroom/rpc/event_loop.h"
#include "strongroom/rpc/headers.h"

namespace strongroom::rpc {

struct Door;  // door.h

struct CallContext {
  bool json = false;
  std::string path;
  std::string authorization;  // Value of the header strongroom-authorization; empty: absent.
  std::string body_sha256;    // 32 raw bytes; only where `authorization` is not empty.
  std::string from;           // The other end's IP address: 4 or 16 bytes, IPv4 always as 4.
  int64_t timeout_ms = -1;    // Connect-Timeout-Ms, already enforced by the server. -1: none.
};

// A reply as it goes out: all that a client acts on. The texts are values of header fields, empty
// where they are absent.
struct ReplyContent {
  int http_status = 0;
  std::string_view code;            // strongroom-code
  std::string_view number;          // strongroom-number
  std::string_view retry_after_ms;  // strongroom-retry-after-ms
  std::string_view body;
};

// Answers one request. May be called from any thread, once: later calls, and calls after the
// deadline, are ignored; not after the loop is gone. An error goes out as its code, its static text
// and its numbers.
using RespondBytes = std::function<void(Result<std::string> body, Headers headers)>;

class ConnectServer {
 public:
  struct Options {
    std::string listen{};  // HOST:PORT, [IPV6]:PORT; port 0: any free one.
    std::string certificate_pem{};
    std::string key_pem{};                   // Wiped by start().
    size_t request_bytes_max = 32u << 20;    // Of one body.
    size_t buffered_bytes_max = 256u << 20;  // Of all bodies being received; beyond: kUnavailable.
    int connections_max = 1024;              // Further ones are closed at once.
    int idle_s = 120;                        // Between requests.
    int head_s = 10;   // For the handshake, and for a request's header once begun.
    int call_s = 300;  // For a handler without a Connect-Timeout-Ms.
  };

  // Listens from now on, though nothing is answered before the loop runs.
  //   kInvalidArgument  `listen` is malformed, or certificate and key do not load or match.
  //   kUnavailable      The address cannot be listened on.
  static Result<std::unique_ptr<ConnectServer>> start(EventLoop& loop, Options options);
  ~ConnectServer();  // Closes the door and all connections; answers still to come are dropped.
  ConnectServer(const ConnectServer&) = delete;
  ConnectServer& operator=(const ConnectServer&) = delete;

  uint16_t port() const;
  size_t connections() const;

  // Context and body are borrowed for the call: copy what an asynchronous handler needs later.
  // Register before the loop runs, or on its thread.
  using BytesHandler = std::function<void(const CallContext&, std::string_view body, RespondBytes)>;
  void raw(std::string path, BytesHandler handler);

  template <class Req, class Resp>
  using Handler =
      std::function<void(const CallContext&, Req, std::function<void(Result<Resp>)> respond)>;
  // path: "/strongroom.v1.VaultService/Find".
  template <class Req, class Resp>
  void unary(const std::string& path, Handler<Req, Resp> handler);

  // Its result goes out as the header strongroom-signature of every reply (empty: none), errors
  // included. It must bear a context without path, authorization or digest: that of a request
  // refused before they were read.
  using ReplySigner = std::function<std::string(const CallContext&, const ReplyContent&)>;
  void set_reply_signer(ReplySigner signer);

 private:
  explicit ConnectServer(std::shared_ptr<Door> door);
  std::shared_ptr<Door> door_;
};

template <class Req, class Resp>
void ConnectServer::unary(const std::string& path, Handler<Req, Resp> handler) {
  raw(path, [handler = std::move(handler)](const CallContext& context, std::string_view body,
                                           RespondBytes respond) {
    Req request;
    if (auto decoded = decode_message(context.json, body, request); !decoded) {
      return respond(decoded.error(), {});
    }
    handler(context, std::move(request),
            [json = context.json, respond = std::move(respond)](Result<Resp> reply) {
              if (!reply) return respond(reply.error(), {});
              respond(encode_message(json, *reply), {});
            });
  });
}

}  // namespace strongroom::rpc
