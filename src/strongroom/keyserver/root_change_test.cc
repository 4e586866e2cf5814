// A change of the root key, and sealing on command: who may, what is told, and that a crash at any
// step leaves a vault that the old or the new shares open.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "strongroom/crypto/derive.h"
#include "strongroom/env/faulty_files.h"
#include "strongroom/keyserver/root_files.h"
#include "strongroom/keyserver/term_escrow.h"
#include "strongroom/keyserver/test_vault.h"
#include "strongroom/keyserver/unseal.h"

namespace strongroom::keyserver {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kHolders = {"clerk", "operator", "officer"};

class RootChange {
 public:
  explicit RootChange(env::Files& files = env::real_files()) : files_(files), vault(files) {}

  void create(bool dev = false) {
    v1::VaultFile file;
    file.set_dev(dev);
    ASSERT_TRUE(vault.create(std::move(file)));
    dir = vault.options().dir;
    if (dev) {
      ASSERT_TRUE(save_dev_root(files_, dir, vault.root()));
    }
    ASSERT_TRUE(files_.write_atomic(
        term_escrow_path(dir),
        as_bytes(seal_term_key(term_escrow_key(vault.root()), TermKey(ByteArray<32>{7})))));
    granted = vault.call(grant_call(vault.import_ticket(), 3)).grant();
    ASSERT_EQ(granted.count(), 3u);
  }
  KeyServer& server() { return vault.server(); }

  Result<uint64_t> ask(std::vector<std::string> holders, uint32_t threshold, bool key_file = false,
                       const std::string& who = "officer") {
    v1::ChangeRootRequest request;
    for (std::string& holder : holders) request.mutable_change()->add_holders(std::move(holder));
    request.mutable_change()->set_threshold(threshold);
    request.mutable_change()->set_key_file(key_file);
    SR_ASSIGN(const auto asked, server().change_root(who, request));
    return asked.request();
  }
  void begin(const std::vector<std::string>& holders = kHolders, uint32_t threshold = 2) {
    const auto id = ask(holders, threshold);
    ASSERT_TRUE(id);
    vault.approve(*id);
  }
  std::string take(const std::string& who) {
    const auto taken = server().take_share(who, {});
    return taken ? taken->share() : std::string(taken.error().text);
  }
  Result<v1::ConfirmShareResponse> confirm(const std::string& who, const std::string& share) {
    v1::ConfirmShareRequest request;
    request.set_share(share);
    return server().confirm_share(who, request);
  }
  // Why a share is not taken.
  std::string refusal(const std::string& who, const std::string& share) {
    const auto confirmed = confirm(who, share);
    return confirmed ? "taken" : confirmed.error().text;
  }
  bool serves() {
    const auto released =
        vault.call(release_call(vault.ticket(), {}, {{1, granted.u()}}, 2, true)).release();
    return released.keys().size() == RecordKey::kSize;
  }
  v1::RootView root() { return server().status("operator", {})->root(); }
  // Whether any file of the key server, in either place, opens under this root.
  size_t files_opened_by(const SealingKey& root_key) {
    const SealingKey wrap = crypto::derive_sealing_key(root_key.read(SecretAccess{}), "sr1.state");
    size_t opened = 0;
    for (const auto& entry : fs::recursive_directory_iterator(vault.dir())) {
      if (!entry.is_regular_file()) continue;
      std::ifstream in(entry.path(), std::ios::binary);
      const std::string bytes((std::istreambuf_iterator<char>(in)), {});
      uint64_t epoch = 0;
      if (parse_state_file_name(entry.path().filename().string(), &epoch)) {
        opened += read_state_file(as_bytes(bytes), epoch, wrap) ? 1 : 0;
      }
      opened += open_term_key(term_escrow_key(root_key), as_bytes(bytes)) ? 1 : 0;
    }
    return opened;
  }

 private:
  env::Files& files_;

