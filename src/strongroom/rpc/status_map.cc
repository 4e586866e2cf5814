#include "strongroom/rpc/status_map.h"

#include <iterator>

namespace strongroom::rpc {
namespace {

struct Row {
  ErrorCode code;
  WireStatus wire;
};

// In the order of ErrorCode. Where several share a Connect code, the first is what a foreign
// server's code becomes.
constexpr Row kTable[] = {
    {ErrorCode::kInvalidArgument, {"invalid_argument", 400}},
    {ErrorCode::kUnauthenticated, {"unauthenticated", 401}},
    {ErrorCode::kPermissionDenied, {"permission_denied", 403}},
    {ErrorCode::kSearchDenied, {"permission_denied", 403}},
    {ErrorCode::kBudgetExhausted, {"resource_exhausted", 429}},
    {ErrorCode::kReplayed, {"aborted", 409}},
    {ErrorCode::kTooBroad, {"out_of_range", 400}},
    {ErrorCode::kNotFound, {"not_found", 404}},
    {ErrorCode::kAlreadyExists, {"already_exists", 409}},
    {ErrorCode::kConflict, {"aborted", 409}},
    {ErrorCode::kFailedPrecondition, {"failed_precondition", 400}},
    {ErrorCode::kUnavailable, {"unavailable", 503}},
    {ErrorCode::kLogUnavailable, {"unavailable", 503}},
    {ErrorCode::kDataLoss, {"data_loss", 500}},
    {ErrorCode::kNoSpace, {"resource_exhausted", 429}},
    {ErrorCode::kDeadlineExceeded, {"deadline_exceeded", 504}},
    {ErrorCode::kInternal, {"internal", 500}},
};
static_assert(std::size(kTable) == static_cast<size_t>(ErrorCode::kInternal) + 1);

}  // namespace

WireStatus wire_status(ErrorCode code) noexcept {
  const auto i = static_cast<size_t>(code);
  return i < std::size(kTable) ? kTable[i].wire : WireStatus{"internal", 500};
}

std::optional<ErrorCode> error_code_from_name(std::string_view name) noexcept {
  for (const Row& row : kTable) {
    if (name == error_code_name(row.code)) return row.code;
  }
  return std::nullopt;
}

std::optional<ErrorCode> error_code_from_connect(std::string_view connect_code) noexcept {
  // Without our own header an abort is one of a transaction, not of a repeated request.
  if (connect_code == "aborted") return ErrorCode::kConflict;
  if (connect_code == "unimplemented") return ErrorCode::kNotFound;
  if (connect_code == "canceled") return ErrorCode::kDeadlineExceeded;
  if (connect_code == "unknown") return ErrorCode::kInternal;
  for (const Row& row : kTable) {
    if (connect_code == row.wire.connect_code) return row.code;
  }
  return std::nullopt;
}

ErrorCode error_code_from_http(int http_status) noexcept {
  switch (http_status) {
    case 401:
      return ErrorCode::kUnauthenticated;
    case 403:
      return ErrorCode::kPermissionDenied;
    case 404:
      return ErrorCode::kNotFound;
    case 429:
    case 502:
    case 503:
    case 504:
      return ErrorCode::kUnavailable;
    default:
      return ErrorCode::kInternal;
  }
}

const char* http_reason(int http_status) noexcept {
  switch (http_status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Internal Server Error";
  }
}

}  // namespace strongroom::rpc
