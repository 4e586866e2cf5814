// The io_context inside an EventLoop. For .cc files of this folder only: it pulls in Boost.Asio.
#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <thread>

#include "strongroom/rpc/event_loop.h"

namespace strongroom::rpc {

namespace net = boost::asio;

struct EventLoop::Impl {
  net::io_context io{1};
  net::executor_work_guard<net::io_context::executor_type> work{io.get_executor()};
  std::atomic<std::thread::id> thread{};
};

// With the io_context's own executor, not the type-erased default: that costs an allocation for
// each operation.
using LoopExecutor = net::io_context::executor_type;
using TcpSocket = net::basic_stream_socket<net::ip::tcp, LoopExecutor>;
using TcpAcceptor = net::basic_socket_acceptor<net::ip::tcp, LoopExecutor>;
using UnixSocket = net::basic_stream_socket<net::local::stream_protocol, LoopExecutor>;
using UnixAcceptor = net::basic_socket_acceptor<net::local::stream_protocol, LoopExecutor>;
using LoopTimer =
    net::basic_waitable_timer<std::chrono::steady_clock,
                              net::wait_traits<std::chrono::steady_clock>, LoopExecutor>;

}  // namespace strongroom::rpc
