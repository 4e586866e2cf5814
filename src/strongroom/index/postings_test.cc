#include "strongroom/index/postings.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "strongroom/crypto/random.h"
#include "strongroom/index/idx_filter.h"
#include "strongroom/index/terms.h"

namespace strongroom::index {
namespace {

TermToken token(uint8_t fill) {
  ByteArray<32> bytes;
  bytes.fill(fill);
  return TermToken{bytes};
}

std::vector<Posting> some(size_t count) {
  std::vector<Posting> postings;
  for (size_t n = 0; n < count; ++n) {
    postings.push_back({{RecordIndex::kMax - count + n}, static_cast<uint32_t>(0xffffffff - n)});
  }
  return postings;
}

// The block of all of them.
std::string packed(TermCipher& cipher, uint64_t j, std::span<const Posting> postings) {
  std::string value;
  EXPECT_EQ(cipher.seal_packed(j, postings, value), postings.size());
  return value;
}

template <class Open>
void expect_every_flip_is_data_loss(std::string value, const Open& open) {
  for (size_t bit = 0; bit < value.size() * 8; ++bit) {
    value[bit / 8] = static_cast<char>(value[bit / 8] ^ (1 << (bit % 8)));
    const auto result = open(as_bytes(value));
    ASSERT_FALSE(result) << "bit " << bit;
    EXPECT_EQ(result.error().code, ErrorCode::kDataLoss) << "bit " << bit;
    value[bit / 8] = static_cast<char>(value[bit / 8] ^ (1 << (bit % 8)));
  }
  EXPECT_TRUE(open(as_bytes(value)));
}

template <class Open>
void expect_other_sizes_are_data_loss(const std::string& value, const Open& open) {
  for (const size_t size : {size_t{0}, size_t{1}, value.size() - 1}) {
    EXPECT_EQ(open(as_bytes(value).first(size)).error().code, ErrorCode::kDataLoss);
  }
  EXPECT_EQ(open(as_bytes(value + '\0')).error().code, ErrorCode::kDataLoss);
}

TEST(TermCipherTest, FlippedBitInASingleIsDataLoss) {
  TermCipher cipher(LaneId{1}, token(1));
  const SingleValue value = cipher.seal_single(5, some(1)[0]);
  const auto open = [&](Bytes v) { return cipher.open_single(5, v); };
  expect_every_flip_is_data_loss(std::string(as_text(value)), open);
  expect_other_sizes_are_data_loss(std::string(as_text(value)), open);
}

TEST(TermCipherTest, FlippedBitInAHeadIsDataLoss) {
  TermCipher cipher(LaneId{1}, token(1));
  const SingleValue value = cipher.seal_head({111, 2});
  const auto open = [&](Bytes v) { return cipher.open_head(v); };
  expect_every_flip_is_data_loss(std::string(as_text(value)), open);
  expect_other_sizes_are_data_loss(std::string(as_text(value)), open);
}

TEST(TermCipherTest, FlippedBitInABlockIsDataLossAndAppendsNothing) {
  TermCipher cipher(LaneId{1}, token(1));
  for (const auto& [count, size] : {std::pair{size_t{20}, kPackedTailSize},
                                    {size_t{300}, kPackedSize},
                                    {size_t{4000}, kPackedLargeSize}}) {
    const std::string value = packed(cipher, 2, some(count));
    ASSERT_EQ(value.size(), size);
    std::vector<Posting> out;
    const auto open = [&](Bytes v) { return cipher.open_packed(2, v, out); };
    expect_other_sizes_are_data_loss(value, open);
    expect_every_flip_is_data_loss(value, open);
    EXPECT_EQ(out, some(count)) << "only the value put right again gave postings";
  }
}

// Steps and versions of every size, two of one record too.
std::vector<Posting> any_postings(std::mt19937_64& random, size_t count_max) {
  std::vector<Posting> postings;
  const size_t count = 1 + random() % count_max;
  const unsigned step_bits = static_cast<unsigned>(random() % 41);
  const unsigned u_bits = static_cast<unsigned>(random() % 33);
  const uint64_t updated = random() % 8;  // One in so many.
  const bool distinct = random() % 2 == 0;
  uint64_t idx = 0;
  uint32_t import = 0;
  for (size_t n = 0; n < count; ++n) {
    idx = (idx + distinct + (random() & ((uint64_t{1} << step_bits) - 1))) & RecordIndex::kMax;
    if (random() % 1000 == 0) import = static_cast<uint32_t>(random());
    const auto u = static_cast<uint32_t>(random() & ((uint64_t{1} << u_bits) - 1));
    const bool is_updated = updated != 0 && random() % updated == 0;
    postings.push_back({{idx}, is_updated ? u : import + RecordIndex{idx}.block()});
  }
  std::sort(postings.begin(), postings.end());
  postings.erase(std::unique(postings.begin(), postings.end()), postings.end());
  return postings;
}

TEST(TermCipherTest, AnyPostingsComeBackFromTheirBlocks) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  TermCipher cipher(LaneId{1}, token(1));
  for (int round = 0; round < 500; ++round) {
    const std::vector<Posting> postings = any_postings(random, 20'000);
    std::vector<Posting> opened;
    std::string value;
    size_t done = 0;
    for (uint64_t j = 0; done < postings.size(); ++j) {
      const size_t count = cipher.seal_packed(j, std::span(postings).subspan(done), value);
      const auto extent = cipher.open_packed(j, as_bytes(value), opened);
      ASSERT_TRUE(extent);
      EXPECT_EQ(extent->count, count);
      EXPECT_EQ(extent->first, postings[done]);
      done += count;
      EXPECT_EQ(extent->last, postings[done - 1]);
      const bool of_one_record =
          done < postings.size() && postings[done].idx == postings[done - 1].idx;
      EXPECT_TRUE(value.size() != kPackedTailSize || done == postings.size() || of_one_record)
          << "only the last is small";
    }
    EXPECT_EQ(opened, postings);
  }
}

// A group that has nothing of what is wanted is passed over.
TEST(TermCipherTest, AFilterGivesWhatItHasOfABlockAndNothingElse) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  TermCipher cipher(LaneId{1}, token(1));
  for (int round = 0; round < 500; ++round) {
    const std::vector<Posting> postings = any_postings(random, 4000);
    std::string value;
    const size_t count = cipher.seal_packed(0, postings, value);
    std::vector<Posting> wanted;  // Some that are there, and neighbours that may not be.
    const uint64_t each = 1 + random() % 200;
    for (const Posting& posting : postings) {
      if (random() % each == 0) {
        wanted.push_back({{std::min(posting.idx.value + random() % 2, RecordIndex::kMax)}, 0});
      }
    }
    std::sort(wanted.begin(), wanted.end());
    if (!IdxFilter::is_small(wanted, uint64_t{1} << 20)) continue;
    const IdxFilter filter(wanted);
    std::vector<Posting> expected;
    for (size_t n = 0; n < count; ++n) {
      if (filter.has(postings[n].idx)) expected.push_back(postings[n]);
    }
    std::vector<Posting> opened;
    const auto extent = cipher.open_packed(0, as_bytes(value), opened, &filter);
    ASSERT_TRUE(extent);
    EXPECT_EQ(opened, expected);
    EXPECT_EQ(extent->last, postings[count - 1]);
  }
}

size_t postings_in_a_block(std::span<const Posting> postings) {
  TermCipher cipher(LaneId{1}, token(1));
  std::string value;
  return cipher.seal_packed(0, postings, value);
}

// A step takes as many bits as the longest of 64 has, and a version that is as usual none.
TEST(TermCipherTest, ABlockHoldsThousandsOfABulkImport) {
  std::vector<Posting> evenly, each, updated;
  for (uint64_t n = 0; n < 100'000; ++n) {
    const RecordIndex idx{n * 50};
    evenly.push_back({idx, 7 + idx.block()});
    each.push_back({{n}, 7 + RecordIndex{n}.block()});
    updated.push_back(evenly.back());
    if (n % 3 == 0) updated.back().u_lo = 1000 + static_cast<uint32_t>(n * 7919 % 250);
  }
  // In 4,080 bytes, 11 for the first: 51 for each group, for its first byte, span and steps of 6
  // bits; and of the 80th what there is room for.
  EXPECT_EQ(postings_in_a_block(evenly), size_t{1 + 79 * 64 + 49});
  // In 1,008 bytes: one for each group.
  EXPECT_EQ(postings_in_a_block(each), size_t{1 + 997 * 64});
  // 86 for each group, where a third has one of 250 other versions; some have one less.
  EXPECT_EQ(postings_in_a_block(updated) / 64, size_t{4080 - 11} / 86);
}

TEST(TermCipherTest, SingleUnderAnotherNumberLaneOrTermIsDataLoss) {
  TermCipher cipher(LaneId{1}, token(1));
  const SingleValue value = cipher.seal_single(0, some(1)[0]);
  EXPECT_EQ(cipher.open_single(1, value).error().code, ErrorCode::kDataLoss);
  EXPECT_EQ(cipher.open_head(value).error().code, ErrorCode::kDataLoss) << "a single is no head";
  EXPECT_EQ(TermCipher(LaneId{1}, token(2)).open_single(0, value).error().code,
            ErrorCode::kDataLoss);
  EXPECT_EQ(cipher.open_single(0, cipher.seal_head({1, 1})).error().code, ErrorCode::kDataLoss);
}

TEST(TermCipherTest, BlockMovedToAnotherPlaceIsDataLoss) {
  TermCipher cipher(LaneId{1}, token(1));
  const std::string value = packed(cipher, 0, some(24));
  std::vector<Posting> out;
  EXPECT_EQ(cipher.open_packed(1, as_bytes(value), out).error().code, ErrorCode::kDataLoss);
  EXPECT_EQ(TermCipher(LaneId{2}, token(1)).open_packed(0, as_bytes(value), out).error().code,
            ErrorCode::kDataLoss);
  EXPECT_EQ(TermCipher(LaneId{1}, token(2)).open_packed(0, as_bytes(value), out).error().code,
            ErrorCode::kDataLoss);
  EXPECT_TRUE(out.empty());
}

TEST(TermCipherTest, KeysInBatchesAreTheKeysOneByOne) {
  TermCipher cipher(LaneId{kLaneMax}, token(3));
  std::vector<PostingKey> singles(100);
  std::vector<PostingKey> blocks(100);
  cipher.single_keys(7, singles);
  cipher.packed_keys(7, blocks);
  for (size_t n = 0; n < 100; ++n) {
    EXPECT_EQ(singles[n], cipher.single_key(7 + n));
    EXPECT_EQ(blocks[n], cipher.packed_key(7 + n));
  }
  const auto postings = some(100);
  std::vector<SealedPosting> rows(100);
  cipher.seal_singles(7, postings, rows);
  for (size_t n = 0; n < 100; ++n) {
    EXPECT_EQ(rows[n].key, singles[n]);
    EXPECT_EQ(cipher.open_single(7 + n, rows[n].value).value(), postings[n]);
  }
}

TEST(TermCipherTest, RekeyedIsAsMadeAnew) {
  TermCipher cipher(LaneId{1}, token(1));
  const std::string first = packed(cipher, 0, some(3));
  cipher.rekey(LaneId{2}, token(2));
  TermCipher fresh(LaneId{2}, token(2));
  EXPECT_EQ(cipher.single_key(0), fresh.single_key(0));
  EXPECT_EQ(packed(cipher, 0, some(3)), packed(fresh, 0, some(3)));
  cipher.rekey(LaneId{1}, token(1));
  EXPECT_EQ(packed(cipher, 0, some(3)), first);
}

TEST(TermHasherTest, EveryPartOfATermCounts) {
  ByteArray<32> bytes{};
  TermHasher hasher{TermKey(bytes)};
  const TermHash base = hasher(CollectionId{1}, FieldId{1}, Kind::kExact, "a");
  EXPECT_EQ(base, hasher(CollectionId{1}, FieldId{1}, Kind::kExact, "a"));
  EXPECT_NE(base, hasher(CollectionId{2}, FieldId{1}, Kind::kExact, "a"));
  EXPECT_NE(base, hasher(CollectionId{1}, FieldId{2}, Kind::kExact, "a"));
  EXPECT_NE(base, hasher(CollectionId{1}, FieldId{1}, Kind::kUnique, "a"));
  EXPECT_NE(base, hasher(CollectionId{1}, FieldId{1}, Kind::kExact, "b"));
  EXPECT_NE(hasher.dead(CollectionId{1}), hasher.dead(CollectionId{2}));
  bytes[31] = 1;
  EXPECT_NE(base, TermHasher{TermKey(bytes)}(CollectionId{1}, FieldId{1}, Kind::kExact, "a"));
}

}  // namespace
}  // namespace strongroom::index
