// A door for public texts: what a witness answers, which others' tools must be able to ask for.
//
// HTTP/1.1 over TLS 1.3 by Boost.Beast, small requests, one at a time on a connection. Nothing
// secret goes through it, and nobody authenticates.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "strongroom/base/result.h"
#include "strongroom/rpc/event_loop.h"

namespace strongroom::rpc {

struct TextDoor;  // text_server.cc

struct TextRequest {
  bool post = false;  // Else GET. Others are refused before they get here.
  std::string path;
  std::string body;
};
struct TextReply {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

// On the loop's thread.
class TextServer {
 public:
  struct Options {
    std::string listen{};  // HOST:PORT; port 0: any free one.
    std::string certificate_pem{};
    std::string key_pem{};  // Wiped by start().
    size_t request_bytes_max = 256u << 10;
    size_t connections_max = 256;  // Further ones are closed at once.
    int idle_s = 30;               // For each step: handshake, request, reply.
  };
  using Handler = std::function<TextReply(const TextRequest&)>;

  // Errors as ConnectServer::start().
  static Result<std::unique_ptr<TextServer>> start(EventLoop& loop, Options options,
                                                   Handler handler);
  ~TextServer();
  TextServer(const TextServer&) = delete;
  TextServer& operator=(const TextServer&) = delete;
  uint16_t port() const;

 private:
  explicit TextServer(std::shared_ptr<TextDoor> door);
  std::shared_ptr<TextDoor> door_;
};

}  // namespace strongroom::rpc
