#include "strongroom/keyserver/state.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "strongroom/crypto/derive.h"
#include "strongroom/env/faulty_files.h"
#include "strongroom/keyserver/memory_hardware.h"
#include "strongroom/keyserver/test_vault.h"
#include "strongroom/keyserver/unseal.h"

namespace strongroom::keyserver {
namespace {

// The records of test/golden/keystate_v1.hex, which was written by this program when the format was
// fixed.
StateContents golden_contents() {
  const auto secret = [](uint8_t first) {
    ByteArray<32> bytes{};
    for (size_t i = 0; i < 32; ++i) bytes[i] = static_cast<uint8_t>(first + i);
    return bytes;
  };
  StateContents contents;
  contents.log_seeds.emplace_back(secret(0x01));
  contents.applied = 77;
  contents.months.emplace(24'000, SealingKey(secret(0x21)));
  SR_CHECK(contents.tree.add_block(3, CollectionId{1}, BlockSeed(secret(0x41))).has_value(), "new");
  contents.blocks[3] = CollectionId{1};
  contents.lanes.emplace(LaneId{9}, LaneRoot(secret(0x61)));
  contents.uniques.emplace(CollectionId{1}, LaneRoot(secret(0x81)));
  return contents;
}

SealingKey golden_wrap() {
  ByteArray<32> bytes{};
  bytes.fill(0xa5);
  return SealingKey(bytes);
}

std::string read_golden(const char* name) {
  std::ifstream in(std::string(STRONGROOM_SOURCE_DIR "/test/golden/") + name);
  std::string hex, line;
  while (std::getline(in, line)) {
    if (!line.starts_with('#')) hex += line;
  }
  std::string bytes(hex.size() / 2, '\0');
  if (!from_hex(hex, {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()})) bytes.clear();
  return bytes;
}

std::string plain(const StateContents& contents) {
  const auto parts = write_contents(contents, kStateFrameMax);
  return std::string(as_text(parts.at(0).bytes()));
}

TEST(StateFileTest, TheGoldenFileOfVersionOneReadsAsItWasWritten) {
  const std::string golden = read_golden("keystate_v1.hex");
  ASSERT_FALSE(golden.empty());
  const auto file = read_state_file(as_bytes(golden), 5, golden_wrap());
  ASSERT_TRUE(file);
  EXPECT_TRUE(file->has_base);
  EXPECT_EQ(file->end, StateFile::End::kClean);
  ASSERT_EQ(file->frames.size(), 2u);
  StateContents contents;
  for (const auto& frame : file->frames) {
    ASSERT_TRUE(read_records(frame.read(SecretAccess{}), contents));
  }
  auto expected = golden_contents();
  expected.applied = 78;
  expected.lanes.clear();
  EXPECT_EQ(plain(contents), plain(expected));
}

// Version 2, in the middle of a change of the root key and bound to a TPM: two wrapping keys open
// it, each with the epoch's secret. Its journal has what version 1's lacks: records 8 to 10.
TEST(StateFileTest, TheGoldenFileOfVersionTwoReadsAsItWasWritten) {
  ByteArray<32> bytes{};
  bytes.fill(0x5a);
  const EpochSecret secret(bytes);
  bytes.fill(0xb6);
  const SealingKey second(bytes);
  const std::string golden = read_golden("keystate_v2.hex");
  ASSERT_FALSE(golden.empty());
  EXPECT_TRUE(state_is_bound(as_bytes(golden)));
  EXPECT_FALSE(read_state_file(as_bytes(golden), 5, golden_wrap())) << "not without the secret";
  for (const SealingKey& wrap : {golden_wrap(), second.clone()}) {
    const auto file = read_state_file(as_bytes(golden), 5, bind_wrap(wrap, secret));
    ASSERT_TRUE(file);
    EXPECT_EQ(file->end, StateFile::End::kClean);
    ASSERT_EQ(file->frames.size(), 2u);
    StateContents contents;
    for (const auto& frame : file->frames) {
      ASSERT_TRUE(read_records(frame.read(SecretAccess{}), contents));
    }
    EXPECT_EQ(contents.applied, 79u);
    EXPECT_EQ(contents.canaries.of(CollectionId{1}), 2u);
    EXPECT_FALSE(contents.tree.alive(RecordIndex::of(3, 8)));
    EXPECT_TRUE(contents.tree.alive(RecordIndex::of(3, 7)));
    EXPECT_EQ(contents.blocks.at(4), CollectionId{2});
    EXPECT_FALSE(contents.tree.alive(RecordIndex::of(4, 0)));
    // What it holds now is written as records 1 to 10 again.
    StateContents back;
    for (const auto& part : write_contents(contents, kStateFrameMax)) {
      ASSERT_TRUE(read_records(part.bytes(), back));
    }
    EXPECT_EQ(plain(back), plain(contents));
  }
}

// But for those in `skipped` bytes from `from` on.
void expect_every_flip_is_noticed(const char* name, const SealingKey& wrap, size_t from = 0,
                                  size_t skipped = 0) {
  const std::string golden = read_golden(name);
  ASSERT_FALSE(golden.empty());
  for (size_t at = 0; at < golden.size(); ++at) {
    std::string bad = golden;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
    const auto file = read_state_file(as_bytes(bad), 5, wrap);
    const bool ignored = at >= from && at < from + skipped;
    EXPECT_TRUE(ignored || !file || file->end != StateFile::End::kClean) << at;
    const auto cut = read_state_file(as_bytes(golden).first(at), 5, wrap);
    if (cut) {
      EXPECT_TRUE(cut->end == StateFile::End::kTorn || cut->frames.size() < 2) << at;
    }
  }
  EXPECT_FALSE(read_state_file(as_bytes(golden), 6, wrap)) << "another epoch's";
  std::string newer = golden;
  newer[8] = 3;
  EXPECT_EQ(read_state_file(as_bytes(newer), 5, wrap).error().code, ErrorCode::kFailedPrecondition);
}

TEST(StateFileTest, EveryBitFlipAndCutIsNoticed) {
  expect_every_flip_is_noticed("keystate_v1.hex", golden_wrap());
  // The other root key's seal is not read under this one's.
  ByteArray<32> bytes{};
  bytes.fill(0x5a);
  expect_every_flip_is_noticed("keystate_v2.hex", bind_wrap(golden_wrap(), EpochSecret(bytes)),
                               19 + 72, 72);
}

TEST(StateFileTest, FramesCannotBeReorderedOrMovedBetweenKinds) {
  const auto wrap = golden_wrap();
  const auto key = crypto::random_secret<SealingKey>();
  const auto frame = [&](FrameKind kind, uint64_t number, std::string_view text) {
    return state_frame(5, key, kind, number, as_bytes(text));
  };
  const std::string header = state_header(5, {&wrap, 1}, false, key);
  const std::string base = frame(FrameKind::kBaseEnd, 0, "base");
  const std::string one = frame(FrameKind::kJournal, 1, "one");
  const std::string two = frame(FrameKind::kJournal, 2, "two");
  const auto count = [&](const std::string& body) {
    const auto file = read_state_file(as_bytes(header + body), 5, wrap);
    return file ? file->frames.size() : 99;
  };
  EXPECT_EQ(count(base + one + two), 3u);
  EXPECT_EQ(count(base + two + one), 1u);
  EXPECT_EQ(count(base + one + one), 2u);
  EXPECT_EQ(count(one + base), 0u);
  EXPECT_EQ(count(base + frame(FrameKind::kBasePart, 1, "part")), 1u);
  EXPECT_FALSE(read_state_file(as_bytes(header), 5, wrap)->has_base);
}

TEST(StateRecordsTest, ContentsSplitIntoPartsAndComeBack) {
  StateContents contents = golden_contents();
  for (uint32_t i = 10; i < 300; ++i) {
    contents.lanes.emplace(LaneId{i}, crypto::random_secret<LaneRoot>());
    ASSERT_TRUE(contents.tree.add_block(i, CollectionId{2}, crypto::random_secret<BlockSeed>()));
    contents.blocks[i] = CollectionId{2};
  }
  contents.tree.puncture(RecordIndex::of(12, 100));
  contents.tree.puncture(RecordIndex::of(12, 2000));
  const auto parts = write_contents(contents, 2000);
  EXPECT_GT(parts.size(), 5u);
  StateContents back;
  for (const auto& part : parts) {
    EXPECT_LE(part.size(), 2000u);
    ASSERT_TRUE(read_records(part.bytes(), back));
  }
  EXPECT_EQ(back.blocks, contents.blocks);
  EXPECT_EQ(back.lanes.size(), contents.lanes.size());
  EXPECT_FALSE(back.tree.alive(RecordIndex::of(12, 100)));
  EXPECT_TRUE(back.tree.alive(RecordIndex::of(12, 101)));
}

TEST(StateRecordsTest, CutRecordsAreRefused) {
  const std::string whole = plain(golden_contents());
  size_t refused = 0;
  for (size_t size = 0; size < whole.size(); ++size) {
    StateContents contents;
    if (!read_records(as_bytes(whole).first(size), contents)) ++refused;
  }
  EXPECT_EQ(refused, whole.size() - 6) << "all but the cuts between two of the six records";
}

// Type, collection, salt, count, numbers: as docs/spec/keystate.md has it.
const char kCanariesRecord[] =
    "080000000701020304050607080910111213141516171819202122232425262728293031320002000000000000000a"
    "000000000000100b";

TEST(StateRecordsTest, CanariesReadAsTheyAreSpecified) {
  std::string record(sizeof kCanariesRecord / 2, '\0');
  ASSERT_TRUE(
      from_hex(kCanariesRecord, {reinterpret_cast<uint8_t*>(record.data()), record.size()}));
  StateContents contents;
  ASSERT_TRUE(read_records(as_bytes(record), contents));
  ASSERT_EQ(contents.canaries.plantings().size(), 1u);
  EXPECT_EQ(contents.canaries.of(CollectionId{7}), 2u);
  EXPECT_TRUE(contents.canaries.contains(RecordIndex{10}));
  EXPECT_TRUE(contents.canaries.contains(RecordIndex::of(1, 11)));
  EXPECT_FALSE(contents.canaries.contains(RecordIndex{11}));
  const std::string written = plain(contents);
  EXPECT_TRUE(written.ends_with(record));
  EXPECT_FALSE(read_records(as_bytes(record), contents)) << "one record is a canary once";
  for (size_t size = 1; size < record.size(); ++size) {
    StateContents cut;
    EXPECT_FALSE(read_records(as_bytes(record).first(size), cut)) << size;
  }
  std::string backwards = record;
  backwards[record.size() - 1] = 0;
  backwards[record.size() - 2] = 0;
  StateContents other;
  EXPECT_FALSE(read_records(as_bytes(backwards), other)) << "they ascend";
}

TEST(KeyStateTest, SecretsAreKeptOnceMadeAndDroppedWhenTold) {
  TempDir dir;
  const KeyState::Places places{dir.path() + "/a", dir.path() + "/b"};
  const auto root = crypto::random_secret<SealingKey>();
  auto state = KeyState::create(places, env::real_files(), root);
  ASSERT_TRUE(state);
  EXPECT_EQ(KeyState::create(places, env::real_files(), root).error().code,
            ErrorCode::kAlreadyExists);
  (*state)->add_block(0, CollectionId{1});
  (*state)->add_lane(LaneId{1});
  (*state)->add_lane(LaneId{2});
  (*state)->add_unique(CollectionId{1});
  ASSERT_TRUE((*state)->commit(10));
  const auto bytes = [](const LaneRoot* secret) {
    return std::string(as_text(secret->read(SecretAccess{})));
  };
  const std::string lane = bytes((*state)->lane_root(LaneId{1}));
  (*state)->add_lane(LaneId{1});
  EXPECT_EQ(bytes((*state)->lane_root(LaneId{1})), lane);
  (*state)->drop_lane(LaneId{2});
  ASSERT_TRUE((*state)->key(24'000));
  ASSERT_TRUE((*state)->commit(11));
  const auto log_key = (*state)->log_key().public_key();
  state->reset();

  auto opened = KeyState::open(places, env::real_files(), root);
  ASSERT_TRUE(opened);
  EXPECT_EQ((*opened)->log_key().public_key(), log_key);
  EXPECT_EQ(bytes((*opened)->lane_root(LaneId{1})), lane);
  EXPECT_EQ((*opened)->lane_root(LaneId{2}), nullptr);
  EXPECT_NE((*opened)->unique_root(CollectionId{1}), nullptr);
  EXPECT_TRUE((*opened)->key(24'000));
  EXPECT_EQ((*opened)->key(24'001).error().code, ErrorCode::kDataLoss) << "not made up";
  EXPECT_TRUE((*opened)->warnings().empty());
  (*opened)->add_lane(LaneId{3});
  EXPECT_FALSE((*opened)->commit(12)) << "before next_epoch() nothing is written";
  EXPECT_FALSE(KeyState::open(places, env::real_files(), crypto::random_secret<SealingKey>()));
}

TEST(BoundStateTest, ACopyOfAnEndedEpochIsOfNoUseWithTheRootKey) {
  TempDir dir;
  const KeyState::Places places{dir.path() + "/a", dir.path() + "/b"};
  const KeyState::Places old{dir.path() + "/old-a", dir.path() + "/old-b"};
  const auto root = crypto::random_secret<SealingKey>();
  MemoryHardware tpm;
  auto state = KeyState::create(places, env::real_files(), root, &tpm);
  ASSERT_TRUE(state);
  (*state)->add_block(0, CollectionId{1});
  ASSERT_TRUE((*state)->commit(1));
  std::filesystem::copy(places.dir, old.dir);
  std::filesystem::copy(places.mirror, old.mirror);
  EXPECT_TRUE(KeyState::open(old, env::real_files(), root, &tpm)) << "the epoch goes on";
  EXPECT_EQ(KeyState::open(old, env::real_files(), root).error().code, ErrorCode::kUnavailable);
  ASSERT_TRUE((*state)->next_epoch(1));
  EXPECT_EQ(tpm.slots.size(), 1u);
  const auto gone = KeyState::open(old, env::real_files(), root, &tpm);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::kDataLoss);
  state->reset();
  EXPECT_TRUE(KeyState::open(places, env::real_files(), root, &tpm));
  MemoryHardware other;
  EXPECT_FALSE(KeyState::open(places, env::real_files(), root, &other)) << "another machine's";
}

// A copy of it for another machine opens with the root key alone; what is left of it on this one
// opens nothing.
TEST(BoundStateTest, ACopyOfItOpensElsewhereAndItsBodyAloneNowhere) {
  TempDir dir;
  const KeyState::Places places{dir.path() + "/a", dir.path() + "/b"};
  const KeyState::Places there{dir.path() + "/there-a", dir.path() + "/there-b"};
  const auto root = crypto::random_secret<SealingKey>();
  MemoryHardware tpm;
  auto state = KeyState::create(places, env::real_files(), root, &tpm);
  ASSERT_TRUE(state);
  ASSERT_TRUE((*state)->next_epoch(0));
  (*state)->add_block(0, CollectionId{1});
  ASSERT_TRUE((*state)->commit(1));
  const std::string body_path = dir.path() + "/body";
  const auto head = (*state)->write_copy(body_path);
  ASSERT_TRUE(head);
  const auto body = env::real_files().read(body_path, kStateBytesMax);
  ASSERT_TRUE(body);
  const std::string name = "/" + state_file_name((*state)->epoch());
  const auto put = [&](const std::string& bytes) {
    for (const std::string& folder : {there.dir, there.mirror}) {
      ASSERT_TRUE(env::real_files().make_dirs(folder));
      ASSERT_TRUE(env::real_files().write_atomic(folder + name, as_bytes(bytes), 0600));
    }
  };
  put(*head + *body);
  EXPECT_FALSE(KeyState::open(there, env::real_files(), crypto::random_secret<SealingKey>()));
  auto copied = KeyState::open(there, env::real_files(), root);
  ASSERT_TRUE(copied) << copied.error().text;
  EXPECT_TRUE((*copied)->tree().alive(RecordIndex{0}));
  EXPECT_EQ((*copied)->applied(), 1u);
  EXPECT_EQ((*copied)->log_key().public_key(), (*state)->log_key().public_key());
  // With everything that is on the disk, the root key and the TPM: its own header is another key's.
  const auto own = env::real_files().read(places.dir + name, kStateBytesMax);
  ASSERT_TRUE(own);
  put(own->substr(0, head->size()) + *body);
  const auto thief = KeyState::open(there, env::real_files(), root, &tpm);
  EXPECT_TRUE(!thief || !(*thief)->tree().alive(RecordIndex{0}));
  put(*body);
  EXPECT_FALSE(KeyState::open(there, env::real_files(), root, &tpm));
  // It can be bound to another machine's.
  put(*head + *body);
  MemoryHardware other;
  copied = KeyState::open(there, env::real_files(), root, &other);
  ASSERT_TRUE(copied);
  ASSERT_TRUE((*copied)->next_epoch(1));
  EXPECT_EQ(other.slots.size(), 1u);
  EXPECT_EQ(KeyState::open(there, env::real_files(), root).error().code, ErrorCode::kUnavailable);
}

// Two epochs are begun; a crash at any operation of files or TPM leaves a state that opens, and
// goes on from there, again and again.
TEST(BoundStateTest, ACrashAtAnyPointLosesNothing) {
  for (const bool of_tpm : {false, true}) {
    uint64_t crashes = 0;
    for (uint64_t stop = 1;; ++stop) {
      SCOPED_TRACE(testing::Message() << (of_tpm ? "TPM " : "files ") << stop);
      TempDir dir;
      env::FaultyFiles files(env::real_files());
      MemoryHardware tpm;
      const KeyState::Places places{dir.path() + "/a", dir.path() + "/b"};
      const auto root = crypto::random_secret<SealingKey>();
      auto state = KeyState::create(places, files, root, &tpm);
      ASSERT_TRUE(state);
      (*state)->add_block(0, CollectionId{1});
      ASSERT_TRUE((*state)->commit(1));
      bool stopped = true;
      for (int round = 0; round < 3; ++round) {
        if (of_tpm) {
          tpm.operations = 0;
          tpm.stop_at = stop;
        } else {
          files.stop_at(stop);
        }
        (void)((*state)->next_epoch(1) && (*state)->next_epoch(1));
        stopped = of_tpm ? tpm.operations >= stop : files.operations() >= stop;
        ASSERT_TRUE(files.crash());
        tpm.stop_at = ~uint64_t{0};
        state->reset();
        state = KeyState::open(places, files, root, &tpm);
        ASSERT_TRUE(state) << state.error().text << " round " << round;
        EXPECT_TRUE((*state)->tree().alive(RecordIndex{0}));
      }
      ASSERT_TRUE((*state)->next_epoch(1));
      EXPECT_EQ(tpm.slots.size(), 1u);
      if (!stopped) break;
      ++crashes;
      ASSERT_LT(stop, 100u);
    }
    EXPECT_GT(crashes, 5u);
  }
}

TEST(UnsealTest, TheDevRootAndTheVaultFileComeBack) {
  TempDir dir;
  auto& files = env::real_files();
  EXPECT_EQ(load_vault_file(files, dir.path()).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(load_dev_root(files, dir.path()).error().code, ErrorCode::kNotFound);
  const auto root = crypto::random_secret<SealingKey>();
  ASSERT_TRUE(save_dev_root(files, dir.path(), root));
  const auto perms = std::filesystem::status(dir.path() + "/dev-root.key").permissions();
  EXPECT_EQ(perms, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  const auto back = load_dev_root(files, dir.path());
  ASSERT_TRUE(back);
  v1::VaultFile vault;
  vault.set_root_check(root_check(root));
  EXPECT_TRUE(is_root_of(vault, *back));
  EXPECT_FALSE(is_root_of(vault, crypto::random_secret<SealingKey>()));
  ASSERT_TRUE(save_vault_file(files, dir.path(), vault));
  EXPECT_EQ(load_vault_file(files, dir.path()).error().code, ErrorCode::kDataLoss)
      << "fields are missing";
}

}  // namespace
}  // namespace strongroom::keyserver
