#include "strongroom/record/record.h"

#include <gtest/gtest.h>

#include <random>

#include "strongroom/crypto/aead.h"
#include "strongroom/crypto/derive.h"
#include "strongroom/crypto/random.h"
#include "test/vectors/vector_file.h"

namespace strongroom::record {
namespace {

constexpr SecretAccess kRead{};
constexpr CollectionId kCollection{7};
constexpr RecordVersion kVersion{{(3 << 12) | 0xabc}, {1000}};

WriteSecret model_secret() {
  return WriteSecret{std::span<const uint8_t, 32>(test::unhex_array<32>(test::model_value("S")))};
}

std::string sealed(std::span<const GroupValues> groups, RecordVersion version = kVersion) {
  std::string row;
  EXPECT_TRUE(seal(kCollection, version, model_secret(), groups, row));
  return row;
}

Result<std::vector<OpenedField>> open(const std::string& row, uint8_t group,
                                      CollectionId collection = kCollection,
                                      RecordIndex idx = kVersion.idx) {
  SR_ASSIGN(const RowHeader header, parse_row(as_bytes(row)));
  return open_group(collection, idx, header, GroupId{group},
                    crypto::derive_group_key(model_secret(), GroupId{group}));
}

const std::vector<GroupValues>& person() {
  static const std::vector<GroupValues> kPerson = {
      {GroupId{0}, {{FieldId{1}, "name"}, {FieldId{5}, "13800138000"}, {FieldId{0x8001}, ""}}},
      {GroupId{2}, {{FieldId{5}, "138****8000"}}},
      {GroupId{5}, {}}};
  return kPerson;
}

TEST(RowKeyTest, RoundTripsAndSortsByRecord) {
  const std::string key = row_key(kCollection, kVersion.idx);
  EXPECT_EQ(to_hex(as_bytes(key)), "000000070000003abc");
  CollectionId collection;
  RecordIndex idx;
  ASSERT_TRUE(parse_row_key(as_bytes(key), &collection, &idx));
  EXPECT_EQ(collection, kCollection);
  EXPECT_EQ(idx, kVersion.idx);
  EXPECT_FALSE(parse_row_key(as_bytes(key).first(8), &collection, &idx));
  EXPECT_LT(row_key(kCollection, {255}), row_key(kCollection, {256}));
}

TEST(PaddingTest, StepsOf16ThenPadme) {
  const std::pair<size_t, size_t> cases[] = {
      {0, 16},      {1, 16},      {16, 16},       {17, 32},
      {112, 112},   {113, 128},   {127, 128},     {128, 128},
      {129, 144},   {257, 272},   {513, 544},     {1000, 1024},
      {1025, 1088}, {9000, 9216}, {65537, 67584}, {1u << 20, 1u << 20}};
  for (const auto& [size, padded] : cases) EXPECT_EQ(padded_size(size), padded) << size;
}

TEST(PaddingTest, IsMonotonicIdempotentAndCostsAtMostAnEighthAbove128) {
  size_t last = 0;
  for (size_t size = 0; size < 300'000; ++size) {
    const size_t padded = padded_size(size);
    ASSERT_GE(padded, size);
    ASSERT_GE(padded, last);
    ASSERT_EQ(padded_size(padded), padded);
    if (size >= 128) {
      ASSERT_LE(padded - size, size / 8);
    }
    last = padded;
  }
}

TEST(RecordTest, GoldenRowOfVersion1Opens) {
  std::string hex;
  for (const auto& line : test::read_vectors("test/golden/row_v1.hex")) hex += line.at(0);
  const std::string row = test::unhex(hex);
  const auto header = parse_row(as_bytes(row));
  ASSERT_TRUE(header);
  EXPECT_EQ(header->u, kVersion.u);
  ASSERT_EQ(header->groups.size(), 3u);

  const auto first = open(row, 0);
  ASSERT_TRUE(first);
  ASSERT_EQ(first->size(), 3u);
  EXPECT_EQ((*first)[0].field, FieldId{1});
  EXPECT_EQ((*first)[0].value.read(kRead), "王小明");
  EXPECT_EQ((*first)[1].field, FieldId{5});
  EXPECT_EQ((*first)[1].value.read(kRead), "13800138000");
  EXPECT_EQ((*first)[2].field, FieldId{0x8001});
  EXPECT_EQ((*first)[2].value.read(kRead), std::string(100, '\0'));
  const auto masked = open(row, 2);
  ASSERT_TRUE(masked);
  EXPECT_EQ(masked->at(0).value.read(kRead), "138****8000");
  const auto empty = open(row, 5);
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->empty());
}

TEST(RecordTest, SealedRowHasTheSpecsHeaderAndSize) {
  const std::string row = sealed(person());
  EXPECT_EQ(to_hex(as_bytes(row).first(20)), "01030000000003e80000003c0200003c0500002c");
  EXPECT_EQ(row.size(), 20u + 0x3c + 0x3c + 0x2c);
}

TEST(RecordTest, SealAppendsAndDrawsFreshNonces) {
  std::string row = "before";
  ASSERT_TRUE(seal(kCollection, kVersion, model_secret(), person(), row));
  EXPECT_EQ(row.substr(0, 6), "before");
  EXPECT_TRUE(open(row.substr(6), 2));
  EXPECT_NE(row.substr(6), sealed(person()));
}

TEST(RecordTest, AnyValuesRoundTrip) {
  std::mt19937 random(11);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::string> values(8);
    std::vector<GroupValues> groups;
    for (uint8_t g = 0; g < 4; ++g) {
      GroupValues group{GroupId{static_cast<uint8_t>(g * 9)}, {}};
      for (uint16_t f = 0; f < 2; ++f) {
        std::string& value = values[size_t{g} * 2 + f];
        value.resize(random() % 300);
        for (char& c : value) c = static_cast<char>(random() % 4 == 0 ? 0x80 : random() % 2);
        group.values.push_back({FieldId{static_cast<uint16_t>(1 + f * 0x8080)}, value});
      }
      groups.push_back(std::move(group));
    }
    const std::string row = sealed(groups);
    for (uint8_t g = 0; g < 4; ++g) {
      const auto fields = open(row, static_cast<uint8_t>(g * 9));
      ASSERT_TRUE(fields);
      ASSERT_EQ(fields->size(), 2u);
      for (size_t f = 0; f < 2; ++f) {
        EXPECT_EQ((*fields)[f].field.value, 1 + f * 0x8080);
        EXPECT_EQ((*fields)[f].value.read(kRead), values[size_t{g} * 2 + f]);
      }
    }
  }
}

