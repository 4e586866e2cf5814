#include "strongroom/tlog/opening.h"

#include <gtest/gtest.h>

#include "strongroom/crypto/hash.h"

namespace strongroom::tlog {
namespace {

Entry entry_of(std::vector<std::string> items) {
  Entry entry;
  entry.type = EntryType::kErasure;
  entry.items = std::move(items);
  for (size_t i = 0; i < entry.rho.size(); ++i) entry.rho[i] = static_cast<uint8_t>(i);
  return entry;
}

EntryHead head_of(const Entry& entry) {
  return {static_cast<uint8_t>(entry.type), entry.t_ms, static_cast<uint32_t>(entry.items.size()),
          commit_items(entry.rho, entry.items)};
}

TEST(OpeningTest, ShowsWhatItIsToldToAndNothingElse) {
  const Entry entry = entry_of({"who and why", "record 1", "", "record 3"});
  const std::string opening = open_items(entry, 1);
  const auto shown = check_opening(as_bytes(opening), head_of(entry));
  ASSERT_TRUE(shown);
  EXPECT_EQ(*shown, (std::vector<std::pair<uint32_t, std::string>>{
                        {1, "record 1"}, {2, ""}, {3, "record 3"}}));
  EXPECT_EQ(opening.find("who and why"), std::string::npos);
  // Nor what blinds it: with its salt it could be guessed.
  const Hash salt = item_salt(entry.rho, 0);
  EXPECT_EQ(opening.find(as_text(salt)), std::string::npos);
  EXPECT_EQ(opening.find(as_text(entry.rho)), std::string::npos);
}

// The format, byte for byte.
TEST(OpeningTest, IsWrittenAsTheSpecificationSays) {
  const Entry entry = entry_of({"a", "b"});
  std::string expected("\x01\x00\x00\x00\x02\x00", 6);
  append(expected, crypto::hmac_sha256(item_salt(entry.rho, 0), {as_bytes("a")}));
  expected += '\x01';
  append(expected, item_salt(entry.rho, 1));
  expected += std::string("\x00\x00\x00\x01", 4) + "b";
  EXPECT_EQ(open_items(entry, 1), expected);
}

TEST(OpeningTest, AnyChangeIsFound) {
  const Entry entry = entry_of({"who", "record 1", "record 2"});
  const std::string opening = open_items(entry, 1);
  for (size_t at = 0; at < opening.size(); ++at) {
    std::string changed = opening;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    EXPECT_FALSE(check_opening(as_bytes(changed), head_of(entry))) << at;
    EXPECT_FALSE(check_opening(as_bytes(opening).first(at), head_of(entry))) << at;
  }
  EXPECT_FALSE(check_opening(as_bytes(opening + '\0'), head_of(entry)));
  EXPECT_FALSE(check_opening(as_bytes(opening), head_of(entry_of({"who", "record 1"}))));
  EXPECT_FALSE(check_opening(as_bytes(std::string(kOpeningBytesMax + 1, '\x01')), head_of(entry)));
}

}  // namespace
}  // namespace strongroom::tlog
