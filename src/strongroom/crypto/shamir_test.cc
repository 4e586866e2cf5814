#include "strongroom/crypto/shamir.h"

#include <gtest/gtest.h>

#include <set>

#include "strongroom/crypto/random.h"
#include "test/vectors/vector_file.h"

namespace strongroom::crypto {
namespace {

constexpr SecretAccess kShareRead{};

Share copy(const Share& share) {
  return {share.x, share.threshold, share.set, share.y.clone()};
}

std::vector<Share> pick(const std::vector<Share>& shares, std::initializer_list<size_t> which) {
  std::vector<Share> out;
  for (const size_t i : which) out.push_back(copy(shares[i]));
  return out;
}

std::vector<Share> split(const Secret<32>& secret, uint8_t threshold, uint8_t n) {
  auto shares = split_secret(secret.read(kShareRead), threshold, n);
  EXPECT_TRUE(shares);
  return std::move(shares).value();
}

std::string text_of(const Share& share) {
  return std::string(as_text(share_to_text(share).read(kShareRead)));
}

TEST(ShamirTest, EveryThresholdOfSharesGivesTheSecret) {
  const auto secret = random_secret<Secret<32>>();
  const auto shares = split(secret, 3, 5);
  for (size_t a = 0; a < 5; ++a) {
    for (size_t b = 0; b < 5; ++b) {
      for (size_t c = 0; c < 5; ++c) {
        if (a == b || b == c || a == c) continue;
        const auto combined = combine_shares(pick(shares, {a, b, c}));
        ASSERT_TRUE(combined);
        EXPECT_EQ(to_hex(combined->read(kShareRead)), to_hex(secret.read(kShareRead)));
      }
    }
  }
}

TEST(ShamirTest, LimitsOfThresholdAndCount) {
  const auto secret = random_secret<Secret<32>>();
  for (const auto& [threshold, n] : std::initializer_list<std::pair<uint8_t, uint8_t>>{
           {1, 1}, {1, 4}, {2, 2}, {20, 255}, {255, 255}}) {
    const auto shares = split(secret, threshold, n);
    ASSERT_EQ(shares.size(), n);
    const auto combined = combine_shares(std::span(shares).last(threshold));
    ASSERT_TRUE(combined);
    EXPECT_EQ(to_hex(combined->read(kShareRead)), to_hex(secret.read(kShareRead)));
  }
  for (const auto& [threshold, n] :
       std::initializer_list<std::pair<uint8_t, uint8_t>>{{0, 3}, {4, 3}, {0, 0}}) {
    EXPECT_EQ(split_secret(secret.read(kShareRead), threshold, n).error().code,
              ErrorCode::kInvalidArgument);
  }
}

TEST(ShamirTest, SharesOfTheModelGiveItsSecret) {
  std::vector<Share> shares;
  for (const char* name : {"share_5", "share_1", "share_2"}) {
    auto share = parse_share(test::model_value(name));
    ASSERT_TRUE(share);
    EXPECT_EQ(text_of(*share), test::model_value(name));
    shares.push_back(std::move(share).value());
  }
  const auto combined = combine_shares(shares);
  ASSERT_TRUE(combined);
  EXPECT_EQ(to_hex(combined->read(kShareRead)),
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
}

TEST(ShamirTest, OneShareLessSaysNothing) {
  // With one share fixed, each secret byte stays possible: share 2 differs freely for the same
  // share 1.
  const Secret<32> secret;
  std::set<uint8_t> seen;
  for (int i = 0; i < 200; ++i) seen.insert(split(secret, 2, 2)[0].y.read(kShareRead)[0]);
  EXPECT_GT(seen.size(), 80u) << "a share of the zero secret must look random";
}

TEST(ShamirTest, CombineSaysWhatIsWrong) {
  const auto secret = random_secret<Secret<32>>();
  const auto shares = split(secret, 3, 5);
  const auto others = split(secret, 3, 5);

  EXPECT_EQ(combine_shares({}).error().code, ErrorCode::kFailedPrecondition);
  const auto few = combine_shares(pick(shares, {4}));
  EXPECT_EQ(few.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(few.error().number, 2);
  EXPECT_EQ(combine_shares(pick(shares, {0, 1, 0})).error().code, ErrorCode::kAlreadyExists);

  auto mixed = pick(shares, {0, 1});
  mixed.push_back(copy(others[2]));
  EXPECT_EQ(combine_shares(mixed).error().code, ErrorCode::kInvalidArgument);

  auto no_x = pick(shares, {0, 1, 2});
  no_x[1].x = 0;
  EXPECT_EQ(combine_shares(no_x).error().code, ErrorCode::kDataLoss);

  auto surplus = pick(shares, {0, 1, 2, 3});
  EXPECT_TRUE(combine_shares(surplus));
  for (size_t bad = 0; bad < 4; ++bad) {
    auto damaged = pick(shares, {0, 1, 2, 3});
    damaged[bad].y.write(kShareRead)[31] ^= 1;
    EXPECT_EQ(combine_shares(damaged).error().code, ErrorCode::kDataLoss) << bad;
  }
}

TEST(ShareTextTest, TakesWhatAPersonTypes) {
  const std::string text = test::model_value("share_1");
  std::string typed = "  ";
  for (const char c : text) {
    if (c == '-') {
      typed += " \n";
    } else if (c == '1') {
      typed += typed.size() % 2 == 0 ? 'I' : 'l';
    } else if (c == '0') {
      typed += 'O';
    } else {
      typed += static_cast<char>(toupper(c));
    }
  }
  const auto share = parse_share(typed);
  ASSERT_TRUE(share);
  EXPECT_EQ(text_of(*share), text);
}

TEST(ShareTextTest, EveryMistypedCharacterIsFound) {
  const std::string text = test::model_value("share_2");
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '-') continue;
    std::string bad = text;
    bad[i] = text[i] == '7' ? '8' : '7';
    const auto result = parse_share(bad);
    ASSERT_FALSE(result) << i;
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument) << i;
    EXPECT_EQ(result.error().number >= 0, i < 9) << i;
    bad[i] = 'u';
    EXPECT_EQ(parse_share(bad).error().number, static_cast<int64_t>(i + 1));
    EXPECT_FALSE(parse_share(text.substr(0, i)));
  }
}

TEST(ShareTextTest, RefusesOtherLengthsAndForeignCharacters) {
  const std::string text = test::model_value("share_2");
  EXPECT_EQ(parse_share("").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(parse_share(text + "0").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(parse_share(text + "\xc3\xa9").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(parse_share(text + std::string(1, '\0')).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(parse_share(text + std::string(kShareTextMax, ' ')).error().code,
            ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace strongroom::crypto
