#include "strongroom/rpc/http_response.h"

#include <time.h>

#include <algorithm>
#include <charconv>

#include "strongroom/rpc/status_map.h"
#include "strongroom/rpc/wipe.h"

namespace strongroom::rpc {
namespace {

void append_number(std::string& out, int64_t number) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, end);
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

void append_number_field(std::string& out, std::string_view name, int64_t number) {
  out.append(name).append(": ");
  append_number(out, number);
  out.append("\r\n");
}

void append_if_any(std::string& out, std::string_view name, std::string_view value) {
  if (!value.empty()) append_field(out, name, value);
}

bool one_line(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7f;
  });
}

}  // namespace

ErrorFields error_fields(const Error& error) {
  ErrorFields out;
  out.code = error_code_name(error.code);
  if (error.number != -1) append_number(out.number, error.number);
  if (error.retry_after_ms >= 0) {
    append_number(out.retry_after,
                  error.retry_after_ms / 1000 + (error.retry_after_ms % 1000 == 0 ? 0 : 1));
    append_number(out.retry_after_ms, error.retry_after_ms);
  }
  return out;
}

void append_reply(const ReplyHead& head, std::string_view body, std::string& out) {
  constexpr size_t kHeadGuess = 1024;
  grow(out, kHeadGuess + body.size());
  out.append("HTTP/1.1 ");
  append_number(out, head.http_status);
  out.append(" ").append(http_reason(head.http_status));
  out.append(head.json ? "\r\ncontent-type: application/json\r\n"
                       : "\r\ncontent-type: application/proto\r\n");
  append_number_field(out, "content-length", static_cast<int64_t>(body.size()));
  out.append("cache-control: no-store\r\n");
  if (!head.date.empty()) append_field(out, "date", head.date);
  if (!head.keep_alive) out.append("connection: close\r\n");
  append_if_any(out, "strongroom-code", head.error.code);
  append_if_any(out, "strongroom-number", head.error.number);
  append_if_any(out, "retry-after", head.error.retry_after);
  append_if_any(out, "strongroom-retry-after-ms", head.error.retry_after_ms);
  if (!head.signature.empty() && one_line(head.signature)) {
    append_field(out, "strongroom-signature", head.signature);
  }
  out.append(head.header_line);
  if (head.headers != nullptr) {
    for (const auto& [name, value] : *head.headers) {
      if (one_line(name) && one_line(value)) append_field(out, name, value);
    }
  }
  out.append("\r\n");
  if (!head.body_left_out) out.append(body);
}

std::string error_body(const char* connect_code, const Error& error) {
  std::string out = "{\"code\":\"";
  out.append(connect_code).append("\",\"message\":\"");
  for (const char* c = error.text; *c != '\0'; ++c) {
    if (*c == '"' || *c == '\\') out.push_back('\\');
    out.push_back(static_cast<unsigned char>(*c) < 0x20 ? ' ' : *c);
  }
  out.append("\"}");
  return out;
}

std::string http_date(int64_t unix_s) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const time_t when = unix_s;
  struct tm utc {};
  if (gmtime_r(&when, &utc) == nullptr) return {};
  const auto append_two = [](std::string& out, int value) {
    out.push_back(static_cast<char>('0' + value / 10 % 10));
    out.push_back(static_cast<char>('0' + value % 10));
  };
  // Not strftime: its names follow the locale.
  std::string out = kDays[utc.tm_wday];
  out.append(", ");
  append_two(out, utc.tm_mday);
  out.append(" ").append(kMonths[utc.tm_mon]).append(" ");
  append_number(out, utc.tm_year + 1900);
  out.append(" ");
  append_two(out, utc.tm_hour);
  out.append(":");
  append_two(out, utc.tm_min);
  out.append(":");
  append_two(out, utc.tm_sec);
  out.append(" GMT");
  return out;
}

}  // namespace strongroom::rpc
