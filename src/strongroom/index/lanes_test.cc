// Random writes through lanes, read back by a small reader over a std::map, must equal a plain
// model.
#include "strongroom/index/lanes.h"
#include "strongroom/index/lane_packer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <thread>

#include "test/support/temp_folder.h"

namespace strongroom::index {
namespace {

using test::TempFolder;

constexpr LaneId kLane{0x010203};
using Rows = std::map<std::string, std::string>;
using Model = std::map<TermHash, std::vector<Posting>>;

LaneRoot root() {
  ByteArray<32> bytes;
  bytes.fill(0x5a);
  return LaneRoot{bytes};
}

TermHash term(uint64_t number) {
  TermHash h_w;
  // Spread over the first bytes, as hashes are; some terms share their first eight bytes.
  store_be<uint64_t>(h_w.bytes.data(), (number / 2) * 0x9e3779b97f4a7c15);
  store_be<uint64_t>(h_w.bytes.data() + 8, number);
  return h_w;
}

// What a gateway does with a token. Never looks at a row that no key of the term names.
Result<std::vector<Posting>> read(const Rows& rows, LaneId lane, const TermHash& h_w) {
  TermCipher cipher(lane, crypto::LaneTokens(root()).token(h_w));
  const auto find = [&](const PostingKey& key) { return rows.find(std::string(as_text(key))); };
  std::vector<Posting> out;
  if (const auto head = find(cipher.head_key()); head != rows.end()) {
    SR_ASSIGN(const PackedHead said, cipher.open_head(as_bytes(head->second)));
    for (uint64_t j = 0; j < said.blocks; ++j) {
      const auto row = find(cipher.packed_key(j));
      if (row == rows.end()) return make_error(ErrorCode::kDataLoss, "a block is missing");
      SR_TRY(cipher.open_packed(j, as_bytes(row->second), out));
    }
    if (out.size() != said.postings) {
      return make_error(ErrorCode::kDataLoss, "not what the head says");
    }
    return out;
  }
  for (uint64_t i = 0;; ++i) {
    const auto row = find(cipher.single_key(i));
    if (row == rows.end()) return out;
    SR_ASSIGN(const Posting posting, cipher.open_single(i, as_bytes(row->second)));
    out.push_back(posting);
  }
}

struct Lane {
  Rows postings;
  Rows directory;
};

void insert(const std::vector<SealedRow>& from, Rows& to) {
  for (const SealedRow& row : from)
    EXPECT_TRUE(to.emplace(row.key, row.value).second) << "a key twice";
}

Lane finish(LanePacker& packer) {
  Lane lane;
  std::string last_posting;
  std::string last_directory;
  const auto into = [](Rows& rows, std::string& last) {
    return [&rows, &last](std::string_view key, std::string_view value) -> Result<void> {
      EXPECT_LT(last, key) << "keys ascend";
      last = key;
      rows.emplace(key, value);
      return {};
    };
  };
  EXPECT_TRUE(
      packer.finish(into(lane.postings, last_posting), into(lane.directory, last_directory)));
  return lane;
}

// Terms with 1 to a few hundred postings, so that singles, heads and several blocks all occur.
Model fill(LanePacker& packer, uint64_t seed) {
  std::mt19937_64 random(seed);
  Model model;
  std::vector<std::pair<TermHash, Posting>> pairs;
  for (uint64_t t = 0; t < 60; ++t) {
    const size_t sizes[] = {1, 2, 7, 8, 20, 21, 22, 80, 160, 1 + random() % 300};
    for (size_t n = sizes[t % std::size(sizes)]; n > 0; --n) {
      const Posting posting{{random() & RecordIndex::kMax}, static_cast<uint32_t>(random())};
      model[term(t)].push_back(posting);
      pairs.emplace_back(term(t), posting);
    }
  }
  for (auto& [h_w, postings] : model) std::sort(postings.begin(), postings.end());
  std::shuffle(pairs.begin(), pairs.end(), random);
  for (const auto& [h_w, posting] : pairs) {
    packer.add(h_w, posting);
    EXPECT_TRUE(packer.keep_within_limit());
  }
  return model;
}

TEST(LanePackerTest, ReadsBackWhatWasAddedInAscendingOrder) {
  for (const uint64_t seed : {1, 2, 3}) {
    LanePacker packer(kLane, root());
    const Model model = fill(packer, seed);
    const Lane lane = finish(packer);
    for (const auto& [h_w, postings] : model) {
      const auto opened = read(lane.postings, kLane, h_w);
      ASSERT_TRUE(opened);
      EXPECT_EQ(*opened, postings);
    }
    EXPECT_TRUE(read(lane.postings, kLane, term(1'000'000))->empty());
  }
}

TEST(LanePackerTest, FeedersMakeTheSameLaneTogetherAsOneAlone) {
  std::mt19937_64 random(6);
  std::vector<std::pair<TermHash, Posting>> pairs;
  for (uint32_t idx = 0; idx < 5000; ++idx) {
    for (const uint64_t t : {uint64_t{0}, 1 + random() % 9, 100 + random() % 900}) {
      pairs.emplace_back(term(t), Posting{{idx}, 7});
    }
  }
  for (const bool ascending : {true, false}) {
    if (!ascending) std::shuffle(pairs.begin(), pairs.end(), random);
    const TempFolder folder;
    const TempFolder another;
    for (const size_t bytes_max : {size_t{1} << 30, size_t{20'000}}) {
      LanePacker alone(kLane, root(), {folder.path(), bytes_max});
      LanePacker together(kLane, root(), {another.path(), bytes_max});
      together.reserve(pairs.size(), LanePacker::kFeeders);
      for (const auto& [h_w, posting] : pairs) {
        alone.add(h_w, posting);
        together.add(h_w, posting, random() % LanePacker::kFeeders);
        ASSERT_TRUE(alone.keep_within_limit());
        ASSERT_TRUE(together.keep_within_limit());
      }
      EXPECT_EQ(together.size(), alone.size());
      const Lane expected = finish(alone);
      const Lane lane = finish(together);
      EXPECT_EQ(lane.postings, expected.postings);
      EXPECT_EQ(lane.directory.size(), expected.directory.size());
    }
    EXPECT_TRUE(another.files().empty()) << "they go with their packer";
  }
}

TEST(LanePackerTest, WhatIsAddedTwiceIsThereOnce) {
  LanePacker once(kLane, root());
  const Model model = fill(once, 5);
  LanePacker twice(kLane, root());
  fill(twice, 5);
  fill(twice, 5);
  const Lane expected = finish(once);
  const Lane lane = finish(twice);
  EXPECT_EQ(lane.postings, expected.postings);
  EXPECT_EQ(lane.directory.size(), expected.directory.size());
}

// On the disk or not, by one thread or by two, the lane is the same.
TEST(LanePackerTest, WhatDoesNotFitInMemoryIsSortedOnTheDisk) {
  const TempFolder folder;
  for (const uint64_t seed : {11, 12, 13}) {
    LanePacker in_memory(kLane, root());
    fill(in_memory, seed);
    const Lane expected = finish(in_memory);
    for (const size_t bytes_max : {size_t{1}, size_t{20'000}}) {
      LanePacker packer(kLane, root(), {folder.path(), bytes_max});
      fill(packer, seed);
      EXPECT_FALSE(folder.files().empty());
      std::array<Rows, 2> halves;
      Rows directory;
      const auto into = [](Rows& rows) -> LanePacker::Emit {
        return [&rows](std::string_view key, std::string_view value) -> Result<void> {
          EXPECT_TRUE(rows.empty() || rows.rbegin()->first < key) << "keys ascend";
          rows.emplace(key, value);
          return {};
        };
      };
      ASSERT_TRUE(packer.finish({into(halves[0]), into(halves[1])}, into(directory),
                                [](const std::function<void(size_t)>& work) {
                                  std::thread other([&] { work(1); });
                                  work(0);
                                  other.join();
                                }));
      EXPECT_LT(halves[0].rbegin()->first, halves[1].begin()->first);
      halves[0].merge(halves[1]);
      EXPECT_EQ(halves[0], expected.postings);
      EXPECT_EQ(directory.size(), expected.directory.size());
    }
  }
  EXPECT_TRUE(folder.files().empty()) << "they go with their packer";
}

TEST(LanePackerTest, AChangedSpoolFileIsDetected) {
  const TempFolder folder;
  LanePacker packer(kLane, root(), {folder.path(), 1});
  fill(packer, 14);
  for (const auto& file : folder.files()) {
    auto bytes = env::real_files().read(file, 1 << 20);
    ASSERT_TRUE(bytes);
    (*bytes)[bytes->size() / 2] ^= 1;
    ASSERT_TRUE(env::real_files().write_atomic(file, as_bytes(*bytes)));
  }
  const auto ignore = [](std::string_view, std::string_view) { return Result<void>(); };
  const auto done = packer.finish(ignore, ignore);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::kDataLoss);
}

TEST(LanePackerTest, DirectoryListsEachTermOnceWithItsCount) {
  LanePacker packer(kLane, root());
  Model model = fill(packer, 4);
  for (uint64_t t = 1000; t < 1500; ++t) {  // More terms than one directory row holds.
    packer.add(term(t), {{t}, 1});
    model[term(t)].push_back({{t}, 1});
  }
  const Lane lane = finish(packer);
  EXPECT_EQ(lane.directory.size(), (model.size() + 191) / 192);
  const DirectoryReader reader(kLane, root());
  auto expected = model.begin();
  for (const auto& [key, value] : lane.directory) {
    const auto row = reader.open(as_bytes(key), as_bytes(value));
    ASSERT_TRUE(row);
    EXPECT_FALSE(row->write.has_value());
    for (const TermCount& listed : row->terms) {
      ASSERT_NE(expected, model.end());
      EXPECT_EQ(listed.h_w, expected->first) << "ascending over the lane";
      EXPECT_EQ(listed.count, expected->second.size());
      EXPECT_EQ(listed.blocks != 0, listed.count >= kPackedMin);
      ++expected;
    }
  }
  EXPECT_EQ(expected, model.end());
}

TEST(LanePackerTest, FlippedBitInAnyRowIsDetected) {
  LanePacker packer(kLane, root());
  const Model model = fill(packer, 5);
  Lane lane = finish(packer);
  // One bit of every row: every term reads at least one of them.
  std::mt19937_64 random(6);
  for (auto& [key, value] : lane.postings) {
    const size_t bit = random() % (value.size() * 8);
    value[bit / 8] = static_cast<char>(value[bit / 8] ^ (1 << (bit % 8)));
  }
  for (const auto& [h_w, postings] : model) {
    const auto opened = read(lane.postings, kLane, h_w);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, ErrorCode::kDataLoss);
  }
}

TEST(LanePackerTest, RowsSwappedBetweenKeysAreDetected) {
  LanePacker packer(kLane, root());
  const Model model = fill(packer, 7);
  Lane lane = finish(packer);
  // Each value moves to the next key that takes a value of its size.
  std::map<size_t, std::string> carried;
  for (auto& [key, value] : lane.postings) std::swap(value, carried[value.size()]);
  for (auto& [key, value] : lane.postings) {
    if (value.empty()) value = carried[kSingleSize];
  }
  size_t detected = 0;
  for (const auto& [h_w, postings] : model) detected += read(lane.postings, kLane, h_w) ? 0 : 1;
  EXPECT_EQ(detected, model.size());
}

TEST(LanePackerTest, RowUnderAChangedKeyIsNeverRead) {
  LanePacker packer(kLane, root());
  const TermHash rare = term(1);
  const TermHash common = term(2);
  packer.add(rare, {{1}, 1});
  for (uint32_t n = 0; n < 1500; ++n) packer.add(common, {{n}, n});
  const Lane lane = finish(packer);
  ASSERT_EQ(lane.postings.size(), 1u + 1 + 2);
  for (const auto& [key, value] : lane.postings) {
    for (size_t bit = 0; bit < key.size() * 8; ++bit) {
      Rows rows = lane.postings;
      rows.erase(key);
      std::string moved = key;
      moved[bit / 8] = static_cast<char>(moved[bit / 8] ^ (1 << (bit % 8)));
      rows.emplace(moved, value);
      const auto rare_read = read(rows, kLane, rare);
      const auto common_read = read(rows, kLane, common);
      ASSERT_TRUE(rare_read);
      // As if the row were dropped: absent, or detected where a head promises more. Never something
      // else.
      const bool rare_whole = rare_read->size() == 1;
      const bool common_whole = common_read && common_read->size() == 1500;
      EXPECT_NE(rare_whole, common_whole);
      EXPECT_TRUE(common_whole || !common_read || common_read->empty());
    }
  }
}

TEST(LanePackerTest, EmptyLaneEmitsNothing) {
  LanePacker packer(kLane, root());
  const Lane lane = finish(packer);
  EXPECT_TRUE(lane.postings.empty());
  EXPECT_TRUE(lane.directory.empty());
}

TEST(LanePackerTest, FirstErrorOfAnEmitEndsIt) {
  for (const bool in_directory : {false, true}) {
    LanePacker packer(kLane, root());
    for (uint64_t t = 0; t < 1000; ++t) packer.add(term(t), {{t}, 0});
    int calls_after = 0;
    bool failed = false;
    const auto ok = [&](std::string_view, std::string_view) -> Result<void> {
      calls_after += failed ? 1 : 0;
      return {};
    };
    const auto full = [&](std::string_view, std::string_view) -> Result<void> {
      calls_after += failed ? 1 : 0;
      failed = true;
      return make_error(ErrorCode::kNoSpace, "full");
    };
    const auto result = in_directory ? packer.finish(ok, full) : packer.finish(full, ok);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kNoSpace);
    EXPECT_EQ(calls_after, 0);
  }
}

TEST(OnlineLaneTest, ReadsBackWritesInOrderAndPadsThemToEightOrThirtyTwo) {
  std::mt19937_64 random(8);
  OnlineLane lane(kLane, root());
  EXPECT_EQ(lane.id(), kLane);
  Rows rows;
  Rows directory;
  Model model;
  const TermHash dead = term(999);
  std::vector<std::pair<Posting, std::vector<TermHash>>> writes;
  for (uint64_t w = 0; w < 200; ++w) {
    const Posting posting{{w}, static_cast<uint32_t>(random())};
    std::vector<TermHash> terms;
    for (uint64_t n = w % 18; n > 0; --n) terms.push_back(term(random() % 40));
    std::vector<SealedRow> out;
    std::vector<SealedRow> listed;
    const auto padding = w % 3 == 0 ? WritePadding::kWide : WritePadding::kNarrow;
    size_t step = static_cast<size_t>(padding);
    if (w % 5 == 4) {
      step = 8;
      lane.write_dead(posting, dead, out, listed);
      terms = {dead};
    } else {
      lane.write(posting, terms, padding, out, listed);
    }
    EXPECT_EQ(out.size(), (terms.size() + step - 1) / step * step);
    ASSERT_EQ(listed.size(), 1u);
    EXPECT_EQ(listed[0].value.size() - 41, out.size() * 16)
        << "a directory row shows no more than the postings do";
    for (const TermHash& h_w : terms) model[h_w].push_back(posting);
    writes.emplace_back(posting, terms);
    for (const SealedRow& row : out) {
      EXPECT_EQ(row.key.size(), kPostingKeySize);
      EXPECT_EQ(row.value.size(), kSingleSize);
    }
    insert(out, rows);
    insert(listed, directory);
  }
  for (const auto& [h_w, postings] : model) EXPECT_EQ(read(rows, kLane, h_w).value(), postings);

  const DirectoryReader reader(kLane, root());
  ASSERT_EQ(directory.size(), writes.size());
  auto expected = writes.begin();
  for (const auto& [key, value] : directory) {
    const auto row = reader.open(as_bytes(key), as_bytes(value));
    ASSERT_TRUE(row);
    EXPECT_EQ(row->write, expected->first);
    ASSERT_EQ(row->terms.size(), expected->second.size());
    for (size_t t = 0; t < row->terms.size(); ++t)
      EXPECT_EQ(row->terms[t].h_w, expected->second[t]);
    ++expected;
  }
}

TEST(DirectoryTest, FlippedBitInKeyOrValueIsDataLoss) {
  DirectoryWriter writer(kLane, root());
  const DirectoryReader reader(kLane, root());
  const TermHash terms[] = {term(1), term(2)};
  const TermCount counts[] = {{term(1), 1}, {term(3), 200, 2}};
  for (const SealedRow& row :
       {writer.write_row({{1}, 2}, terms, WritePadding::kNarrow),
        writer.write_row({{1}, 2}, terms, WritePadding::kWide), writer.terms_row(counts)}) {
    ASSERT_TRUE(reader.open(as_bytes(row.key), as_bytes(row.value)));
    for (size_t bit = 0; bit < row.value.size() * 8; ++bit) {
      std::string flipped = row.value;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      const auto opened = reader.open(as_bytes(row.key), as_bytes(flipped));
      ASSERT_FALSE(opened) << bit;
      EXPECT_EQ(opened.error().code, ErrorCode::kDataLoss);
    }
    for (size_t bit = 0; bit < row.key.size() * 8; ++bit) {
      std::string flipped = row.key;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      EXPECT_FALSE(reader.open(as_bytes(flipped), as_bytes(row.value))) << bit;
    }
    for (size_t size = 0; size < row.value.size(); ++size) {
      EXPECT_FALSE(reader.open(as_bytes(row.key), as_bytes(row.value).first(size)));
    }
    EXPECT_FALSE(DirectoryReader(LaneId{1}, root()).open(as_bytes(row.key), as_bytes(row.value)));
    EXPECT_FALSE(reader.open(as_bytes(row.key), as_bytes(std::string(1 << 20, '\1'))))
        << "too long";
  }
}

TEST(TermCountersTest, CountEachTermFromZero) {
  std::mt19937_64 random(10);
  TermCounters counters;
  std::map<TermHash, uint32_t> model;
  for (int n = 0; n < 20'000; ++n) {
    TermHash h_w;
    // Half of them in a few full neighbourhoods, which must wrap around the table's end.
    store_le<uint64_t>(h_w.bytes.data(), n % 2 == 0 ? random() % 3 - 1 : random());
    store_le<uint64_t>(h_w.bytes.data() + 8, random() % 100);
    counters.prefetch(h_w);
    ASSERT_EQ(counters.next(h_w), model[h_w]++);
  }
}

}  // namespace
}  // namespace strongroom::index
