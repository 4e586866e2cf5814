#include "strongroom/base/ip_address.h"

#include <arpa/inet.h>

#include <algorithm>

namespace strongroom {
namespace {

constexpr IpAddress kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr size_t kMappedBytes = kIpMappedBits / 8;

bool is_mapped(const IpAddress& address) {
  return std::equal(kMapped.begin(), kMapped.begin() + kMappedBytes, address.begin());
}

}  // namespace

std::optional<IpAddress> ip_of(Bytes wire) {
  IpAddress out = kMapped;
  if (wire.size() == out.size()) {
    std::copy(wire.begin(), wire.end(), out.begin());
  } else if (wire.size() == out.size() - kMappedBytes) {
    std::copy(wire.begin(), wire.end(), out.begin() + kMappedBytes);
  } else {
    return std::nullopt;
  }
  return out;
}

std::optional<IpAddress> parse_ip(std::string_view text) {
  uint8_t bytes[sizeof(IpAddress)];
  const std::string terminated(text);
  if (terminated.find('\0') != std::string::npos) return std::nullopt;
  if (inet_pton(AF_INET, terminated.c_str(), bytes) == 1) return ip_of(Bytes(bytes).first(4));
  if (inet_pton(AF_INET6, terminated.c_str(), bytes) == 1) return ip_of(bytes);
  return std::nullopt;
}

std::string ip_text(const IpAddress& address) {
  char text[INET6_ADDRSTRLEN];
  const bool four = is_mapped(address);
  return inet_ntop(four ? AF_INET : AF_INET6, address.data() + (four ? kMappedBytes : 0), text,
                   sizeof text);
}

std::string ip_bytes(const IpAddress& address) {
  return std::string(as_text(Bytes(address).subspan(is_mapped(address) ? kMappedBytes : 0)));
}

}  // namespace strongroom
