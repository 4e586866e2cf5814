// A real door on an ephemeral port, knocked on by our client, by curl and by raw bytes.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "strongroom/crypto/hash.h"
#include "strongroom/rpc/load_client.h"
#include "strongroom/rpc/rpc_testing.h"
#include "strongroom/v1/admin.pb.h"

namespace strongroom::rpc {
namespace {

using Request = v1::LogTileRequest;
using Response = v1::LogTileResponse;
namespace net = boost::asio;

constexpr char kEcho[] = "/strongroom.v1.Test/Echo";
constexpr char kFail[] = "/strongroom.v1.Test/Fail";
constexpr char kNever[] = "/strongroom.v1.Test/Never";
constexpr char kThread[] = "/strongroom.v1.Test/Thread";

Request request_of(std::string text) {
  Request request;
  request.set_path(std::move(text));
  return request;
}

class ConnectTest : public testing::Test {
 protected:
  explicit ConnectTest(ConnectServer::Options options = {}) : door_(std::move(options)) {
    door_.server->unary<Request, Response>(
        kEcho, [this](const CallContext& context, const Request& request, const auto& respond) {
          ++calls_;
          {
            const std::lock_guard lock(mutex_);
            context_ = context;
          }
          Response response;
          response.set_data(request.path());
          respond(std::move(response));
        });
    door_.server->unary<Request, Response>(kFail, [](const CallContext&, const Request&,
                                                     const auto& respond) {
      Error error = make_error(ErrorCode::kBudgetExhausted, "the budget is \"spent\"; wait", 17);
      error.retry_after_ms = 61'000;
      respond(error);
    });
    door_.server->raw(kNever, [this](const CallContext&, std::string_view, RespondBytes respond) {
      const std::lock_guard lock(mutex_);
      kept_.push_back(std::move(respond));
    });
    door_.server->raw(kThread, [](const CallContext&, std::string_view body, RespondBytes respond) {
      std::thread([text = std::string(body), respond = std::move(respond)] {
        respond(text, {{"x-extra", "1"}});
        respond(make_error(ErrorCode::kInternal, "a second answer"), {});
      }).detach();
    });
  }
  void TearDown() override { door_.loop_thread().stop(); }

  TestDoor door_;
  std::atomic<int> calls_{0};
  std::mutex mutex_;
  CallContext context_;
  std::vector<RespondBytes> kept_;
};

// A TLS connection that says exactly what it is told to.
class RawClient {
 public:
  explicit RawClient(const Endpoint& to) : stream_(io_, tls_) {
    stream_.next_layer().connect({net::ip::make_address(to.host), to.port});
    stream_.handshake(net::ssl::stream_base::client);
  }
  void write(std::string_view bytes) { net::write(stream_, net::buffer(bytes)); }
  // One reply: its head and body. Empty: the door hung up.
  std::string read() {
    boost::system::error_code error;
    const size_t head = net::read_until(stream_, net::dynamic_buffer(in_), "\r\n\r\n", error);
    if (error) return {};
    size_t size = head;
    const size_t at = in_.find("content-length: ");
    if (at < head) size += std::stoul(in_.substr(at + 16));
    while (in_.size() < size) {
      char more[4096];
      const size_t got = stream_.read_some(net::buffer(more), error);
      if (error) return {};
      in_.append(more, got);
    }
    std::string reply = in_.substr(0, size);
    in_.erase(0, size);
    return reply;
  }

