#include "strongroom/rpc/http_request.h"

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <charconv>

#include "strongroom/rpc/codec.h"
#include "strongroom/rpc/wipe.h"

namespace strongroom::rpc {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using BeastError = boost::system::error_code;

// Bodies up to this size stay allocated between the requests of a connection.
constexpr size_t kBodyKeptMax = 64u << 10;
constexpr size_t kTimeoutDigitsMax = 10;

RequestHead::Codec codec_of(std::string_view type) {
  const std::string_view full = type;
  type = type.substr(0, type.find(';'));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.remove_suffix(1);
  if (beast::iequals(type, kProtoType) && full.size() == type.size()) {
    return RequestHead::Codec::kProto;
  }
  if (!beast::iequals(type, kJsonType)) return RequestHead::Codec::kOther;
  if (full.size() == type.size()) return RequestHead::Codec::kJson;
  std::string_view parameter = full.substr(full.find(';') + 1);
  while (!parameter.empty() && parameter.front() == ' ') parameter.remove_prefix(1);
  return beast::iequals(parameter, "charset=utf-8") ? RequestHead::Codec::kJson
                                                    : RequestHead::Codec::kOther;
}

class Parser : public http::basic_parser<true> {
 public:
  Parser(RequestHead& head, std::string& body, const bool& discard)
      : head_(head), body_(body), discard_(discard) {
    eager(true);
    header_limit(kHeadBytesMax);
    body_limit(boost::none);  // The connection holds the limit: it must answer before it closes.
  }

 private:
  void on_request_impl(http::verb method, beast::string_view, beast::string_view target, int,
                       BeastError& error) override {
    error = {};
    head_.method = method == http::verb::post   ? RequestHead::Method::kPost
                   : method == http::verb::head ? RequestHead::Method::kHead
                                                : RequestHead::Method::kOther;
    head_.path.assign(target.data(), target.size());
  }
  void on_response_impl(int, beast::string_view, int, BeastError& error) override {
    error = http::error::bad_method;
  }

  void on_field_impl(http::field name, beast::string_view name_text, beast::string_view value,
                     BeastError& error) override {
    error = {};
    const std::string_view text(value.data(), value.size());
    switch (name) {
      case http::field::content_type:
        // Said twice, it is not clear which one is meant.
        head_.codec =
            head_.codec == RequestHead::Codec::kNone ? codec_of(text) : RequestHead::Codec::kOther;
        return;
      case http::field::content_encoding:
        head_.encoded = head_.encoded || !beast::iequals(value, "identity");
        return;
      case http::field::expect:
        head_.expects_continue = beast::iequals(value, "100-continue");
        return;
      case http::field::unknown:
        break;
      default:
        return;
    }
    if (beast::iequals(name_text, "connect-protocol-version")) {
      head_.bad_version = head_.bad_version || text != "1";
    } else if (beast::iequals(name_text, "connect-timeout-ms")) {
      const auto [end, failed] =
          std::from_chars(text.data(), text.data() + text.size(), head_.timeout_ms);
      head_.bad_timeout = failed != std::errc{} || end != text.data() + text.size() ||
                          text.size() > kTimeoutDigitsMax || head_.timeout_ms <= 0;
    } else if (beast::iequals(name_text, "strongroom-authorization")) {
      if (!head_.authorization.empty()) error = http::error::bad_field;
      head_.authorization.assign(text);
    }
  }
  void on_header_impl(BeastError& error) override { error = {}; }
  void on_body_init_impl(const boost::optional<std::uint64_t>& length, BeastError& error) override {
    error = {};
    if (length) head_.content_length = *length;
  }
  std::size_t on_body_impl(beast::string_view bytes, BeastError& error) override {
    error = {};
    if (!discard_) {
      grow(body_, bytes.size());
      body_.append(bytes.data(), bytes.size());
    }
    return bytes.size();
  }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, BeastError& error) override {
    error = {};
  }
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view bytes,
                                 BeastError& error) override {
    return on_body_impl(bytes, error);
  }
  void on_finish_impl(BeastError& error) override { error = {}; }

  RequestHead& head_;
  std::string& body_;
  const bool& discard_;
};

}  // namespace

void RequestHead::reset() {
  method = Method::kOther;
  path.clear();
  codec = Codec::kNone;
  encoded = bad_version = bad_timeout = expects_continue = keep_alive = false;
  timeout_ms = -1;
  authorization.clear();
  content_length.reset();
}

