// What a crash, a full disk and a failed fsync do to the log.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "strongroom/env/faulty_files.h"
#include "strongroom/tlog/log_for_test.h"
#include "strongroom/tlog/segment.h"

namespace strongroom::tlog {
namespace {

using test::are_numbered;
using test::fill;
using test::LogFolder;
using test::stage_numbered;

// Where each frame of a segment begins, and where the last one ends.
std::vector<size_t> frame_starts(const std::string& segment) {
  std::vector<size_t> starts{kSegmentHeaderSize};
  Frame frame;
  while (parse_frame(as_bytes(segment).subspan(starts.back()), &frame) == FrameState::kWhole) {
    starts.push_back(starts.back() + frame.size);
  }
  return starts;
}

TEST(LogCrashTest, EveryCutOfTheLastFrameRecoversWhatWasAcknowledged) {
  LogFolder folder;
  {
    const auto log = folder.must_open();
    fill(*log, 5);
    ASSERT_TRUE(log->write_checkpoint());
    fill(*log, 1);
  }
  const std::string whole = folder.read(folder.segment());
  const auto starts = frame_starts(whole);
  ASSERT_EQ(starts.size(), 7u);
  for (size_t cut = starts[5]; cut < starts[6]; ++cut) {
    // The file ends there, or what was preallocated follows.
    for (const size_t zeros : {size_t{0}, size_t{1}, size_t{3}, size_t{5000}}) {
      const std::string left = whole.substr(0, cut) + std::string(zeros, '\0');
      // One frame in 256 ends with a zero: then nothing is missing.
      const bool complete = left.starts_with(std::string_view(whole).substr(0, starts[6]));
      folder.write(folder.segment(), left);
      const auto log = folder.must_open();
      ASSERT_TRUE(log) << cut;
      ASSERT_EQ(log->size(), complete ? 6u : 5u) << cut;
      EXPECT_TRUE(are_numbered(folder.replayed));
    }
  }
}

TEST(LogCrashTest, WhatFollowsATornTailIsKept) {
  LogFolder folder;
  {
    const auto log = folder.must_open();
    fill(*log, 5);
    ASSERT_TRUE(log->write_checkpoint());
    fill(*log, 1);
  }
  const std::string whole = folder.read(folder.segment());
  folder.write(folder.segment(), whole.substr(0, frame_starts(whole)[6] - 3));
  {
    const auto log = folder.must_open();
    fill(*log, 4, 2);
  }
  EXPECT_EQ(folder.must_open()->size(), 9u);
  EXPECT_TRUE(are_numbered(folder.replayed));
}

TEST(LogCrashTest, AHoleInTheLastGroupIsTornAndAHoleBeforeAnotherIsLoss) {
  LogFolder folder;
  {
    const auto log = folder.must_open();
    fill(*log, 2);
    ASSERT_TRUE(log->write_checkpoint());
    fill(*log, 4, 4);  // Leaves 2..5: one group.
  }
  const std::string whole = folder.read(folder.segment());
  const auto starts = frame_starts(whole);
  const auto with_hole = [&](size_t leaf) {
    std::string bytes = whole;
    std::fill(bytes.begin() + static_cast<long>(starts[leaf]),
              bytes.begin() + static_cast<long>(starts[leaf + 1]), '\0');
    return bytes;
  };
  for (const size_t leaf : {2u, 3u, 4u, 5u}) {
    folder.write(folder.segment(), with_hole(leaf));
    EXPECT_EQ(folder.must_open()->size(), leaf);
    EXPECT_TRUE(are_numbered(folder.replayed));
  }
  folder.write(folder.segment(), whole);
  {
    const auto log = folder.must_open();
    fill(*log, 1);  // A group of its own: all before it was durable.
  }
  const std::string longer = folder.read(folder.segment());
  for (const size_t leaf : {2u, 3u, 4u, 5u}) {
    std::string bytes = with_hole(leaf);
    bytes.replace(starts[6], longer.size() - starts[6], longer.substr(starts[6]));
    folder.write(folder.segment(), bytes);
    const auto log = folder.open();
    ASSERT_FALSE(log);
    EXPECT_EQ(log.error().code, ErrorCode::kDataLoss);
    EXPECT_EQ(log.error().number, static_cast<int64_t>(leaf));
    EXPECT_EQ(folder.read(folder.segment()), bytes) << "nothing was changed";
  }
}

// Small segments, so that their beginnings are among the places it stops at.
void run_sequence(LogFolder& folder, env::Files& files, uint64_t* acknowledged,
                  uint64_t* checkpointed) {
  const auto log = folder.open(files);
  if (!log) return;
  ReleaseLog& open = **log;
  for (int group = 0; group < 12; ++group) {
    const uint64_t first = open.size();
    for (uint64_t i = first; i < first + 3; ++i) stage_numbered(open, i);
    const auto leaves = open.commit();
    if (!leaves) {
      EXPECT_TRUE(open.failed());
      EXPECT_EQ(open.size(), first);
      return;
    }
    *acknowledged = open.size();
    if (group % 2 == 0) {
      if (!open.write_checkpoint()) return;
      *checkpointed = open.checkpoint_size();
    }
  }
}

TEST(LogCrashTest, ACrashAtAnyOperationLosesNothingAcknowledged) {
  for (const uint64_t torn :
       {uint64_t{0}, uint64_t{1}, uint64_t{40}, uint64_t{200}, uint64_t{600}}) {
    for (uint64_t stop = 1;; ++stop) {
      LogFolder folder;
      folder.options.segment_bytes = 2000;
      env::FaultyFiles files(env::real_files());
      uint64_t acknowledged = 0, checkpointed = 0;
      files.stop_at(stop);
      run_sequence(folder, files, &acknowledged, &checkpointed);
      const bool ran_through = files.operations() < stop;
      ASSERT_TRUE(files.crash(torn));
      const auto log = folder.open(files);
      if (!log && checkpointed == 0) {
        // No checkpoint yet, so not to be told from a log that lost its own: `init` runs again.
        EXPECT_EQ(log.error().code, ErrorCode::kDataLoss);
        continue;
      }
      ASSERT_TRUE(log) << log.error().text << " stop " << stop << " torn " << torn;
      EXPECT_GE((*log)->size(), acknowledged) << stop;
      EXPECT_GE((*log)->checkpoint_size(), checkpointed) << stop;
      EXPECT_TRUE(are_numbered(folder.replayed));
      fill(**log, 2, 2);
      EXPECT_TRUE((*log)->write_checkpoint());
      EXPECT_TRUE(folder.verify());
      if (ran_through) break;
      ASSERT_LT(stop, 500u);
    }
  }
}

TEST(LogCrashTest, KilledAtWorkItKeepsWhatItAcknowledged) {
  LogFolder folder;
  folder.options.segment_bytes = 20'000;
  for (int round = 0; round < 5; ++round) {
    const uint64_t before = folder.must_open()->size();
    int acknowledged[2];
    ASSERT_EQ(pipe(acknowledged), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const auto log = folder.must_open();
      for (;;) {
        fill(*log, 3, 3);
        if (!log->write_checkpoint()) _exit(1);
        const uint64_t size = log->size();
        if (write(acknowledged[1], &size, sizeof(size)) != sizeof(size)) _exit(1);
      }
    }
    close(acknowledged[1]);
    uint64_t size = 0, last = 0;
    while (last < before + 150 && read(acknowledged[0], &size, sizeof(size)) == sizeof(size)) {
      last = size;
    }
    kill(child, SIGKILL);
    while (read(acknowledged[0], &size, sizeof(size)) == sizeof(size)) last = size;
    close(acknowledged[0]);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    const auto log = folder.must_open();
    ASSERT_TRUE(log);
    EXPECT_GE(last, before + 150);
    EXPECT_GE(log->size(), last);
    EXPECT_TRUE(are_numbered(folder.replayed));
    EXPECT_TRUE(folder.verify());
  }
}

TEST(LogCrashTest, AfterAFailedSyncNothingLeaves) {
  LogFolder folder;
  env::FaultyFiles files(env::real_files());
  const auto log = folder.must_open(files);
  fill(*log, 3);
  ASSERT_TRUE(log->write_checkpoint());
  stage_numbered(*log, 3);
  files.fail_sync(1, ErrorCode::kUnavailable);
  EXPECT_EQ(log->commit().error().code, ErrorCode::kLogUnavailable);
  EXPECT_TRUE(log->failed());
  EXPECT_EQ(log->size(), 3u);
  // For good: the disk is sound again, what is on it is not known.
  EXPECT_EQ(log->commit().error().code, ErrorCode::kLogUnavailable);
  EXPECT_EQ(log->stage(EntryType::kRelease, test::items_of(4), test::kStart).error().code,
            ErrorCode::kLogUnavailable);
  EXPECT_EQ(log->write_checkpoint().error().code, ErrorCode::kLogUnavailable);
}

TEST(LogCrashTest, AFullDiskTakesFreezesAlone) {
  LogFolder folder;
  folder.options.preallocate_bytes = uint64_t{1} << 20;
  env::FaultyFiles files(env::real_files());
  {
    const auto log = folder.must_open(files);
    fill(*log, 3);
    files.set_space(0);
    fill(*log, 1);
    EXPECT_TRUE(log->full());
    EXPECT_EQ(log->stage(EntryType::kRelease, test::items_of(4), test::kStart).error().code,
              ErrorCode::kNoSpace);
    for (int i = 0; i < 300; ++i) {
      ASSERT_TRUE(log->stage(EntryType::kFreeze, test::items_of(4), test::kStart));
      ASSERT_TRUE(log->commit());
    }
    log->look_for_space();
    EXPECT_TRUE(log->full());
    files.set_space(1 << 20);
    log->look_for_space();
    EXPECT_FALSE(log->full());
    fill(*log, 1);
    ASSERT_TRUE(log->write_checkpoint());
  }
  EXPECT_EQ(folder.must_open(files)->size(), 305u);
}

TEST(LogCrashTest, AGroupLargerThanAFullDiskStopsTheLogAndLosesNothing) {
  LogFolder folder;
  env::FaultyFiles files(env::real_files());
  {
    const auto log = folder.must_open(files);
    fill(*log, 3);
    ASSERT_TRUE(log->write_checkpoint());
    files.set_space(0);
    const std::vector<std::string> large{std::string(kFreezeReserve, 'x')};
    ASSERT_TRUE(log->stage(EntryType::kRelease, large, test::kStart));
    EXPECT_EQ(log->commit().error().code, ErrorCode::kLogUnavailable);
    EXPECT_TRUE(log->failed());
  }
  ASSERT_TRUE(files.crash());
  EXPECT_EQ(folder.must_open(files)->size(), 3u);
}

TEST(LogCrashTest, AFailedCheckpointIsTriedAgain) {
  LogFolder folder;
  env::FaultyFiles files(env::real_files());
  const auto log = folder.must_open(files);
  fill(*log, 300, 50);
  for (const bool applied : {false, true}) {
    fill(*log, 1);
    const uint64_t before = log->checkpoint_size();
    files.fail_write_atomic(1, ErrorCode::kUnavailable, applied);
    EXPECT_EQ(log->write_checkpoint().error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(log->checkpoint_size(), before);
    EXPECT_FALSE(log->failed());
    ASSERT_TRUE(log->write_checkpoint());
    EXPECT_EQ(log->checkpoint_size(), log->size());
    EXPECT_TRUE(folder.verify());
  }
}

TEST(LogCrashTest, MissingAndBrokenTilesAreWrittenAgain) {
  LogFolder folder;
  {
    const auto log = folder.must_open();
    fill(*log, 600, 50);
    ASSERT_TRUE(log->write_checkpoint());
    fill(*log, 10, 5);  // Beyond the checkpoint: no tiles yet.
  }
  std::filesystem::remove_all(folder.path("tile/0"));
  folder.write(folder.path("tile/entries/001"), "broken");
  std::filesystem::remove(folder.path("tile/1/000.p/2"));
  EXPECT_FALSE(folder.verify());
  {
    const auto log = folder.must_open();
    EXPECT_EQ(log->tiles_rewritten(), 5u);
    EXPECT_TRUE(folder.verify());
    ASSERT_TRUE(log->write_checkpoint());
    EXPECT_EQ(folder.verify()->entries, 610u);
  }
  EXPECT_EQ(folder.must_open()->tiles_rewritten(), 0u);
}

TEST(LogCrashTest, FullTilesBeyondTheCheckpointAreWrittenByTheNext) {
  LogFolder folder;
  {
    const auto log = folder.must_open();
    fill(*log, 100, 50);
    ASSERT_TRUE(log->write_checkpoint());
    fill(*log, 1000, 100);
  }
  const auto log = folder.must_open();
  EXPECT_EQ(log->checkpoint_size(), 100u);
  ASSERT_TRUE(log->write_checkpoint());
  EXPECT_EQ(folder.verify()->entries, 1100u);
}

}  // namespace
}  // namespace strongroom::tlog
