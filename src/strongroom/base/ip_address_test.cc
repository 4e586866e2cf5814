#include "strongroom/base/ip_address.h"

#include <gtest/gtest.h>

namespace strongroom {
namespace {

IpAddress address(std::string_view text) {
  return parse_ip(text).value();
}

TEST(IpAddressTest, AMappedAddressIsTheOneItMaps) {
  EXPECT_EQ(address("::ffff:10.20.3.4"), address("10.20.3.4"));
  EXPECT_EQ(ip_text(address("::ffff:10.20.3.4")), "10.20.3.4");
  EXPECT_EQ(ip_bytes(address("::ffff:10.20.3.4")), (std::string{10, 20, 3, 4}));
}

TEST(IpAddressTest, BytesAreFourOrSixteenBytes) {
  for (const char* text : {"10.20.3.4", "0.0.0.0", "2001:db8::1", "::1"}) {
    const auto back = ip_of(as_bytes(ip_bytes(address(text))));
    ASSERT_TRUE(back.has_value());
    EXPECT_EQ(ip_text(*back), text);
  }
  for (const size_t size : {0, 3, 5, 15, 17}) {
    EXPECT_FALSE(ip_of(as_bytes(std::string(size, '\1'))).has_value()) << size;
  }
}

TEST(IpAddressTest, WhatIsNotQuiteAnAddressIsRefused) {
  for (const char* text :
       {"", "10.0.0", "10.0.0.256", "10.0.0.1 ", " ::1", "1::2::3", "fe80::1%eth0", "localhost"}) {
    EXPECT_FALSE(parse_ip(text).has_value()) << text;
  }
  EXPECT_FALSE(parse_ip(std::string_view("10.0.0.1\0x", 10)).has_value());
}

}  // namespace
}  // namespace strongroom
