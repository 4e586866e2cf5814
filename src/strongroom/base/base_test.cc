#include <gtest/gtest.h>

#include <sstream>

#include "strongroom/base/bytes.h"
#include "strongroom/base/ids.h"
#include "strongroom/base/redacted.h"
#include "strongroom/base/result.h"
#include "strongroom/base/secret.h"

namespace strongroom {
namespace {

TEST(BytesTest, HexRoundTripsAndRefusesOddOrForeignDigits) {
  const ByteArray<3> in{0x00, 0xab, 0xff};
  ByteArray<3> out{};
  EXPECT_EQ(to_hex(in), "00abff");
  EXPECT_TRUE(from_hex("00ABff", out));
  EXPECT_EQ(in, out);
  EXPECT_FALSE(from_hex("00abf", out));
  EXPECT_FALSE(from_hex("00abfg", out));
}

TEST(BytesTest, Base64MatchesRfc4648AndIsCanonical) {
  const char* vectors[][2] = {{"", ""},
                              {"f", "Zg=="},
                              {"fo", "Zm8="},
                              {"foo", "Zm9v"},
                              {"foob", "Zm9vYg=="},
                              {"fooba", "Zm9vYmE="},
                              {"foobar", "Zm9vYmFy"}};
  for (auto& v : vectors) {
    std::string out;
    EXPECT_EQ(to_base64(as_bytes(v[0])), v[1]);
    EXPECT_TRUE(from_base64(v[1], &out));
    EXPECT_EQ(out, v[0]);
  }
  std::string out;
  EXPECT_FALSE(from_base64("Zh==", &out)) << "bits behind the end";
  EXPECT_FALSE(from_base64("Zg=", &out));
  EXPECT_FALSE(from_base64("Z===", &out));
  EXPECT_FALSE(from_base64("Zg==Zg==", &out));
}

TEST(BytesTest, EndianWidthsRoundTrip) {
  std::string s;
  append_be(s, 0x0102030405ull, 5);
  append_le(s, 0x0102030405ull, 5);
  EXPECT_EQ(to_hex(as_bytes(s)), "01020304050504030201");
  ByteReader r(as_bytes(s));
  EXPECT_EQ(r.be(5), 0x0102030405ull);
  EXPECT_EQ(r.le(5), 0x0102030405ull);
  EXPECT_TRUE(r.done());
  EXPECT_EQ(r.be(1), 0u);
  EXPECT_FALSE(r.ok());
}

TEST(SecretTest, MovedFromIsWiped) {
  ByteArray<32> bytes;
  bytes.fill(7);
  RecordKey a{std::span<const uint8_t, 32>(bytes)};
  RecordKey b = std::move(a);
  EXPECT_EQ(b.read(SecretAccess{})[31], 7);
  // NOLINTNEXTLINE(bugprone-use-after-move): that is what is tested.
  EXPECT_EQ(a.read(SecretAccess{})[31], 0);
}

TEST(RedactedTest, PrintsOnlyItsLength) {
  std::ostringstream out;
  out << Redacted<std::string>("13800138000");
  EXPECT_EQ(out.str(), "<11 bytes>");
}

Result<int> half(int x) {
  if (x % 2 != 0) return make_error(ErrorCode::kInvalidArgument, "odd", x);
  return x / 2;
}
Result<int> quarter(int x) {
  SR_ASSIGN(int h, half(x));
  return half(h);
}

TEST(ResultTest, TryReturnsTheFirstError) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_EQ(quarter(6).error().number, 3);
  EXPECT_STREQ(error_code_name(quarter(7).error().code), "invalid_argument");
}

TEST(RecordIndexTest, SplitsIntoBlockAndOffset) {
  const auto idx = RecordIndex::of(3, 0xabc);
  EXPECT_EQ(idx.block(), 3u);
  EXPECT_EQ(idx.offset(), 0xabcu);
}

}  // namespace
}  // namespace strongroom
