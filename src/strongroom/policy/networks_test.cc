#include "strongroom/policy/networks.h"

#include <gtest/gtest.h>

namespace strongroom::policy {
namespace {

Network network(std::string_view text) {
  return parse_network(text).value();
}
IpAddress address(std::string_view text) {
  return parse_ip(text).value();
}

TEST(NetworksTest, ANetworkHoldsWhatSharesItsBits) {
  const Network office = network("10.20.0.0/14");
  EXPECT_TRUE(office.contains(address("10.20.0.0")));
  EXPECT_TRUE(office.contains(address("10.23.255.255")));
  EXPECT_FALSE(office.contains(address("10.24.0.0")));
  EXPECT_FALSE(office.contains(address("10.19.255.255")));
  EXPECT_TRUE(network("2001:db8::/33").contains(address("2001:db8:7fff::1")));
  EXPECT_FALSE(network("2001:db8::/33").contains(address("2001:db8:8000::1")));
  EXPECT_TRUE(network("10.20.3.4").contains(address("10.20.3.4")));
  EXPECT_FALSE(network("10.20.3.4").contains(address("10.20.3.5")));
}

TEST(NetworksTest, AllOfOneFamilyIsNothingOfTheOther) {
  EXPECT_TRUE(network("0.0.0.0/0").contains(address("255.255.255.255")));
  EXPECT_FALSE(network("0.0.0.0/0").contains(address("2001:db8::1")));
  EXPECT_TRUE(network("::/0").contains(address("2001:db8::1")));
  EXPECT_TRUE(network("::/0").contains(network("0.0.0.0/0")));
}

TEST(NetworksTest, AMappedAddressIsTheOneItMaps) {
  EXPECT_TRUE(network("10.20.0.0/16").contains(address("::ffff:10.20.3.4")));
}

TEST(NetworksTest, WhatIsNotQuiteANetworkIsRefused) {
  for (const char* text :
       {"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/ 8", "10.0.0.0/8 ",
        "10.0.0.0/8/8", "10.1.0.0/8", "10.0.0.1/31", "10.0.0", "10.0.0.256", "010.0.0.0/8x",
        "2001:db8::/129", "2001:db8::1/64", "localhost", "::ffff:10.0.0.0/8"}) {
    EXPECT_FALSE(parse_network(text).has_value()) << text;
  }
  EXPECT_FALSE(parse_network(std::string_view("10.0.0.0\0/8", 11)).has_value());
}

}  // namespace
}  // namespace strongroom::policy
