// The formats, against test/golden/*.hex: written by index_model.py, which shares no code with us,
// and whose first values are the vectors of the design.
#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "strongroom/crypto/derive.h"
#include "strongroom/index/directory.h"
#include "strongroom/index/postings.h"
#include "strongroom/index/terms.h"
#include "strongroom/index/unique.h"

namespace strongroom::index {
namespace {

constexpr LaneId kGoldenLane{0x0a0b0c};
constexpr Posting kPosting{{(3 << 12) | 0xabc}, 1000};

class GoldenTest : public testing::Test {
 protected:
  void load(const char* name) {
    std::ifstream in(std::string(STRONGROOM_SOURCE_DIR "/test/golden/") + name);
    ASSERT_TRUE(in.good()) << name;
    std::string key;
    std::string hex;
    while (in >> key >> hex) {
      std::string& bytes = values_[key];
      bytes.resize(hex.size() / 2);
      ASSERT_TRUE(from_hex(hex, {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()})) << key;
    }
    ASSERT_FALSE(values_.empty()) << name;
  }
  Bytes golden(const std::string& key) const { return as_bytes(values_.at(key)); }
  std::string golden_hex(const std::string& key) const { return to_hex(golden(key)); }

  static ByteArray<32> counting(uint8_t from) {
    ByteArray<32> bytes;
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(from + i);
    return bytes;
  }
  static LaneRoot root() { return LaneRoot{counting(0x40)}; }
  static TermHash term(std::string_view word) {
    return TermHasher(TermKey{counting(0x20)})(CollectionId{7}, FieldId{5}, Kind::kExact, word);
  }
  static TermToken token() { return crypto::LaneTokens(root()).token(term("13800138000")); }

