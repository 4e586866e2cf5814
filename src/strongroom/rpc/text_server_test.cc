// A real door for texts, knocked on by our client and by curl.
#include "strongroom/rpc/text_server.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "strongroom/rpc/rpc_testing.h"

namespace strongroom::rpc {
namespace {

class TextServerTest : public testing::Test {
 protected:
  TextServerTest() : identity_(make_test_identity()) {
    TextServer::Options options;
    options.listen = "127.0.0.1:0";
    options.certificate_pem = identity_.certificate_pem;
    options.key_pem = identity_.key_pem;
    options.request_bytes_max = 1000;
    auto started = TextServer::start(loop_.loop, options, [](const TextRequest& request) {
      if (request.path == "/conflict") return TextReply{409, "text/x.tlog.size", "7\n"};
      return TextReply{200, "text/plain; charset=utf-8",
                       (request.post ? "POST " : "GET ") + request.path + " " + request.body};
    });
    SR_CHECK(started.has_value(), "test door");
    server_ = std::move(*started);
    loop_.start();
  }
  ~TextServerTest() override {
    loop_.stop();
    server_.reset();
  }
  std::unique_ptr<ConnectClient> client() {
    auto connected = ConnectClient::connect(
        {"127.0.0.1", server_->port(), identity_.authority_pem, "localhost"});
    SR_CHECK(connected.has_value(), "test client");
    return std::move(*connected);
  }

  const TestIdentity identity_;
  LoopThread loop_;
  std::unique_ptr<TextServer> server_;
};

TEST_F(TextServerTest, AnswersOneRequestAfterTheOther) {
  const auto caller = client();
  for (int i = 0; i < 3; ++i) {
    const auto reply = caller->exchange("/add", "text/plain", "body " + std::to_string(i), {});
    ASSERT_TRUE(reply) << reply.error().text;
    EXPECT_EQ(reply->status, 200);
    EXPECT_EQ(reply->body, "POST /add body " + std::to_string(i));
  }
  const auto reply = caller->exchange("/conflict", "text/plain", "", {});
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 409);
  EXPECT_EQ(reply->header("content-type"), "text/x.tlog.size");
  EXPECT_EQ(reply->body, "7\n");
}

TEST_F(TextServerTest, ALargeRequestIsRefusedAndTheNextConnectionIsNot) {
  const auto large = client()->exchange("/add", "text/plain", std::string(1001, 'x'), {});
  ASSERT_TRUE(large) << large.error().text;
  EXPECT_EQ(large->status, 413);
  EXPECT_EQ(client()->exchange("/add", "text/plain", std::string(1000, 'x'), {})->status, 200);
}

TEST_F(TextServerTest, OthersToolsAreAnsweredAndPlainHttpIsNot) {
  if (system("curl --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "curl is not installed";
  char name[] = "/tmp/strongroom-text-XXXXXX";
  const std::filesystem::path folder = mkdtemp(name);
  std::ofstream(folder / "ca.pem") << identity_.authority_pem;
  const std::string at = "localhost:" + std::to_string(server_->port());
  const auto curl = [&](const std::string& arguments) {
    return system(("curl -sf --max-time 20 --cacert " + (folder / "ca.pem").string() + " -o " +
                   (folder / "out").string() + " " + arguments)
                      .c_str());
  };
  EXPECT_EQ(curl("https://" + at + "/a/checkpoint"), 0);
  std::ifstream in(folder / "out");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "GET /a/checkpoint ");
  EXPECT_NE(curl("-X DELETE https://" + at + "/a"), 0);
  EXPECT_NE(curl("http://" + at + "/a"), 0);
  EXPECT_NE(curl("--tls-max 1.2 https://" + at + "/a"), 0);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace strongroom::rpc
