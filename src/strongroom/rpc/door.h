// What the connections of one ConnectServer share. For .cc files of this folder only.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "strongroom/rpc/connect_server.h"
#include "strongroom/rpc/event_loop_impl.h"
#include "strongroom/rpc/tls.h"

namespace strongroom::rpc {

class Connection;

// On the loop's thread, as everything here. It owns its connections; each keeps it alive until it
// closes.
struct Door : std::enable_shared_from_this<Door> {
  Door(EventLoop& the_loop, ConnectServer::Options the_options, ssl::context the_tls,
       TcpAcceptor the_acceptor);

  void accept();
  void sweep();  // Every so often: the date, and connections past a deadline.
  void close();
  void remove(Connection* connection) { connections.erase(connection); }
  // Coarse, monotonic; for deadlines.
  int64_t now_ms = 0;

  EventLoop& loop;
  net::io_context& io;
  ConnectServer::Options options;
  ssl::context tls;
  TcpAcceptor acceptor;
  LoopTimer timer;
  std::map<std::string, ConnectServer::BytesHandler, std::less<>> routes;
  ConnectServer::ReplySigner signer;
  std::unordered_map<Connection*, std::shared_ptr<Connection>> connections;
  size_t buffered_bytes = 0;  // Of the bodies being received.
  std::string date;
  bool closed = false;
};

}  // namespace strongroom::rpc
