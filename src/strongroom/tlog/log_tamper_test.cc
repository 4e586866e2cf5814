// What someone who can write to the log's folder achieves: nothing that goes unseen.
#include <cstdio>
#include <random>

#include "strongroom/tlog/log_for_test.h"
#include "strongroom/tlog/segment.h"

namespace strongroom::tlog {
namespace {

using test::are_numbered;
using test::fill;
using test::LogFolder;

struct Sealed {
  std::string segment;
  std::vector<size_t> starts;  // Of each frame; the last is the end.
  std::string frame(size_t i) const { return segment.substr(starts[i], starts[i + 1] - starts[i]); }
};

Sealed make_log(LogFolder& folder, uint64_t entries) {
  {
    const auto log = folder.must_open();
    fill(*log, entries, 2);
    EXPECT_TRUE(log->write_checkpoint());
  }
  Sealed out{folder.read(folder.segment()), {kSegmentHeaderSize}};
  Frame frame;
  while (parse_frame(as_bytes(out.segment).subspan(out.starts.back()), &frame) ==
         FrameState::kWhole) {
    out.starts.push_back(out.starts.back() + frame.size);
  }
  return out;
}

void expect_refused(LogFolder& folder, int64_t leaf) {
  const auto log = folder.open();
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().code, ErrorCode::kDataLoss);
  EXPECT_EQ(log.error().number, leaf);
}

// With a check that fits, as whoever edits a log on purpose would leave it.
std::string with_new_check(std::string frame) {
  frame.resize(frame.size() - kCheckSize);
  finish_frame(frame, 0);
  return frame;
}

TEST(LogTamperTest, EveryFlippedByteBelowTheCheckpointIsRefused) {
  LogFolder folder;
  const Sealed log = make_log(folder, 4);
  size_t leaf = 0;
  for (size_t at = 0; at < log.starts.back(); ++at) {
    while (at >= log.starts[leaf + 1]) ++leaf;
    std::string bytes = log.segment;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x20);
    folder.write(folder.segment(), bytes);
    expect_refused(folder, static_cast<int64_t>(leaf));
    EXPECT_EQ(folder.read(folder.segment()), bytes) << "nothing was changed";
  }
}

TEST(LogTamperTest, EditsWithAFittingCheckAreRefused) {
  LogFolder folder;
  const Sealed log = make_log(folder, 3);
  const std::string frame = log.frame(1);
  for (size_t at = 4; at < frame.size() - kCheckSize; ++at) {
    // The place tells a crash from damage and proves nothing: here it would make two groups of one.
    if (at == kFrameEntryAt - 1) continue;
    std::string edited = frame;
    edited[at] = static_cast<char>(edited[at] ^ 1);
    edited = with_new_check(edited);
    std::string bytes = log.segment;
    folder.write(folder.segment(), bytes.replace(log.starts[1], frame.size(), edited));
    expect_refused(folder, 1);
  }
}

TEST(LogTamperTest, TruncationBelowTheCheckpointIsRefused) {
  LogFolder folder;
  const Sealed log = make_log(folder, 4);
  for (size_t size = 0; size < log.starts.back(); ++size) {
    for (const bool zeros : {false, true}) {
      std::string bytes = log.segment.substr(0, size);
      if (zeros) bytes.resize(log.segment.size());
      if (bytes == log.segment) continue;
      folder.write(folder.segment(), bytes);
      const auto opened = folder.open();
      ASSERT_FALSE(opened) << size;
      EXPECT_EQ(opened.error().code, ErrorCode::kDataLoss);
    }
  }
}

TEST(LogTamperTest, SwappedRepeatedAndDroppedEntriesAreRefused) {
  LogFolder folder;
  const Sealed log = make_log(folder, 6);
  const std::string head = log.segment.substr(0, kSegmentHeaderSize);
  const auto write = [&](std::initializer_list<size_t> order) {
    std::string bytes = head;
    for (const size_t i : order) bytes += log.frame(i);
    folder.write(folder.segment(), bytes);
  };
  write({0, 1, 2, 4, 3, 5});
  expect_refused(folder, 3);
  write({1, 0, 2, 3, 4, 5});
  expect_refused(folder, 0);
  write({0, 1, 2, 2, 3, 4, 5});
  expect_refused(folder, 3);
  write({0, 1, 3, 4, 5});
  expect_refused(folder, 2);
  write({0, 1, 2, 3, 4, 5, 5});
  expect_refused(folder, 6);
}

TEST(LogTamperTest, EntriesBeyondTheCheckpointCannotBeReordered) {
  LogFolder folder;
  make_log(folder, 2);
  {
    const auto log = folder.must_open();
    fill(*log, 3, 3);
  }
  const std::string bytes = folder.read(folder.segment());
  std::vector<std::string> frames;
  size_t at = kSegmentHeaderSize;
  Frame frame;
  while (parse_frame(as_bytes(bytes).subspan(at), &frame) == FrameState::kWhole) {
    frames.push_back(bytes.substr(at, frame.size));
    at += frame.size;
  }
  ASSERT_EQ(frames.size(), 5u);
  folder.write(folder.segment(), bytes.substr(0, kSegmentHeaderSize) + frames[0] + frames[1] +
                                     frames[4] + frames[3] + frames[2]);
  expect_refused(folder, 2);
}