TEST(RecordTest, EveryFlippedBitAndEveryCutIsFound) {
  const std::string row = sealed(person());
  const auto opens_whole = [](const std::string& bytes) {
    return open(bytes, 0) && open(bytes, 2) && open(bytes, 5);
  };
  ASSERT_TRUE(opens_whole(row));
  for (size_t i = 0; i < row.size(); ++i) {
    std::string bad = row;
    bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 8)));
    EXPECT_FALSE(opens_whole(bad)) << i;
    EXPECT_FALSE(parse_row(as_bytes(row).first(i))) << i;
  }
  EXPECT_FALSE(parse_row(as_bytes(row + "x")));
}

TEST(RecordTest, RowsAndGroupsCannotBeMovedOrSwapped) {
  const std::string row = sealed(person());
  EXPECT_EQ(open(row, 2, CollectionId{8}).error().code, ErrorCode::kDataLoss);
  EXPECT_EQ(open(row, 2, kCollection, {kVersion.idx.value + 1}).error().code, ErrorCode::kDataLoss);

  // The same group of another version, and of this one sealed again.
  const std::vector<GroupValues> two = {{GroupId{1}, {{FieldId{1}, "a"}}},
                                        {GroupId{2}, {{FieldId{1}, "b"}}}};
  std::string swapped = sealed(two);
  ASSERT_TRUE(open(swapped, 1));
  const size_t half = (swapped.size() - 16) / 2;
  swapped = swapped.substr(0, 16) + swapped.substr(16 + half) + swapped.substr(16, half);
  EXPECT_EQ(open(swapped, 1).error().code, ErrorCode::kDataLoss);
  EXPECT_EQ(open(swapped, 2).error().code, ErrorCode::kDataLoss);

  std::string renumbered = row;
  renumbered[7] = static_cast<char>(renumbered[7] + 1);
  EXPECT_EQ(open(renumbered, 2).error().code, ErrorCode::kDataLoss);
}

TEST(RecordTest, KeyOfOneGroupOpensNoOther) {
  const std::string row = sealed(person());
  const auto header = parse_row(as_bytes(row));
  ASSERT_TRUE(header);
  const RecordKey key = crypto::derive_group_key(model_secret(), GroupId{2});
  EXPECT_TRUE(open_group(kCollection, kVersion.idx, *header, GroupId{2}, key));
  EXPECT_EQ(open_group(kCollection, kVersion.idx, *header, GroupId{0}, key).error().code,
            ErrorCode::kDataLoss);
  EXPECT_EQ(open_group(kCollection, kVersion.idx, *header, GroupId{1}, key).error().code,
            ErrorCode::kNotFound);
}

