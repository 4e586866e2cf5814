#include "strongroom/base/archive.h"

#include <gtest/gtest.h>

#include "strongroom/base/ids.h"

namespace strongroom {
namespace {

enum class Colour : uint8_t { kRed, kBlue = 200 };

struct Inner {
  std::string text;
  std::optional<uint64_t> maybe;
  template <class A>
  void archive(A& a) {
    a(text, maybe);
  }
  bool operator==(const Inner&) const = default;
};

struct Everything {
  uint64_t big = 0;
  int64_t negative = 0;
  bool flag = false;
  Colour colour = Colour::kRed;
  RecordIndex idx;
  CollectionId id;
  ByteArray<4> bytes{};
  std::array<uint32_t, 2> numbers{};
  std::vector<Inner> inner;
  std::deque<std::pair<uint64_t, std::string>> deque;
  std::map<uint32_t, Inner> map;
  std::unordered_map<std::string, uint64_t> hashed;
  std::set<std::string> set;
  std::unique_ptr<Inner> owned, none;
  template <class A>
  void archive(A& a) {
    a(big, negative, flag, colour, idx, id, bytes, numbers, inner, deque, map, hashed, set, owned,
      none);
  }
};

Everything filled() {
  Everything all;
  all.big = UINT64_MAX;
  all.negative = INT64_MIN;
  all.flag = true;
  all.colour = Colour::kBlue;
  all.idx = {RecordIndex::kMax};
  all.id = {7};
  all.bytes = {1, 2, 255, 0};
  all.numbers = {0, UINT32_MAX};
  all.inner = {{"", std::nullopt}, {std::string(300, 'x'), 0}};
  all.deque = {{1, "one"}, {2, "two"}};
  all.map = {{9, {"nine", 9}}, {3, {"three", std::nullopt}}};
  for (uint64_t i = 0; i < 100; ++i) all.hashed.emplace(std::to_string(i), i);
  all.set = {"b", "a"};
  all.owned = std::make_unique<Inner>(Inner{"owned", 1});
  return all;
}

std::string written(Everything& all) {
  std::string bytes;
  ArchiveWriter writer([&](Bytes part) {
    append(bytes, part);
    return Result<void>();
  });
  writer(all);
  EXPECT_TRUE(writer.finish());
  return bytes;
}

// In parts of `part` bytes.
Result<void> read(const std::string& bytes, size_t part, Everything& all) {
  size_t at = 0;
  ArchiveReader reader([&]() -> Result<std::string> {
    const std::string next = bytes.substr(at, part);
    at += next.size();
    return next;
  });
  reader(all);
  return reader.finish();
}

TEST(ArchiveTest, WhatWasWrittenIsReadInWhateverParts) {
  Everything all = filled();
  const std::string bytes = written(all);
  for (const size_t part : {size_t{1}, size_t{7}, bytes.size()}) {
    Everything back;
    ASSERT_TRUE(read(bytes, part, back));
    EXPECT_EQ(back.big, all.big);
    EXPECT_EQ(back.negative, all.negative);
    EXPECT_EQ(back.colour, all.colour);
    EXPECT_EQ(back.inner, all.inner);
    EXPECT_EQ(back.map, all.map);
    EXPECT_EQ(back.hashed, all.hashed);
    EXPECT_EQ(back.set, all.set);
    EXPECT_EQ(*back.owned, *all.owned);
    EXPECT_EQ(back.none, nullptr);
    EXPECT_EQ(written(back), bytes);
  }
}

TEST(ArchiveTest, TheOrderOfInsertionDoesNotShow) {
  Everything one, other;
  for (uint64_t i = 0; i < 1000; ++i) one.hashed.emplace(std::to_string(i), i);
  for (uint64_t i = 1000; i-- > 0;) other.hashed.emplace(std::to_string(i), i);
  EXPECT_EQ(written(one), written(other));
}

TEST(ArchiveTest, WhatIsCutShortOrLongerIsRefused) {
  Everything all = filled();
  const std::string bytes = written(all);
  for (size_t size = 0; size < bytes.size(); ++size) {
    Everything back;
    EXPECT_FALSE(read(bytes.substr(0, size), 16, back)) << size;
  }
  Everything back;
  EXPECT_FALSE(read(bytes + '\0', 16, back));
}

TEST(ArchiveTest, ALengthAloneTakesNoMemory) {
  const std::string huge = "\xff\xff\xff\xff\xff\xff\xff\xff\x7f";
  std::string text;
  std::vector<uint64_t> numbers;
  for (int i = 0; i < 2; ++i) {
    bool given = false;
    ArchiveReader reader(
        [&]() -> Result<std::string> { return std::exchange(given, true) ? std::string() : huge; });
    i == 0 ? reader(text) : reader(numbers);
    EXPECT_FALSE(reader.finish());
  }
  EXPECT_LT(text.capacity() + numbers.capacity(), 1000u);
}

TEST(ArchiveTest, ANumberThatItsTypeCannotHoldIsRefused) {
  for (const std::string& bytes :
       {std::string("\x80\x02"), std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02")}) {
    bool given = false;
    ArchiveReader reader([&]() -> Result<std::string> {
      return std::exchange(given, true) ? std::string() : bytes;
    });
    uint8_t small = 0;
    reader(small);
    EXPECT_FALSE(reader.finish());
  }
}

}  // namespace
}  // namespace strongroom
