#include "strongroom/policy/networks.h"

#include <algorithm>
#include <charconv>

namespace strongroom::policy {

bool Network::contains(const IpAddress& other) const {
  // Whether the first so many bits of eight bytes are others.
  const auto differ = [&](size_t at, uint32_t count) {
    const uint64_t others = load_be64(address.data() + at) ^ load_be64(other.data() + at);
    return count != 0 && others >> (64 - count) != 0;
  };
  return !differ(0, std::min(bits, 64u)) && !differ(8, std::max(bits, 64u) - 64);
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
