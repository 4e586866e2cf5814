#include "strongroom/tlog/disclosure.h"

#include <gtest/gtest.h>

#include <numeric>

namespace strongroom::tlog {
namespace {

Entry entry_of(uint32_t n) {
  Entry entry;
  entry.type = EntryType::kRelease;
  entry.t_ms = 1'700'000'000'000;
  for (size_t i = 0; i < entry.rho.size(); ++i) entry.rho[i] = static_cast<uint8_t>(i);
  for (uint32_t i = 0; i < n; ++i) entry.items.push_back("item " + std::to_string(i));
  return entry;
}

TEST(DisclosureTest, EveryItemVerifiesByItselfAndOnlyAtItsPlace) {
  for (uint32_t n = 1; n <= 33; ++n) {
    const Entry entry = entry_of(n);
    const auto bytes = public_bytes(entry);
    const auto head = parse_entry(bytes);
    ASSERT_TRUE(head);
    std::vector<uint32_t> places(n);
    std::iota(places.begin(), places.end(), 0u);
    const auto shown = disclose(entry, places);
    ASSERT_EQ(shown.size(), n);
    for (const Disclosure& item : shown) {
      EXPECT_EQ(item.item, entry.items[item.place]);
      EXPECT_TRUE(verify_disclosure(*head, item));
      for (const uint32_t place : {item.place + 1, item.place ^ 1u, n}) {
        Disclosure moved = item;
        moved.place = place;
        EXPECT_FALSE(verify_disclosure(*head, moved)) << n << " " << item.place;
      }
    }
  }
}

TEST(DisclosureTest, WhatIsChangedDoesNotVerify) {
  const Entry entry = entry_of(5);
  const auto bytes = public_bytes(entry);
  const auto head = parse_entry(bytes);
  ASSERT_TRUE(head);
  const uint32_t place = 2;
  const Disclosure good = disclose(entry, {&place, 1}).front();
  Disclosure bad = good;
  bad.item += ' ';
  EXPECT_FALSE(verify_disclosure(*head, bad));
  bad = good;
  bad.salt[0] ^= 1;
  EXPECT_FALSE(verify_disclosure(*head, bad));
  bad = good;
  bad.path[1][31] ^= 1;
  EXPECT_FALSE(verify_disclosure(*head, bad));
  bad = good;
  bad.path.pop_back();
  EXPECT_FALSE(verify_disclosure(*head, bad));
  EntryHead other = *head;
  other.items[0] ^= 1;
  EXPECT_FALSE(verify_disclosure(other, good));
}

TEST(DisclosureTest, WhatIsNotShownCannotBeComputedFromWhatIs) {
  const Entry entry = entry_of(4);
  const uint32_t place = 1;
  const Disclosure shown = disclose(entry, {&place, 1}).front();
  // A guess at the neighbour, with every salt that was handed out: its commitment stays blind.
  for (const Bytes salt : {Bytes(shown.salt), Bytes(shown.path[0])}) {
    const auto guess = leaf_hash(crypto::hmac_sha256(salt, {as_bytes(entry.items[0])}));
    EXPECT_NE(guess, shown.path[0]);
  }
  EXPECT_NE(item_salt(entry.rho, 0), shown.salt);
}

}  // namespace
}  // namespace strongroom::tlog
