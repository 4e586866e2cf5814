#include "strongroom/tlog/segment.h"

#include <gtest/gtest.h>

#include <fstream>

#include "strongroom/tlog/entry.h"

namespace strongroom::tlog {
namespace {

SealingKey counting_key() {
  ByteArray<32> bytes;
  for (uint8_t i = 0; i < 32; ++i) bytes[i] = i;
  return SealingKey(std::span<const uint8_t, 32>(bytes));
}

template <size_t N>
ByteArray<N> counting(uint8_t first) {
  ByteArray<N> bytes;
  for (size_t i = 0; i < N; ++i) bytes[i] = static_cast<uint8_t>(first + i);
  return bytes;
}

std::string frame_of(uint64_t leaf, uint32_t place, EntryType type, uint64_t t_ms,
                     const std::vector<std::string>& items, const Rho& rho, const Nonce& nonce) {
  EntryHead head{static_cast<uint8_t>(type), t_ms, static_cast<uint32_t>(items.size()),
                 commit_items(rho, items)};
  std::string out;
  append_frame(counting_key(), {leaf, place, rho, nonce}, encode_entry(head), items, out);
  return out;
}

std::string small_frame(uint64_t leaf, uint32_t place) {
  return frame_of(leaf, place, EntryType::kRelease, 1, {std::string(20, 'x')}, Rho{}, Nonce{});
}

const std::vector<std::string> kFirst{"started"};
const std::vector<std::string> kSecond{"first item", "", "third item"};

std::string golden() {
  std::ifstream in(STRONGROOM_SOURCE_DIR "/test/golden/log_segment_v1.hex");
  std::string hex, line;
  while (std::getline(in, line)) hex += line;
  std::string bytes(hex.size() / 2, '\0');
  EXPECT_TRUE(from_hex(hex, {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()}));
  return bytes;
}

SegmentReader reader_over(const std::string& bytes) {
  return SegmentReader(bytes.size(), [&bytes](uint64_t offset, uint64_t size) {
    return Result<std::string>(bytes.substr(offset, size));
  });
}

bool torn(const std::string& bytes, uint64_t next) {
  SegmentReader reader = reader_over(bytes);
  return *is_torn_tail(reader, next);
}

// Written by test/model/log_segment_v1.py, which shares nothing with this code.
TEST(SegmentTest, WritesTheGoldenFile) {
  std::string segment;
  append_segment_header(segment, 5);
  segment += frame_of(5, 0, EntryType::kStart, 1'700'000'000'000, kFirst, counting<32>(0x20),
                      counting<12>(0x60));
  segment += frame_of(6, 1, EntryType::kRelease, 1'700'000'000'123, kSecond, counting<32>(0x40),
                      counting<12>(0x70));
  EXPECT_EQ(to_hex(as_bytes(segment)), to_hex(as_bytes(golden())));
}

TEST(SegmentTest, ReadsTheGoldenFile) {
  const std::string segment = golden();
  Bytes rest = as_bytes(segment);
  EXPECT_EQ(*parse_segment_header(rest), 5u);
  rest = rest.subspan(kSegmentHeaderSize);
  for (uint32_t place = 0; place < 2; ++place) {
    Frame frame;
    ASSERT_EQ(parse_frame(rest, &frame), FrameState::kWhole);
    EXPECT_EQ(frame.leaf, 5 + place);
    EXPECT_EQ(frame.place, place);
    const auto head = parse_entry(frame.entry);
    ASSERT_TRUE(head);
    Entry entry;
    ASSERT_TRUE(open_frame(counting_key(), frame, *head, &entry));
    EXPECT_EQ(entry.items, place == 0 ? kFirst : kSecond);
    EXPECT_EQ(entry.t_ms, 1'700'000'000'000 + place * 123);
    rest = rest.subspan(frame.size);
  }
  Frame frame;
  EXPECT_EQ(parse_frame(rest, &frame), FrameState::kEnd);
}

TEST(SegmentTest, NamesRoundTripAndNothingElseIsOne) {
  EXPECT_EQ(segment_name(7), "entries-00000007.log");
  for (const uint32_t n : {0u, 7u, 99'999'999u, 100'000'000u, 4'294'967'295u}) {
    EXPECT_EQ(parse_segment_name(segment_name(n)), n);
  }
  for (const char* name : {"", "entries-", "entries-7.log", "entries-0000007a.log", "checkpoint",
                           "entries-00000007.log.tmp", "entries-99999999999999999999.log"}) {
    EXPECT_FALSE(parse_segment_name(name)) << name;
  }
}

TEST(SegmentTest, HeaderOfANewerVersionIsToldFromADamagedOne) {
  std::string header;
  append_segment_header(header, 9);
  std::string damaged = header;
  damaged[8] = 2;
  EXPECT_EQ(parse_segment_header(as_bytes(damaged)).error().code, ErrorCode::kDataLoss);
  std::string newer = damaged.substr(0, kSegmentHeaderSize - kCheckSize);
  append(newer, Bytes(crypto::sha256(as_bytes(newer))).first(kCheckSize));
  EXPECT_EQ(parse_segment_header(as_bytes(newer)).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_FALSE(parse_segment_header(as_bytes(header).first(kSegmentHeaderSize - 1)));
}

TEST(SegmentTest, EveryFlippedBitOfAFrameIsSeen) {
  const std::string whole = small_frame(3, 0) + std::string(64, '\0');
  for (size_t bit = 0; bit < (whole.size() - 64) * 8; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    Frame frame;
    EXPECT_NE(parse_frame(as_bytes(flipped), &frame), FrameState::kWhole) << bit;
  }
}

TEST(TornTailTest, NothingValidBehindIsTorn) {
  EXPECT_TRUE(torn("", 4));
  EXPECT_TRUE(torn(std::string(100'000, '\0'), 4));
  EXPECT_TRUE(torn(small_frame(4, 0).substr(0, 60) + std::string(100, '\0'), 4));
  EXPECT_TRUE(torn("SR1RSR1RSR1R", 4));
}

TEST(TornTailTest, AFrameOfTheSameGroupBehindIsTorn) {
  // Pages of one unsynced write reach the disk in any order.
  const std::string lost(small_frame(4, 0).size(), '\0');
  EXPECT_TRUE(torn(lost + small_frame(5, 1), 4));
  EXPECT_TRUE(torn(lost + small_frame(5, 3), 4)) << "its group began before leaf 4";
}

TEST(TornTailTest, AFrameOfALaterGroupBehindIsLoss) {
  const std::string lost(small_frame(4, 0).size(), '\0');
  EXPECT_FALSE(torn(lost + small_frame(5, 0), 4));
  EXPECT_FALSE(torn(lost + small_frame(7, 2), 4));
  EXPECT_FALSE(torn(lost + small_frame(4, 0), 4)) << "moved";
  EXPECT_FALSE(torn(lost + small_frame(3, 3), 4)) << "moved";
}

TEST(TornTailTest, AFrameFarBehindIsFound) {
  for (const size_t gap : {size_t{1} << 20, kFrameMax - 1, kFrameMax + (size_t{1} << 20) - 17,
                           kFrameMax + (size_t{1} << 20), 2 * kFrameMax + 12345}) {
    const std::string bytes = std::string(gap, 'S') + small_frame(5, 0);
    EXPECT_FALSE(torn(bytes, 4)) << gap;
  }
}

TEST(EntryTest, MonthsAreThoseOfTheCalendar) {
  EXPECT_EQ(month_of(0), 1970u * 12);
  EXPECT_EQ(month_of(1'700'000'000'000), 2023u * 12 + 10);
  EXPECT_EQ(month_of(1'709'251'199'999), 2024u * 12 + 1) << "29 February, last millisecond";
  EXPECT_EQ(month_of(1'709'251'200'000), 2024u * 12 + 2);
  EXPECT_EQ(month_of(kTimeMax), 9999u * 12 + 11);
}

TEST(EntryTest, OnlyWhatEncodeWritesParses) {
  const EntryHead head{2, 1234, 3, crypto::sha256(Bytes{})};
  const auto entry = encode_entry(head);
  EXPECT_EQ(encode_entry(*parse_entry(entry)), entry);
  EXPECT_FALSE(parse_entry(Bytes(entry).first(48)));
  const auto with = [](EntryHead changed) { return parse_entry(encode_entry(changed)); };
  EXPECT_FALSE(with({0, 1234, 3, {}}));
  EXPECT_FALSE(with({16, 1234, 3, {}}));
  EXPECT_FALSE(with({2, kTimeMax + 1, 3, {}}));
  EXPECT_FALSE(with({2, 1234, 0, {}}));
  EXPECT_FALSE(with({2, 1234, kItemsMax + 1, {}}));
}

TEST(EntryTest, ManyItemsCommitAsFewDo) {
  // Above and below the number from which salts come from a cached key.
  std::vector<std::string> items;
  const Rho rho = counting<32>(1);
  for (uint32_t n = 1; n <= 20; ++n) {
    items.push_back("item " + std::to_string(n));
    std::vector<Hash> leaves;
    for (uint32_t j = 0; j < n; ++j) {
      uint8_t number[4];
      store_be<uint32_t>(number, j);
      const auto salt = crypto::hmac_sha256(rho, {as_bytes("sr1.salt"), number});
      leaves.push_back(leaf_hash(crypto::hmac_sha256(salt, {as_bytes(items[j])})));
    }
    EXPECT_EQ(commit_items(rho, items), merkle_root(leaves)) << n;
  }
}

TEST(EntryTest, BodiesThatAreNotExactlyTheirItemsAreRefused) {
  std::string body(32, 'r');
  append_be(body, 2, 4);
  body += "ab";
  append_be(body, 0, 4);
  Rho rho;
  std::vector<std::string> items;
  EXPECT_TRUE(parse_body(as_bytes(body), 2, &rho, &items));
  EXPECT_EQ(items, (std::vector<std::string>{"ab", ""}));
  for (const uint32_t n : {0u, 1u, 3u, 4'294'967'295u}) {
    EXPECT_FALSE(parse_body(as_bytes(body), n, &rho, &items)) << n;
  }
  for (size_t size = 0; size < body.size(); ++size) {
    EXPECT_FALSE(parse_body(as_bytes(body).first(size), 2, &rho, &items)) << size;
  }
}

TEST(EntryTest, TypesHaveNames) {
  EXPECT_STREQ(entry_type_name(EntryType::kRelease), "release");
  EXPECT_STREQ(entry_type_name(static_cast<EntryType>(15)), "unknown");
}

}  // namespace
}  // namespace strongroom::tlog
