// The one table between our error codes, Connect's and HTTP's
// (https://connectrpc.com/docs/protocol#error-codes).
#pragma once

#include <optional>
#include <string_view>

#include "strongroom/base/result.h"

namespace strongroom::rpc {

struct WireStatus {
  const char* connect_code;
  int http_status;
};

WireStatus wire_status(ErrorCode code) noexcept;
// From the header strongroom-code, which carries error_code_name().
std::optional<ErrorCode> error_code_from_name(std::string_view name) noexcept;
// From the "code" of a Connect error that carries no strongroom-code.
std::optional<ErrorCode> error_code_from_connect(std::string_view connect_code) noexcept;
// From the HTTP status alone, as Connect's table says.
ErrorCode error_code_from_http(int http_status) noexcept;
const char* http_reason(int http_status) noexcept;

}  // namespace strongroom::rpc
