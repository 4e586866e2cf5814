// A change of the key that signs the log: who may, that all who were given a key follow, that a
// crash anywhere leaves one log under keys that are there, and that the old key is gone at the end.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "strongroom/crypto/derive.h"
#include "strongroom/env/faulty_files.h"
#include "strongroom/keyserver/admin_auth.h"
#include "strongroom/keyserver/test_vault.h"
#include "strongroom/keyserver/unseal.h"
#include "strongroom/tlog/witness_client.h"

namespace strongroom::keyserver {
namespace {

namespace fs = std::filesystem;

constexpr char kAuthority[] = "-----BEGIN CERTIFICATE-----\n";

class LogKeyVault {
 public:
  explicit LogKeyVault(env::Files& files = env::real_files()) : files_(files), vault(files) {}

  KeyServer& server() { return vault.server(); }
  Result<void> tick() {
    vault.clock().advance_ms(1000);
    return server().tick();
  }
  void change() {
    const auto asked = server().change_log_key("officer", {});
    ASSERT_TRUE(asked) << asked.error().text;
    vault.approve(asked->request());
    ASSERT_TRUE(tick());
  }
  Result<v1::FinishLogKeyResponse> finish() { return server().finish_log_key("officer", {}); }
  crypto::PublicKey founding_key() { return log_public_key(server().vault_file()); }
  tlog::NoteKey pinned() { return tlog::log_key(server().vault_file().origin(), founding_key()); }
  std::string log_dir() const { return vault.options().dir + "/log"; }
  // As an auditor with the first key finds the log on disk.
  Result<tlog::VerifyReport> verify() {
    return tlog::verify_log(
        [this](std::string_view path) {
          return env::real_files().read(log_dir() + "/" + std::string(path), 1 << 20);
        },
        pinned(), nullptr);
  }
  tlog::LogKeys keys() {
    const auto told = server().log_keys("clerk", {});
    SR_CHECK(told.has_value(), "anybody is told the keys");
    const auto keys = tlog::LogKeys::follow(pinned(), told->changes());
    SR_CHECK(keys.has_value(), "they follow");
    return *keys;
  }
  size_t signatures() { return tlog::parse_note(server().checkpoint_note())->signatures.size(); }
  // Of the log, in whichever state file either place has.
  std::set<crypto::PublicKey> keys_on_disk() {
    const SealingKey wrap =
        crypto::derive_sealing_key(vault.root().read(SecretAccess{}), "sr1.state");
    std::set<crypto::PublicKey> out;
    for (const auto& entry : fs::recursive_directory_iterator(vault.dir())) {
      uint64_t epoch = 0;
      if (!parse_state_file_name(entry.path().filename().string(), &epoch)) continue;
      std::ifstream in(entry.path(), std::ios::binary);
      const std::string bytes((std::istreambuf_iterator<char>(in)), {});
      const auto file = read_state_file(as_bytes(bytes), epoch, wrap);
      if (!file) continue;
      for (const SecretBuffer& frame : file->frames) {
        // Whatever was in it at any time.
        StateContents contents;
        static_cast<void>(read_records(frame.read(SecretAccess{}), contents));
        for (const LogSeed& seed : contents.log_seeds) {
          out.insert(crypto::SigningKey::from_seed(seed.read(SecretAccess{})).public_key());
        }
      }
    }
    return out;
  }

 private:
  env::Files& files_;

 public:
  TestVault vault;
};

class LogKeyTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(v_.vault.create()); }
  LogKeyVault v_;
};

TEST_F(LogKeyTest, BothKeysSignAndThenTheNewOneAlone) {
  EXPECT_EQ(v_.signatures(), 1u);
  v_.change();
  EXPECT_EQ(v_.signatures(), 2u);
  const auto keys = v_.keys();
  ASSERT_EQ(keys.keys().size(), 2u);
  EXPECT_NE(keys.newest(), v_.founding_key());
  EXPECT_EQ(v_.keys_on_disk(), (std::set{v_.founding_key(), keys.newest()}));
  EXPECT_TRUE(v_.verify());
  EXPECT_TRUE(tlog::verify_checkpoint(v_.server().checkpoint_note(), tlog::LogKeys(v_.pinned())))
      << "who knows of no change goes on for now";
  EXPECT_GT(v_.server().status("operator", {})->log_key_changing_ms(), 0u);

  const auto finished = v_.finish();
  ASSERT_TRUE(finished) << finished.error().text;
  EXPECT_EQ(v_.keys_on_disk(), std::set{keys.newest()}) << "nothing of the old key is left";
  ASSERT_TRUE(v_.tick());
  EXPECT_EQ(v_.signatures(), 1u);
  EXPECT_EQ(v_.server().status("operator", {})->log_key_changing_ms(), 0u);
  EXPECT_EQ(v_.keys().newest(), keys.newest());
  EXPECT_TRUE(v_.verify()) << "the first key leads to it";
  EXPECT_FALSE(tlog::verify_checkpoint(v_.server().checkpoint_note(), tlog::LogKeys(v_.pinned())));
}

