// One TLS connection to the door: reads requests, one after the other, and writes the replies in
// their order.
//
// Requests may be pipelined: what is already read is answered before the next read, and the replies
// leave in one write. The next request is parsed only when the last one has its reply, so one
// connection holds at most one body.
#pragma once

#include <boost/asio/ssl/stream.hpp>
#include <memory>
#include <optional>
#include <string>

#include "strongroom/rpc/door.h"
#include "strongroom/rpc/http_request.h"

namespace strongroom::rpc {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<Door> door, TcpSocket socket);
  ~Connection();

  void start();
  // Of the call numbered `call`; ignored if that one has its reply.
  void reply(uint64_t call, Result<std::string> body, const Headers& headers);
  void sweep();
  void close();

 private:
  enum class Phase { kHandshake, kIdle, kHead, kBody, kCall, kLinger };

  void enter(Phase phase, int64_t limit_ms);
  void read();
  void advance();
  bool step();  // False: no further request can be worked on now.
  void on_head();
  void on_body();
  void on_request();
  void refuse(const Refusal& refusal);
  void send(int http_status, bool json, const Error* error, std::string_view header_line,
            const Headers* headers, std::string_view body);
  void flush();
  void linger();
  void drain();
  void make_space();
  void account(size_t body_bytes);

  std::shared_ptr<Door> door_;
  ssl::stream<TcpSocket> stream_;
  LoopTimer call_timer_;
  RequestParser parser_;
  std::string in_;  // Bytes begin_..end_ are read and not parsed.
  size_t begin_ = 0;
  size_t end_ = 0;
  std::string out_;      // Replies to be written.
  std::string writing_;  // Being written.
  std::optional<Refusal> refusal_;
  std::string from_;  // CallContext::from
  CallContext context_;
  uint64_t call_ = 0;
  size_t accounted_ = 0;
  int64_t deadline_ms_ = 0;
  int64_t write_deadline_ms_ = 0;
  Phase phase_ = Phase::kHandshake;
  bool keep_alive_ = true;
  bool head_request_ = false;
  bool awaiting_ = false;  // A handler has a request and has not answered.
  bool advancing_ = false;
  bool reading_ = false;
  bool writing_now_ = false;
  bool last_ = false;  // What is in out_ ends the connection.
  bool closed_ = false;
};

}  // namespace strongroom::rpc
