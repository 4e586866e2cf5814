#include "strongroom/rpc/listen.h"

#include <boost/asio/ip/address.hpp>
#include <charconv>

namespace strongroom::rpc {
namespace {

using AsioError = boost::system::error_code;

Result<net::ip::tcp::endpoint> resolve_listen(net::io_context& io, std::string_view listen) {
  const auto malformed = [] {
    return make_error(
        ErrorCode::kInvalidArgument,
        "the address to listen on must be HOST:PORT, as 127.0.0.1:8443 or [::1]:8443");
  };
  const size_t colon = listen.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return malformed();
  std::string_view host = listen.substr(0, colon);
  const std::string_view digits = listen.substr(colon + 1);
  uint16_t port = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (digits.empty() || failed != std::errc{} || end != digits.data() + digits.size()) {
    return malformed();
  }
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  AsioError error;
  const auto address = net::ip::make_address(std::string(host), error);
  if (!error) return net::ip::tcp::endpoint(address, port);
  net::ip::tcp::resolver resolver(io);
  const auto found = resolver.resolve(std::string(host), std::to_string(port),
                                      net::ip::tcp::resolver::passive, error);
  if (error || found.empty()) {
    return make_error(ErrorCode::kUnavailable,
                      "the host name to listen on has no address; give an IP address");
  }
  for (const auto& entry : found) {
    if (entry.endpoint().address().is_v4()) return entry.endpoint();
  }
  return found.begin()->endpoint();
}

}  // namespace

Result<TcpAcceptor> listen_on(net::io_context& io, std::string_view address) {
  SR_ASSIGN(const auto endpoint, resolve_listen(io, address));
  TcpAcceptor acceptor(io);
  AsioError error;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(net::socket_base::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(net::socket_base::max_listen_connections, error);
  if (error) {
    return make_error(ErrorCode::kUnavailable,
                      "cannot listen on that address; is it in use, or not of this machine?");
  }
  return acceptor;
}

}  // namespace strongroom::rpc
