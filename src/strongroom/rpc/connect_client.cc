#include "strongroom/rpc/connect_client.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <charconv>

#include "strongroom/rpc/interned.h"
#include "strongroom/rpc/status_map.h"
#include "strongroom/rpc/tls.h"
#include "strongroom/rpc/wipe.h"

namespace strongroom::rpc {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using AsioError = boost::system::error_code;
using Executor = net::io_context::executor_type;
using Socket = net::basic_stream_socket<net::ip::tcp, Executor>;

constexpr int kDefaultTimeoutMs = 120'000;
constexpr uint32_t kReplyHeadBytesMax = 16u << 10;

Error unreachable() {
  return make_error(ErrorCode::kUnavailable,
                    "the server cannot be reached; is it running, and is the address right?");
}

Error broken() {
  return make_error(ErrorCode::kUnavailable,
                    "the connection to the server broke; the call may have been carried out");
}

// A JSON string's text, of a Connect error written by anybody. Escapes other than \" \\ \/ become a
// space.
std::string_view json_member(std::string_view json, std::string_view name, std::string& storage) {
  storage.clear();
  std::string key = "\"";
  key.append(name).append("\"");
  size_t at = json.find(key);
  if (at == std::string_view::npos) return {};
  at += key.size();
  const auto skip_spaces = [&] {
    while (at < json.size() &&
           std::string_view(" \t\r\n").find(json[at]) != std::string_view::npos) {
      ++at;
    }
  };
  skip_spaces();
  if (at >= json.size() || json[at++] != ':') return {};
  skip_spaces();
  if (at >= json.size() || json[at++] != '"') return {};
  for (; at < json.size() && json[at] != '"'; ++at) {
    if (json[at] != '\\' || at + 1 >= json.size()) {
      storage.push_back(json[at]);
      continue;
    }
    const char escaped = json[++at];
    storage.push_back(escaped == '"' || escaped == '\\' || escaped == '/' ? escaped : ' ');
    if (escaped == 'u') at += 4;
  }
  return storage;
}

std::optional<int64_t> number_of(std::string_view text) {
  int64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || failed != std::errc{} || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

}  // namespace

std::string_view HttpReply::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

Error error_of(const HttpReply& reply) {
  std::string storage;
  Error error;
  const auto own = error_code_from_name(reply.header("strongroom-code"));
  const auto connect = error_code_from_connect(json_member(reply.body, "code", storage));
  error.code = own ? *own : connect ? *connect : error_code_from_http(reply.status);
  const std::string_view text = json_member(reply.body, "message", storage);
  error.text = text.empty() ? "the server refused the call without saying why; see its own log"
                            : intern_text(text);
  error.number = number_of(reply.header("strongroom-number")).value_or(-1);
  error.retry_after_ms = number_of(reply.header("strongroom-retry-after-ms")).value_or(-1);
  return error;
}

struct ConnectClient::Impl {
  Impl(Endpoint the_endpoint, Limits the_limits, ssl::context the_tls)
      : endpoint(std::move(the_endpoint)), limits(the_limits), tls(std::move(the_tls)) {}
  ~Impl() {
    stream.reset();
    wipe(out);
  }

  Result<void> open();
  Result<HttpReply> attempt(int timeout_ms, bool* reply_begun);
  // Runs what was started until it is done. False: out of time; the connection is closed.
  bool run(int timeout_ms, const bool& done);

  const Endpoint endpoint;
  const Limits limits;
  net::io_context io{1};
  ssl::context tls;
  std::optional<ssl::stream<Socket>> stream;
  beast::flat_buffer in;
  std::string out;
};

bool ConnectClient::Impl::run(int timeout_ms, const bool& done) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  io.restart();
  while (!done && io.run_one_until(end) > 0) {
  }
  if (done) return true;
  AsioError ignored;
  stream->next_layer().close(ignored);
  io.restart();
  while (!done && io.run_one() > 0) {  // The operations end as cancelled.
  }
  return false;
}

Result<void> ConnectClient::Impl::open() {
  stream.reset();
  in.clear();
  AsioError error;
  net::ip::tcp::resolver resolver(io);
  const auto found = resolver.resolve(endpoint.host, std::to_string(endpoint.port), error);
  if (error) return unreachable();

  const std::string& name = endpoint.server_name.empty() ? endpoint.host : endpoint.server_name;
  stream.emplace(Socket(io), tls);
  stream->set_verify_callback(ssl::host_name_verification(name), error);
  AsioError not_an_address;
  net::ip::make_address(name, not_an_address);
  if (not_an_address && SSL_set_tlsext_host_name(stream->native_handle(), name.c_str()) != 1) {
    return make_error(ErrorCode::kInvalidArgument, "the server's name is not a host name");
  }

  bool done = false;
  net::async_connect(stream->next_layer(), found,
                     [&](const AsioError& failed, const net::ip::tcp::endpoint&) {
                       error = failed;
                       done = true;
                     });
  if (!run(limits.connect_timeout_ms, done) || error) return unreachable();
  stream->next_layer().set_option(net::ip::tcp::no_delay(true), error);
  done = false;
  stream->async_handshake(ssl::stream_base::client, [&](const AsioError& failed) {
    error = failed;
    done = true;
  });
  if (!run(limits.connect_timeout_ms, done)) return unreachable();
  if (SSL_get_verify_result(stream->native_handle()) != X509_V_OK) {
    return make_error(ErrorCode::kUnauthenticated,
                      "the server's certificate is not of the expected authority or name; "
                      "check the credential and the address");
  }
  if (error) {
    return make_error(ErrorCode::kUnavailable,
                      "no TLS 1.3 connection came about; is this a strongroom port?");
  }
  return {};
}

