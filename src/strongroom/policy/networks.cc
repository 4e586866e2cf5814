#include "strongroom/policy/networks.h"

#include <algorithm>
#include <charconv>

namespace strongroom::policy {

bool Network::contains(const IpAddress& other) const {
  const size_t whole = bits / 8;
  if (!std::equal(address.begin(), address.begin() + whole, other.begin())) return false;
  const uint32_t rest = bits % 8;
  return rest == 0 || (address[whole] ^ other[whole]) >> (8 - rest) == 0;
}

std::optional<Network> parse_network(std::string_view text) {
  const size_t slash = text.find('/');
  const auto address = parse_ip(text.substr(0, slash));
  if (!address) return std::nullopt;
  Network out{*address, 128};
  if (slash != std::string_view::npos) {
    const bool four = text.substr(0, slash).find(':') == std::string_view::npos;
    const std::string_view length = text.substr(slash + 1);
    uint32_t bits = 0;
    const auto read = std::from_chars(length.data(), length.data() + length.size(), bits);
    if (read.ec != std::errc() || read.ptr != length.data() + length.size() ||
        bits > (four ? 32u : 128u)) {
      return std::nullopt;
    }
    out.bits = four ? bits + kIpMappedBits : bits;
  }
  for (uint32_t bit = out.bits; bit < 128; ++bit) {
    if ((out.address[bit / 8] >> (7 - bit % 8) & 1) != 0) return std::nullopt;
  }
  return out;
}

bool any_contains(std::span<const Network> networks, const IpAddress& address) {
  return std::any_of(networks.begin(), networks.end(),
                     [&](const Network& network) { return network.contains(address); });
}

}  // namespace strongroom::policy
