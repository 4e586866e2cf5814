#include "strongroom/tlog/release_log.h"

#include <algorithm>

#include "strongroom/env/faulty_files.h"
#include "strongroom/tlog/log_for_test.h"

namespace strongroom::tlog {
namespace {

using test::are_numbered;
using test::fill;
using test::items_of;
using test::kStart;
using test::LogFolder;

TEST(ReleaseLogTest, EntriesComeBackAsTheyWere) {
  LogFolder folder;
  const std::vector<std::string> items{"one", "", std::string("\0binary\xFF", 8)};
  {
    const auto log = folder.must_open();
    EXPECT_EQ(log->size(), 0u);
    EXPECT_EQ(log->root(), empty_root());
    EXPECT_EQ(*log->stage(EntryType::kStart, items_of(0), kStart), 0u);
    EXPECT_EQ(*log->stage(EntryType::kFreeze, items, kStart + 5), 1u);
    EXPECT_EQ(log->size(), 0u) << "nothing is durable before commit";
    const auto leaves = log->commit();
    ASSERT_TRUE(leaves);
    ASSERT_EQ(leaves->size(), 2u);
    EXPECT_EQ((*leaves)[1].index().value, 1u);
    EXPECT_EQ(log->size(), 2u);
    ASSERT_TRUE(log->write_checkpoint());
  }
  const auto log = folder.must_open();
  ASSERT_EQ(folder.replayed.size(), 2u);
  EXPECT_EQ(folder.replayed[0].type, EntryType::kStart);
  EXPECT_EQ(folder.replayed[1].type, EntryType::kFreeze);
  EXPECT_EQ(folder.replayed[1].leaf.value, 1u);
  EXPECT_EQ(folder.replayed[1].t_ms, kStart + 5);
  EXPECT_EQ(folder.replayed[1].items, items);
  EXPECT_NE(folder.replayed[0].rho, folder.replayed[1].rho);
  EXPECT_EQ(log->last_t_ms(), kStart + 5);
  EXPECT_EQ(log->checkpoint_size(), 2u);
  EXPECT_EQ(log->tiles_rewritten(), 0u);
}

TEST(ReleaseLogTest, RootGrowsAsTheTreeOfItsBundles) {
  LogFolder folder;
  const auto log = folder.must_open();
  for (int round = 0; round < 3; ++round) {
    fill(*log, 300, 7);
    ASSERT_TRUE(log->write_checkpoint());
    const auto report = folder.verify();
    ASSERT_TRUE(report) << report.error().text;
    EXPECT_EQ(report->entries, log->size());
    EXPECT_EQ(report->checkpoint.root, log->root());
  }
}

TEST(ReleaseLogTest, EmptyCommitAndUnneededCheckpointDoNoIo) {
  LogFolder folder;
  env::FaultyFiles files(env::real_files());
  const auto log = folder.must_open(files);
  files.stop_at(1);
  EXPECT_TRUE(log->commit()->empty());
  EXPECT_TRUE(log->write_checkpoint());
  EXPECT_EQ(files.operations(), 0u);
  EXPECT_EQ(log->tile("checkpoint").error().code, ErrorCode::kNotFound);
}

TEST(ReleaseLogTest, AGroupIsOneAppendAndOneSync) {
  LogFolder folder;
  env::FaultyFiles files(env::real_files());
  const auto log = folder.must_open(files);
  fill(*log, 1);
  files.stop_at(1'000);
  fill(*log, 50, 50);
  EXPECT_EQ(files.operations(), 2u);
}

TEST(ReleaseLogTest, TimeNeverGoesBack) {
  LogFolder folder;
  {
    const auto log = folder.must_open();
    ASSERT_TRUE(log->stage(EntryType::kStart, items_of(0), kStart));
    ASSERT_TRUE(log->stage(EntryType::kRelease, items_of(1), kStart - 10));
    ASSERT_TRUE(log->commit());
    ASSERT_TRUE(log->stage(EntryType::kRelease, items_of(2), 5));
    ASSERT_TRUE(log->commit() && log->write_checkpoint());
  }
  folder.must_open();
  for (const Entry& entry : folder.replayed) EXPECT_EQ(entry.t_ms, kStart);
}

TEST(ReleaseLogTest, EachMonthIsSealedUnderItsOwnKey) {
  LogFolder folder;
  {
    const auto log = folder.must_open();
    for (uint64_t month = 0; month < 4; ++month) {
      ASSERT_TRUE(log->stage(EntryType::kRelease, items_of(month), kStart + month * 2'678'400'000));
    }
    ASSERT_TRUE(log->commit() && log->write_checkpoint());
  }
  EXPECT_EQ(folder.keys.months(), 4u);
  folder.must_open();
  EXPECT_TRUE(are_numbered(folder.replayed));
}

TEST(ReleaseLogTest, LimitsAreRefusedAndLeaveTheGroupAsItWas) {
  LogFolder folder;
  {
    const auto log = folder.must_open();
    ASSERT_TRUE(log->stage(EntryType::kRelease, items_of(0), kStart));
    const std::vector<std::string> none, many(kItemsMax + 1),
        large{std::string(kBodyMax - 35, 'x')};
    for (const auto* items : {&none, &many, &large}) {
      EXPECT_EQ(log->stage(EntryType::kRelease, *items, kStart).error().code,
                ErrorCode::kInvalidArgument);
    }
    EXPECT_FALSE(log->stage(EntryType::kRelease, items_of(1), ~uint64_t{0}));
    folder.keys.fails = true;
    EXPECT_EQ(log->stage(EntryType::kRelease, items_of(1), kStart).error().code,
              ErrorCode::kNoSpace);
    folder.keys.fails = false;
    EXPECT_EQ(*log->stage(EntryType::kRelease, items_of(1), kStart), 1u);
    const std::vector<std::string> most(kItemsMax), largest{std::string(kBodyMax - 36, 'x')};
    ASSERT_TRUE(log->stage(EntryType::kRelease, most, kStart));
    ASSERT_TRUE(log->stage(EntryType::kRelease, largest, kStart));
    ASSERT_TRUE(log->commit() && log->write_checkpoint());
  }
  folder.must_open();
  ASSERT_EQ(folder.replayed.size(), 4u);
  EXPECT_EQ(folder.replayed[1].items, items_of(1));
  EXPECT_EQ(folder.replayed[2].items.size(), kItemsMax);
  EXPECT_EQ(folder.replayed[3].items[0].size(), kBodyMax - 36);
}

TEST(ReleaseLogTest, SegmentsFollowEachOther) {
  LogFolder folder;
  folder.options.segment_bytes = 2000;
  for (int round = 0; round < 3; ++round) {
    const auto log = folder.must_open();
    EXPECT_TRUE(are_numbered(folder.replayed));
    EXPECT_EQ(folder.replayed.size(), log->size());
    fill(*log, 30, 2);
    ASSERT_TRUE(log->write_checkpoint());
  }
  folder.must_open();
  EXPECT_EQ(folder.replayed.size(), 90u);
  EXPECT_TRUE(std::filesystem::exists(folder.segment(5)));
}

TEST(ReleaseLogTest, ReadOpensAnyRange) {
  LogFolder folder;
  folder.options.segment_bytes = 20'000;
  const auto log = folder.must_open();
  fill(*log, 700, 9);
  for (const uint64_t first : {0u, 1u, 255u, 256u, 257u, 511u, 600u, 699u}) {
    for (const uint32_t count : {0u, 1u, 2u, 300u, 4'294'967'295u}) {
      const auto entries = log->read(first, count);
      ASSERT_TRUE(entries) << entries.error().text;
      EXPECT_EQ(entries->size(), std::min<uint64_t>(count, 700 - first));
      EXPECT_TRUE(are_numbered(*entries, first));
    }
  }
  EXPECT_EQ(log->read(700, 1).error().code, ErrorCode::kInvalidArgument);
}

TEST(ReleaseLogTest, ReadFindsWhatWasThereAtOpen) {
  LogFolder folder;
  {
    const auto log = folder.must_open();
    fill(*log, 300, 10);
    ASSERT_TRUE(log->write_checkpoint());
  }
  const auto log = folder.must_open();
  fill(*log, 300, 10);
  EXPECT_TRUE(are_numbered(*log->read(250, 300), 250));
}

TEST(ReleaseLogTest, ReadRefusesWhatWasEditedSinceItWasOpened) {
  LogFolder folder;
  const auto log = folder.must_open();
  fill(*log, 10);
  std::string bytes = folder.read(folder.segment());
  bytes[200] = static_cast<char>(bytes[200] ^ 1);
  folder.write(folder.segment(), bytes);
  EXPECT_EQ(log->read(5, 1).error().code, ErrorCode::kDataLoss);
}

TEST(ReleaseLogTest, TilesAreServedUpToTheCheckpoint) {
  LogFolder folder;
  const auto log = folder.must_open();
  fill(*log, 300, 10);
  EXPECT_EQ(log->tile("tile/0/000").error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(log->write_checkpoint());
  EXPECT_EQ(log->tile("tile/0/000")->size(), 8192u);
  EXPECT_EQ(log->tile("tile/entries/001.p/44")->size(), 44u * 51);
  EXPECT_EQ(log->tile("tile/1/000.p/1")->size(), 32u);
  EXPECT_EQ(*log->tile("checkpoint"), log->checkpoint_note());
  EXPECT_EQ(log->tile("tile/0/001.p/45").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(log->tile("tile/0/001").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(log->tile("entries-00000000.log").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(log->tile("tile/0/../../checkpoint").error().code, ErrorCode::kInvalidArgument);
}

TEST(ReleaseLogTest, PartialTilesStayUntilTheFullOneIsThere) {
  LogFolder folder;
  const auto log = folder.must_open();
  fill(*log, 250, 250);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(log->write_checkpoint());
    fill(*log, 1);
  }
  ASSERT_TRUE(log->write_checkpoint());
  for (const char* partial : {"tile/0/000.p/250", "tile/0/000.p/255", "tile/entries/000.p/252"}) {
    EXPECT_TRUE(std::filesystem::exists(folder.path(partial))) << partial;
  }
  fill(*log, 10);
  ASSERT_TRUE(log->write_checkpoint());
  EXPECT_FALSE(std::filesystem::exists(folder.path("tile/0/000.p")));
  EXPECT_FALSE(std::filesystem::exists(folder.path("tile/entries/000.p")));
  EXPECT_TRUE(std::filesystem::exists(folder.path("tile/0/001.p/9")));
  EXPECT_TRUE(folder.verify());
}

TEST(ReleaseLogTest, ProofsFromItsTilesVerify) {
  LogFolder folder;
  const auto log = folder.must_open();
  fill(*log, 520, 40);
  ASSERT_TRUE(log->write_checkpoint());
  const Hash old_root = log->root();
  fill(*log, 300, 40);
  ASSERT_TRUE(log->write_checkpoint());
  const SubtreeReader read = [&](int level, uint64_t n) -> Result<Hash> {
    const uint64_t per_tile = uint64_t{256} >> level, first = n << level;
    const uint64_t tile = n / per_tile;
    const std::string full = "tile/0/00" + std::to_string(tile);
    auto bytes = log->tile(full);
    if (!bytes) bytes = log->tile(full + ".p/" + std::to_string(log->size() % 256));
    EXPECT_TRUE(bytes);
    std::vector<Hash> leaves(size_t{1} << level);
    memcpy(leaves.data(), bytes->data() + first % 256 * 32, leaves.size() * 32);
    return merkle_root(leaves);
  };
  const SubtreeReader any_level = [&](int level, uint64_t n) -> Result<Hash> {
    if (level <= 8) return read(level, n);
    std::vector<Hash> roots;
    for (uint64_t i = 0; i < uint64_t{1} << (level - 8); ++i) {
      roots.push_back(*read(8, (n << (level - 8)) + i));
    }
    return merkle_root(roots);
  };
  EXPECT_TRUE(
      verify_consistency(520, old_root, 820, log->root(), *consistency_proof(520, 820, any_level)));
  const auto proof = *inclusion_proof(300, 820, any_level);
  EXPECT_TRUE(verify_inclusion(*read(0, 300), 300, 820, proof, log->root()));
}

TEST(ReleaseLogTest, MustExistRefusesANewLog) {
  LogFolder folder;
  folder.options.must_exist = true;
  EXPECT_EQ(folder.open_error(), ErrorCode::kDataLoss);
  EXPECT_FALSE(std::filesystem::exists(folder.options.dir)) << "nothing was changed";
  folder.options.must_exist = false;
  {
    const auto log = folder.must_open();
    fill(*log, 1);
    ASSERT_TRUE(log->write_checkpoint());
  }
  folder.options.must_exist = true;
  EXPECT_EQ(folder.must_open()->size(), 1u);
}

TEST(ReleaseLogTest, BadOriginIsRefused) {
  LogFolder folder;
  folder.options.origin = "a b";
  EXPECT_EQ(folder.open_error(), ErrorCode::kInvalidArgument);
}

TEST(ReleaseLogTest, ReplayErrorsComeThrough) {
  LogFolder folder;
  {
    const auto log = folder.must_open();
    fill(*log, 3);
    ASSERT_TRUE(log->write_checkpoint());
  }
  const auto log = ReleaseLog::open(folder.options, env::real_files(), folder.keys, folder.signers,
                                    [](const Entry& entry) -> Result<void> {
                                      if (entry.leaf.value == 1) {
                                        return make_error(ErrorCode::kConflict, "no");
                                      }
                                      return {};
                                    });
  EXPECT_EQ(log.error().code, ErrorCode::kConflict);
}

}  // namespace
}  // namespace strongroom::tlog