 private:
  net::io_context io_;
  net::ssl::context tls_{net::ssl::context::tlsv13_client};
  net::ssl::stream<net::ip::tcp::socket> stream_;
  std::string in_;
};

std::string post(std::string_view path, std::string_view body,
                 std::string_view type = "application/json", std::string_view more = "") {
  std::string out = "POST ";
  out.append(path).append(" HTTP/1.1\r\nhost: localhost\r\ncontent-type: ").append(type);
  out.append("\r\ncontent-length: ").append(std::to_string(body.size())).append("\r\n");
  return out.append(more).append("\r\n").append(body);
}

TEST_F(ConnectTest, BinaryAndJsonCallsAreAnswered) {
  door_.run();
  auto client = door_.client();
  for (bool json : {false, true}) {
    for (int i = 0; i < 3; ++i) {
      const auto reply =
          client->unary<Request, Response>(kEcho, request_of("tile/0/000"), {.json = json});
      ASSERT_TRUE(reply) << reply.error().text;
      EXPECT_EQ(reply->data(), "tile/0/000");
    }
  }
  EXPECT_EQ(calls_, 6);
}

TEST_F(ConnectTest, ErrorsRoundTripWithCodeTextAndNumbers) {
  door_.run();
  auto client = door_.client();
  Headers headers;
  const auto reply = client->unary<Request, Response>(kFail, request_of(""), {}, &headers);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kBudgetExhausted);
  EXPECT_STREQ(reply.error().text, "the budget is \"spent\"; wait");
  EXPECT_EQ(reply.error().number, 17);
  EXPECT_EQ(reply.error().retry_after_ms, 61'000);
  HttpReply seen{0, headers, {}};
  EXPECT_EQ(seen.header("retry-after"), "61");
  EXPECT_EQ(seen.header("content-type"), "application/json");
}

TEST_F(ConnectTest, AuthorizationArrivesWithTheDigestOfTheBody) {
  const auto sign = [](const ReplyContent& reply) {
    return "signed-" + std::to_string(reply.http_status) + "-" + std::string(reply.code) + "-" +
           std::string(reply.number) + "-" + std::string(reply.retry_after_ms) + "-" +
           std::to_string(reply.body.size());
  };
  door_.server->set_reply_signer([sign](const CallContext& context, const ReplyContent& reply) {
    return context.authorization.empty() ? std::string() : sign(reply);
  });
  door_.run();
  auto client = door_.client();
  ASSERT_TRUE((client->unary<Request, Response>(kEcho, request_of("x"))));
  {
    const std::lock_guard lock(mutex_);
    EXPECT_EQ(context_.authorization + context_.body_sha256, "");
    EXPECT_EQ(context_.path, kEcho);
  }
  std::string body_seen;
  std::string signature;
  CallOptions options;
  options.authorize = [&](std::string_view body) -> Result<std::string> {
    body_seen = body;
    return std::string("v1 officer 1 nonce sig");
  };
  options.check_reply = [&](const HttpReply& reply) -> Result<void> {
    signature = reply.header("strongroom-signature");
    EXPECT_EQ(signature, sign({reply.status, reply.header("strongroom-code"),
                               reply.header("strongroom-number"),
                               reply.header("strongroom-retry-after-ms"), reply.body}));
    return {};
  };
  ASSERT_TRUE((client->unary<Request, Response>(kEcho, request_of("x"), options)));
  EXPECT_NE(signature, "");
  {
    const std::lock_guard lock(mutex_);
    EXPECT_EQ(context_.authorization, "v1 officer 1 nonce sig");
    EXPECT_EQ(context_.body_sha256, as_text(crypto::sha256(as_bytes(body_seen))));
  }
  signature.clear();
  EXPECT_FALSE((client->unary<Request, Response>(kFail, request_of("x"), options)));
  EXPECT_TRUE(signature.starts_with("signed-429-budget_exhausted-17-61000-"))
      << "errors are signed, too: " << signature;
  options.check_reply = [](const HttpReply&) -> Result<void> {
    return make_error(ErrorCode::kDataLoss, "forged");
  };
  EXPECT_EQ((client->unary<Request, Response>(kEcho, request_of("x"), options)).error().code,
            ErrorCode::kDataLoss);
}

TEST_F(ConnectTest, RequestsThatBreakTheRulesGetTheSpecifiedStatus) {
  door_.run();
  RawClient client(door_.endpoint);
  const struct {
    std::string request;
    const char* status;
    const char* text;
  } cases[] = {
      {post(kEcho, R"({"path":"x","more":1})"), "400", "invalid_argument"},
      {post(kEcho, R"({"path":)"), "400", "invalid_argument"},
      {post(kEcho, R"({"path":7})"), "400", "invalid_argument"},
      {post(kEcho, "\xff\xff\xff", "application/proto"), "400", "invalid_argument"},
      {post("/strongroom.v1.Test/Absent", "{}"), "404", "unimplemented"},
      {post(kEcho, "{}", "text/plain"), "415", "accept-post"},
      {post(kEcho, "{}", "application/json; charset=latin1"), "415", "accept-post"},
      {post(kEcho, "{}", "application/json", "content-encoding: gzip\r\n"), "501", "identity"},
      {post(kEcho, "{}", "application/json", "connect-protocol-version: 2\r\n"), "400", "version"},
      {post(kEcho, "{}", "application/json", "connect-timeout-ms: soon\r\n"), "400", "timeout"},
      {post(kEcho, "{}", "application/json", "connect-timeout-ms: 12345678901\r\n"), "400", "ten"},
      {"GET " + std::string(kEcho) + " HTTP/1.1\r\nhost: x\r\n\r\n", "405", "allow: POST"},
  };
  for (const auto& one : cases) {
    client.write(one.request);
    const std::string reply = client.read();
    EXPECT_EQ(reply.substr(9, 3), one.status) << one.request << reply;
    EXPECT_NE(reply.find(one.text), std::string::npos) << one.request << reply;
    EXPECT_NE(reply.find("content-type: application/json\r\n"), std::string::npos);
    EXPECT_EQ(reply.find("connection: close"), std::string::npos) << "the connection goes on";
  }
  EXPECT_EQ(calls_, 0);
  client.write(post(kEcho, R"({"path":"still here"})", "Application/JSON; charset=utf-8",
                    "connect-protocol-version: 1\r\ncontent-encoding: identity\r\n"));
  EXPECT_EQ(client.read().substr(9, 3), "200");
}

TEST_F(ConnectTest, ErrorsNeverRepeatWhatWasSent) {
  door_.run();
  RawClient client(door_.endpoint);
  client.write(post(kEcho, R"({"path":["13800138000"],"surname":"13800138000"})"));
  EXPECT_EQ(client.read().find("13800138000"), std::string::npos);
  client.write(post("/13800138000", "{}", "x/13800138000"));
  EXPECT_EQ(client.read().find("13800138000"), std::string::npos);
}

TEST_F(ConnectTest, PipelinedRequestsAreAnsweredInOrder) {
  door_.run();
  RawClient client(door_.endpoint);
  std::string all;
  for (int i = 0; i < 50; ++i) {
    const std::string text = std::to_string(i);
    // Every other one is answered later, from another thread.
    all += i % 2 == 0 ? post(kEcho, "{\"path\":\"" + text + "\"}")
                      : post(kThread, "<" + text + ">", "application/proto");
  }
  client.write(all);
  for (int i = 0; i < 50; ++i) {
    const std::string reply = client.read();
    const std::string text = std::to_string(i);
    const std::string wanted =
        i % 2 == 0 ? "{\"data\":\"" + to_base64(as_bytes(text)) + "\"}" : "<" + text + ">";
    ASSERT_EQ(reply.substr(reply.find("\r\n\r\n") + 4), wanted);
  }
}

TEST_F(ConnectTest, RequestInSingleBytesIsUnderstood) {
  door_.run();
  RawClient client(door_.endpoint);
  for (char c : post(kEcho, "{}")) client.write({&c, 1});
  EXPECT_EQ(client.read().substr(9, 3), "200");
}

TEST_F(ConnectTest, OnlyOneAnswerCountsAndItsHeadersGoOut) {
  door_.run();
  auto client = door_.client();
  Headers headers;
  for (int i = 0; i < 10; ++i) {
    const auto reply = client->call(kThread, kProtoType, "abc", {}, &headers);
    ASSERT_TRUE(reply);
    EXPECT_EQ(*reply, "abc");
  }
  EXPECT_EQ((HttpReply{200, headers, {}}.header("x-extra")), "1");
}

TEST_F(ConnectTest, ConnectTimeoutEndsACall) {
  door_.run();
  auto client = door_.client();
  const auto reply = client->call(kNever, kProtoType, "", {.timeout_ms = 20});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kDeadlineExceeded);
  // The late answer must not reach the next call of this connection.
  {
    const std::lock_guard lock(mutex_);
    ASSERT_EQ(kept_.size(), 1u);
    kept_[0](std::string("late"), {});
  }
  const auto next = client->unary<Request, Response>(kEcho, request_of("next"));
  ASSERT_TRUE(next);
  EXPECT_EQ(next->data(), "next");
}

TEST_F(ConnectTest, CloseIsHonoured) {
  door_.run();
  RawClient client(door_.endpoint);
  client.write(post(kEcho, "{}", "application/json", "connection: close\r\n"));
  EXPECT_NE(client.read().find("\r\nconnection: close\r\n"), std::string::npos);
  EXPECT_EQ(client.read(), "");
}

TEST_F(ConnectTest, ManyConnectionsAtOnce) {
  door_.run();
  std::vector<int> left(100, 20);
  uint64_t wrong = 0;
  const auto body = encode_message(false, request_of("abc"));
  const auto result = run_load({.endpoint = door_.endpoint,
                                .connections = 100,
                                .next =
                                    [&](int line, LoadCall& call) {
                                      call = {kEcho, false, *body, {}};
                                      return left[static_cast<size_t>(line)]-- > 0;
                                    },
                                .reply =
                                    [&](int, int, std::string_view got) {
                                      Response response;
                                      response.set_data("abc");
                                      if (got != response.SerializeAsString()) ++wrong;
                                    }});
  ASSERT_TRUE(result) << result.error().text;
  EXPECT_EQ(result->latencies_us.size(), 2000u);
  EXPECT_EQ(result->errors + wrong, 0u);
}

TEST_F(ConnectTest, PlainHttpIsHungUpOn) {
  door_.run();
  net::io_context io;
  net::ip::tcp::socket socket(io);
  socket.connect({net::ip::make_address("127.0.0.1"), door_.endpoint.port});
  net::write(socket, net::buffer(post(kEcho, "{}")));
  std::string got;
  boost::system::error_code error;
  char bytes[256];
  while (!error) got.append(bytes, socket.read_some(net::buffer(bytes), error));
  EXPECT_EQ(got.find("HTTP"), std::string::npos);
  EXPECT_EQ(calls_, 0);
}

TEST_F(ConnectTest, ClientTrustsOnlyTheGivenAuthorityAndName) {
  door_.run();
  Endpoint wrong_authority = door_.endpoint;
  wrong_authority.ca_pem = make_test_identity().authority_pem;
  EXPECT_EQ(ConnectClient::connect(wrong_authority).error().code, ErrorCode::kUnauthenticated);
  Endpoint wrong_name = door_.endpoint;
  wrong_name.server_name = "vault.example";
  EXPECT_EQ(ConnectClient::connect(wrong_name).error().code, ErrorCode::kUnauthenticated);
  Endpoint by_address = door_.endpoint;
  by_address.server_name = "";
  EXPECT_TRUE(ConnectClient::connect(by_address));
  Endpoint no_authority = door_.endpoint;
  no_authority.ca_pem = "";
  EXPECT_EQ(ConnectClient::connect(no_authority).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(ConnectTest, ClientSaysSoWhenNobodyIsThere) {
  Endpoint nobody = door_.endpoint;
  door_.server.reset();
  EXPECT_EQ(ConnectClient::connect(nobody).error().code, ErrorCode::kUnavailable);
}

TEST(ConnectServerTest, BadOptionsAreRefused) {
  const TestIdentity one = make_test_identity();
  const TestIdentity two = make_test_identity();
  EventLoop loop;
  ConnectServer::Options good{
      .listen = "127.0.0.1:0", .certificate_pem = one.certificate_pem, .key_pem = one.key_pem};
  EXPECT_TRUE(ConnectServer::start(loop, good));
  for (const char* listen : {"", "8443", ":8443", "127.0.0.1:", "127.0.0.1:70000", "127.0.0.1:x"}) {
    auto bad = good;
    bad.listen = listen;
    EXPECT_EQ(ConnectServer::start(loop, bad).error().code, ErrorCode::kInvalidArgument) << listen;
  }
  auto bad = good;
  bad.key_pem = two.key_pem;
  EXPECT_EQ(ConnectServer::start(loop, bad).error().code, ErrorCode::kInvalidArgument);
  const auto first = ConnectServer::start(loop, good);
  ASSERT_TRUE(first);
  auto taken = good;
  taken.listen = "127.0.0.1:" + std::to_string((*first)->port());
  EXPECT_EQ(ConnectServer::start(loop, taken).error().code, ErrorCode::kUnavailable);
}

class SmallDoorTest : public ConnectTest {
 protected:
  static ConnectServer::Options small() {
    ConnectServer::Options options;
    options.request_bytes_max = 1000;
    options.connections_max = 2;
    options.head_s = 0;  // Past as soon as the door looks.
    options.call_s = 0;
    return options;
  }
  SmallDoorTest() : ConnectTest(small()) {}
};

TEST_F(SmallDoorTest, OversizeAndChunkedBodiesAreRefused) {
  door_.run();
  auto client = door_.client();
  EXPECT_TRUE(client->call(kThread, kProtoType, std::string(1000, 'x')));
  const auto reply = client->call(kThread, kProtoType, std::string(2'000'000, 'x'));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kInvalidArgument) << reply.error().text;
  RawClient raw(door_.endpoint);
  raw.write("POST " + std::string(kThread) +
            " HTTP/1.1\r\ncontent-type: application/proto\r\ntransfer-encoding: chunked\r\n\r\n"
            "3e9\r\n" +
            std::string(1001, 'x') + "\r\n0\r\n\r\n");
  EXPECT_EQ(raw.read().substr(9, 3), "400") << "no chunks";
}

TEST_F(SmallDoorTest, ConnectionsBeyondTheLimitAreClosed) {
  door_.run();
  auto first = door_.client();
  auto second = door_.client();
  EXPECT_FALSE(ConnectClient::connect(door_.endpoint));
  EXPECT_TRUE(first->call(kThread, kProtoType, "x"));
  EXPECT_TRUE(second->call(kThread, kProtoType, "x"));
}

TEST_F(SmallDoorTest, AHeadThatNeverEndsIsHungUpOn) {
  door_.run();
  RawClient raw(door_.endpoint);
  raw.write("POST " + std::string(kEcho) + " HTTP/1.1\r\nx: ");
  EXPECT_EQ(raw.read(), "");
}

TEST_F(SmallDoorTest, AHandlerThatNeverAnswersIsAnsweredFor) {
  door_.run();
  auto client = door_.client();
  const auto reply = client->call(kNever, kProtoType, "");
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kDeadlineExceeded);
}

class ShortIdleTest : public ConnectTest {
 protected:
  static ConnectServer::Options short_idle() {
    ConnectServer::Options options;
    options.idle_s = 0;  // Kept-alive connections end as soon as the door looks.
    return options;
  }
  ShortIdleTest() : ConnectTest(short_idle()) {}
  void wait_until_dropped() {
    while (door_.loop_thread().on_loop([&] { return door_.server->connections(); }) > 0) {
      usleep(2000);
    }
  }
};

TEST_F(ShortIdleTest, AClosedConnectionIsReplacedForIdempotentCallsOnly) {
  door_.run();
  auto client = door_.client();
  wait_until_dropped();
  const auto once = client->unary<Request, Response>(kEcho, request_of("x"));
  ASSERT_FALSE(once) << "it may have been carried out, for all the client knows";
  EXPECT_EQ(once.error().code, ErrorCode::kUnavailable);
  ASSERT_TRUE((client->unary<Request, Response>(kEcho, request_of("x"))));
  wait_until_dropped();
  EXPECT_TRUE((client->unary<Request, Response>(kEcho, request_of("x"), {.idempotent = true})));
}

// Runs curl with the door's authority; its output, then its exit status on a line of its own.
class CurlTest : public ConnectTest {
 protected:
  void SetUp() override {
    if (system("curl --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "curl is not installed";
    char name[] = "/tmp/strongroom-curl-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    std::ofstream(folder_ + "/ca.pem") << door_.endpoint.ca_pem;
    door_.run();
  }
  void TearDown() override {
    ConnectTest::TearDown();
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }
  std::string curl(const std::string& arguments, const char* scheme = "https") {
    const std::string command =
        "curl -sS --max-time 20 --cacert " + folder_ + "/ca.pem " + arguments + " " + scheme +
        "://localhost:" + std::to_string(door_.endpoint.port) + kEcho + " 2>&1; echo \" $?\"";
    FILE* pipe = popen(command.c_str(), "r");
    std::string out;
    char bytes[4096];
    while (size_t got = fread(bytes, 1, sizeof bytes, pipe)) out.append(bytes, got);
    pclose(pipe);
    return out;
  }
  std::string folder_;
};

TEST_F(CurlTest, SpeaksJson) {
  EXPECT_EQ(curl("-H 'content-type: application/json' -d '{\"path\":\"hi\"}'"),
            "{\"data\":\"aGk=\"} 0\n");
}

TEST_F(CurlTest, LargeBodyWithExpectContinue) {
  std::ofstream(folder_ + "/body") << "{\"path\":\"" << std::string(3'000'000, 'x') << "\"}";
  const std::string out = curl(
      "-H 'content-type: application/json' -H 'Expect: 100-continue' "
      "-o /dev/null -w '%{http_code}' --data-binary @" +
      folder_ + "/body");
  EXPECT_EQ(out, "200 0\n");
}

TEST_F(CurlTest, OlderTlsIsRefused) {
  const std::string out = curl("--tls-max 1.2 -d '{}'");
  EXPECT_EQ(out.find("data"), std::string::npos) << out;
  EXPECT_EQ(out.substr(out.size() - 4), " 35\n") << "curl: TLS connect error";
}

TEST_F(CurlTest, PlainHttpGetsNothing) {
  EXPECT_EQ(curl("-d '{}'", "http").find("HTTP"), std::string::npos);
  EXPECT_EQ(calls_, 0);
}

}  // namespace
}  // namespace strongroom::rpc