 public:
  TestVault vault;
  std::string dir;
  v1::GrantReply granted;
};

SealingKey combine(const std::vector<std::string>& texts) {
  std::vector<crypto::Share> shares;
  for (const std::string& text : texts) {
    auto share = crypto::parse_share(text);
    SR_CHECK(share.has_value(), "a share as it was made");
    shares.push_back(*std::move(share));
  }
  const auto root = crypto::combine_shares(shares);
  SR_CHECK(root.has_value(), "enough shares");
  return SealingKey(root->read(SecretAccess{}));
}

class RootChangeTest : public testing::Test, protected RootChange {
 protected:
  void SetUp() override { create(); }
};

TEST_F(RootChangeTest, EachHolderTakesAShareAndGivesItBackAndThenTheNewOnesAloneOpen) {
  const SealingKey old = vault.root().clone();
  EXPECT_EQ(files_opened_by(old), 3u) << "two copies of the state, and the escrow";
  begin();
  std::vector<std::string> shares;
  for (const std::string& who : kHolders) {
    shares.push_back(take(who));
    EXPECT_TRUE(shares.back().starts_with("sr1-share-")) << shares.back();
    EXPECT_TRUE(serves());
  }
  EXPECT_THAT(root().change().taken(), testing::UnorderedElementsAreArray(kHolders));
  for (size_t i = 0; i < kHolders.size(); ++i) {
    const auto confirmed = confirm(kHolders[i], shares[i]);
    ASSERT_TRUE(confirmed) << confirmed.error().text;
    EXPECT_EQ(confirmed->confirmed(), i + 1);
    EXPECT_EQ(confirmed->changed(), i == 2);
    EXPECT_TRUE(serves());
  }
  EXPECT_THAT(root().holders(), testing::ElementsAreArray(kHolders));
  EXPECT_EQ(root().threshold(), 2u);
  EXPECT_FALSE(root().has_change());

  const SealingKey fresh_root = combine({shares[0], shares[2]});
  EXPECT_EQ(files_opened_by(old), 0u);
  EXPECT_EQ(files_opened_by(fresh_root), 3u);
  vault.close();
  const auto refused = vault.open();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kPermissionDenied);
  vault.set_root(fresh_root.clone());
  ASSERT_TRUE(vault.open());
  EXPECT_TRUE(serves());
  EXPECT_THAT(root().holders(), testing::ElementsAreArray(kHolders));
  EXPECT_TRUE(server().status("operator", {})->warnings().empty());
  // And its file says which shares those are.
  const auto file = load_vault_file(env::real_files(), dir);
  ASSERT_TRUE(file);
  EXPECT_TRUE(check_share(*file, *crypto::parse_share(shares[1])));
  EXPECT_EQ(file->shares(), 3u);
  // Once more, with fewer: nothing of the first change stands in the way.
  begin({"clerk"}, 1);
  ASSERT_TRUE(confirm("clerk", take("clerk"))->changed());
  EXPECT_EQ(files_opened_by(fresh_root), 0u);
}

TEST_F(RootChangeTest, WhatIsNotThatShareIsRefusedWithAReason) {
  using testing::HasSubstr;
  EXPECT_THAT(take("clerk"), HasSubstr("No change of the root key is under way"));
  begin();
  EXPECT_THAT(refusal("clerk", "sr1-share-"), HasSubstr("not taken your share yet"));
  const std::string share = take("clerk"), others = take("officer");
  EXPECT_THAT(take("clerk"), HasSubstr("taken already"));
  EXPECT_THAT(take("approver1"), HasSubstr("No change of the root key"));
  EXPECT_THAT(refusal("clerk", others), HasSubstr("another holder's"));
  EXPECT_THAT(refusal("approver1", share), HasSubstr("No change of the root key"));
  std::string slip = share;
  std::swap(slip[20], slip[21]);
  if (slip == share) slip[20] = slip[20] == '0' ? '1' : '0';
  EXPECT_THAT(refusal("clerk", slip), HasSubstr("mistyped"));
  EXPECT_THAT(refusal("clerk", "lorem ipsum"), HasSubstr("share"));
  // One that is sound by itself: of another split, and of this one's numbers with other bytes.
  auto forged = crypto::split_secret(vault.root().read(SecretAccess{}), 2, 3);
  ASSERT_TRUE(forged);
  const auto text = [](const crypto::Share& of) {
    const SecretBuffer buffer = crypto::share_to_text(of);
    return std::string(as_text(buffer.read(SecretAccess{})));
  };
  EXPECT_THAT(refusal("clerk", text((*forged)[0])), HasSubstr("of another vault, or of a change"));
  (*forged)[0].set = crypto::parse_share(share)->set;
  EXPECT_THAT(refusal("clerk", text((*forged)[0])), HasSubstr("not the share as it was made"));
  ASSERT_TRUE(confirm("clerk", share));
  EXPECT_THAT(refusal("clerk", share), HasSubstr("given your share already"));
  EXPECT_EQ(root().change().confirmed_size(), 1);
  v1::FreezeRequest freeze;
  freeze.set_scope("principal:officer");
  ASSERT_TRUE(server().freeze("officer", freeze));
  EXPECT_THAT(refusal("officer", others), HasSubstr("frozen"));
}

