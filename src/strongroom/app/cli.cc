#include "strongroom/app/cli.h"

#include <google/protobuf/util/json_util.h>
#include <unistd.h>
#include <wchar.h>

#include <cstdio>
#include <ctime>
#include <iostream>

namespace strongroom::app {
namespace {

// The next code point of valid UTF-8; U+FFFD and one byte on for anything else.
uint32_t next_code_point(std::string_view text, size_t& at) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : 0u; };
  const uint32_t b = byte(at);
  const size_t size = b < 0x80 ? 1 : b >= 0xf0 ? 4 : b >= 0xe0 ? 3 : b >= 0xc0 ? 2 : 0;
  if (size == 0 || at + size > text.size()) return ++at, 0xfffd;
  uint32_t c = size == 1 ? b : b & (0x7fu >> size);
  for (size_t i = 1; i < size; ++i) c = (c << 6) | (byte(at + i) & 0x3f);
  at += size;
  return c;
}

bool is_wide(uint32_t c) {
  return (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) ||
         (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xf900 && c <= 0xfaff) ||
         (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
         (c >= 0xffe0 && c <= 0xffe6) || (c >= 0x20000 && c <= 0x3fffd);
}

}  // namespace

int fail(const Global& global, const Error& error, std::string_view about,
         std::string_view contact) {
  if (global.json) {
    std::string out = "{\"error\":{\"code\":" + json_string(error_code_name(error.code)) +
                      ",\"message\":" + json_string(error.text);
    if (!about.empty()) out += ",\"about\":" + json_string(about);
    if (error.number >= 0) out += ",\"number\":" + std::to_string(error.number);
    if (error.retry_after_ms >= 0)
      out += ",\"retry_after_ms\":" + std::to_string(error.retry_after_ms);
    if (!contact.empty()) out += ",\"contact\":" + json_string(contact);
    std::cout << out << "}}\n";
    return kFailed;
  }
  std::string line = "strongroom: ";
  if (!about.empty()) line += printable(about) + ": ";
  line += printable(error.text);
  const bool more = error.number >= 0 || error.retry_after_ms > 0 || !contact.empty();
  if (more && line.ends_with('.')) line.pop_back();
  // A field's id stands in `about` by its name.
  const bool named = error.code == ErrorCode::kSearchDenied && !about.empty();
  if (error.number >= 0 && !named) line += " (" + std::to_string(error.number) + ")";
  if (error.retry_after_ms > 0) {
    const int64_t s = (error.retry_after_ms + 999) / 1000;
    line += "; again in " + (s < 120      ? std::to_string(s) + " s"
                             : s < 7200   ? std::to_string((s + 59) / 60) + " min"
                             : s < 172800 ? std::to_string((s + 3599) / 3600) + " h"
                                          : std::to_string((s + 86399) / 86400) + " days");
  }
  if (!contact.empty()) line += "; ask " + printable(contact);
  std::cerr << line << "\n";
  return kFailed;
}

int usage(std::string_view text) {
  std::cerr << "strongroom: " << text << "\n";
  return kUsage;
}

bool stdout_is_terminal() {
  return isatty(STDOUT_FILENO) == 1;
}
bool stderr_is_terminal() {
  return isatty(STDERR_FILENO) == 1;
}

std::string printable(std::string_view utf8) {
  std::string out;
  for (size_t i = 0; i < utf8.size(); ++i) {
    const auto c = static_cast<uint8_t>(utf8[i]);
    // U+0080 to U+009F are control characters, too.
    const bool c1 = c == 0xc2 && i + 1 < utf8.size() && static_cast<uint8_t>(utf8[i + 1]) < 0xa0;
    if (c1) ++i;
    out.push_back(c < 0x20 || c == 0x7f || c1 ? ' ' : static_cast<char>(c));
  }
  return out;
}

size_t display_width(std::string_view utf8) {
  size_t width = 0;
  for (size_t at = 0; at < utf8.size();) width += is_wide(next_code_point(utf8, at)) ? 2 : 1;
  return width;
}

std::string pad_right(std::string_view utf8, size_t width) {
  const size_t w = display_width(utf8);
  return std::string(utf8) + std::string(w < width ? width - w : 0, ' ');
}

void print_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], display_width(row[c]));
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c) {
      line += c + 1 == row.size() ? printable(row[c]) : pad_right(printable(row[c]), widths[c] + 2);
    }
    std::cout << line << "\n";
  }
}

std::string to_json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string out;
  SR_CHECK(google::protobuf::util::MessageToJsonString(message, &out, options).ok(),
           "a message has a JSON form");
  return out;
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<uint8_t>(c) < 0x20) {
      char buffer[8];
      std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(c));
      out += buffer;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string format_count(uint64_t n) {
  std::string digits = std::to_string(n);
  for (size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

std::string format_time(uint64_t t_ms) {
  const auto t = static_cast<time_t>(t_ms / 1000);
  tm parts{};
  gmtime_r(&t, &parts);
  char buffer[32];
  const size_t n = std::strftime(buffer, sizeof buffer, "%Y-%m-%d %H:%M:%SZ", &parts);
  return std::string(buffer, n);
}

}  // namespace strongroom::app