TEST(RecordTest, SealRefusesWhatItCannotWrite) {
  const auto refused = [](std::vector<GroupValues> groups, RecordVersion version = kVersion) {
    std::string out = "as it was";
    const auto result = seal(kCollection, version, model_secret(), groups, out);
    EXPECT_EQ(out, "as it was");
    return !result && result.error().code == ErrorCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused({}));
  EXPECT_TRUE(refused({{GroupId{1}, {}}, {GroupId{1}, {}}}));
  EXPECT_TRUE(refused({{GroupId{2}, {}}, {GroupId{1}, {}}}));
  EXPECT_TRUE(refused({{GroupId{1}, {{FieldId{2}, ""}, {FieldId{2}, ""}}}}));
  EXPECT_TRUE(refused({{GroupId{1}, {{FieldId{0}, "filler is not the caller's"}}}}));
  EXPECT_TRUE(refused(std::vector<GroupValues>(33)));
  EXPECT_TRUE(refused({{GroupId{1}, {}}}, {{RecordIndex::kMax + 1}, {1}}));
  EXPECT_TRUE(refused({{GroupId{1}, {}}}, {{1}, {kVersionMax + 1}}));
  const std::string large(kGroupBytesMax - 28, 'x');
  EXPECT_TRUE(refused({{GroupId{1}, {{FieldId{1}, large}}}}));
}

TEST(RecordTest, LargestGroupRoundTrips) {
  // 63 * 2^18 is the largest Padme size whose sealed form still fits 24 bits.
  const std::string value((63u << 18) - 6, 'x');
  const std::vector<GroupValues> groups = {{GroupId{0}, {{FieldId{1}, value}}}};
  const auto fields = open(sealed(groups), 0);
  ASSERT_TRUE(fields);
  EXPECT_TRUE(fields->at(0).value.read(kRead) == value);
}

// A row whose one group is authentic but holds `plaintext`, as a hostile writer could make it.
std::string row_holding(const std::string& plaintext) {
  std::string row("\x01\x01\0\0\0\0\x03\xe8\x02", 9);
  append_be(row, plaintext.size() + 28, 3);
  const std::string ad = "SR1" + row_key(kCollection, kVersion.idx) + row + "\x02";
  const ByteArray<12> nonce{};
  append(row, nonce);
  const RecordKey key = crypto::derive_group_key(model_secret(), GroupId{2});
  crypto::gcm_seal(key.read(kRead), nonce, as_bytes(ad), as_bytes(plaintext), row);
  return row;
}

TEST(RecordTest, AFloorMakesSmallerGroupsLookLikeIt) {
  for (const size_t floor : {1u, 16u, 17u, 100u, 112u, 113u, 128u, 129u, 300u, 4096u}) {
    for (size_t size = 0; size < 400; ++size) {
      const std::string value(size, 'x');
      const std::vector<GroupValues> groups = {{GroupId{0}, {{FieldId{1}, value}}, floor}};
      const std::string row = sealed(groups);
      EXPECT_EQ(parse_row(as_bytes(row))->groups[0].sealed.size(),
                28 + padded_size(std::max(floor, size + 6)));
      const auto fields = open(row, 0);
      ASSERT_TRUE(fields) << floor << " " << size;
      ASSERT_EQ(fields->size(), 1u) << "filler is nobody's field";
      EXPECT_EQ(fields->at(0).value.read(kRead), value);
    }
  }
  const std::vector<GroupValues> empty = {{GroupId{0}, {}, 100}};
  EXPECT_TRUE(open(sealed(empty), 0)->empty());
}

TEST(RecordTest, AuthenticNonsenseIsDataLoss) {
  const auto padded = [](std::string bytes, size_t size = 16) {
    bytes.resize(size, '\0');
    return bytes;
  };
  EXPECT_TRUE(open(row_holding(padded("\x80")), 2));
  const std::string field("\x00\x01\x00\x00\x01z", 6);
  EXPECT_TRUE(open(row_holding(padded(field + "\x80")), 2));
  EXPECT_TRUE(open(row_holding(padded(std::string("\0\0\0\0\2\0\0\x80", 8))), 2));
  const std::string filler("\0\0\0\0\1\0", 6);
  const std::string bad[] = {
      padded(std::string("\0\0\0\0\2\0z\x80", 8)),  // Filler that is not zeros.
      padded(filler + filler + "\x80"),             // Twice.
      padded(field + filler + "\x80"),              // Behind a field.
      padded(""),                                   // No terminator.
      padded(field),                                // Likewise.
      padded(field + "\x80", 32),                   // Padded too far.
      padded(field + field + "\x80"),               // The same field twice.
      padded(std::string("\0\1\0\0\2z\x80", 7)),    // A value that runs into the terminator.
      padded(std::string("\0\1\0\0\x80", 5)),       // A cut field header.
      padded(std::string("\0\1\xff\xff\xff\x80", 6))};
  for (const std::string& plaintext : bad) {
    const auto result = open(row_holding(plaintext), 2);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kDataLoss);
  }
  EXPECT_FALSE(parse_row(as_bytes(row_holding(std::string(17, '\0'))))) << "not a padded size";
}

}  // namespace
}  // namespace strongroom::record
