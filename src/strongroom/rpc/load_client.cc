#include "strongroom/rpc/load_client.h"

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <charconv>
#include <chrono>
#include <memory>

#include "strongroom/rpc/tls.h"

namespace strongroom::rpc {
namespace {

namespace net = boost::asio;
using AsioError = boost::system::error_code;
using Socket = net::basic_stream_socket<net::ip::tcp, net::io_context::executor_type>;
using Clock = std::chrono::steady_clock;

class Runner {
 public:
  Runner(const LoadOptions& options, ssl::context& tls) : options_(options), tls_(tls) {}
  Result<LoadResult> run();

 private:
  struct Line {
    Line(int the_number, net::io_context& io, ssl::context& tls)
        : number(the_number), stream(Socket(io), tls), in(16u << 10, '\0') {
      SSL_clear_mode(stream.native_handle(), SSL_MODE_RELEASE_BUFFERS);  // As the door does.
    }
    const int number;
    ssl::stream<Socket> stream;
    std::string in;
    size_t in_size = 0;
    LoadCall call;
    std::string out;
    Clock::time_point sent;
  };

  bool open(Line& line);
  void send(Line& line);
  void receive(Line& line);
  bool complete(Line& line);

  const LoadOptions& options_;
  ssl::context& tls_;
  net::io_context io_{1};
  LoadResult result_;
  bool failed_ = false;
};

bool Runner::open(Line& line) {
  AsioError error;
  net::ip::tcp::resolver resolver(io_);
  const auto& to = options_.endpoint;
  const auto found = resolver.resolve(to.host, std::to_string(to.port), error);
  if (error) return false;
  line.stream.set_verify_callback(
      ssl::host_name_verification(to.server_name.empty() ? to.host : to.server_name), error);
  net::connect(line.stream.next_layer(), found, error);
  if (error) return false;
  line.stream.next_layer().set_option(net::ip::tcp::no_delay(true), error);
  line.stream.handshake(ssl::stream_base::client, error);
  return !error;
}

void Runner::send(Line& line) {
  if (failed_ || !options_.next(line.number, line.call)) return;
  const LoadCall& call = line.call;
  line.out.clear();
  line.out.append("POST ").append(call.path).append(" HTTP/1.1\r\nhost: localhost\r\n");
  line.out.append("connect-protocol-version: 1\r\ncontent-type: ");
  line.out.append(call.json ? kJsonType : kProtoType).append("\r\ncontent-length: ");
  line.out.append(std::to_string(call.body.size())).append("\r\n");
  if (!call.authorization.empty()) {
    line.out.append("strongroom-authorization: ").append(call.authorization).append("\r\n");
  }
  line.out.append("\r\n").append(call.body);
  line.in_size = 0;
  line.sent = Clock::now();
  net::async_write(line.stream, net::buffer(line.out),
                   [this, &line](const AsioError& error, size_t) {
                     if (error) {
                       failed_ = true;
                       return;
                     }
                     receive(line);
                   });
}

void Runner::receive(Line& line) {
  line.stream.async_read_some(
      net::buffer(line.in.data() + line.in_size, line.in.size() - line.in_size),
      [this, &line](const AsioError& error, size_t size) {
        if (error) {
          failed_ = true;
          return;
        }
        line.in_size += size;
        if (!complete(line)) return receive(line);
        result_.latencies_us.push_back(
            std::chrono::duration<float, std::micro>(Clock::now() - line.sent).count());
        send(line);
      });
}

// Takes our own server's way of writing a head for granted.
bool Runner::complete(Line& line) {
  const std::string_view got(line.in.data(), line.in_size);
  const size_t head = got.find("\r\n\r\n");
  constexpr std::string_view kLength = "content-length: ";
  const size_t at = got.substr(0, head).find(kLength);
  size_t body = 0;
  if (head != std::string_view::npos && at != std::string_view::npos) {
    std::from_chars(got.data() + at + kLength.size(), got.data() + head, body);
  }
  if (head == std::string_view::npos || got.size() < head + 4 + body) {
    if (line.in_size == line.in.size()) line.in.resize(line.in.size() * 2);
    return false;
  }
  int status = 0;
  std::from_chars(got.data() + 9, got.data() + 12, status);
  if (status != 200) ++result_.errors;
  if (options_.reply) options_.reply(line.number, status, got.substr(head + 4, body));
  return true;
}

Result<LoadResult> Runner::run() {
  std::vector<std::unique_ptr<Line>> lines;
  for (int i = 0; i < options_.connections; ++i) {
    lines.push_back(std::make_unique<Line>(i, io_, tls_));
    if (!open(*lines.back())) {
      return make_error(ErrorCode::kUnavailable, "a connection for the load could not be opened",
                        i);
    }
  }
  const auto start = Clock::now();
  for (const auto& line : lines) send(*line);
  io_.run();
  result_.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (failed_) return make_error(ErrorCode::kUnavailable, "a connection of the load broke");
  return std::move(result_);
}

}  // namespace

double LoadResult::percentile_us(double percent) const {
  if (latencies_us.empty()) return 0;
  std::vector<float> sorted = latencies_us;
  const auto rank = static_cast<size_t>(percent / 100 * static_cast<double>(sorted.size() - 1));
  const auto at = sorted.begin() + static_cast<std::ptrdiff_t>(rank);
  std::nth_element(sorted.begin(), at, sorted.end());
  return *at;
}

Result<LoadResult> run_load(const LoadOptions& options) {
  SR_ASSIGN(auto tls, make_client_tls(options.endpoint.ca_pem));
  return Runner(options, tls).run();
}

}  // namespace strongroom::rpc