TEST_F(RootChangeTest, SharesTakenBeforeARestartAreVoidAndTheOldRootHolds) {
  begin();
  const std::string before = take("clerk");
  ASSERT_TRUE(confirm("clerk", before));
  ASSERT_TRUE(vault.open());
  EXPECT_EQ(root().change().change().threshold(), 2u) << "what was approved is still asked for";
  EXPECT_EQ(root().change().taken_size(), 0);
  EXPECT_THAT(refusal("clerk", before), testing::HasSubstr("started anew since"));
  const std::string after = take("clerk");
  EXPECT_NE(after, before);
  EXPECT_THAT(refusal("clerk", before), testing::HasSubstr("a change that was given up"));
  EXPECT_TRUE(confirm("clerk", after));
}

TEST_F(RootChangeTest, ANewRequestGivesUpTheOneUnderWay) {
  begin();
  const std::string first = take("clerk");
  begin({"clerk", "approver1"}, 1);
  EXPECT_THAT(take("officer"), testing::HasSubstr("No change of the root key"));
  const std::string second = take("clerk");
  EXPECT_THAT(refusal("clerk", first), testing::HasSubstr("given up"));
  ASSERT_TRUE(confirm("clerk", second));
  ASSERT_TRUE(confirm("approver1", take("approver1"))->changed());
  EXPECT_EQ(root().shares(), 2u);
}

TEST_F(RootChangeTest, OnlyASoundChangeIsAskedForAndOneAloneDoesNothing) {
  EXPECT_EQ(ask({"clerk"}, 1, false, "clerk").error().code, ErrorCode::kPermissionDenied);
  EXPECT_EQ(ask({"nobody"}, 1).error().code, ErrorCode::kNotFound);
  for (const auto& [holders, threshold] :
       std::vector<std::pair<std::vector<std::string>, uint32_t>>{
           {{}, 0}, {{"clerk"}, 2}, {{"clerk"}, 0}, {{"clerk", "clerk"}, 1}, {{"Cl erk"}, 1}}) {
    EXPECT_EQ(ask(holders, threshold).error().code, ErrorCode::kInvalidArgument) << threshold;
  }
  EXPECT_EQ(ask({"clerk"}, 1, true).error().code, ErrorCode::kInvalidArgument);
  const auto id = ask(kHolders, 2);
  ASSERT_TRUE(id);
  EXPECT_THAT(take("clerk"), testing::HasSubstr("No change")) << "nobody has approved it";
  ASSERT_TRUE(vault.sign("approver1", *id));
  EXPECT_THAT(take("clerk"), testing::HasSubstr("No change"));
  v1::DisablePrincipalRequest disable;
  disable.set_name("clerk");
  ASSERT_TRUE(server().disable_principal("operator", disable));
  EXPECT_EQ(vault.sign("approver2", *id).error().code, ErrorCode::kConflict)
      << "a holder is gone meanwhile";
  EXPECT_EQ(ask(kHolders, 2).error().code, ErrorCode::kNotFound);
}

TEST_F(RootChangeTest, TheRootGoesIntoAFileAndOutOfIt) {
  const SealingKey old = vault.root().clone();
  auto& files = env::real_files();
  const auto id = ask({}, 0, true);
  ASSERT_TRUE(id);
  vault.approve(*id);
  EXPECT_TRUE(serves());
  EXPECT_EQ(files_opened_by(old), 0u);
  auto file = load_vault_file(files, dir);
  ASSERT_TRUE(file && file->dev());
  auto in_file = find_dev_root(files, dir, *file);
  ASSERT_TRUE(in_file);
  EXPECT_EQ(files_opened_by(*in_file), 3u);
  vault.set_root(in_file->clone());
  ASSERT_TRUE(vault.open());

  begin({"clerk"}, 1);
  const std::string share = take("clerk");
  EXPECT_TRUE(fs::exists(dev_root_path(dir)));
  ASSERT_TRUE(confirm("clerk", share)->changed());
  EXPECT_FALSE(fs::exists(dev_root_path(dir)));
  EXPECT_EQ(files_opened_by(*in_file), 0u);
  vault.set_root(combine({share}));
  ASSERT_TRUE(vault.open());
  EXPECT_TRUE(serves());
  EXPECT_FALSE(server().status("operator", {})->dev());
}

