#include "strongroom/rpc/connection.h"

#include <string.h>  // explicit_bzero

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

#include "strongroom/base/ip_address.h"
#include "strongroom/crypto/hash.h"
#include "strongroom/rpc/http_response.h"
#include "strongroom/rpc/status_map.h"
#include "strongroom/rpc/wipe.h"

namespace strongroom::rpc {
namespace {

using AsioError = boost::system::error_code;

constexpr size_t kReadBytes = 16u << 10;   // A TLS record.
constexpr size_t kOutKeptMax = 64u << 10;  // Larger buffers are freed after use.
constexpr size_t kOutWaitingMax =
    256u << 10;  // A client that does not read its replies gets no more of them.
constexpr int64_t kBytesPerMs = 64;  // The slowest client worth waiting for.
constexpr int64_t kTransferMs = 20'000;
constexpr int64_t kLingerMs = 2'000;
constexpr char kContinue[] = "HTTP/1.1 100 Continue\r\n\r\n";

void wipe_and_trim(std::string& bytes) {
  wipe(bytes);
  if (bytes.capacity() > kOutKeptMax) std::string().swap(bytes);
}

// What a handler gets to answer with. It does not keep the connection alive.
struct Responder {
  std::weak_ptr<Connection> connection;
  EventLoop* loop;
  uint64_t call;

