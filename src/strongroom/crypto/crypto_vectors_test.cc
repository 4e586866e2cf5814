// The primitives against published vectors, valid and invalid. Sources: test/vectors/README.md.
#include <gtest/gtest.h>

#include <iostream>

#include "strongroom/crypto/aead.h"
#include "strongroom/crypto/hash.h"
#include "strongroom/crypto/prf.h"
#include "strongroom/crypto/sign.h"
#include "test/vectors/vector_file.h"

namespace strongroom::crypto {
namespace {

using test::read_vectors;
using test::unhex;
using test::unhex_array;
using test::VectorCase;

// How many cases of each kind ran: a vector file that shrank must not pass unseen.
struct Count {
  int valid = 0;
  int invalid = 0;
  void add(bool is_valid) { ++(is_valid ? valid : invalid); }
  void expect_at_least(const char* name, int valid_min, int invalid_min) const {
    std::cout << name << ": " << valid << " valid and " << invalid << " invalid cases ran\n";
    EXPECT_GE(valid, valid_min);
    EXPECT_GE(invalid, invalid_min);
  }
};

TEST(WycheproofTest, AesGcm) {
  Count count;
  for (const VectorCase& c : read_vectors("test/vectors/aes_gcm.txt")) {
    ASSERT_EQ(c.size(), 7u);
    SCOPED_TRACE("tcId " + c[0]);
    const auto key = unhex_array<32>(c[2]);
    const auto nonce = unhex_array<12>(c[3]);
    const std::string ad = unhex(c[4]), message = unhex(c[5]), sealed = unhex(c[6]);
    const bool valid = c[1] == "valid";
    std::string made;
    gcm_seal(key, nonce, as_bytes(ad), as_bytes(message), made);
    EXPECT_EQ(made == sealed, valid);
    ASSERT_GE(sealed.size(), kGcmTagSize);
    std::vector<uint8_t> opened(sealed.size() - kGcmTagSize, 0xaa);
    const auto result = gcm_open(key, nonce, as_bytes(ad), as_bytes(sealed), opened);
    EXPECT_EQ(result.has_value(), valid);
    if (valid) {
      EXPECT_EQ(as_text(opened), message);
    } else {
      EXPECT_EQ(result.error().code, ErrorCode::kDataLoss);
      EXPECT_EQ(opened, std::vector<uint8_t>(opened.size(), 0)) << "forged plaintext came out";
    }
    count.add(valid);
  }
  count.expect_at_least("AES-256-GCM", 35, 27);
}

TEST(WycheproofTest, XChaCha20Poly1305) {
  Count count;
  for (const VectorCase& c : read_vectors("test/vectors/xchacha20_poly1305.txt")) {
    ASSERT_EQ(c.size(), 7u);
    SCOPED_TRACE("tcId " + c[0]);
    const SealingKey key{std::span<const uint8_t, 32>(unhex_array<32>(c[2]))};
    const std::string ad = unhex(c[4]), message = unhex(c[5]), sealed = unhex(c[3]) + unhex(c[6]);
    const bool valid = c[1] == "valid";
    const auto opened = xchacha_open(key, as_bytes(ad), as_bytes(sealed));
    EXPECT_EQ(opened.has_value(), valid);
    if (opened) {
      EXPECT_EQ(as_text(opened->read(SecretAccess{})), message);
    }
    count.add(valid);
  }
  count.expect_at_least("XChaCha20-Poly1305", 168, 60);
}

TEST(WycheproofTest, HmacSha256) {
  Count count;
  for (const VectorCase& c : read_vectors("test/vectors/hmac_sha256.txt")) {
    ASSERT_EQ(c.size(), 5u);
    SCOPED_TRACE("tcId " + c[0]);
    const std::string key = unhex(c[2]), message = unhex(c[3]), tag = unhex(c[4]);
    const bool valid = c[1] == "valid";
    ASSERT_LE(tag.size(), 32u);
    const Digest once = hmac_sha256(as_bytes(key), {as_bytes(message)});
    EXPECT_EQ(equal_ct(Bytes(once).first(tag.size()), as_bytes(tag)), valid);
    Hmac cached(as_bytes(key));
    const size_t half = message.size() / 2;
    for (int round = 0; round < 2; ++round) {
      EXPECT_EQ(cached({as_bytes(message).first(half), Bytes{}, as_bytes(message).subspan(half)}),
                once);
    }
    count.add(valid);
  }
  count.expect_at_least("HMAC-SHA-256", 66, 108);
}

TEST(WycheproofTest, Ed25519) {
  // libsodium is strict in ways of its own, but agrees with every one of these cases.
  Count count;
  for (const VectorCase& c : read_vectors("test/vectors/ed25519.txt")) {
    ASSERT_EQ(c.size(), 5u);
    SCOPED_TRACE("tcId " + c[0]);
    const bool valid = c[1] == "valid";
    EXPECT_EQ(verify(unhex_array<32>(c[2]), as_bytes(unhex(c[3])), as_bytes(unhex(c[4]))), valid);
    count.add(valid);
  }
  count.expect_at_least("Ed25519", 88, 63);
}

TEST(NistTest, AesEcbOfSp80038aF15) {
  const auto key =
      unhex_array<32>("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
  const char* cases[][2] = {
      {"6bc1bee22e409f96e93d7e117393172a", "f3eed1bdb5d2a03c064b5a7e3db181f8"},
      {"ae2d8a571e03ac9c9eb76fac45af8e51", "591ccb10d410ed26dc5ba74a31362870"},
      {"30c81c46a35ce411e5fbc1191a0a52ef", "b6ed21b99ca6f4f9f153e7b1beafed1d"},
      {"f69f2445df4f9b17ad2b417be66c3710", "23304b7a39f9f3ff067d8d8f9e24ecc7"}};
  Prf prf(key);
  std::vector<Block> blocks;
  for (const auto& c : cases) {
    blocks.push_back(unhex_array<16>(c[0]));
    EXPECT_EQ(to_hex(prf(blocks.back())), c[1]);
  }
  std::vector<Block> together = blocks;
  prf_blocks(key, together);
  prf(std::span<Block>(blocks));
  EXPECT_EQ(together, blocks);
  for (size_t i = 0; i < blocks.size(); ++i) EXPECT_EQ(to_hex(blocks[i]), cases[i][1]);
}

TEST(NistTest, Sha256OfFips180) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {std::string(1'000'000, 'a'),
       "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"}};
  Sha256 incremental;
  for (const auto& [message, digest] : cases) {
    EXPECT_EQ(to_hex(sha256(as_bytes(message))), digest);
    const size_t half = message.size() / 2;
    incremental.update(as_bytes(message).first(half));
    incremental.update(as_bytes(message).subspan(half));
    EXPECT_EQ(to_hex(incremental.finish()), digest) << "and starts anew";
  }
}

}  // namespace
}  // namespace strongroom::crypto