struct RequestParser::Impl {
  RequestHead head;
  std::string body;
  bool discard = false;
  bool head_told = false;
  size_t head_bytes = 0;
  std::optional<Parser> parser;
};

RequestParser::RequestParser() : impl_(std::make_unique<Impl>()) {
  reset();
}

RequestParser::~RequestParser() {
  wipe(impl_->body);
}

const RequestHead& RequestParser::head() const {
  return impl_->head;
}

const std::string& RequestParser::body() const {
  return impl_->body;
}

void RequestParser::discard_body() {
  impl_->discard = true;
  wipe(impl_->body);
}

void RequestParser::reset() {
  impl_->head.reset();
  wipe(impl_->body);
  if (impl_->body.capacity() > kBodyKeptMax) std::string().swap(impl_->body);
  impl_->discard = impl_->head_told = false;
  impl_->head_bytes = 0;
  impl_->parser.emplace(impl_->head, impl_->body, impl_->discard);
}

RequestParser::Step RequestParser::feed(std::string_view bytes, size_t* consumed) {
  *consumed = 0;
  Parser& parser = *impl_->parser;
  if (parser.is_done()) return Step::kDone;
  BeastError error;
  // One step at a time: the head must be looked at before any of the body is kept.
  parser.eager(impl_->head_told);
  if (!bytes.empty()) {
    *consumed = parser.put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  }
  if (error == http::error::need_more) error = {};
  if (error == http::error::header_limit) return Step::kHeadTooLarge;
  if (error) return Step::kMalformed;
  if (!impl_->head_told) {
    // Beast limits the lines it has not consumed yet; this limits the whole.
    impl_->head_bytes += *consumed;
    const bool done = parser.is_header_done();
    const size_t size = impl_->head_bytes + (done ? 0 : bytes.size() - *consumed);
    if (size > kHeadBytesMax) return Step::kHeadTooLarge;
    if (!done) return Step::kNeedMore;
    // Beast 1.81 asserts on some malformed chunks (found by connect_request_fuzz), which would let
    // anyone end the process. A unary call knows its length, so chunks are not taken at all.
    if (parser.chunked()) return Step::kMalformed;
    // Beast tells the body's length only when its first byte comes: too late to refuse it.
    if (const auto length = parser.content_length()) impl_->head.content_length = *length;
    impl_->head_told = true;
    impl_->head.keep_alive = parser.keep_alive() && !parser.upgrade();
    return Step::kHead;
  }
  if (parser.is_done()) return Step::kDone;
  return *consumed > 0 ? Step::kBody : Step::kNeedMore;
}

std::optional<Refusal> check_head(const RequestHead& head, bool path_known, size_t body_bytes_max) {
  constexpr auto kInvalid = ErrorCode::kInvalidArgument;
  if (head.content_length.value_or(0) > body_bytes_max) return body_too_large();
  if (!path_known) {
    return Refusal{404, "unimplemented", make_error(ErrorCode::kNotFound, "there is no such call")};
  }
  if (head.method != RequestHead::Method::kPost) {
    return Refusal{405, "unimplemented", make_error(kInvalid, "calls are made with POST"),
                   "allow: POST\r\n"};
  }
  if (head.codec == RequestHead::Codec::kNone || head.codec == RequestHead::Codec::kOther) {
    return Refusal{
        415, "unimplemented",
        make_error(kInvalid, "the content type must be application/json or application/proto"),
        "accept-post: application/json, application/proto\r\n"};
  }
  if (head.encoded) {
    return Refusal{501, "unimplemented",
                   make_error(kInvalid, "unknown content-encoding; supported encodings: identity")};
  }
  if (head.bad_version) {
    return Refusal{400, "invalid_argument",
                   make_error(kInvalid, "connect-protocol-version must be 1")};
  }
  if (head.bad_timeout) {
    return Refusal{
        400, "invalid_argument",
        make_error(kInvalid, "connect-timeout-ms must be a positive number of at most ten digits")};
  }
  return std::nullopt;
}

Refusal body_too_large() {
  return Refusal{413, "resource_exhausted",
                 make_error(ErrorCode::kInvalidArgument,
                            "the request body is too large; send less in one call"),
                 "", true};
}

}  // namespace strongroom::rpc
