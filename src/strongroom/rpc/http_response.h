// What goes back: status line, header fields and body, appended to a connection's output as bytes.
#pragma once

#include <string>
#include <string_view>

#include "strongroom/base/result.h"
#include "strongroom/rpc/headers.h"

namespace strongroom::rpc {

// Values of header fields; empty: left out.
struct ErrorFields {
  std::string code;            // strongroom-code
  std::string number;          // strongroom-number
  std::string retry_after;     // retry-after
  std::string retry_after_ms;  // strongroom-retry-after-ms
};
ErrorFields error_fields(const Error& error);

struct ReplyHead {
  int http_status = 200;
  bool json = true;
  bool keep_alive = true;
  bool body_left_out = false;        // To a HEAD request.
  std::string_view date{};           // RFC 9110 IMF-fixdate; empty: left out.
  std::string_view signature{};      // strongroom-signature; empty: left out.
  std::string_view header_line{};    // One more, with its CRLF.
  const Headers* headers = nullptr;  // Those with a character that could end a line are left out.
  ErrorFields error{};
};

void append_reply(const ReplyHead& head, std::string_view body, std::string& out);

// {"code":...,"message":...}
std::string error_body(const char* connect_code, const Error& error);

// "Sun, 22 Nov 2026 15:34:26 GMT"
std::string http_date(int64_t unix_s);

}  // namespace strongroom::rpc