TEST_F(LogKeyTest, RepliesAreOfTheNewestKey) {
  const auto signed_by = [&](const crypto::PublicKey& key) {
    const auto authorization =
        make_authorization(v_.vault.vault_bytes(), "officer", v_.vault.key("officer"),
                           v_.vault.clock().wall_ms(), ByteArray<16>{1}, "/path", "");
    const crypto::Digest body = crypto::sha256(Bytes());
    const AdminCall call{false, "/path", authorization, body};
    const AdminReply reply{200, {}, {}, {}, "body"};
    return verify_reply(key, call, reply, v_.server().sign_reply(call, reply));
  };
  EXPECT_TRUE(signed_by(v_.founding_key()));
  v_.change();
  EXPECT_TRUE(signed_by(v_.keys().newest()));
  EXPECT_FALSE(signed_by(v_.founding_key()));
}

TEST_F(LogKeyTest, ItTakesSeveralAndOneAtATime) {
  EXPECT_FALSE(v_.server().change_log_key("clerk", {}));
  EXPECT_FALSE(v_.server().change_log_key("operator", {}));
  EXPECT_FALSE(v_.finish()) << "none is under way";
  const auto asked = v_.server().change_log_key("officer", {});
  ASSERT_TRUE(asked);
  ASSERT_TRUE(v_.tick());
  EXPECT_EQ(v_.signatures(), 1u) << "nobody has signed yet";
  v_.vault.approve(asked->request());
  EXPECT_FALSE(v_.server().change_log_key("officer", {})) << "asked for already";
  ASSERT_TRUE(v_.tick());
  EXPECT_FALSE(v_.server().change_log_key("officer", {})) << "not finished";
  EXPECT_FALSE(v_.server().finish_log_key("clerk", {}));
  ASSERT_TRUE(v_.finish());
  EXPECT_FALSE(v_.finish());
}

TEST_F(LogKeyTest, ARequestThatWasOvertakenIsNotCarriedOut) {
  const auto first = v_.server().change_log_key("officer", {});
  ASSERT_TRUE(first);
  v1::ChangeLogKeyRequest again;
  again.set_reason("once more");
  const auto second = v_.server().change_log_key("officer", again);
  ASSERT_TRUE(second);
  EXPECT_EQ(first->request(), second->request()) << "what asks the same is found again";
  v_.vault.approve(first->request());
  ASSERT_TRUE(v_.tick());
  ASSERT_TRUE(v_.finish());
  EXPECT_EQ(v_.keys().keys().size(), 2u);
}

TEST_F(LogKeyTest, ManyChangesOneAfterTheOtherAreFollowed) {
  for (int i = 0; i < 5; ++i) {
    v_.change();
    ASSERT_TRUE(v_.finish());
    ASSERT_TRUE(v_.vault.open());
    ASSERT_TRUE(v_.tick());
  }
  EXPECT_EQ(v_.keys().keys().size(), 6u);
  EXPECT_TRUE(v_.verify());
  EXPECT_EQ(v_.keys_on_disk(), std::set{v_.keys().newest()});
}

TEST_F(LogKeyTest, WhatLiesBesideTheTilesIsMadeGoodAtAStart) {
  v_.change();
  const std::string path = v_.log_dir() + "/" + tlog::kKeyChangesFile;
  const auto good = env::real_files().read(path, 1 << 20);
  ASSERT_TRUE(good);
  for (const bool finished : {false, true}) {
    if (finished) {
      ASSERT_TRUE(v_.finish());
      ASSERT_TRUE(v_.tick());
    }
    fs::remove(path);
    EXPECT_EQ(v_.verify().has_value(), !finished);
    ASSERT_TRUE(v_.vault.open());
    EXPECT_EQ(*env::real_files().read(path, 1 << 20), *good) << "the same to the byte";
    std::ofstream(path) << "edited";
    EXPECT_FALSE(v_.verify());
    ASSERT_TRUE(v_.vault.open());
    EXPECT_EQ(*env::real_files().read(path, 1 << 20), *good);
    EXPECT_TRUE(v_.verify());
  }
}

