#include "strongroom/rpc/text_server.h"

#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <optional>

#include "strongroom/rpc/listen.h"
#include "strongroom/rpc/tls.h"
#include "strongroom/rpc/wipe.h"

namespace strongroom::rpc {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using AsioError = boost::system::error_code;
using TimedSocket = beast::basic_stream<net::ip::tcp, LoopExecutor>;

constexpr uint32_t kHeadBytesMax = 8192;

}  // namespace

struct TextDoor : std::enable_shared_from_this<TextDoor> {
  TextDoor(EventLoop& the_loop, TextServer::Options the_options, TextServer::Handler the_handler,
           ssl::context the_tls, TcpAcceptor the_acceptor)
      : loop(the_loop),
        options(std::move(the_options)),
        handler(std::move(the_handler)),
        tls(std::move(the_tls)),
        acceptor(std::move(the_acceptor)) {}
  void accept();

  EventLoop& loop;
  const TextServer::Options options;
  const TextServer::Handler handler;
  ssl::context tls;
  TcpAcceptor acceptor;
  size_t connections = 0;
  bool closed = false;
};

namespace {

// Keeps itself alive through the operation it waits for, each of which has a deadline.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(std::shared_ptr<TextDoor> door, TcpSocket socket)
      : door_(std::move(door)), stream_(TimedSocket(std::move(socket)), door_->tls) {
    ++door_->connections;
  }
  ~Session() { --door_->connections; }

  void start() {
    limit();
    stream_.async_handshake(ssl::stream_base::server,
                            [me = shared_from_this()](const AsioError& error) {
                              if (!error) me->read();
                            });
  }

 private:
  void limit() {
    beast::get_lowest_layer(stream_).expires_after(std::chrono::seconds(door_->options.idle_s));
  }

  void read() {
    if (door_->closed) return;
    parser_.emplace();
    parser_->header_limit(kHeadBytesMax);
    parser_->body_limit(door_->options.request_bytes_max);
    limit();
    http::async_read(stream_, in_, *parser_,
                     [me = shared_from_this()](const AsioError& error, size_t) {
                       if (error == http::error::body_limit) return me->refuse_large();
                       if (!error) me->answer();
                     });
  }

  void refuse_large() {
    write({413, "text/plain; charset=utf-8", "The request is too large.\n"}, 11, false);
  }

  void answer() {
    const auto& request = parser_->get();
    const bool post = request.method() == http::verb::post;
    TextReply reply{405, "text/plain; charset=utf-8", "Only GET and POST.\n"};
    if (post || request.method() == http::verb::get) {
      reply = door_->handler({post, std::string(request.target()), request.body()});
    }
    write(std::move(reply), request.version(), request.keep_alive());
  }

  void write(TextReply reply, unsigned version, bool keep_alive) {
    reply_.emplace();
    reply_->version(version);
    reply_->result(static_cast<unsigned>(reply.status));
    reply_->set(http::field::content_type, reply.content_type);
    reply_->keep_alive(keep_alive);
    reply_->body() = std::move(reply.body);
    reply_->prepare_payload();
    limit();
    http::async_write(stream_, *reply_,
                      [me = shared_from_this(), keep_alive](const AsioError& error, size_t) {
                        if (error) return;
                        if (keep_alive) return me->read();
                        me->limit();
                        me->stream_.async_shutdown([me](const AsioError&) {});
                      });
  }

  const std::shared_ptr<TextDoor> door_;
  ssl::stream<TimedSocket> stream_;
  beast::flat_buffer in_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::optional<http::response<http::string_body>> reply_;
};

}  // namespace

void TextDoor::accept() {
  acceptor.async_accept([me = shared_from_this()](const AsioError& error, TcpSocket socket) {
    if (me->closed) return;
    if (error) {
      // Out of file descriptors, most likely: trying again at once would only burn the processor.
      me->loop.after(kAcceptPause, [weak = std::weak_ptr<TextDoor>(me)] {
        if (const auto door = weak.lock(); door && !door->closed) door->accept();
      });
      return;
    }
    if (me->connections < me->options.connections_max) {
      std::make_shared<Session>(me, std::move(socket))->start();
    }
    me->accept();
  });
}

Result<std::unique_ptr<TextServer>> TextServer::start(EventLoop& loop, Options options,
                                                      Handler handler) {
  auto tls = make_server_tls(options.certificate_pem, options.key_pem);
  wipe(options.key_pem);
  if (!tls) return tls.error();
  SR_ASSIGN(auto acceptor, listen_on(loop.impl().io, options.listen));
  auto door = std::make_shared<TextDoor>(loop, std::move(options), std::move(handler),
                                         std::move(*tls), std::move(acceptor));
  door->accept();
  return std::unique_ptr<TextServer>(new TextServer(std::move(door)));
}

TextServer::TextServer(std::shared_ptr<TextDoor> door) : door_(std::move(door)) {}

TextServer::~TextServer() {
  door_->closed = true;
  AsioError ignored;
  door_->acceptor.close(ignored);
}

uint16_t TextServer::port() const {
  AsioError ignored;
  return door_->acceptor.local_endpoint(ignored).port();
}

}  // namespace strongroom::rpc
