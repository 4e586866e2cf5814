#include "strongroom/tlog/note.h"

#include <gtest/gtest.h>

#include "strongroom/tlog/checkpoint.h"
#include "strongroom/tlog/cosignature.h"
#include "strongroom/tlog/proof.h"

namespace strongroom::tlog {
namespace {

WitnessSigner signer_of(uint8_t n) {
  ByteArray<32> seed;
  for (uint8_t i = 0; i < seed.size(); ++i) seed[i] = static_cast<uint8_t>(i + n);
  return {"witness.example/w1", crypto::SigningKey::from_seed(seed)};
}

// By an independent model: python3-cryptography, from the text of c2sp.org/tlog-cosignature.
constexpr char kWitnessKey[] =
    "witness.example/w1+e75f6532+BAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
constexpr char kText[] =
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
constexpr uint64_t kTime = 1679315147;
constexpr char kLine[] =
    "\xE2\x80\x94 witness.example/w1 "
    "519lMgAAAABkGFDLBuRDazBLVac2NE+Y+IjbjQOcXLfF9CSDZVUIoS83rE1nFZsVE8YiWV6Ngr7lV8H6bdoBQGP/"
    "l73euDMQ9k+bBQ==\n";

TEST(NoteKeyTest, VerifierKeysAreReadBack) {
  for (const char* text :
       {"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", kWitnessKey}) {
    const auto key = parse_note_key(text);
    ASSERT_TRUE(key) << text;
    EXPECT_EQ(key->text(), text);
  }
  EXPECT_EQ(parse_note_key(kWitnessKey)->key, signer_of(0).key.public_key());
}

TEST(NoteKeyTest, EveryMistypedCharacterIsRefused) {
  const std::string good = kWitnessKey;
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = bad[i] == 'x' ? 'y' : 'x';
    EXPECT_FALSE(parse_note_key(bad)) << bad;
    EXPECT_FALSE(parse_note_key(good.substr(0, i)));
  }
  EXPECT_FALSE(parse_note_key(good + " "));
}

TEST(CosignatureTest, IsTheOneOfTheSpecification) {
  EXPECT_EQ(cosign(signer_of(0), kText, kTime), kLine);
  const auto note = parse_note(std::string(kText) + "\n" + kLine);
  ASSERT_TRUE(note);
  EXPECT_EQ(*verify_cosignature(note->text, note->signatures, signer_of(0).note_key()), kTime);
}

TEST(CosignatureTest, AnotherTextTimeOrKeyIsToldApart) {
  const std::string line = cosign(signer_of(0), kText, kTime);
  const auto lines = parse_signature_lines(line + cosign(signer_of(0), kText, kTime + 5));
  ASSERT_TRUE(lines);
  EXPECT_EQ(*verify_cosignature(kText, *lines, signer_of(0).note_key()), kTime + 5);
  EXPECT_EQ(*verify_cosignature(kText, *lines, signer_of(1).note_key()), 0u);
  EXPECT_EQ(
      verify_cosignature(std::string(kText) + "x\n", *lines, signer_of(0).note_key()).error().code,
      ErrorCode::kDataLoss);
  auto later = *parse_signature_lines(line);
  later[0].signature[7] = static_cast<char>(later[0].signature[7] ^ 1);
  EXPECT_FALSE(verify_cosignature(kText, later, signer_of(0).note_key()));
  // A log's signature is none of a witness, even by the same key under the same name.
  const WitnessSigner signer = signer_of(0);
  const NoteKey as_log{signer.name, NoteKeyType::kEd25519, signer.key.public_key()};
  const auto plain =
      parse_signature_lines(signature_line(as_log, signer.key.sign(as_bytes(kText))));
  EXPECT_EQ(*verify_cosignature(kText, *plain, signer.note_key()), 0u);
}

class LogProofTest : public testing::Test {
 protected:
  LogProofTest() {
    for (uint64_t i = 0; i < 13; ++i) leaves.push_back(leaf_hash(as_bytes(std::to_string(i))));
    const Checkpoint checkpoint{log.origin(), leaves.size(), merkle_root(leaves)};
    proof.leaf = 5;
    proof.path = *inclusion_proof(5, leaves.size(), [&](int level, uint64_t n) -> Result<Hash> {
      return merkle_root(std::span(leaves).subspan(n << level, size_t{1} << level));
    });
    proof.note = sign_checkpoint(checkpoint, key);
    proof.note += cosign(signer_of(0), checkpoint_text(checkpoint), kTime);
  }
  const crypto::SigningKey key = crypto::SigningKey::from_seed(ByteArray<32>{9});
  const LogKeys log{log_key("strongroom.local/7e57", key.public_key())};
  std::vector<Hash> leaves;
  LogProof proof;
};

TEST_F(LogProofTest, IsReadBackAndVerifies) {
  proof.extra = "what the entry holds";
  const auto read = parse_proof(format_proof(proof));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->extra, proof.extra);
  const NoteKey witnesses[] = {signer_of(0).note_key(), signer_of(1).note_key()};
  const auto proven = verify_proof(*read, leaves[5], log, witnesses);
  ASSERT_TRUE(proven) << proven.error().text;
  EXPECT_EQ(proven->checkpoint.size, 13u);
  EXPECT_EQ(proven->witnesses, 1u);
  EXPECT_EQ(proven->witnessed_from_s, kTime);
}

TEST_F(LogProofTest, NothingElseIsProven) {
  EXPECT_EQ(verify_proof(proof, leaves[6], log, {}).error().code, ErrorCode::kDataLoss);
  LogProof moved = proof;
  moved.leaf = 6;
  EXPECT_FALSE(verify_proof(moved, leaves[5], log, {}));
  const LogKeys other(log_key("strongroom.local/other", key.public_key()));
  EXPECT_EQ(verify_proof(proof, leaves[5], other, {}).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(LogProofTest, EveryFlippedBitIsRefused) {
  const NoteKey witnesses[] = {signer_of(0).note_key()};
  const std::string text = format_proof(proof);
  for (size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string flipped = text;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const auto read = parse_proof(flipped);
    if (!read) continue;
    const auto proven = verify_proof(*read, leaves[5], log, witnesses);
    // A cosignature under a name nobody knows is skipped; it then counts for nothing.
    EXPECT_TRUE(!proven || proven->witnesses == 0) << bit;
  }
  for (size_t size = 0; size < text.size(); ++size) {
    const auto read = parse_proof(text.substr(0, size));
    EXPECT_FALSE(read && verify_proof(*read, leaves[5], log, witnesses) &&
                 verify_proof(*read, leaves[5], log, witnesses)->witnesses == 1);
  }
}

}  // namespace
}  // namespace strongroom::tlog