Result<HttpReply> ConnectClient::Impl::attempt(int timeout_ms, bool* reply_begun) {
  AsioError error;
  bool done = false;
  http::response_parser<http::string_body> parser;
  parser.header_limit(kReplyHeadBytesMax);
  parser.body_limit(limits.reply_bytes_max);
  // The reply is read while the request is written: an early refusal must not be lost.
  int running = 2;
  AsioError write_error;
  const auto finish = [&] { done = --running == 0; };
  net::async_write(*stream, net::buffer(out), [&](const AsioError& failed, size_t) {
    write_error = failed;
    finish();
  });
  http::async_read(*stream, in, parser, [&](const AsioError& failed, size_t) {
    error = failed;
    finish();
    // Answered or dead: either way nobody reads the rest of the request.
    AsioError ignored;
    if (running > 0) stream->next_layer().shutdown(Socket::shutdown_send, ignored);
  });
  const bool in_time = run(timeout_ms, done);
  *reply_begun = parser.got_some() || in.size() > 0;
  if (!in_time) {
    stream.reset();
    return make_error(ErrorCode::kDeadlineExceeded,
                      "the server did not answer in time; the call may have been carried out");
  }
  if (error == http::error::body_limit) {
    stream.reset();
    return make_error(ErrorCode::kTooBroad, "the reply is too large; ask for less in one call");
  }
  if (error) {
    stream.reset();
    return broken();
  }
  auto& message = parser.get();
  HttpReply reply;
  reply.status = static_cast<int>(message.result_int());
  for (const auto& field : message) {
    std::string name(field.name_string());
    for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    reply.headers.emplace_back(std::move(name), std::string(field.value()));
  }
  reply.body = std::move(message.body());
  if (!message.keep_alive() || write_error) stream.reset();
  return reply;
}

ConnectClient::ConnectClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ConnectClient::~ConnectClient() = default;

Result<std::unique_ptr<ConnectClient>> ConnectClient::connect(Endpoint endpoint, Limits limits) {
  SR_ASSIGN(auto tls, make_client_tls(endpoint.ca_pem));
  auto impl = std::make_unique<Impl>(std::move(endpoint), limits, std::move(tls));
  SR_TRY(impl->open());
  return std::unique_ptr<ConnectClient>(new ConnectClient(std::move(impl)));
}

Result<HttpReply> ConnectClient::exchange(std::string_view path, std::string_view content_type,
                                          std::string_view body, const CallOptions& options) {
  std::string& out = impl_->out;
  wipe(out);
  out.reserve(512 + body.size());
  out.append("POST ").append(path).append(" HTTP/1.1\r\nhost: ").append(impl_->endpoint.host);
  out.append("\r\nconnect-protocol-version: 1\r\ncontent-type: ").append(content_type);
  out.append("\r\ncontent-length: ").append(std::to_string(body.size())).append("\r\n");
  if (options.timeout_ms > 0) {
    out.append("connect-timeout-ms: ").append(std::to_string(options.timeout_ms)).append("\r\n");
  }
  if (options.authorize) {
    SR_ASSIGN(const std::string authorization, options.authorize(body));
    out.append("strongroom-authorization: ").append(authorization).append("\r\n");
  }
  for (const auto& [name, value] : options.headers) {
    out.append(name).append(": ").append(value).append("\r\n");
  }
  out.append("\r\n").append(body);

  // The server's own answer to a timeout is better than ours: it gets a moment longer.
  constexpr int kGraceMs = 500;
  const int timeout_ms = options.timeout_ms > 0 ? options.timeout_ms + kGraceMs : kDefaultTimeoutMs;
  const bool reused = impl_->stream.has_value();
  if (!reused) SR_TRY(impl_->open());
  bool reply_begun = false;
  auto reply = impl_->attempt(timeout_ms, &reply_begun);
  if (!reply && reply.error().code == ErrorCode::kUnavailable && reused && !reply_begun &&
      options.idempotent) {
    SR_TRY(impl_->open());
    reply = impl_->attempt(timeout_ms, &reply_begun);
  }
  wipe(out);
  if (reply && options.check_reply) SR_TRY(options.check_reply(*reply));
  return reply;
}

Result<std::string> ConnectClient::call(std::string_view path, std::string_view content_type,
                                        std::string_view body, const CallOptions& options,
                                        Headers* reply_headers) {
  SR_ASSIGN(HttpReply reply, exchange(path, content_type, body, options));
  if (reply_headers != nullptr) *reply_headers = reply.headers;
  if (reply.status != 200) return error_of(reply);
  if (reply.header("content-type") != content_type) {
    return make_error(ErrorCode::kUnavailable,
                      "the server answered in another content type; is this a strongroom port?");
  }
  return std::move(reply.body);
}

}  // namespace strongroom::rpc