  void operator()(Result<std::string> body, Headers headers) const {
    if (!loop->in_loop_thread()) {
      loop->post([me = *this, body = std::move(body), headers = std::move(headers)]() mutable {
        if (auto live = me.connection.lock()) live->reply(me.call, std::move(body), headers);
      });
      return;
    }
    if (auto live = connection.lock()) live->reply(call, std::move(body), headers);
  }
};

std::string bytes_of(const net::ip::address& address) {
  if (address.is_v6()) return ip_bytes(address.to_v6().to_bytes());
  const auto four = address.to_v4().to_bytes();
  return std::string(as_text(four));
}

}  // namespace

Connection::Connection(std::shared_ptr<Door> door, TcpSocket socket)
    : door_(std::move(door)),
      stream_(std::move(socket), door_->tls),
      call_timer_(door_->io),
      in_(kReadBytes, '\0') {
  // Asio has OpenSSL free its record buffers, 34 KiB, after each record. They are wanted again at
  // once.
  AsioError unknown;
  const auto other_end = stream_.next_layer().remote_endpoint(unknown);
  if (!unknown) from_ = bytes_of(other_end.address());
  SSL_clear_mode(stream_.native_handle(), SSL_MODE_RELEASE_BUFFERS);
}

Connection::~Connection() {
  wipe(in_);
  wipe(out_);
  wipe(writing_);
}

void Connection::start() {
  enter(Phase::kHandshake, int64_t{1000} * door_->options.head_s);
  stream_.async_handshake(ssl::stream_base::server,
                          [me = shared_from_this()](const AsioError& error) {
                            if (error) return me->close();  // Plain HTTP and old TLS end here.
                            me->enter(Phase::kIdle, int64_t{1000} * me->door_->options.idle_s);
                            me->advance();
                          });
}

void Connection::enter(Phase phase, int64_t limit_ms) {
  phase_ = phase;
  deadline_ms_ = door_->now_ms + limit_ms;
}

void Connection::close() {
  if (closed_) return;
  closed_ = true;
  AsioError ignored;
  call_timer_.cancel();
  stream_.next_layer().close(ignored);
  account(0);
  door_->remove(this);  // May have been the last owner.
}

void Connection::sweep() {
  if (writing_now_ && door_->now_ms > write_deadline_ms_) return close();
  if (door_->now_ms <= deadline_ms_ || (writing_now_ && phase_ == Phase::kIdle)) return;
  if (phase_ != Phase::kCall) return close();
  reply(call_,
        make_error(ErrorCode::kDeadlineExceeded, "no answer in time; look up whether it was done"),
        {});
}

void Connection::make_space() {
  if (begin_ == end_) {
    explicit_bzero(in_.data(), end_);
    begin_ = end_ = 0;
  } else if (end_ == in_.size()) {
    memmove(in_.data(), in_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    explicit_bzero(in_.data() + end_, begin_);
    begin_ = 0;
  }
}

void Connection::read() {
  if (reading_ || closed_) return;
  reading_ = true;
  make_space();
  stream_.async_read_some(net::buffer(in_.data() + end_, in_.size() - end_),
                          [me = shared_from_this()](const AsioError& error, size_t size) {
                            me->reading_ = false;
                            if (error) return me->close();
                            me->end_ += size;
                            me->advance();
                          });
}

void Connection::advance() {
  if (advancing_) return;
  const auto me = shared_from_this();  // A step may close the connection.
  advancing_ = true;
  bool starved = false;
  while (!closed_ && !awaiting_ && !last_ && out_.size() < kOutWaitingMax) {
    if (!step()) {
      starved = true;
      break;
    }
  }
  advancing_ = false;
  if (closed_) return;
  flush();
  // Not beside a write: once that is done the client's next request is often there already, and the
  // read, tried at once, needs no wait.
  if (starved && !writing_now_) read();
}

bool Connection::step() {
  size_t consumed = 0;
  const auto result = parser_.feed(std::string_view(in_.data() + begin_, end_ - begin_), &consumed);
  begin_ += consumed;
  switch (result) {
    case RequestParser::Step::kNeedMore:
      if (phase_ == Phase::kIdle && (begin_ != end_ || consumed > 0)) {
        enter(Phase::kHead, int64_t{1000} * door_->options.head_s);
      }
      return false;
    case RequestParser::Step::kHead:
      on_head();
      return true;
    case RequestParser::Step::kBody:
      on_body();
      return true;
    case RequestParser::Step::kDone:
      // Its last bytes came in this step.
      on_body();
      if (!last_) on_request();
      return true;
    case RequestParser::Step::kHeadTooLarge:
      context_ = {};
      refuse({431, "invalid_argument",
              make_error(ErrorCode::kInvalidArgument, "the request's header fields are too large"),
              "", true});
      return true;
    case RequestParser::Step::kMalformed:
      context_ = {};
      refuse({400, "invalid_argument",
              make_error(ErrorCode::kInvalidArgument, "the request is not valid HTTP/1.1"), "",
              true});
      return true;
  }
  return false;
}

void Connection::on_head() {
  const RequestHead& head = parser_.head();
  const bool known = door_->routes.find(head.path) != door_->routes.end();
  keep_alive_ = head.keep_alive;
  head_request_ = head.method == RequestHead::Method::kHead;
  context_.json = head.codec != RequestHead::Codec::kProto;
  context_.from.assign(from_);
  context_.path.assign(known ? head.path : std::string_view());
  context_.authorization.assign(head.authorization);
  context_.body_sha256.clear();
  context_.timeout_ms = head.timeout_ms;
  refusal_ = check_head(head, known, door_->options.request_bytes_max);
  if (refusal_) {
    // A client that waits for leave to send its body gets none.
    refusal_->close = refusal_->close || head.expects_continue;
    if (refusal_->close) return refuse(*refusal_);
    parser_.discard_body();
  } else if (head.expects_continue) {
    out_.append(kContinue);
  }
  const uint64_t length = head.content_length.value_or(door_->options.request_bytes_max);
  enter(Phase::kBody, kTransferMs + static_cast<int64_t>(length) / kBytesPerMs);
}

void Connection::account(size_t body_bytes) {
  door_->buffered_bytes += body_bytes - accounted_;
  accounted_ = body_bytes;
}

void Connection::on_body() {
  const size_t size = parser_.body().size();
  if (size > door_->options.request_bytes_max) return refuse(body_too_large());
  account(size);
  if (door_->buffered_bytes > door_->options.buffered_bytes_max) {
    refuse({503, "unavailable",
            make_error(ErrorCode::kUnavailable, "too many large requests at once; try again later"),
            "", true});
  }
}

void Connection::on_request() {
  if (refusal_) {
    refuse(*refusal_);
  } else {
    if (!context_.authorization.empty()) {
      const crypto::Digest digest = crypto::sha256(as_bytes(parser_.body()));
      context_.body_sha256.assign(as_text(digest));
    }
    awaiting_ = true;
    ++call_;
    enter(Phase::kCall, int64_t{1000} * door_->options.call_s);
    if (context_.timeout_ms > 0) {
      call_timer_.expires_after(std::chrono::milliseconds(context_.timeout_ms));
      call_timer_.async_wait([weak = weak_from_this(), call = call_](const AsioError& error) {
        const auto me = weak.lock();
        if (error || !me) return;
        me->reply(call,
                  make_error(ErrorCode::kDeadlineExceeded,
                             "no answer within the timeout; look up whether it was done"),
                  {});
      });
    }
    door_->routes.find(context_.path)
        ->second(context_, parser_.body(), Responder{weak_from_this(), &door_->loop, call_});
  }
  account(0);
  parser_.reset();
}

void Connection::reply(uint64_t call, Result<std::string> body, const Headers& headers) {
  if (closed_ || !awaiting_ || call != call_) return;
  awaiting_ = false;
  if (context_.timeout_ms > 0) call_timer_.cancel();
  if (body) {
    send(200, context_.json, nullptr, {}, &headers, *body);
    wipe(*body);
  } else {
    const WireStatus status = wire_status(body.error().code);
    send(status.http_status, true, &body.error(), {}, &headers,
         error_body(status.connect_code, body.error()));
  }
  advance();
}

void Connection::refuse(const Refusal& refusal) {
  if (refusal.close) keep_alive_ = false;
  send(refusal.http_status, true, &refusal.error, refusal.header, nullptr,
       error_body(refusal.connect_code, refusal.error));
}

void Connection::send(int http_status, bool json, const Error* error, std::string_view header_line,
                      const Headers* headers, std::string_view body) {
  const ErrorFields fields = error != nullptr ? error_fields(*error) : ErrorFields{};
  const std::string signature =
      door_->signer ? door_->signer(context_, {http_status, fields.code, fields.number,
                                               fields.retry_after_ms, body})
                    : std::string();
  append_reply({.http_status = http_status,
                .json = json,
                .keep_alive = keep_alive_,
                .body_left_out = head_request_,
                .date = door_->date,
                .signature = signature,
                .header_line = header_line,
                .headers = headers,
                .error = fields},
               body, out_);
  last_ = !keep_alive_;
  enter(Phase::kIdle, int64_t{1000} * door_->options.idle_s);
}

void Connection::flush() {
  if (writing_now_ || out_.empty()) return;
  writing_now_ = true;
  writing_.swap(out_);
  write_deadline_ms_ =
      door_->now_ms + kTransferMs + static_cast<int64_t>(writing_.size()) / kBytesPerMs;
  net::async_write(stream_, net::buffer(writing_),
                   [me = shared_from_this()](const AsioError& error, size_t) {
                     me->writing_now_ = false;
                     wipe_and_trim(me->writing_);
                     if (error) return me->close();
                     if (me->last_ && me->out_.empty()) return me->linger();
                     me->advance();
                   });
}

// A close with bytes unread would reset the connection, and the client might never see the reply.
// So: say goodbye, then read what still comes, for a while.
void Connection::linger() {
  enter(Phase::kLinger, kLingerMs);
  stream_.async_shutdown([me = shared_from_this()](const AsioError&) {
    if (me->closed_) return;
    AsioError ignored;
    me->stream_.next_layer().shutdown(TcpSocket::shutdown_send, ignored);
    me->drain();
  });
}

void Connection::drain() {
  stream_.next_layer().async_read_some(net::buffer(in_),
                                       [me = shared_from_this()](const AsioError& error, size_t) {
                                         if (error) return me->close();
                                         me->drain();
                                       });
}

}  // namespace strongroom::rpc