TEST_F(LogKeyTest, AnOldStateOrVaultFileIsRefused) {
  const fs::path state = v_.vault.options().dir + "/state", mirror = v_.vault.options().mirror_dir;
  v_.vault.close();
  const fs::path before = v_.vault.dir() + "/before";
  fs::create_directory(before);
  fs::copy(state, before / "state", fs::copy_options::recursive);
  ASSERT_TRUE(v_.vault.open());
  v_.change();
  ASSERT_TRUE(v_.finish());
  v_.vault.close();
  // Both places put back to before the change, the log as it is now.
  fs::remove_all(state);
  fs::remove_all(mirror / "state");
  fs::copy(before / "state", state);
  fs::copy(before / "state", mirror / "state");
  const auto opened = v_.vault.open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kDataLoss);
}

// Power lost at every write from the last approval to the end of the old key.
TEST(LogKeyCrashTest, ACrashAnywhereLeavesOneLogAndItGoesOn) {
  size_t crashes = 0;
  for (uint64_t stop = 1;; ++stop) {
    env::FaultyFiles files(env::real_files());
    LogKeyVault v(files);
    ASSERT_TRUE(v.vault.create());
    const auto asked = v.server().change_log_key("officer", {});
    ASSERT_TRUE(asked);
    ASSERT_TRUE(v.vault.sign("approver1", asked->request()));
    files.stop_at(stop);
    const auto signed_last = v.vault.sign("approver2", asked->request());
    const bool ticked = signed_last && v.tick();
    const bool finished = ticked && v.finish();
    const bool done = finished && v.tick();
    const bool stopped = files.operations() >= stop;
    ASSERT_TRUE(files.crash());
    ASSERT_TRUE(stopped || done);
    const auto opened = v.vault.open();
    ASSERT_TRUE(opened) << stop << ": " << opened.error().text;
    ASSERT_TRUE(v.tick()) << stop;
    ASSERT_TRUE(v.verify()) << stop;
    const auto keys = v.keys();
    // What was asked for is done by now, or was never approved.
    EXPECT_EQ(keys.keys().size(), signed_last ? 2u : keys.keys().size()) << stop;
    const auto told = v.server().log_keys("clerk", {});
    std::set<crypto::PublicKey> expected{keys.newest()};
    if (told->changing()) expected.insert(v.founding_key());
    EXPECT_EQ(v.keys_on_disk(), expected) << stop;
    EXPECT_EQ(v.signatures(), expected.size()) << stop;
    EXPECT_FALSE(finished && told->changing()) << stop;
    if (!stopped) break;
    ++crashes;
    if (told->changing()) {
      ASSERT_TRUE(v.finish()) << stop;
    }
    ASSERT_TRUE(v.vault.open());
    ASSERT_TRUE(v.verify()) << stop;
  }
  EXPECT_GT(crashes, 10u);
}

// --- Witnesses ---

class WitnessedLogKeyTest : public testing::Test {
 protected:
  WitnessedLogKeyTest() : signer_{"witness.example/0", crypto::SigningKey::generate()} {
    v1::WitnessEntry& entry = *v_.vault.founding().policy.mutable_witnesses()->add_list();
    entry.set_key(signer_.note_key().text());
    entry.set_url("https://witness.example:7430");
    entry.set_ca_pem(kAuthority);
  }
  void SetUp() override {
    ASSERT_TRUE(v_.vault.create());
    SR_CHECK(env::real_files().make_dirs(dir()).has_value(), "a folder");
    reopen();
    ASSERT_TRUE(witness_->add_log(v_.pinned()));
  }
  std::string dir() const { return v_.vault.dir() + "/witness"; }
  void reopen() {
    auto opened = tlog::Witness::open(
        dir(), {signer_.name, crypto::SigningKey::from_seed(signer_.key.seed(SecretAccess{}))},
        env::real_files(), v_.vault.clock());
    ASSERT_TRUE(opened) << opened.error().text;
    witness_ = *std::move(opened);
  }
  v1::WitnessReply carry(const v1::WitnessWord* word) {
    v1::Call call;
    call.mutable_witness()->set_credential(v_.vault.courier_credential());
    if (word != nullptr) *call.mutable_witness()->add_words() = *word;
    v_.vault.clock().advance_ms(200);
    const auto reply = v_.vault.call(call);
    SR_CHECK(reply.has_witness(), "the courier is answered");
    return reply.witness();
  }
  // One round of the courier with the real client and the real witness.
  Result<bool> round() {
    const auto now = carry(nullptr);
    const auto read = [this](std::string_view path) {
      return env::real_files().read(v_.log_dir() + "/" + std::string(path), 1 << 20);
    };
    SR_ASSIGN(const auto outcome, client_.offer(now.note(), now.size(), read));
    v1::WitnessWord word;
    word.set_size(now.size());
    word.set_lines(outcome.lines);
    word.set_by_newest_key(outcome.by_newest_key);
    carry(&word);
    return outcome.by_newest_key;
  }