 private:
  std::map<std::string, std::string> values_;
};

TEST_F(GoldenTest, TermAndTokenAreTheDesigns) {
  EXPECT_EQ(to_hex(term("13800138000").bytes), "69dae2aebf79f3aad8f309cf7a7068b7");
  EXPECT_EQ(to_hex(token().read(SecretAccess{})),
            "ab4dc9b49836cb84c01347b005bd6741b9657b735c263a3c163233ec0af6f65e");
}

TEST_F(GoldenTest, FirstPostingIsTheDesigns) {
  TermCipher cipher(kGoldenLane, token());
  EXPECT_EQ(to_hex(cipher.single_key(0)), "0a0b0c0372f4f2e5447f53ff6b02377b");
  EXPECT_EQ(to_hex(cipher.seal_single(0, kPosting)), "34bc1f31bae6f48b864a867522f4ba97");
  EXPECT_EQ(to_hex(cipher.packed_key(0)), "0a0b0ce13f0c6cc1e6d0bddf519a6742");
  EXPECT_EQ(to_hex(cipher.head_key()), "0a0b0ccc2268bc8666e0bca36cc240c4");
}

TEST_F(GoldenTest, SinglesSealAndOpenAsTheModel) {
  load("posting_single.hex");
  TermCipher cipher(kGoldenLane, token());
  for (const uint64_t i : {uint64_t{0}, uint64_t{1}, uint64_t{23}, uint64_t{0x010203040506}}) {
    const std::string n = std::to_string(i);
    const Posting posting{{kPosting.idx.value + i % 7},
                          kPosting.u_lo + static_cast<uint32_t>(i % 11)};
    EXPECT_EQ(to_hex(cipher.single_key(i)), golden_hex("key_" + n));
    EXPECT_EQ(to_hex(cipher.seal_single(i, posting)), golden_hex("value_" + n));
    EXPECT_EQ(cipher.open_single(i, golden("value_" + n)).value(), posting);
    SealedPosting row;
    cipher.seal_singles(i, {&posting, 1}, {&row, 1});
    EXPECT_EQ(to_hex(row.key), golden_hex("key_" + n));
    EXPECT_EQ(to_hex(row.value), golden_hex("value_" + n));
  }
}

TEST_F(GoldenTest, HeadSealsAndOpensAsTheModel) {
  load("posting_head.hex");
  TermCipher cipher(kGoldenLane, token());
  EXPECT_EQ(to_hex(cipher.head_key()), golden_hex("key"));
  constexpr PackedHead kHead{123456789, 250123};
  EXPECT_EQ(to_hex(cipher.seal_head(kHead)), golden_hex("value_123456789_250123"));
  EXPECT_EQ(cipher.open_head(golden("value_123456789_250123")).value(), kHead);
}

TEST_F(GoldenTest, PackedBlocksSealAndOpenAsTheModel) {
  load("posting_packed.hex");
  EXPECT_EQ(golden_hex("secret"),
            "d3387c20ba4e719388ad26c453ac593db57cce981247aa65f9d743c0eeb9e8a9");
  TermCipher cipher(kGoldenLane, token());
  std::vector<Posting> most;
  for (uint64_t n = 0; n < 5400; ++n) {
    const RecordIndex idx{kPosting.idx.value + 5 * n + n % 3};
    const uint32_t second_import = n >= 4500 ? 5000 : 0;
    most.push_back({idx, kPosting.u_lo + idx.block() - kPosting.idx.block() + second_import});
    if (n % 3 == 1 && n > 1000) most.back().u_lo = 90'000 + static_cast<uint32_t>(n % 7);
  }
  const std::vector<Posting> many(most.begin(), most.begin() + 900);
  const std::vector<Posting> few = {kPosting,
                                    {{kPosting.idx.value + 1}, 993},
                                    {{kPosting.idx.value + (1 << 20)}, UINT32_MAX},
                                    {{RecordIndex::kMax}, 0}};
  for (const auto& [j, postings] :
       {std::pair{uint64_t{0}, many}, {uint64_t{1}, few}, {uint64_t{2}, most}}) {
    const std::string name = std::to_string(j);
    EXPECT_EQ(to_hex(cipher.packed_key(j)), golden_hex("key_" + name));
    std::string value;
    EXPECT_EQ(cipher.seal_packed(j, postings, value), postings.size());
    EXPECT_EQ(to_hex(as_bytes(value)), golden_hex("value_" + name));
    std::vector<Posting> opened;
    ASSERT_TRUE(cipher.open_packed(j, golden("value_" + name), opened));
    EXPECT_EQ(opened, postings);
  }
}

TEST_F(GoldenTest, DirectoryRowsOfVersion1Open) {
  load("directory_v1.hex");
  const DirectoryReader reader(kGoldenLane, root());
  const auto write = reader.open(golden("key_0"), golden("value_0"));
  ASSERT_TRUE(write);
  EXPECT_EQ(write->write, kPosting);
  ASSERT_EQ(write->terms.size(), 3u);
  for (size_t n = 0; n < 3; ++n) {
    EXPECT_EQ(to_hex(write->terms[n].h_w.bytes), golden_hex("h_w_" + std::to_string(n)));
    EXPECT_EQ(write->terms[n].count, 1u);
  }
  const auto terms = open_directory_row(kGoldenLane, root(), golden("key_1"), golden("value_1"));
  ASSERT_TRUE(terms);
  EXPECT_FALSE(terms->write.has_value());
  ASSERT_EQ(terms->terms.size(), 3u);
  EXPECT_EQ(terms->terms[0].count, 1u);
  EXPECT_EQ(terms->terms[1].count, 7u);
  EXPECT_EQ(terms->terms[1].blocks, 0u);
  EXPECT_EQ(terms->terms[2].count, 100'000u);
  EXPECT_EQ(terms->terms[2].blocks, 260u);
  EXPECT_LT(terms->terms[0].h_w, terms->terms[1].h_w);
  EXPECT_EQ(
      open_directory_row(kGoldenLane, root(), golden("key_0"), golden("value_1")).error().code,
      ErrorCode::kDataLoss);
}

TEST_F(GoldenTest, AWidelyPaddedDirectoryRowOfVersion1Opens) {
  load("directory_wide_v1.hex");
  const auto write = open_directory_row(kGoldenLane, root(), golden("key"), golden("value"));
  ASSERT_TRUE(write);
  EXPECT_EQ(write->write, kPosting);
  EXPECT_EQ(write->terms.size(), 3u);
  EXPECT_EQ(golden("value").size(), 1 + 12 + 12 + 32 * 16 + 16u);
}

TEST_F(GoldenTest, UniqueRowOfVersion1Opens) {
  load("unique_v1.hex");
  const TermToken t = token();
  EXPECT_EQ(to_hex(unique_key(CollectionId{7}, t)), golden_hex("key"));
  EXPECT_EQ(to_hex(content_check(t, as_bytes("content"))), golden_hex("check"));
  const auto row = open_unique(golden("key"), t, golden("value"));
  ASSERT_TRUE(row);
  EXPECT_EQ(row->version, (RecordVersion{kPosting.idx, {0x010203040506}}));
  EXPECT_EQ(to_hex(row->check), golden_hex("check"));
}

}  // namespace
}  // namespace strongroom::index
