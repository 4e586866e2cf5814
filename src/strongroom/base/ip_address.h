// IP addresses of either family, as text and as bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "strongroom/base/bytes.h"

namespace strongroom {

// IPv4 as ::ffff:a.b.c.d, so that either way of writing one is the same (RFC 4291, 2.5.5.2).
using IpAddress = ByteArray<16>;
inline constexpr size_t kIpMappedBits = 96;  // Before the IPv4 address.

// "10.20.3.4" or "2001:db8::1". Nothing: neither.
std::optional<IpAddress> parse_ip(std::string_view text);
std::string ip_text(const IpAddress& address);

// As calls and the log carry it: 4 bytes of IPv4, or 16. Nothing: of another size.
std::optional<IpAddress> ip_of(Bytes bytes);
std::string ip_bytes(const IpAddress& address);

}  // namespace strongroom