TEST_F(RootChangeTest, AnOlderRootPutBackIsSaid) {
  const SealingKey old = vault.root().clone();
  const std::string copy = vault.dir() + "/copy";
  fs::create_directories(copy);
  fs::copy(dir + "/state", copy + "/state");
  fs::copy(dir + "/vault.json", copy + "/vault.json");
  begin({"clerk"}, 1);
  ASSERT_TRUE(confirm("clerk", take("clerk"))->changed());
  vault.close();
  fs::remove_all(dir + "/state");
  fs::remove_all(vault.options().mirror_dir + "/state");
  fs::copy(copy + "/state", dir + "/state");
  fs::copy(copy + "/vault.json", dir + "/vault.json", fs::copy_options::overwrite_existing);
  vault.set_root(old.clone());
  ASSERT_TRUE(vault.open());
  EXPECT_THAT(server().status("operator", {})->warnings(),
              testing::Contains(testing::HasSubstr("The root key was changed since")));
}

// To shares, to a file, and from one: what a crash leaves after each operation on the disk.
void crash_at_any_point(bool from_file, bool to_file) {
  uint64_t crashes = 0, kept = 0, changed_unanswered = 0;
  for (uint64_t stop = 1;; ++stop) {
    SCOPED_TRACE(testing::Message() << "stop " << stop);
    env::FaultyFiles files(env::real_files());
    RootChange change(files);
    change.create(from_file);
    const SealingKey old = change.vault.root().clone();
    bool answered = false;
    std::optional<SealingKey> next;
    if (to_file) {
      const auto id = change.ask({}, 0, true);
      ASSERT_TRUE(id && change.vault.sign("approver1", *id));
      files.stop_at(stop);
      answered = change.vault.sign("approver2", *id).has_value();
    } else {
      change.begin({"clerk", "operator"}, 2);
      const std::string first = change.take("clerk"), second = change.take("operator");
      ASSERT_TRUE(change.confirm("clerk", first));
      next = combine({first, second});
      files.stop_at(stop);
      answered = change.confirm("operator", second).has_value();
    }
    const bool stopped = files.operations() >= stop;
    ASSERT_TRUE(files.crash(stop % 3 * 7));
    change.vault.close();

    const auto file = load_vault_file(files, change.dir);
    ASSERT_TRUE(file);
    if (to_file && !is_root_of(*file, old)) {
      auto found = find_dev_root(files, change.dir, *file);
      ASSERT_TRUE(found) << found.error().text;
      next = std::move(*found);
    }
    if (from_file && file->dev() && !to_file) {
      ASSERT_TRUE(find_dev_root(files, change.dir, *file)) << "it opens itself, as before";
    }
    size_t opens = 0;
    bool is_new = false;
    const SealingKey* const roots[] = {&old, next ? &*next : nullptr};
    for (const SealingKey* root : roots) {
      if (root == nullptr || !is_root_of(*file, *root)) continue;
      change.vault.set_root(root->clone());
      const auto opened = change.vault.open();
      ASSERT_TRUE(opened) << opened.error().text;
      is_new = root != &old;
      ++opens;
    }
    ASSERT_EQ(opens, 1u) << "exactly one of them";
    EXPECT_TRUE(is_new || !answered) << "what was answered is done";
    EXPECT_TRUE(change.serves());
    EXPECT_EQ(change.files_opened_by(old), is_new ? 0u : 3u);
    if (next) {
      EXPECT_EQ(change.files_opened_by(*next), is_new ? 3u : 0u);
    }
    for (const auto& entry : fs::directory_iterator(change.dir)) {
      EXPECT_FALSE(entry.path().string().ends_with(".next")) << entry.path();
    }
    EXPECT_EQ(fs::exists(dev_root_path(change.dir)), is_new ? to_file : from_file);
    // The log knows how it ended, and a change that was not done can be gone through again.
    if (is_new) {
      EXPECT_FALSE(change.root().has_change());
      changed_unanswered += answered ? 0 : 1;
    } else if (!to_file) {
      ++kept;
      const std::string first = change.take("clerk"), second = change.take("operator");
      ASSERT_TRUE(change.confirm("clerk", first)) << first;
      EXPECT_TRUE(change.confirm("operator", second)->changed());
    } else {
      ++kept;
    }
    if (!stopped) break;
    ++crashes;
    ASSERT_LT(stop, 1000u);
  }
  EXPECT_GT(crashes, 10u);
  EXPECT_GT(kept, 2u);
  EXPECT_GT(changed_unanswered, 2u);
}

