#include "strongroom/index/unique.h"

#include <gtest/gtest.h>

namespace strongroom::index {
namespace {

TermToken unique_token(uint8_t fill) {
  ByteArray<32> bytes;
  bytes.fill(fill);
  return TermToken{bytes};
}

const UniqueRow kRow{{{RecordIndex::kMax}, {kVersionMax}}, {1, 2, 3}};

TEST(UniqueTest, RowRoundTripsAndIsSealedAnewEachTime) {
  const auto key = unique_key(CollectionId{7}, unique_token(1));
  const std::string first = seal_unique(key, unique_token(1), kRow);
  EXPECT_NE(first, seal_unique(key, unique_token(1), kRow));
  const auto row = open_unique(key, unique_token(1), as_bytes(first));
  ASSERT_TRUE(row);
  EXPECT_EQ(row->version, kRow.version);
  EXPECT_EQ(row->check, kRow.check);
}

TEST(UniqueTest, FlippedBitInKeyOrValueIsDataLoss) {
  auto key = unique_key(CollectionId{7}, unique_token(1));
  std::string value = seal_unique(key, unique_token(1), kRow);
  for (size_t bit = 0; bit < value.size() * 8; ++bit) {
    std::string flipped = value;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const auto row = open_unique(key, unique_token(1), as_bytes(flipped));
    ASSERT_FALSE(row) << bit;
    EXPECT_EQ(row.error().code, ErrorCode::kDataLoss);
  }
  for (size_t bit = 0; bit < key.size() * 8; ++bit) {
    auto flipped = key;
    flipped[bit / 8] = static_cast<uint8_t>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(open_unique(flipped, unique_token(1), as_bytes(value))) << bit;
  }
  for (size_t size = 0; size < value.size(); ++size) {
    EXPECT_FALSE(open_unique(key, unique_token(1), as_bytes(value).first(size))) << size;
  }
  EXPECT_FALSE(open_unique(key, unique_token(1), as_bytes(value + '\0')));
  EXPECT_FALSE(open_unique(key, unique_token(2), as_bytes(value)));
}

TEST(UniqueTest, KeysDifferByCollectionAndValue) {
  EXPECT_NE(unique_key(CollectionId{1}, unique_token(1)),
            unique_key(CollectionId{2}, unique_token(1)));
  EXPECT_NE(unique_key(CollectionId{1}, unique_token(1)),
            unique_key(CollectionId{1}, unique_token(2)));
}

TEST(UniqueTest, ContentCheckTellsContentAndValueApart) {
  EXPECT_EQ(content_check(unique_token(1), as_bytes("a")),
            content_check(unique_token(1), as_bytes("a")));
  EXPECT_NE(content_check(unique_token(1), as_bytes("a")),
            content_check(unique_token(1), as_bytes("b")));
  EXPECT_NE(content_check(unique_token(1), as_bytes("a")),
            content_check(unique_token(2), as_bytes("a")));
}

}  // namespace
}  // namespace strongroom::index