TEST(LogTamperTest, MissingFilesAreRefused) {
  LogFolder folder;
  folder.options.segment_bytes = 1000;
  make_log(folder, 30);
  const std::string checkpoint = folder.read(folder.path("checkpoint"));
  std::filesystem::remove(folder.path("checkpoint"));
  expect_refused(folder, 0);
  folder.write(folder.path("checkpoint"), std::string(1 << 20, 'x'));
  EXPECT_EQ(folder.open_error(), ErrorCode::kDataLoss);
  folder.write(folder.path("checkpoint"), checkpoint);
  ASSERT_TRUE(folder.must_open());

  uint32_t count = 0;
  while (std::filesystem::exists(folder.segment(count))) ++count;
  ASSERT_GE(count, 4u);
  for (uint32_t i = 0; i < count; ++i) {
    const std::string away = folder.path("away");
    std::filesystem::rename(folder.segment(i), away);
    EXPECT_EQ(folder.open_error(), ErrorCode::kDataLoss) << i;
    std::filesystem::rename(away, folder.segment(i));
  }
  std::filesystem::rename(folder.segment(1), folder.path("away"));
  std::filesystem::rename(folder.segment(2), folder.segment(1));
  std::filesystem::rename(folder.path("away"), folder.segment(2));
  EXPECT_EQ(folder.open_error(), ErrorCode::kDataLoss) << "swapped";
}

TEST(LogTamperTest, CheckpointsOfOthersAreRefused) {
  LogFolder folder;
  make_log(folder, 3);
  const std::string path = folder.path("checkpoint");
  const std::string note = folder.read(path);
  const auto good = *verify_checkpoint(note, folder.options.origin, folder.signer.public_key());

  const auto other_key = crypto::SigningKey::from_seed(ByteArray<32>{8});
  folder.write(path, sign_checkpoint(good, other_key));
  EXPECT_EQ(folder.open_error(), ErrorCode::kDataLoss);
  Checkpoint changed = good;
  changed.origin = "strongroom.local/other";
  folder.write(path, sign_checkpoint(changed, folder.signer));
  EXPECT_EQ(folder.open_error(), ErrorCode::kDataLoss);
  changed = good;
  changed.size = 4;
  folder.write(path, sign_checkpoint(changed, folder.signer));
  expect_refused(folder, 3);
  changed = good;
  changed.root[0] ^= 1;
  folder.write(path, sign_checkpoint(changed, folder.signer));
  expect_refused(folder, 0);
}

TEST(LogTamperTest, KeysOfAnotherVaultDoNotOpenIt) {
  LogFolder folder;
  const Sealed log = make_log(folder, 3);
  // The same month of another vault's keys: another first byte of the key.
  class OtherKeys : public BodyKeys {
   public:
    Result<const SealingKey*> key(uint32_t) override { return &key_; }

   private:
    SealingKey key_;
  } other;
  const auto opened = ReleaseLog::open(folder.options, env::real_files(), other, folder.signers,
                                       [](const Entry&) { return Result<void>(); });
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kDataLoss);
}

std::string edited(std::mt19937_64& random, std::string bytes) {
  const auto below = [&](size_t end) { return end == 0 ? 0 : random() % end; };
  const size_t at = below(bytes.size()), size = 1 + below(64);
  switch (below(5)) {
    case 0:
      if (!bytes.empty()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
      break;
    case 1:
      bytes.resize(at);
      break;
    case 2:
      bytes.erase(at, size);
      break;
    case 3:
      bytes.insert(at, bytes.substr(below(bytes.size()), size));
      break;
    default:
      for (size_t i = at; i < std::min(at + size, bytes.size()); ++i) {
        bytes[i] = static_cast<char>(random());
      }
  }
  return bytes;
}

struct EditCounts {
  int refused = 0, harmless = 0;
};

// Edits one file of a log at a time; half of the time one where the entries are.
void edit_at_random(uint64_t entries, uint64_t segment_bytes, int edits, EditCounts* counts) {
  LogFolder folder;
  folder.options.segment_bytes = segment_bytes;
  folder.options.preallocate_bytes = 2048;  // As much again is kept free: edits should hit entries.
  {
    const auto log = folder.must_open();
    fill(*log, entries, 3);
    ASSERT_TRUE(log->write_checkpoint());
  }
  std::vector<std::string> segments, files;
  for (const auto& file : std::filesystem::recursive_directory_iterator(folder.options.dir)) {
    if (!file.is_regular_file()) continue;
    files.push_back(file.path().string());
    if (parse_segment_name(file.path().filename().string())) segments.push_back(files.back());
  }
  std::sort(files.begin(), files.end());
  std::sort(segments.begin(), segments.end());
  std::mt19937_64 random(entries);
  for (int i = 0; i < edits; ++i) {
    const auto& among = random() % 2 == 0 ? segments : files;
    const std::string path = among[random() % among.size()], before = folder.read(path);
    folder.write(path, edited(random, before));
    const auto log = folder.open();
    if (log) {
      // All of it is there, and outsiders can still verify it.
      ASSERT_EQ((*log)->size(), entries);
      ASSERT_TRUE(are_numbered(folder.replayed));
      ASSERT_TRUE(folder.verify());
      ++counts->harmless;
    } else {
      ASSERT_EQ(log.error().code, ErrorCode::kDataLoss);
      ++counts->refused;
    }
    folder.write(path, before);
  }
}

TEST(LogTamperTest, RandomEditsAreRefusedOrHarmless) {
  EditCounts counts;
  edit_at_random(20, 1500, 1900, &counts);
  edit_at_random(270, 1 << 20, 100, &counts);
  std::printf("random edits: %d refused, %d harmless, 0 unseen\n", counts.refused, counts.harmless);
  EXPECT_EQ(counts.refused + counts.harmless, 2000);
  EXPECT_GT(counts.refused, 500);
  EXPECT_GT(counts.harmless, 100);
}

}  // namespace
}  // namespace strongroom::tlog
