// One HTTP/1.1 request as it comes in, and what Connect asks of it before it may reach a handler.
//
// The parser is Boost.Beast's, kept out of this header; only the fields that matter here are kept,
// so that a request costs no allocation once the connection is warm.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "strongroom/base/result.h"

namespace strongroom::rpc {

inline constexpr size_t kHeadBytesMax = 8192;

struct RequestHead {
  enum class Codec { kNone, kOther, kJson, kProto };
  enum class Method { kPost, kHead, kOther };
  Method method = Method::kOther;
  std::string path;
  Codec codec = Codec::kNone;
  bool encoded = false;      // A content-encoding other than identity.
  bool bad_version = false;  // A connect-protocol-version other than 1.
  bool bad_timeout = false;  // A connect-timeout-ms that is no number of at most 10 digits.
  int64_t timeout_ms = -1;
  std::string authorization;
  bool expects_continue = false;
  bool keep_alive = false;
  std::optional<uint64_t> content_length;

  void reset();
};

class RequestParser {
 public:
  enum class Step {
    kNeedMore,  // Feed it more bytes behind those not consumed.
    kHead,      // head() is complete. Feed on for the body.
    kBody,      // Some of the body came. Feed on.
    kDone,      // The request is complete; reset() before the next.
    kHeadTooLarge,
    kMalformed,  // Not HTTP/1.x. The connection is of no more use.
  };

  RequestParser();
  ~RequestParser();

  // The head must lie whole in `bytes`: keep what was not consumed and append to it.
  Step feed(std::string_view bytes, size_t* consumed);
  const RequestHead& head() const;
  const std::string& body() const;
  // From now on the body is read but not kept.
  void discard_body();
  void reset();  // Wipes the body. A large one is freed.

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Why a request is not handed to a handler.
struct Refusal {
  int http_status;
  const char* connect_code;
  Error error;
  const char* header = "";  // A further header line, with its CRLF.
  bool close = false;       // The connection cannot go on: the rest of the body will not be read.
};

// The checks that need the head alone. nullopt: go on.
std::optional<Refusal> check_head(const RequestHead& head, bool path_known, size_t body_bytes_max);
Refusal body_too_large();

}  // namespace strongroom::rpc
