#include "strongroom/tlog/witness.h"

#include <gtest/gtest.h>

#include <random>

#include "strongroom/env/faulty_files.h"
#include "strongroom/tlog/log_for_test.h"
#include "strongroom/tlog/tile_proofs.h"
#include "strongroom/tlog/witness_client.h"

namespace strongroom::tlog {
namespace {

using test::fill;
using test::LogFolder;

// A real log and a witness that was told of it.
class WitnessTest : public testing::Test {
 protected:
  WitnessTest() : dir(test::temporary_folder()) {
    log = folder.must_open();
    reopen();
    EXPECT_TRUE(witness->add_log(key()));
    grow(300);
  }
  ~WitnessTest() override { std::filesystem::remove_all(dir); }

  NoteKey key() const { return log_key(folder.options.origin, folder.signer.public_key()); }
  Result<std::unique_ptr<Witness>> open(env::Files& files = env::real_files()) {
    return Witness::open(dir, {"witness.example/w1", crypto::SigningKey::from_seed(kSeed)}, files,
                         clock);
  }
  void reopen() {
    witness = nullptr;
    auto opened = open();
    ASSERT_TRUE(opened) << opened.error().text;
    witness = std::move(*opened);
  }
  void grow(uint64_t entries) {
    fill(*log, entries, 50);
    ASSERT_TRUE(log->write_checkpoint());
  }
  std::string request(uint64_t old_size) {
    AddCheckpoint out{old_size, {}, {}};
    const std::string note = log->checkpoint_note();
    if (old_size > 0 && old_size < log->size()) {
      out.proof = *prove_consistency(folder.reader(), old_size, log->size());
    }
    out.note = note;
    return format_add_checkpoint(out);
  }
  std::string hash() const { return to_hex(crypto::sha256(as_bytes(folder.options.origin))); }
  std::string checkpoint_file() const { return dir + "/logs/" + hash() + "/checkpoint"; }

