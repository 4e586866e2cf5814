// The parts of the door that need no network: parsing, checks, replies, the status table, texts.
#include <gtest/gtest.h>

#include <set>

#include "strongroom/rpc/connect_client.h"
#include "strongroom/rpc/http_request.h"
#include "strongroom/rpc/http_response.h"
#include "strongroom/rpc/interned.h"
#include "strongroom/rpc/status_map.h"
#include "strongroom/rpc/wipe.h"
#include "strongroom/v1/keyservice.pb.h"

namespace strongroom::rpc {
namespace {

using Step = RequestParser::Step;

// Feeds `text` in pieces of `piece` bytes, as a connection does; the last step taken.
Step feed_all(RequestParser& parser, const std::string& text, size_t piece) {
  std::string waiting;
  size_t at = 0;
  Step step = Step::kNeedMore;
  for (;;) {
    size_t consumed = 0;
    step = parser.feed(waiting, &consumed);
    waiting.erase(0, consumed);
    if (step == Step::kHead || step == Step::kBody) continue;
    if (step != Step::kNeedMore || at == text.size()) return step;
    waiting.append(text.substr(at, piece));
    at = std::min(text.size(), at + piece);
  }
}

const std::string kRequest =
    "POST /a.B/C HTTP/1.1\r\nhost: x\r\nContent-Type: application/json; charset=utf-8\r\n"
    "Connect-Protocol-Version: 1\r\nConnect-Timeout-Ms: 1500\r\n"
    "Strongroom-Authorization: v1 me\r\ncontent-length: 5\r\n\r\nhello";

TEST(RequestParserTest, AnySplitGivesTheSameRequest) {
  for (size_t piece = 1; piece <= kRequest.size(); ++piece) {
    RequestParser parser;
    ASSERT_EQ(feed_all(parser, kRequest, piece), Step::kDone) << piece;
    const RequestHead& head = parser.head();
    EXPECT_EQ(head.method, RequestHead::Method::kPost);
    EXPECT_EQ(head.path, "/a.B/C");
    EXPECT_EQ(head.codec, RequestHead::Codec::kJson);
    EXPECT_EQ(head.timeout_ms, 1500);
    EXPECT_EQ(head.authorization, "v1 me");
    EXPECT_TRUE(head.keep_alive);
    EXPECT_FALSE(head.bad_version || head.bad_timeout || head.encoded);
    EXPECT_EQ(parser.body(), "hello");
  }
}

TEST(RequestParserTest, StopsBehindEachPipelinedRequest) {
  RequestParser parser;
  const std::string two = kRequest + kRequest;
  size_t at = 0;
  for (int request = 0; request < 2; ++request) {
    Step step = Step::kNeedMore;
    while (step != Step::kDone) {
      size_t consumed = 0;
      step = parser.feed(std::string_view(two).substr(at), &consumed);
      at += consumed;
      ASSERT_TRUE(step == Step::kHead || step == Step::kBody || step == Step::kDone);
    }
    EXPECT_EQ(parser.body(), "hello");
    EXPECT_EQ(at, kRequest.size() * static_cast<size_t>(request + 1));
    parser.reset();
  }
}

TEST(RequestParserTest, RefusesChunkedBodiesAtTheirHead) {
  for (const char* body : {"3\r\nabc\r\n0\r\n\r\n", "0\r\na\r\n0\r\n\r\n", ""}) {
    RequestParser parser;
    EXPECT_EQ(feed_all(parser,
                       "POST /p HTTP/1.1\r\ncontent-type: application/proto\r\n"
                       "transfer-encoding: chunked\r\n\r\n" +
                           std::string(body),
                       7),
              Step::kMalformed);
  }
}

TEST(RequestParserTest, TheBodysLengthIsKnownBeforeItsFirstByte) {
  RequestParser parser;
  size_t consumed = 0;
  EXPECT_EQ(parser.feed("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n", &consumed),
            Step::kHead);
  EXPECT_EQ(parser.head().content_length, 99u);
}

TEST(RequestParserTest, HeadIsBoundedHoweverItComes) {
  const std::string lines = [] {
    std::string out = "POST /p HTTP/1.1\r\n";
    while (out.size() <= kHeadBytesMax) out.append("x-padding: 0123456789\r\n");
    return out;
  }();
  for (size_t piece : {size_t{1}, size_t{100}, lines.size()}) {
    RequestParser parser;
    EXPECT_EQ(feed_all(parser, lines, piece), Step::kHeadTooLarge) << piece;
  }
}

TEST(RequestParserTest, RefusesWhatIsNotOneClearHttpRequest) {
  const std::string twice = "strongroom-authorization: a\r\n";
  for (const std::string& bad : std::initializer_list<std::string>{
           "\x16\x03\x01\x02\r\n\r\n", "GET\r\n\r\n", "POST /p HTTP/2.0\r\n\r\n",
           "POST /p HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
           "POST /p HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
           "POST /p HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n",
           "POST /p HTTP/1.1\r\n" + twice + twice + "\r\n"}) {
    RequestParser parser;
    EXPECT_EQ(feed_all(parser, bad, 1000), Step::kMalformed) << bad;
  }
}

RequestHead good_head() {
  RequestHead head;
  head.method = RequestHead::Method::kPost;
  head.codec = RequestHead::Codec::kProto;
  return head;
}

TEST(CheckHeadTest, EachFaultHasTheStatusOfTheConnectSpecification) {
  EXPECT_FALSE(check_head(good_head(), true, 10));
  RequestHead head = good_head();
  head.content_length = 11;
  EXPECT_EQ(check_head(head, true, 10)->http_status, 413);
  EXPECT_TRUE(check_head(head, true, 10)->close);
  EXPECT_EQ(check_head(good_head(), false, 10)->http_status, 404);
  head = good_head();
  head.method = RequestHead::Method::kOther;
  EXPECT_EQ(check_head(head, true, 10)->http_status, 405);
  for (auto codec : {RequestHead::Codec::kNone, RequestHead::Codec::kOther}) {
    head = good_head();
    head.codec = codec;
    EXPECT_EQ(check_head(head, true, 10)->http_status, 415);
  }
  head = good_head();
  head.encoded = true;
  EXPECT_EQ(check_head(head, true, 10)->http_status, 501);
  EXPECT_STREQ(check_head(head, true, 10)->connect_code, "unimplemented");
  head = good_head();
  head.bad_version = true;
  EXPECT_EQ(check_head(head, true, 10)->http_status, 400);
  head = good_head();
  head.bad_timeout = true;
  EXPECT_EQ(check_head(head, true, 10)->http_status, 400);
}

TEST(ReplyTest, HeadersThatWouldEndALineAreLeftOut) {
  const Headers headers = {{"x-good", "1"}, {"x-bad", "1\r\nx-evil: 2"}};
  std::string out;
  append_reply({.headers = &headers}, "body", out);
  EXPECT_NE(out.find("\r\nx-good: 1\r\n"), std::string::npos);
  EXPECT_EQ(out.find("evil"), std::string::npos);
  EXPECT_EQ(out.substr(out.size() - 8), "\r\n\r\nbody");
}

TEST(ReplyTest, RetryAfterIsRoundedUpToSeconds) {
  Error error = make_error(ErrorCode::kBudgetExhausted, "spent", 7);
  error.retry_after_ms = 1001;
  std::string out;
  append_reply({.http_status = 429, .error = error_fields(error)}, "", out);
  EXPECT_NE(out.find("\r\nretry-after: 2\r\n"), std::string::npos);
  EXPECT_NE(out.find("\r\nstrongroom-retry-after-ms: 1001\r\n"), std::string::npos);
  EXPECT_NE(out.find("\r\nstrongroom-number: 7\r\n"), std::string::npos);
  EXPECT_NE(out.find("\r\nstrongroom-code: budget_exhausted\r\n"), std::string::npos);
}

TEST(ReplyTest, DateIsAnImfFixdate) {
  EXPECT_EQ(http_date(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");  // RFC 9110, 5.6.7.
}

TEST(StatusMapTest, EveryCodeComesBackByItsName) {
  for (int i = 0; i <= static_cast<int>(ErrorCode::kInternal); ++i) {
    const auto code = static_cast<ErrorCode>(i);
    HttpReply reply;
    reply.status = wire_status(code).http_status;
    reply.headers = {{"strongroom-code", error_code_name(code)}};
    EXPECT_EQ(error_of(reply).code, code);
    EXPECT_STRNE(http_reason(reply.status), "");
  }
}

TEST(StatusMapTest, StatusesAreThoseOfTheConnectSpecification) {
  // Table "Error Codes" of https://connectrpc.com/docs/protocol.
  const std::map<std::string, int> expected = {
      {"invalid_argument", 400}, {"deadline_exceeded", 504},   {"not_found", 404},
      {"already_exists", 409},   {"permission_denied", 403},   {"resource_exhausted", 429},
      {"out_of_range", 400},     {"failed_precondition", 400}, {"aborted", 409},
      {"internal", 500},         {"unavailable", 503},         {"data_loss", 500},
      {"unauthenticated", 401}};
  for (int i = 0; i <= static_cast<int>(ErrorCode::kInternal); ++i) {
    const WireStatus status = wire_status(static_cast<ErrorCode>(i));
    ASSERT_TRUE(expected.count(status.connect_code)) << status.connect_code;
    EXPECT_EQ(expected.at(status.connect_code), status.http_status);
  }
}

TEST(ErrorOfTest, ReadsForeignConnectErrorsAndBareStatuses) {
  HttpReply reply;
  reply.status = 404;
  reply.body = R"( { "code" : "not_found", "message" : "no \"such\" thing", "details": [] } )";
  EXPECT_EQ(error_of(reply).code, ErrorCode::kNotFound);
  EXPECT_STREQ(error_of(reply).text, "no \"such\" thing");
  reply.body = "<html>";
  reply.status = 502;
  EXPECT_EQ(error_of(reply).code, ErrorCode::kUnavailable);
  reply.body = R"({"code":"unavailable","message":"cut off \)";
  EXPECT_EQ(error_of(reply).code, ErrorCode::kUnavailable);
}

TEST(InternTest, SameTextSamePlaceCleanAndBounded) {
  const char* first = intern_text("try again later");
  EXPECT_EQ(intern_text(std::string("try again ") + "later"), first);
  EXPECT_STREQ(intern_text("a\x1b[31m\n\xff"), "a?[31m??");
  EXPECT_EQ(std::string_view(intern_text(std::string(10'000, 'x'))).size(), 512u);
  std::set<const char*> places;
  for (int i = 0; i < 3000; ++i) places.insert(intern_text("text " + std::to_string(i)));
  EXPECT_LE(places.size(), 1025u);
  EXPECT_EQ(intern_text("try again later"), first);
}

TEST(WipeTest, EmptiesEachSecretFieldAndNoOther) {
  v1::ReplyBatch batch;
  batch.add_replies()->mutable_tokens()->set_tokens("secret");
  batch.add_replies()->mutable_release()->set_keys("secret");
  batch.add_replies()->mutable_grant()->set_secrets("secret");
  batch.add_replies()->mutable_update_grant()->set_secrets("secret");
  batch.add_replies()->mutable_open_lane()->set_root("secret");
  batch.add_replies()->mutable_unique_tokens()->set_tokens("secret");
  batch.mutable_replies(0)->mutable_tokens()->set_leaf(5);
  wipe(batch);
  EXPECT_EQ(batch.SerializeAsString().find("secret"), std::string::npos);
  EXPECT_EQ(batch.replies(0).tokens().leaf(), 5u);
}

TEST(WipeTest, ZeroesTheBytesThemselves) {
  std::string bytes(100, 's');
  const char* at = bytes.data();
  wipe(bytes);
  EXPECT_TRUE(bytes.empty());
  EXPECT_EQ(std::string_view(at + 1, 99), std::string(99, '\0')) << "capacity still owned by bytes";
}

}  // namespace
}  // namespace strongroom::rpc
