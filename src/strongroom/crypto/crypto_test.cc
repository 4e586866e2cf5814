// The design's derivations against the Python model, and what the wrappers promise beyond their
// primitives.
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <map>
#include <memory>
#include <set>
#include <thread>

#include "strongroom/crypto/aead.h"
#include "strongroom/crypto/derive.h"
#include "strongroom/crypto/hash.h"
#include "strongroom/crypto/prf.h"
#include "strongroom/crypto/random.h"
#include "strongroom/crypto/sign.h"
#include "test/vectors/vector_file.h"

namespace strongroom::crypto {
namespace {

using test::model_value;
using test::unhex_array;

constexpr SecretAccess kRead{};

template <uint8_t first>
ByteArray<32> counting() {
  ByteArray<32> bytes;
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(first + i);
  return bytes;
}

TermHash model_term() {
  return TermHash{unhex_array<16>(model_value("h_w"))};
}
LaneRoot model_root() {
  return LaneRoot{std::span<const uint8_t, 32>(counting<0x40>())};
}

TEST(ModelTest, GroupKeyIsTheModels) {
  const WriteSecret s{std::span<const uint8_t, 32>(unhex_array<32>(model_value("S")))};
  EXPECT_EQ(to_hex(derive_group_key(s, GroupId{2}).read(kRead)), model_value("K"));
}

TEST(ModelTest, TermHashIsTheModels) {
  std::string message("sr1.kw\0", 7);
  append_le<uint32_t>(message, 7);
  append_le<uint16_t>(message, 5);
  append_le<uint8_t>(message, 1);
  append_le<uint8_t>(message, 1);
  message += "13800138000";
  const Digest digest = hmac_sha256(counting<0x20>(), {as_bytes(message)});
  EXPECT_EQ(to_hex(Bytes(digest).first(16)), model_value("h_w"));
}

TEST(ModelTest, TokenAndItsPostingsAreTheModels) {
  LaneTokens lane(model_root());
  const TermToken token = lane.token(model_term());
  EXPECT_EQ(to_hex(token.read(kRead)), model_value("T"));
  Prf prf(token.read(kRead));
  const auto label = [&](uint8_t type) { return to_hex(Bytes(prf(blk(type, 0))).first(13)); };
  EXPECT_EQ(label(0x40), model_value("label"));
  EXPECT_EQ(label(0x43), model_value("packed_label"));
  EXPECT_EQ(label(0x45), model_value("head_label"));
  ByteArray<32> block_key;
  prf_pair(token.read(kRead), blk(0x60, 0), blk(0x61, 0), block_key);
  EXPECT_EQ(to_hex(block_key), model_value("block_key"));

  ByteArray<9> pt;
  store_le<uint64_t>(pt.data(), (3 << 12) | 0xabc, 5);
  store_le<uint32_t>(pt.data() + 5, 1000);
  Block tag{0x42};
  memcpy(tag.data() + 7, pt.data(), pt.size());
  const Block mask = prf(blk(0x41, 0));
  std::string value;
  for (size_t i = 0; i < pt.size(); ++i) value.push_back(static_cast<char>(pt[i] ^ mask[i]));
  append(value, Bytes(prf(tag)).first(7));
  EXPECT_EQ(to_hex(as_bytes(value)), model_value("value"));
}

TEST(ModelTest, SealingKeyIsTheModels) {
  EXPECT_EQ(to_hex(derive_sealing_key(counting<0x20>(), "sr1.example", 258).read(kRead)),
            model_value("sealing_key"));
}

TEST(LaneTokensTest, ManyAtOnceEqualOneByOne) {
  LaneTokens lane(model_root());
  std::vector<TermHash> terms(150);
  for (size_t i = 0; i < terms.size(); ++i) terms[i].bytes[3] = static_cast<uint8_t>(i);
  std::vector<TermToken> tokens(terms.size());
  lane.tokens(terms, tokens);
  std::set<std::string> distinct;
  for (size_t i = 0; i < terms.size(); ++i) {
    EXPECT_EQ(to_hex(tokens[i].read(kRead)), to_hex(lane.token(terms[i]).read(kRead)));
    distinct.insert(to_hex(tokens[i].read(kRead)));
  }
  EXPECT_EQ(distinct.size(), terms.size());
}

TEST(PrfTest, PairMayOverwriteItsOwnKey) {
  ByteArray<32> key = counting<0>();
  ByteArray<32> apart;
  prf_pair(key, blk(1, 2), blk(3, 4), apart);
  prf_pair(key, blk(1, 2), blk(3, 4), key);
  EXPECT_EQ(key, apart);
}

TEST(PrfTest, KeysOfCallsAndThreadsDoNotMix) {
  const ByteArray<32> one = counting<1>(), two = counting<2>();
  Prf fixed(one);
  const Block expected = fixed(blk(9, 9));
  ByteArray<32> other;
  prf_pair(two, blk(9, 9), blk(9, 9), other);
  prf_forget();
  EXPECT_EQ(fixed(blk(9, 9)), expected);
  Block in_thread = blk(9, 9);
  std::thread([&] { prf_blocks(one, {&in_thread, 1}); }).join();
  EXPECT_EQ(in_thread, expected);
  EXPECT_NE(to_hex(expected), to_hex(Bytes(other).first(16)));
  Prf moved = std::move(fixed);
  EXPECT_EQ(moved(blk(9, 9)), expected);
}

TEST(HmacTest, EmptyKeyIsAKeyAndNotTheOneBefore) {
  hmac_sha256(counting<7>(), {as_bytes("x")});
  // Python: hmac.new(b"", b"", "sha256").hexdigest()
  const char* expected = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";
  EXPECT_EQ(to_hex(hmac_sha256({}, {})), expected);
  EXPECT_EQ(to_hex(Hmac(Bytes{})({})), expected);
}

TEST(EqualTest, ComparesLengthAndEveryByte) {
  const ByteArray<32> a = counting<0>();
  ByteArray<32> b = a;
  EXPECT_TRUE(equal_ct(a, b));
  EXPECT_TRUE(equal_ct({}, {}));
  EXPECT_FALSE(equal_ct(a, Bytes(b).first(31)));
  b[31] ^= 1;
  EXPECT_FALSE(equal_ct(a, b));
}

// Short messages go through libsodium and long ones through OpenSSL.
TEST(AeadTest, GcmIsTheSameByEitherLibrary) {
  const auto key = counting<0x11>();
  const ByteArray<kGcmNonceSize> nonce{7, 8, 9};
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(
      EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  for (const size_t size : {0, 1, 15, 16, 17, 100, 240, 511, 512, 513, 1008, 4000}) {
    for (const std::string ad : {"", "a", "additional data of more than two blocks"}) {
      std::string message(size, '\0');
      for (size_t i = 0; i < size; ++i) message[i] = static_cast<char>(i * 7);
      std::string expected(size + kGcmTagSize, '\0');
      auto* to = reinterpret_cast<uint8_t*>(expected.data());
      int written = 0;
      ASSERT_EQ(
          EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key.data(), nonce.data()),
          1);
      EVP_EncryptUpdate(context.get(), nullptr, &written, as_bytes(ad).data(),
                        static_cast<int>(ad.size()));
      EVP_EncryptUpdate(context.get(), to, &written, as_bytes(message).data(),
                        static_cast<int>(size));
      ASSERT_EQ(EVP_EncryptFinal_ex(context.get(), to + size, &written), 1);
      ASSERT_EQ(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kGcmTagSize, to + size),
                1);

      std::string sealed = "before";
      gcm_seal(key, nonce, as_bytes(ad), as_bytes(message), sealed);
      EXPECT_EQ(sealed, "before" + expected) << size;
      std::string opened(size, 'x');
      const MutableBytes out(reinterpret_cast<uint8_t*>(opened.data()), size);
      ASSERT_TRUE(gcm_open(key, nonce, as_bytes(ad), as_bytes(expected), out));
      EXPECT_EQ(opened, message);
      for (const size_t at : {size_t{0}, size, size + kGcmTagSize - 1}) {
        std::string bad = expected;
        bad[at] = static_cast<char>(bad[at] ^ 1);
        EXPECT_FALSE(gcm_open(key, nonce, as_bytes(ad), as_bytes(bad), out));
        EXPECT_EQ(opened, std::string(size, '\0')) << "nothing of what was forged";
      }
    }
  }
}

TEST(GcmTest, AppendsAndOpensEmptyAndOdd) {
  const ByteArray<32> key = counting<0>();
  const ByteArray<12> nonce{};
  for (const size_t size : {0, 1, 15, 16, 17, 300}) {
    const std::string message(size, 'm');
    std::string out = "before";
    gcm_seal(key, nonce, as_bytes("ad"), as_bytes(message), out);
    ASSERT_EQ(out.size(), 6 + size + kGcmTagSize);
    EXPECT_EQ(out.substr(0, 6), "before");
    const Bytes sealed = as_bytes(out).subspan(6);
    std::vector<uint8_t> opened(size);
    EXPECT_TRUE(gcm_open(key, nonce, as_bytes("ad"), sealed, opened));
    EXPECT_EQ(as_text(opened), message);
    EXPECT_FALSE(gcm_open(key, nonce, as_bytes("da"), sealed, opened));
    EXPECT_FALSE(gcm_open(key, nonce, {}, sealed, opened));
    EXPECT_FALSE(gcm_open(counting<1>(), nonce, as_bytes("ad"), sealed, opened));
  }
  EXPECT_FALSE(gcm_open(key, nonce, {}, as_bytes("short"), {}));
}

TEST(XChaChaTest, RoundTripsUnderFreshNonces) {
  const auto key = random_secret<SealingKey>();
  for (const std::string message : {"", "state"}) {
    const std::string a = xchacha_seal(key, as_bytes("ad"), as_bytes(message));
    EXPECT_NE(a, xchacha_seal(key, as_bytes("ad"), as_bytes(message)));
    const auto opened = xchacha_open(key, as_bytes("ad"), as_bytes(a));
    ASSERT_TRUE(opened);
    EXPECT_EQ(as_text(opened->read(kRead)), message);
    for (size_t i = 0; i < a.size(); ++i) {
      std::string bad = a;
      bad[i] = static_cast<char>(bad[i] ^ 1);
      EXPECT_FALSE(xchacha_open(key, as_bytes("ad"), as_bytes(bad))) << i;
      EXPECT_FALSE(xchacha_open(key, as_bytes("ad"), as_bytes(a).first(i))) << i;
    }
    EXPECT_FALSE(xchacha_open(key, {}, as_bytes(a)));
  }
}

TEST(SignTest, SeedGivesTheKeyOfRfc8032AndVerifyIsStrict) {
  const auto seed =
      unhex_array<32>("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
  const auto key = SigningKey::from_seed(seed);
  EXPECT_EQ(to_hex(key.public_key()),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  EXPECT_EQ(to_hex(key.seed(kRead)), to_hex(seed));
  const Signature signature = key.sign({});
  EXPECT_EQ(
      to_hex(signature),
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701"
      "cf9b46bd25bf5f0595bbe24655141438e7a100b");
  EXPECT_TRUE(verify(key.public_key(), {}, signature));
  EXPECT_FALSE(verify(key.public_key(), as_bytes("x"), signature));
  EXPECT_FALSE(verify(key.public_key(), {}, Bytes(signature).first(63)));
  EXPECT_FALSE(verify(SigningKey::generate().public_key(), {}, signature));
  // Under the small-order key 1 the all-zero scalar with R = 1 would sign everything.
  const PublicKey neutral{1};
  Signature trivial{1};
  EXPECT_FALSE(verify(neutral, as_bytes("anything"), trivial));
}

TEST(RandomTest, NoncesDoNotRepeatInOneThreadOrTwo) {
  std::set<std::string> seen;
  const auto draw = [](std::set<std::string>& into) {
    for (int i = 0; i < 2000; ++i) {
      ByteArray<12> nonce;
      random_nonce(nonce);
      into.insert(to_hex(nonce));
    }
  };
  std::set<std::string> others;
  std::thread thread([&] { draw(others); });
  draw(seen);
  thread.join();
  seen.merge(others);
  EXPECT_EQ(seen.size(), 4000u);
}

TEST(RandomTest, ForkedChildDoesNotRepeatItsParentsNonces) {
  ByteArray<12> warm, parent, child;
  random_nonce(warm);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t pid = fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    random_nonce(child);
    const bool written = write(ends[1], child.data(), child.size()) == 12;
    _exit(written ? 0 : 1);
  }
  random_nonce(parent);
  EXPECT_EQ(read(ends[0], child.data(), child.size()), 12);
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
  close(ends[0]);
  close(ends[1]);
  EXPECT_NE(parent, child);
}

TEST(RandomTest, OrdersAreDrawnEvenly) {
  std::map<std::string, int> drawn;
  for (int i = 0; i < 6000; ++i) {
    std::array<uint32_t, 3> order{};
    random_order(order);
    ++drawn[std::to_string(order[0]) + std::to_string(order[1]) + std::to_string(order[2])];
  }
  ASSERT_EQ(drawn.size(), 6u);
  // 1000 each is expected, with a standard deviation of 29: ten of them is once in 10^22.
  for (const auto& [order, times] : drawn) EXPECT_NEAR(times, 1000, 290) << order;
  random_order({});
}

TEST(RandomTest, SecretsAndLongNoncesAreFilled) {
  const auto a = random_secret<BlockSeed>(), b = random_secret<BlockSeed>();
  EXPECT_NE(to_hex(a.read(kRead)), to_hex(b.read(kRead)));
  std::vector<uint8_t> large(5000);
  random_nonce(large);
  EXPECT_NE(to_hex(Bytes(large).last(32)), std::string(64, '0'));
}

}  // namespace
}  // namespace strongroom::crypto
