#include "strongroom/rpc/connect_server.h"

#include <chrono>

#include "strongroom/env/clock.h"
#include "strongroom/rpc/connection.h"
#include "strongroom/rpc/door.h"
#include "strongroom/rpc/http_response.h"
#include "strongroom/rpc/listen.h"
#include "strongroom/rpc/wipe.h"

namespace strongroom::rpc {
namespace {

using AsioError = boost::system::error_code;

constexpr std::chrono::milliseconds kSweep{250};

int64_t steady_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

Door::Door(EventLoop& the_loop, ConnectServer::Options the_options, ssl::context the_tls,
           TcpAcceptor the_acceptor)
    : loop(the_loop),
      io(the_loop.impl().io),
      options(std::move(the_options)),
      tls(std::move(the_tls)),
      acceptor(std::move(the_acceptor)),
      timer(io) {}

void Door::accept() {
  acceptor.async_accept([me = shared_from_this()](const AsioError& error, TcpSocket socket) {
    if (me->closed) return;
    if (error) {
      // Out of file descriptors, most likely: trying again at once would only burn the processor.
      me->loop.after(kAcceptPause, [weak = std::weak_ptr<Door>(me)] {
        if (const auto door = weak.lock(); door && !door->closed) door->accept();
      });
      return;
    }
    if (me->connections.size() < static_cast<size_t>(me->options.connections_max)) {
      AsioError ignored;
      socket.set_option(net::ip::tcp::no_delay(true), ignored);
      auto connection = std::make_shared<Connection>(me, std::move(socket));
      me->connections.emplace(connection.get(), connection);
      connection->start();
    }
    me->accept();
  });
}

void Door::sweep() {
  now_ms = steady_ms();
  date = http_date(static_cast<int64_t>(env::real_clock().wall_ms() / 1000));
  std::vector<std::shared_ptr<Connection>> all;  // A sweep may remove from the map.
  all.reserve(connections.size());
  for (const auto& [key, connection] : connections) all.push_back(connection);
  for (const auto& connection : all) connection->sweep();
  timer.expires_after(kSweep);
  timer.async_wait([me = shared_from_this()](const AsioError& error) {
    if (!error && !me->closed) me->sweep();
  });
}

void Door::close() {
  closed = true;
  AsioError ignored;
  acceptor.close(ignored);
  timer.cancel();
  while (!connections.empty()) {
    const auto connection = connections.begin()->second;
    connection->close();
  }
}

Result<std::unique_ptr<ConnectServer>> ConnectServer::start(EventLoop& loop, Options options) {
  auto tls = make_server_tls(options.certificate_pem, options.key_pem);
  wipe(options.key_pem);
  if (!tls) return tls.error();
  SR_ASSIGN(auto acceptor, listen_on(loop.impl().io, options.listen));
  auto door =
      std::make_shared<Door>(loop, std::move(options), std::move(*tls), std::move(acceptor));
  door->sweep();
  door->accept();
  return std::unique_ptr<ConnectServer>(new ConnectServer(std::move(door)));
}

ConnectServer::ConnectServer(std::shared_ptr<Door> door) : door_(std::move(door)) {}

ConnectServer::~ConnectServer() {
  door_->close();
}

uint16_t ConnectServer::port() const {
  AsioError ignored;
  return door_->acceptor.local_endpoint(ignored).port();
}

size_t ConnectServer::connections() const {
  return door_->connections.size();
}

void ConnectServer::raw(std::string path, BytesHandler handler) {
  door_->routes[std::move(path)] = std::move(handler);
}

void ConnectServer::set_reply_signer(ReplySigner signer) {
  door_->signer = std::move(signer);
}

}  // namespace strongroom::rpc
