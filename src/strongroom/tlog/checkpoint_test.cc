#include "strongroom/tlog/checkpoint.h"

#include <gtest/gtest.h>

namespace strongroom::tlog {
namespace {

constexpr char kOrigin[] = "strongroom.local/0123";
constexpr char kDash[] = "\xE2\x80\x94 ";

const crypto::SigningKey& key_of(uint8_t n) {
  static const auto kKeys = [] {
    std::vector<crypto::SigningKey> keys;
    for (uint8_t i = 0; i < 3; ++i) {
      ByteArray<32> seed;
      seed.fill(i);
      keys.push_back(crypto::SigningKey::from_seed(seed));
    }
    return keys;
  }();
  return kKeys[n];
}

Checkpoint sample() {
  Checkpoint checkpoint{kOrigin, 70000};
  checkpoint.root.fill(0xA5);
  return checkpoint;
}

ErrorCode refusal(const std::string& note) {
  const auto result = verify_checkpoint(note, kOrigin, key_of(1).public_key());
  EXPECT_FALSE(result) << note;
  return result ? ErrorCode::kInternal : result.error().code;
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  const size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos);
  return text.replace(at, what.size(), by);
}

// Signs whatever text it is given, as a log that does not keep to tlog-checkpoint would.
std::string sign_text(const std::string& text, const crypto::SigningKey& key) {
  const std::string vkey = verifier_key(kOrigin, key.public_key());
  ByteArray<4> id;
  EXPECT_TRUE(from_hex(std::string_view(vkey).substr(sizeof(kOrigin), 8), id));
  std::string signature(as_text(id));
  append(signature, key.sign(as_bytes(text)));
  return text + "\n" + kDash + kOrigin + " " + to_base64(as_bytes(signature)) + "\n";
}

TEST(CheckpointTest, VerifierKeyIsTheOneOfTheSpecification) {
  // c2sp.org/signed-note, "Verifier keys".
  std::string material;
  ASSERT_TRUE(from_base64("AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", &material));
  crypto::PublicKey key;
  std::copy(material.begin() + 1, material.end(), key.begin());
  EXPECT_EQ(verifier_key("example.com/foo", key),
            "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k");
}

TEST(CheckpointTest, SignedOneVerifies) {
  const std::string note = sign_checkpoint(sample(), key_of(1));
  EXPECT_TRUE(note.starts_with(std::string(kOrigin) + "\n70000\n" + to_base64(sample().root) +
                               "\n\n" + kDash + kOrigin + " "));
  EXPECT_EQ(*verify_checkpoint(note, kOrigin, key_of(1).public_key()), sample());
}

TEST(CheckpointTest, ExtensionLinesAreKept) {
  Checkpoint checkpoint = sample();
  checkpoint.extensions = {"one", "two words"};
  const std::string note = sign_checkpoint(checkpoint, key_of(1));
  EXPECT_EQ(*verify_checkpoint(note, kOrigin, key_of(1).public_key()), checkpoint);
}

TEST(CheckpointTest, LinesOfOtherKeysAreSkipped) {
  std::string note = sign_checkpoint(sample(), key_of(1));
  const std::string same_name = sign_checkpoint(sample(), key_of(2));
  note += same_name.substr(same_name.find(kDash));
  for (int witness = 0; witness < 16; ++witness) {
    note += std::string(kDash) + "witness.example/w" + std::to_string(witness) + " " +
            to_base64(as_bytes(std::string(2424, 'x'))) + "\n";
  }
  EXPECT_TRUE(verify_checkpoint(note, kOrigin, key_of(1).public_key()));
  EXPECT_TRUE(verify_checkpoint(note, kOrigin, key_of(2).public_key()));
  EXPECT_EQ(verify_checkpoint(note, kOrigin, key_of(0).public_key()).error().code,
            ErrorCode::kDataLoss);
}

TEST(CheckpointTest, AWrongSignatureOfOursRefusesTheNote) {
  const std::string note = sign_checkpoint(sample(), key_of(1));
  EXPECT_EQ(refusal(replaced(note, "70000", "70001")), ErrorCode::kDataLoss);
  // Behind a good one as well.
  const std::string other = sign_checkpoint({kOrigin, 1}, key_of(1));
  EXPECT_EQ(refusal(note + other.substr(other.find(kDash))), ErrorCode::kDataLoss);
}

TEST(CheckpointTest, AnotherOriginIsToldApart) {
  Checkpoint other = sample();
  other.origin = "strongroom.local/4567";
  EXPECT_EQ(refusal(sign_checkpoint(other, key_of(1))), ErrorCode::kInvalidArgument);
}

TEST(CheckpointTest, EveryFlippedBitIsRefused) {
  const std::string note = sign_checkpoint(sample(), key_of(1));
  for (size_t bit = 0; bit < note.size() * 8; ++bit) {
    std::string flipped = note;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(verify_checkpoint(flipped, kOrigin, key_of(1).public_key())) << bit;
  }
  for (size_t size = 0; size < note.size(); ++size) refusal(note.substr(0, size));
}

TEST(CheckpointTest, SignedTextThatIsNoCheckpointIsRefused) {
  const std::string root = to_base64(sample().root);
  const std::string origin = kOrigin;
  ASSERT_TRUE(verify_checkpoint(sign_text(origin + "\n7\n" + root + "\n", key_of(1)), kOrigin,
                                key_of(1).public_key()));
  const std::string texts[] = {
      origin + "\n07\n" + root + "\n",
      origin + "\n-7\n" + root + "\n",
      origin + "\n+7\n" + root + "\n",
      origin + "\n7 \n" + root + "\n",
      origin + "\n\n" + root + "\n",
      origin + "\n9223372036854775808\n" + root + "\n",
      origin + "\n18446744073709551616\n" + root + "\n",
      origin + "\n7\n" + root.substr(4) + "\n",
      origin + "\n7\n" + root.substr(0, root.size() - 1) + "\n",
      origin + "\n7\n",
      origin + "\n7\n" + root + "\n\nextension\n",
      origin + "\n7\n" + root + "\nbell\a\n",
      origin + "\n7\n" + root + "\ncarriage\r\n",
      origin + "\n7\n" + root + "\nnot utf-8 \xFF\n",
      origin + "\n7\n" + root + "\noverlong \xC0\xAF\n",
      origin + "\n7\n" + root + "\nsurrogate \xED\xA0\x80\n",
  };
  for (const std::string& text : texts) {
    EXPECT_EQ(refusal(sign_text(text, key_of(1))), ErrorCode::kDataLoss);
  }
}

TEST(CheckpointTest, MalformedSignatureLinesAreRefused) {
  const std::string note = sign_checkpoint(sample(), key_of(1));
  const std::string good(64 + 4, 'x');
  const std::string base64 = to_base64(as_bytes(good));
  for (const std::string& line :
       {std::string("no dash\n"), kDash + base64 + "\n",
        std::string(kDash) + "a+b " + base64 + "\n",
        std::string(kDash) + "a\xC2\xA0z " + base64 + "\n", std::string(kDash) + "a AAAA\n",
        std::string(kDash) + "a " + base64 + "=\n", std::string(kDash) + "a " + base64,
        std::string(kDash) + "a b " + base64 + "\n"}) {
    EXPECT_EQ(refusal(note + line), ErrorCode::kDataLoss);
  }
  const std::string huge =
      note + kDash + "a " + to_base64(as_bytes(std::string(1 << 20, 'x'))) + "\n";
  EXPECT_EQ(refusal(huge), ErrorCode::kDataLoss);
}

TEST(CheckpointTest, OriginsThatCanNameAKey) {
  EXPECT_TRUE(is_origin("strongroom.local/00ff"));
  EXPECT_TRUE(is_origin("\xE6\xBF\x83/1"));
  for (const char* bad : {"", "a b", "a+b", "a\nb", "a\tb", "\xFF", "a\xE3\x80\x80"}) {
    EXPECT_FALSE(is_origin(bad)) << bad;
  }
}

}  // namespace
}  // namespace strongroom::tlog