  LogKeyVault v_;
  const tlog::WitnessSigner signer_;
  std::unique_ptr<tlog::Witness> witness_;
  tlog::WitnessClient client_{signer_.note_key(), [this](const std::string& body) {
                                return Result<tlog::WitnessReply>(witness_->add_checkpoint(body));
                              }};
};

TEST_F(WitnessedLogKeyTest, TheOldKeyStaysUntilWitnessesTakeTheNew) {
  EXPECT_TRUE(*round());
  v_.change();
  EXPECT_EQ(v_.finish().error().code, ErrorCode::kFailedPrecondition);
  const auto first = round();
  ASSERT_TRUE(first) << first.error().text;
  EXPECT_FALSE(*first) << "cosigned by the old key's line";
  EXPECT_EQ(v_.finish().error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(v_.server().log_keys("clerk", {})->following_size(), 0);

  const auto told = v_.server().log_keys("clerk", {});
  EXPECT_EQ(*witness_->follow_keys(told->changes()), 1u);
  EXPECT_EQ(*witness_->follow_keys(told->changes()), 0u) << "once";
  ASSERT_TRUE(v_.tick());
  const auto second = round();
  ASSERT_TRUE(second) << second.error().text;
  EXPECT_TRUE(*second);
  EXPECT_EQ(v_.server().log_keys("clerk", {})->following_size(), 1);
  const auto finished = v_.finish();
  ASSERT_TRUE(finished) << finished.error().text;
  ASSERT_TRUE(v_.tick());
  EXPECT_TRUE(*round());
  reopen();
  EXPECT_EQ(witness_->logs().front().key, v_.keys().newest());
  ASSERT_TRUE(v_.tick());
  EXPECT_TRUE(*round());
}

// A policy that has just come counts, though the courier has not called since.
TEST_F(LogKeyTest, WitnessesNamedJustNowAreWaitedFor) {
  v_.change();
  v1::ApplyPolicyRequest request;
  *request.mutable_policy() = v_.vault.founding().policy;
  v1::WitnessEntry& entry = *request.mutable_policy()->mutable_witnesses()->add_list();
  const tlog::WitnessSigner signer{"witness.example/0", crypto::SigningKey::generate()};
  entry.set_key(signer.note_key().text());
  entry.set_url("https://witness.example:7430");
  entry.set_ca_pem(kAuthority);
  const auto applied = v_.server().apply_policy("officer", request);
  ASSERT_TRUE(applied) << applied.error().text;
  if (applied->request() != 0) v_.vault.approve(applied->request());
  EXPECT_EQ(v_.finish().error().code, ErrorCode::kFailedPrecondition);
}

TEST_F(WitnessedLogKeyTest, AWitnessFollowsNothingButWhatItsKeySigned) {
  ASSERT_TRUE(round());
  const auto stranger = crypto::SigningKey::generate(), other = crypto::SigningKey::generate();
  const std::string& origin = v_.server().vault_file().origin();
  EXPECT_EQ(
      witness_->follow_keys(tlog::sign_key_change(origin, {}, 5, stranger, other)).error().code,
      ErrorCode::kDataLoss);
  EXPECT_EQ(witness_->follow_keys(tlog::sign_key_change("elsewhere/1", {}, 5, stranger, other))
                .error()
                .code,
            ErrorCode::kNotFound);
  EXPECT_FALSE(witness_->follow_keys(""));
  EXPECT_EQ(witness_->logs().front().key, v_.founding_key());
}

// A start does not know which witnesses follow, and a word about the time before does not say so.
TEST_F(WitnessedLogKeyTest, WordsFromBeforeTheChangeSayNothing) {
  const auto now = carry(nullptr);
  v_.change();
  v1::WitnessWord word;
  word.set_size(now.size());
  word.set_lines(tlog::cosign(signer_, tlog::parse_note(now.note())->text, 1));
  word.set_by_newest_key(true);
  carry(&word);
  EXPECT_EQ(v_.server().log_keys("clerk", {})->following_size(), 0);
  EXPECT_FALSE(v_.finish());
}

}  // namespace
}  // namespace strongroom::keyserver