  LogFolder folder;
  const std::string dir;
  env::ManualClock clock;
  static constexpr ByteArray<32> kSeed{3};
  const crypto::SigningKey signer = crypto::SigningKey::from_seed(kSeed);
  std::unique_ptr<ReleaseLog> log;
  std::unique_ptr<Witness> witness;
};

TEST_F(WitnessTest, CosignsALogThatOnlyGrows) {
  uint64_t old_size = 0;
  for (const uint64_t more : {0, 1, 7, 500, 0, 70}) {
    if (more > 0) grow(more);
    clock.advance_ms(60'000);
    const WitnessReply reply = witness->add_checkpoint(request(old_size));
    ASSERT_EQ(reply.status, 200) << reply.body;
    const auto lines = parse_signature_lines(reply.body);
    ASSERT_TRUE(lines);
    const std::string note = log->checkpoint_note();
    const auto cosigned =
        verify_cosignature(parse_note(note)->text, *lines,
                           {"witness.example/w1", NoteKeyType::kCosignature, signer.public_key()});
    ASSERT_TRUE(cosigned);
    EXPECT_EQ(*cosigned, clock.wall_ms() / 1000);
    // For those who ask, with both signatures.
    const WitnessReply shown = witness->checkpoint(hash());
    EXPECT_EQ(shown.body, note + reply.body);
    old_size = log->size();
    reopen();
    EXPECT_EQ(witness->size_of(folder.options.origin), old_size);
  }
}

TEST_F(WitnessTest, SaysWhatItKnowsToThoseWhoDoNot) {
  ASSERT_EQ(witness->add_checkpoint(request(0)).status, 200);
  grow(5);
  for (const uint64_t old_size : {0, 299, 301}) {
    const WitnessReply reply = witness->add_checkpoint(request(old_size));
    EXPECT_EQ(reply.status, 409);
    EXPECT_EQ(reply.content_type, "text/x.tlog.size");
    EXPECT_EQ(reply.body, "300\n");
  }
  EXPECT_EQ(witness->add_checkpoint(request(306)).status, 400);
}

TEST_F(WitnessTest, TwoStoriesAreNotBothCosigned) {
  ASSERT_EQ(witness->add_checkpoint(request(0)).status, 200);
  // The same log with another entry 300, of the same size or longer, by the same key.
  for (const uint64_t more : {0, 1, 40}) {
    LogFolder forked;
    auto other = forked.must_open();
    fill(*other, 299, 50);
    ASSERT_TRUE(other->stage(EntryType::kRelease, std::vector<std::string>{"another"},
                             test::kStart + 999) &&
                other->commit());
    if (more > 0) {
      for (uint64_t i = 0; i < more; ++i) {
        ASSERT_TRUE(other->stage(EntryType::kRelease, std::vector<std::string>{"more"},
                                 test::kStart + 999));
      }
      ASSERT_TRUE(other->commit());
    }
    ASSERT_TRUE(other->write_checkpoint());
    AddCheckpoint out{300, {}, {}};
    const std::string note = other->checkpoint_note();
    if (more > 0) out.proof = *prove_consistency(forked.reader(), 300, other->size());
    out.note = note;
    EXPECT_EQ(witness->add_checkpoint(format_add_checkpoint(out)).status, 422) << more;
  }
  EXPECT_EQ(witness->size_of(folder.options.origin), 300u);
}

TEST_F(WitnessTest, AnOlderStateIsNotCosigned) {
  const std::string older = log->checkpoint_note();
  grow(5);
  ASSERT_EQ(witness->add_checkpoint(request(0)).status, 200);
  EXPECT_EQ(witness->add_checkpoint("old 300\n\n" + older).status, 409);
  EXPECT_EQ(witness->add_checkpoint("old 305\n\n" + older).status, 400);
}

TEST_F(WitnessTest, StrangersAreRefused) {
  Checkpoint unknown{"strongroom.local/other", 1};
  EXPECT_EQ(witness->add_checkpoint("old 0\n\n" + sign_checkpoint(unknown, folder.signer)).status,
            404);
  const Checkpoint forged{folder.options.origin, 1};
  EXPECT_EQ(witness->add_checkpoint("old 0\n\n" + sign_checkpoint(forged, signer)).status, 403);
  // An empty tree has one root.
  const Checkpoint hollow{folder.options.origin, 0};
  EXPECT_EQ(witness->add_checkpoint("old 0\n\n" + sign_checkpoint(hollow, folder.signer)).status,
            422);
  for (const std::string& body :
       {std::string(), std::string("old 0\n"), "old 00\n\n" + log->checkpoint_note(),
        "new 0\n\n" + log->checkpoint_note(), "old -1\n\n" + log->checkpoint_note(),
        "old 0\nnot base64\n\n" + log->checkpoint_note(), "old 0\n" + log->checkpoint_note(),
        std::string(kAddCheckpointBytesMax + 1, 'x')}) {
    EXPECT_EQ(witness->add_checkpoint(body).status, 400) << body.substr(0, 40);
  }
  EXPECT_EQ(witness->checkpoint(hash()).status, 404);
  EXPECT_EQ(witness->checkpoint("../../key").status, 404);
}

TEST_F(WitnessTest, AProofOfNothingMustBeEmpty) {
  AddCheckpoint out{0, {Hash{}}, {}};
  const std::string note = log->checkpoint_note();
  out.note = note;
  EXPECT_EQ(witness->add_checkpoint(format_add_checkpoint(out)).status, 422);
}

TEST_F(WitnessTest, AnotherKeyForAKnownLogIsRefused) {
  NoteKey other = key();
  other.key = signer.public_key();
  EXPECT_EQ(witness->add_log(other).error().code, ErrorCode::kAlreadyExists);
  EXPECT_TRUE(witness->add_log(key()));
  EXPECT_EQ(witness->logs(), std::vector<NoteKey>{key()});
  NoteKey of_a_witness = key();
  of_a_witness.type = NoteKeyType::kCosignature;
  EXPECT_EQ(witness->add_log(of_a_witness).error().code, ErrorCode::kInvalidArgument);
}

// Others were enough for the quorum: this one cosigned nothing between two changes.
TEST_F(WitnessTest, KeysChangedTwiceWithoutACheckpointAreFollowed) {
  ASSERT_EQ(witness->add_checkpoint(request(0)).status, 200);
  const std::string& origin = folder.options.origin;
  std::string changes = sign_key_change(origin, {}, 5, folder.signer, LogFolder::signer_of(8));
  ASSERT_EQ(*witness->follow_keys(changes), 1u);
  changes += sign_key_change(origin, changes, 9, LogFolder::signer_of(8), LogFolder::signer_of(9));
  ASSERT_EQ(*witness->follow_keys(changes), 1u);
  auto opened = open();
  ASSERT_TRUE(opened) << opened.error().text;
  EXPECT_EQ((*opened)->logs().front().key, LogFolder::signer_of(9).public_key());
  EXPECT_GT((*opened)->size_of(origin), 0u) << "what it cosigned by the first key is remembered";
  EXPECT_EQ(*(*opened)->follow_keys(changes), 0u);
  folder.write(dir + "/logs/" + hash() + "/key", "");
  EXPECT_FALSE(open());
}

TEST_F(WitnessTest, WhatItRemembersIsNotBelievedUnchecked) {
  ASSERT_EQ(witness->add_checkpoint(request(0)).status, 200);
  const std::string good = folder.read(checkpoint_file());
  std::mt19937 rng(1);
  for (int i = 0; i < 300; ++i) {
    std::string bad = good;
    const size_t at = rng() % bad.size();
    bad[at] = static_cast<char>(bad[at] ^ (1 << (rng() % 8)));
    folder.write(checkpoint_file(), bad);
    const auto opened = open();
    ASSERT_FALSE(opened) << at;
    EXPECT_EQ(opened.error().code, ErrorCode::kDataLoss);
  }
  // The log's own checkpoint, which lacks our line: it may be from before.
  folder.write(checkpoint_file(), log->checkpoint_note());
  EXPECT_FALSE(open());
  folder.write(checkpoint_file(), good);
  EXPECT_TRUE(open());
}

TEST_F(WitnessTest, ADiskThatIsFullCosignsNothing) {
  env::FaultyFiles files(env::real_files());
  auto opened = open(files);
  ASSERT_TRUE(opened);
  files.fail_write_atomic(1, ErrorCode::kNoSpace);
  EXPECT_EQ((*opened)->add_checkpoint(request(0)).status, 500);
  EXPECT_EQ((*opened)->size_of(folder.options.origin), 0u);
}

TEST_F(WitnessTest, ProofsComeFromTilesOfEverySize) {
  for (const uint64_t more : {1, 211, 300, 65'000}) {
    grow(more);
    const uint64_t size = log->size();
    std::mt19937_64 rng(size);
    for (int i = 0; i < 40; ++i) {
      const uint64_t leaf = rng() % size;
      const auto path = prove_inclusion(folder.reader(), leaf, size);
      ASSERT_TRUE(path) << path.error().text;
      const auto bundle =
          folder.reader()(tile_path({kBundle, leaf / kTileWidth,
                                     static_cast<uint32_t>(std::min<uint64_t>(
                                         kTileWidth, size - leaf / kTileWidth * kTileWidth))}));
      ASSERT_TRUE(bundle);
      const Hash hash = leaf_hash(
          as_bytes(*bundle).subspan(leaf % kTileWidth * (2 + kEntrySize) + 2, kEntrySize));
      EXPECT_TRUE(verify_inclusion(hash, leaf, size, *path, log->root()));
    }
    EXPECT_FALSE(prove_inclusion(folder.reader(), size, size));
  }
  std::filesystem::remove_all(folder.path("tile/0"));
  EXPECT_EQ(prove_inclusion(folder.reader(), 0, log->size()).error().code, ErrorCode::kDataLoss);
}

TEST_F(WitnessTest, AClientFindsOutWhatItHasSeen) {
  int posts = 0;
  const PostToWitness post = [&](const std::string& body) -> Result<WitnessReply> {
    ++posts;
    return witness->add_checkpoint(body);
  };
  const NoteKey by{"witness.example/w1", NoteKeyType::kCosignature, signer.public_key()};
  WitnessClient client(by, post);
  const auto offer = [&](WitnessClient& to) {
    return to.offer(log->checkpoint_note(), log->size(), folder.reader());
  };
  ASSERT_TRUE(offer(client));
  EXPECT_EQ(posts, 1);
  grow(77);
  const auto outcome = offer(client);
  ASSERT_TRUE(outcome) << outcome.error().text;
  EXPECT_TRUE(parse_signature_lines(outcome->lines));
  EXPECT_EQ(posts, 2);
  // Started again it knows nothing, and asks.
  WitnessClient fresh(by, post);
  EXPECT_TRUE(offer(fresh));
  EXPECT_EQ(posts, 4);
  // A log put back: the witness has seen more.
  const std::string older = log->checkpoint_note();
  const uint64_t older_size = log->size();
  grow(5);
  ASSERT_TRUE(offer(client));
  const auto behind = fresh.offer(older, older_size, folder.reader());
  ASSERT_TRUE(behind) << behind.error().text;
  EXPECT_EQ(behind->ahead, log->size());
  // Somebody else in its place.
  WitnessClient deceived({"witness.example/w1", NoteKeyType::kCosignature, key().key}, post);
  EXPECT_EQ(offer(deceived).error().code, ErrorCode::kDataLoss);
}

}  // namespace
}  // namespace strongroom::tlog