TEST(RootCrashTest, FromSharesToShares) {
  crash_at_any_point(false, false);
}
TEST(RootCrashTest, FromAFileToShares) {
  crash_at_any_point(true, false);
}
TEST(RootCrashTest, FromSharesToAFile) {
  crash_at_any_point(false, true);
}
TEST(RootCrashTest, FromAFileToAnotherFile) {
  crash_at_any_point(true, true);
}

class SealTest : public RootChangeTest {
 protected:
  Result<v1::SealResponse> seal(const std::string& who) {
    v1::SealRequest request;
    request.set_reason("break-in");
    return server().seal(who, request);
  }
};

TEST_F(SealTest, NothingLeavesFromThenOnAndTheNextStartSaysWho) {
  EXPECT_EQ(seal("clerk").error().code, ErrorCode::kPermissionDenied);
  EXPECT_FALSE(server().sealed());
  const auto sealed = seal("officer");
  ASSERT_TRUE(sealed);
  EXPECT_TRUE(server().sealed());
  EXPECT_FALSE(serves());
  EXPECT_FALSE(ask(kHolders, 2)) << "nor is anything logged";
  EXPECT_TRUE(server().tick());
  auto file = load_vault_file(env::real_files(), dir);
  EXPECT_EQ(file->sealed_by(), "officer");
  ASSERT_TRUE(vault.open());
  EXPECT_TRUE(serves());
  const auto last = server().status("operator", {})->last_seal();
  EXPECT_EQ(last.author(), "officer");
  EXPECT_EQ(last.reason(), "break-in");
  EXPECT_EQ(last.leaf(), sealed->leaf());
  file = load_vault_file(env::real_files(), dir);
  EXPECT_EQ(file->sealed_by(), "") << "it is open again";
}

TEST_F(SealTest, ATpmAloneDoesNotOpenItBeforePeopleDid) {
  KeyServerOptions options = vault.options();
  options.unattended = true;
  const auto open = [&] {
    vault.close();
    return KeyServer::open(options, vault.root(), env::real_files(), vault.clock());
  };
  ASSERT_TRUE(open());
  ASSERT_TRUE(vault.open());
  ASSERT_TRUE(seal("officer"));
  // As if somebody had taken the note out of vault.json, or a crash had come before it.
  auto file = load_vault_file(env::real_files(), dir);
  file->clear_sealed_by();
  ASSERT_TRUE(save_vault_file(env::real_files(), dir, *file));
  const auto refused = open();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_FALSE(open()) << "and nothing was logged by that";
  ASSERT_TRUE(vault.open());
  EXPECT_TRUE(open());
}

TEST_F(SealTest, WhatIsUnderWayDoesNotLeaveEither) {
  v1::CallBatch batch;
  *batch.add_calls() = release_call(vault.ticket(), {}, {{1, granted.u()}}, 2, true);
  const auto replies = server().handle(std::move(batch), [&] { ASSERT_TRUE(seal("officer")); });
  ASSERT_EQ(replies.replies_size(), 1);
  EXPECT_TRUE(replies.replies(0).has_error());
  EXPECT_EQ(replies.replies(0).release().keys().size(), 0u);
}

TEST(SealDevTest, AVaultThatOpensItselfIsNotSealed) {
  RootChange dev;
  dev.create(true);
  const auto sealed = dev.server().seal("officer", {});
  ASSERT_FALSE(sealed);
  EXPECT_EQ(sealed.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_TRUE(dev.serves());
}

}  // namespace
}  // namespace strongroom::keyserver
