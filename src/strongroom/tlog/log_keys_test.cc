#include "strongroom/tlog/log_keys.h"

#include <gtest/gtest.h>

#include <fstream>

#include "strongroom/tlog/checkpoint.h"
#include "strongroom/tlog/log_for_test.h"
#include "strongroom/tlog/proof.h"

namespace strongroom::tlog {
namespace {

using test::LogFolder;

constexpr std::string_view kNewOrigin = "strongroom.local/00112233";

crypto::SigningKey signer(uint8_t n) {
  return LogFolder::signer_of(n);
}
NoteKey key(uint8_t n, std::string_view origin = kNewOrigin) {
  return log_key(origin, signer(n).public_key());
}
// From 1 to 2 at 100 entries, from 2 to 3 at 250.
std::string two_changes() {
  std::string out = sign_key_change(kNewOrigin, {}, 100, signer(1), signer(2));
  return out + sign_key_change(kNewOrigin, out, 250, signer(2), signer(3));
}

TEST(LogKeysTest, EveryKeyLeadsToAllOthers) {
  for (uint8_t pinned = 1; pinned <= 3; ++pinned) {
    const auto keys = LogKeys::follow(key(pinned), two_changes());
    ASSERT_TRUE(keys) << keys.error().text;
    EXPECT_EQ(keys->newest_key(), key(3));
    EXPECT_EQ(keys->at(0), key(1).key);
    EXPECT_EQ(keys->at(100), key(1).key) << "the change itself is entry 100";
    EXPECT_EQ(keys->at(101), key(2).key);
    EXPECT_EQ(keys->at(250), key(2).key);
    EXPECT_EQ(keys->at(251), key(3).key);
    EXPECT_EQ(keys->at(UINT64_MAX), key(3).key);
  }
}

TEST(LogKeysTest, WithoutChangesThereIsOneKey) {
  const auto keys = LogKeys::follow(key(1), "");
  ASSERT_TRUE(keys);
  EXPECT_EQ(keys->at(0), key(1).key);
  EXPECT_EQ(keys->at(UINT64_MAX), key(1).key);
}

TEST(LogKeysTest, TheyHoldForTheLogUnderItsNextName) {
  const auto keys = LogKeys::follow(key(1, "strongroom.local/00112233/5e1f"), two_changes());
  ASSERT_TRUE(keys);
  EXPECT_EQ(keys->origin(), "strongroom.local/00112233/5e1f");
  EXPECT_EQ(keys->newest(), key(3).key);
  EXPECT_FALSE(LogKeys::follow(key(1, "strongroom.local/00112234"), two_changes()));
  EXPECT_FALSE(LogKeys::follow(key(1, "strongroom.local"), two_changes()));
}

TEST(LogKeysTest, NoChangeThatWasCutEditedOrMovedIsFollowed) {
  const std::string good = two_changes();
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    EXPECT_FALSE(LogKeys::follow(key(1), bad)) << at;
    const auto cut = LogKeys::follow(key(1), good.substr(0, at));
    // The first change alone is what there was before the second.
    EXPECT_TRUE(!cut || at == 0 || cut->newest() == key(2).key) << at;
  }
  const std::string first = sign_key_change(kNewOrigin, {}, 100, signer(1), signer(2));
  const std::string second = good.substr(first.size());
  EXPECT_FALSE(LogKeys::follow(key(2), second)) << "what came before is missing";
  EXPECT_FALSE(LogKeys::follow(key(1), second + first));
  EXPECT_FALSE(LogKeys::follow(key(1), first + first));
  EXPECT_FALSE(LogKeys::follow(key(4), good)) << "of none of these keys";
  EXPECT_FALSE(LogKeys::follow(key(1), good + "\n"));
  EXPECT_FALSE(LogKeys::follow(key(1), std::string(kKeyChangesBytesMax + 1, 'x')));
}

TEST(LogKeysTest, OldAndNewKeyMustBothHaveSigned) {
  std::string note = sign_key_change(kNewOrigin, {}, 100, signer(1), signer(2));
  const std::string by_old_alone = note.substr(0, note.rfind("\xe2\x80\x94"));
  EXPECT_FALSE(LogKeys::follow(key(1), by_old_alone));
  EXPECT_FALSE(LogKeys::follow(key(1), by_old_alone + note.substr(by_old_alone.size() / 2)));
  // The same text, signed by the thief's key in the place of the old one.
  const std::string theirs = sign_key_change(kNewOrigin, {}, 100, signer(9), signer(2));
  EXPECT_FALSE(LogKeys::follow(key(1), theirs));
  const std::string back = sign_key_change(kNewOrigin, note, 200, signer(2), signer(1));
  EXPECT_FALSE(LogKeys::follow(key(1), note + back)) << "a key comes back";
  const std::string earlier = sign_key_change(kNewOrigin, note, 100, signer(2), signer(3));
  EXPECT_FALSE(LogKeys::follow(key(1), note + earlier));
  EXPECT_FALSE(LogKeys::follow(key(1), sign_key_change(kNewOrigin, {}, 0, signer(1), signer(2))));
}

TEST(LogKeysTest, ACheckpointIsOfTheKeyOfItsSize) {
  const auto keys = *LogKeys::follow(key(2), two_changes());
  const auto signed_by = [&](uint64_t size, uint8_t n) {
    return verify_checkpoint(sign_checkpoint({std::string(kNewOrigin), size}, signer(n)), keys)
        .has_value();
  };
  EXPECT_TRUE(signed_by(100, 1));
  EXPECT_FALSE(signed_by(101, 1)) << "a stolen old key signs nothing new";
  EXPECT_TRUE(signed_by(101, 2));
  EXPECT_FALSE(signed_by(100, 2));
  EXPECT_TRUE(signed_by(9999, 3));
  EXPECT_FALSE(signed_by(9999, 2));
  const LogKeys alone{key(1)};
  const crypto::SigningKey both[] = {signer(1), signer(2)};
  EXPECT_TRUE(verify_checkpoint(sign_checkpoint({std::string(kNewOrigin), 101}, both), alone))
      << "while it changes, who knows of no change goes on";
}

TEST(LogKeysTest, FormatIsWhatItWas) {
  std::ifstream in(STRONGROOM_SOURCE_DIR "/test/golden/key_changes_v1.txt");
  const std::string golden{std::istreambuf_iterator<char>(in), {}};
  EXPECT_EQ(golden, two_changes());
}

TEST(LogKeysTest, ALogGoesOnUnderTwoKeysAndThenTheNewOne) {
  LogFolder folder;
  const auto first_key = folder.key();
  {
    const auto log = folder.must_open();
    test::fill(*log, 10);
    ASSERT_TRUE(log->write_checkpoint());
    folder.signers.push_back(signer(8));
    test::fill(*log, 5);
    ASSERT_TRUE(log->write_checkpoint());
    EXPECT_EQ(log->tile(kKeyChangesFile).error().code, ErrorCode::kNotFound);
  }
  EXPECT_TRUE(folder.verify()) << "who knows of no change";
  const std::string changes =
      sign_key_change(folder.options.origin, {}, 10, folder.signer, folder.signers[1]);
  folder.write(folder.path(kKeyChangesFile), changes);
  EXPECT_TRUE(folder.verify());
  folder.signers.erase(folder.signers.begin());
  {
    const auto log = folder.must_open();
    ASSERT_NE(log, nullptr) << "the last checkpoint is signed by both";
    EXPECT_EQ(*log->tile(kKeyChangesFile), changes);
    test::fill(*log, 5);
    ASSERT_TRUE(log->write_checkpoint());
  }
  const auto report = folder.verify();
  ASSERT_TRUE(report) << report.error().text;
  EXPECT_EQ(report->entries, 20u);
  std::filesystem::remove(folder.path(kKeyChangesFile));
  EXPECT_FALSE(folder.verify()) << "the first key alone leads nowhere";
  // Nor may the log be opened by who has the first key alone.
  folder.signers.clear();
  folder.signers.push_back(LogFolder::signer_of(7));
  EXPECT_EQ(folder.open_error(), ErrorCode::kDataLoss);
  EXPECT_EQ(first_key, folder.key());
  folder.options.signed_by = signer(8).public_key();
  EXPECT_TRUE(folder.must_open()) << "but where it is said whose signature does";
}

}  // namespace
}  // namespace strongroom::tlog
