// Networks that a grant holds for.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "strongroom/base/ip_address.h"

namespace strongroom::policy {

inline constexpr size_t kNetworksMax = 64;  // Of one grant.

struct Network {
  IpAddress address{};
  uint32_t bits = 128;  // Of it, which all in the network share.

  bool contains(const IpAddress& other) const;
  bool contains(const Network& other) const {
    return bits <= other.bits && contains(other.address);
  }
};

// "10.20.0.0/16", or one address. Nothing unless well formed, with no bit set behind those that
// count.
std::optional<Network> parse_network(std::string_view text);

bool any_contains(std::span<const Network> networks, const IpAddress& address);

}  // namespace strongroom::policy
