// Backups at the key server, and what a vault restored from one can and cannot do: above all, no
// number under which something was sealed is given out a second time.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <set>

#include "strongroom/keyserver/memory_hardware.h"
#include "strongroom/keyserver/test_vault.h"
#include "strongroom/keyserver/unseal.h"

namespace strongroom::keyserver {
namespace {

namespace fs = std::filesystem;

constexpr char kId[] = "00000000000000aa";

// What a backup's command copied.
struct Copy {
  std::string dir;
  RestoreFrom from;
};

// A vault restored from such a copy.
struct Restored {
  std::unique_ptr<KeyServer> server;
  v1::Reply call(const v1::Call& call) const {
    v1::CallBatch batch;
    *batch.add_calls() = call;
    return server->handle(std::move(batch)).replies(0);
  }
};

class BackupTest : public testing::Test {
 protected:
  void SetUp() override {
    auto& founding = vault_.founding();
    founding.policy.add_purposes()->set_name("rights");
    v1::Role& role = *founding.policy.add_roles();
    role.set_name("eraser");
    v1::Grant& grant = *role.add_grants();
    grant.set_collection("person");
    grant.add_purposes("rights");
    grant.add_actions(v1::ERASE);
    grant.mutable_budget()->set_erasures_per_hour(100);
    grant.mutable_budget()->set_erasures_per_day(5000);
    auto key = crypto::SigningKey::generate();
    v1::Principal& principal = founding.principals.emplace_back();
    principal.set_name("eraser");
    principal.set_role("eraser");
    principal.set_public_key(std::string(as_text(key.public_key())));
    vault_.set_key("eraser", std::move(key));
    ASSERT_TRUE(vault_.create(file_to_found()));
    ASSERT_TRUE(vault_.open());
    granted_ = vault_.call(grant_call(vault_.import_ticket(), 8)).grant();
    ASSERT_EQ(granted_.count(), 8u);
  }

  virtual v1::VaultFile file_to_found() { return {}; }

  Result<v1::BackupResponse> step(v1::BackupRequest::Step step, const std::string& id = kId,
                                  uint64_t generation = 0) {
    v1::BackupRequest request;
    request.set_step(step);
    request.set_id(id);
    request.set_generation(generation);
    request.set_store_manifest(std::string(32, 's'));
    request.set_keys_manifest(std::string(32, 'k'));
    return vault_.server().backup("operator", request);
  }
  Copy take(const std::string& id = kId) {
    const auto prepared = step(v1::BackupRequest::PREPARE);
    const auto keys = step(v1::BackupRequest::KEYS, id, prepared->generation());
    SR_CHECK(keys.has_value(), "a backup");
    Copy copy{vault_.dir() + "/backup-" + id, {id, keys->log_size(), prepared->t_ms(), false}};
    for (const v1::KeyStateFile& file : keys->files()) {
      const std::string from =
          vault_.options().dir + "/" + (file.from().empty() ? file.name() : file.from());
      const std::string to = copy.dir + "/keyserver/" + file.name();
      fs::create_directories(fs::path(to).parent_path());
      fs::copy_file(from, to);
      fs::resize_file(to, file.bytes());
      if (file.head().empty()) continue;
      const auto body = env::real_files().read(to, kStateBytesMax);
      SR_CHECK(body && env::real_files().write_atomic(to, as_bytes(file.head() + *body), 0600),
               "head and body");
    }
    std::ofstream(copy.dir + "/keyserver/log/checkpoint") << keys->checkpoint();
    return copy;
  }
  // A place of its own for each restore.
  Result<Restored> restore(const Copy& copy, bool newest_log = false) {
    const std::string dir = vault_.dir() + "/restored-" + std::to_string(++restores_);
    fs::copy(copy.dir, dir, fs::copy_options::recursive);
    if (newest_log) {
      fs::remove_all(dir + "/keyserver/log");
      fs::copy(vault_.options().dir + "/log", dir + "/keyserver/log", fs::copy_options::recursive);
    }
    KeyServerOptions options = vault_.options();
    options.dir = dir + "/keyserver";
    options.mirror_dir = dir + "/keyserver-mirror";
    // Another machine's.
    options.hardware = nullptr;
    SR_ASSIGN(auto file, load_vault_file(env::real_files(), options.dir));
    file.clear_tpm();
    SR_TRY(save_vault_file(env::real_files(), options.dir, file));
    RestoreFrom from = copy.from;
    from.newest_log = newest_log;
    SR_TRY(KeyServer::restore(options, vault_.root(), from, env::real_files(), vault_.clock()));
    Restored restored;
    SR_ASSIGN(restored.server,
              KeyServer::open(options, vault_.root(), env::real_files(), vault_.clock()));
    return restored;
  }
  Restored must_restore(const Copy& copy, bool newest_log = false) {
    auto restored = restore(copy, newest_log);
    if (!restored) ADD_FAILURE() << restored.error().text;
    SR_CHECK(restored.has_value(), "a restored vault");
    return *std::move(restored);
  }

  v1::Reply erase(uint64_t idx) {
    const RecordIndex record{idx};
    v1::Ticket ticket = vault_.ticket_terms({.principal = "eraser", .purpose = "rights"});
    ticket.set_erases(erasure_digest({&record, 1}));
    v1::Call call;
    *call.mutable_erase()->mutable_ticket() = sign_ticket(ticket, vault_.key("eraser"));
    call.mutable_erase()->set_request_id(fresh(kRequestIdSize));
    call.mutable_erase()->add_records(idx);
    return vault_.call(call);
  }
  v1::Call open_call(const std::vector<uint64_t>& records) const {
    std::vector<std::pair<uint64_t, uint64_t>> items;
    for (const uint64_t idx : records) items.emplace_back(idx, granted_.u());
    return release_call(vault_.ticket(), {}, items, 2, true);
  }
  std::string key_of(uint64_t offset) const {
    const auto secret = as_bytes(granted_.secrets()).subspan(offset * 32).first<32>();
    return std::string(
        as_text(crypto::derive_group_key(WriteSecret(secret), GroupId{1}).read(SecretAccess{})));
  }
  uint32_t open_lane(bool packed) {
    return vault_.call(lane_call(vault_.import_ticket(), packed)).open_lane().lane();
  }
  // Lanes that a search reads, and its tokens.
  v1::TokensReply search(const Restored& restored) const {
    return restored.call(tokens_call(vault_.ticket(), {}, {fresh(16)})).tokens();
  }

  TestVault vault_;
  v1::GrantReply granted_;
  int restores_ = 0;
};

TEST_F(BackupTest, ARestoredVaultOpensWhatWasSealedBefore) {
  const Copy copy = take();
  const Restored restored = must_restore(copy);
  const auto opened = restored.call(open_call({1, 3})).release();
  EXPECT_EQ(opened.keys(), key_of(1) + key_of(3));
  const auto status = restored.server->status("operator", {});
  EXPECT_NE(status->restored_ms(), 0u);
  EXPECT_EQ(status->restored_from_ms(), copy.from.taken_ms);
  EXPECT_TRUE(status->log_end_lost());
}

// The crux: whatever the vault did behind the backup, and whatever another copy does.
TEST_F(BackupTest, NoNumberIsGivenOutASecondTime) {
  const Copy copy = take();
  std::set<std::pair<uint64_t, uint64_t>> sealed;  // (idx, u) under which something was sealed.
  std::set<uint64_t> versions;
  std::set<std::string> secrets;
  std::map<uint32_t, std::string> roots;
  const auto write_all = [&](const auto& call, const char* who) {
    for (int i = 0; i < 3; ++i) {
      const v1::Reply reply = call(grant_call(vault_.import_ticket(), 5));
      ASSERT_TRUE(reply.has_grant()) << who << reply.error().text();
      const v1::GrantReply& grant = reply.grant();
      EXPECT_TRUE(versions.insert(grant.u()).second) << who;
      for (uint64_t at = 0; at < grant.count(); ++at) {
        EXPECT_TRUE(sealed.emplace(grant.first() + at, grant.u()).second) << who;
        EXPECT_TRUE(secrets.insert(grant.secrets().substr(at * 32, 32)).second) << who;
      }
      const v1::Reply update = call(update_call(vault_.import_ticket(), {{2, granted_.u()}}));
      ASSERT_TRUE(update.has_update_grant()) << who;
      EXPECT_TRUE(versions.insert(update.update_grant().u()).second) << who;
      EXPECT_TRUE(secrets.insert(update.update_grant().secrets()).second) << who;
      const v1::Reply lane = call(lane_call(vault_.import_ticket(), i == 1));
      ASSERT_TRUE(lane.has_open_lane()) << who;
      for (const auto& [number, root] : roots) EXPECT_NE(root, lane.open_lane().root()) << who;
      roots[lane.open_lane().lane()] = lane.open_lane().root();
    }
  };
  write_all([&](const v1::Call& call) { return vault_.call(call); }, "the vault itself");
  const uint32_t lanes_before = roots.rbegin()->first;
  const uint64_t u_before = *versions.rbegin();
  for (int copies = 0; copies < 4; ++copies) {
    const Restored restored = must_restore(copy);
    const auto lane = restored.call(lane_call(vault_.import_ticket(), false)).open_lane();
    EXPECT_GT(lane.lane(), lanes_before) << "rows of a lane that was lost are never read as its";
    write_all([&](const v1::Call& call) { return restored.call(call); }, "a copy");
    EXPECT_GT(*versions.upper_bound(u_before), u_before + (uint64_t{1} << 31));
  }
  // A copy of a copy as well.
  EXPECT_EQ(secrets.size(), 5u * (5 * 3 + 3));
}

TEST_F(BackupTest, AnOpenBlockIsNotFilledUpByACopy) {
  const Copy copy = take();
  const auto granted = must_restore(copy).call(grant_call(vault_.import_ticket(), 1)).grant();
  EXPECT_EQ(granted.first(), 4096u) << "its seed is in the lost vault too";
}

TEST_F(BackupTest, AnOpenLaneIsClosedAndSearched) {
  const uint32_t lane = open_lane(false);
  const Restored restored = must_restore(take());
  v1::Call list;
  list.mutable_list_lanes();
  const auto lanes = restored.call(list).list_lanes();
  ASSERT_EQ(lanes.lanes_size(), 1);
  EXPECT_EQ(lanes.lanes(0).lane(), lane);
  EXPECT_TRUE(lanes.lanes(0).closed() && lanes.lanes(0).searched());
}

TEST_F(BackupTest, WithTheNewestLogWhatWasErasedSinceStaysErased) {
  const Copy copy = take();
  ASSERT_TRUE(erase(2).has_erase());
  ASSERT_TRUE(vault_.server().tick());
  const Restored restored = must_restore(copy, true);
  EXPECT_EQ(restored.call(open_call({1, 2})).release().keys(), key_of(1));
  EXPECT_FALSE(restored.server->status("operator", {})->log_end_lost());
  const Restored without = must_restore(copy, false);
  EXPECT_EQ(without.call(open_call({1, 2})).release().keys(), key_of(1) + key_of(2))
      << "what the documentation says of a lost log";
}

TEST_F(BackupTest, ALogThatIsAMonthYoungerIsRead) {
  const Copy copy = take();
  vault_.clock().advance_ms(uint64_t{28} * 86'400'000);
  ASSERT_TRUE(vault_.server().tick());
  ASSERT_TRUE(erase(2).has_erase());
  ASSERT_TRUE(vault_.server().tick());
  EXPECT_EQ(must_restore(copy, true).call(open_call({1, 2})).release().keys(), key_of(1));
}

// Blocks, lanes, merges behind the backup: the state has not their secrets, the store not their
// rows.
TEST_F(BackupTest, WithTheNewestLogItIsAsOfTheBackupAllTheSame) {
  const uint32_t first = open_lane(false), second = open_lane(false);
  for (const uint32_t lane : {first, second}) {
    ASSERT_TRUE(vault_.call(publish_call(lane, v1::PublishLaneCall::CLOSE)).has_publish_lane());
  }
  const uint32_t reserved = open_lane(true);
  const Copy copy = take();
  const auto merge = vault_.call(begin_merge_call(vault_.compactor_credential(), {first, second}));
  ASSERT_TRUE(merge.has_begin_merge()) << merge.error().text();
  ASSERT_TRUE(vault_
                  .call(finish_merge_call(vault_.compactor_credential(), merge.begin_merge().lane(),
                                          {first, second}))
                  .has_finish_merge());
  ASSERT_TRUE(vault_.call(publish_call(reserved, v1::PublishLaneCall::PUBLISH)).has_publish_lane());
  open_lane(false);
  const auto later = vault_.call(grant_call(vault_.import_ticket(), 4096)).grant();
  const auto last = vault_.call(grant_call(vault_.import_ticket(), 10)).grant();
  ASSERT_EQ(last.first(), 4096u);
  ASSERT_TRUE(vault_.call(unique_call(vault_.import_ticket(), {fresh(16)})).has_unique_tokens());
  ASSERT_TRUE(vault_.server().tick());

  Restored restored = must_restore(copy, true);
  const auto found = search(restored);
  EXPECT_EQ(std::vector<uint32_t>(found.lanes().begin(), found.lanes().end()),
            (std::vector<uint32_t>{first, second}))
      << "what was merged since is there unmerged";
  EXPECT_EQ(restored.call(open_call({1})).release().keys(), key_of(1));
  const auto lost = restored.call(release_call(vault_.ticket(), {}, {{4096, last.u()}}, 2, true));
  ASSERT_TRUE(lost.has_error());
  EXPECT_EQ(lost.error().code(), static_cast<uint32_t>(ErrorCode::kNotFound));
  const auto next = restored.call(grant_call(vault_.import_ticket(), 1)).grant();
  EXPECT_EQ(next.first(), 2u * 4096);
  EXPECT_GT(next.u(), later.u());
  EXPECT_TRUE(restored.call(unique_call(vault_.import_ticket(), {fresh(16)})).has_unique_tokens());
  // The import that was cut off may find its rows, and publish.
  EXPECT_TRUE(
      restored.call(publish_call(reserved, v1::PublishLaneCall::PUBLISH)).has_publish_lane());
  EXPECT_EQ(search(restored).lanes_size(), 3);
}

TEST_F(BackupTest, ARestoredVaultStartsAgainAndCanBeRestoredAgain) {
  const Copy copy = take();
  ASSERT_TRUE(erase(2).has_erase());
  ASSERT_TRUE(vault_.server().tick());
  vault_.close();
  for (const bool newest : {false, true}) {
    must_restore(copy, newest);
    KeyServerOptions options = vault_.options();
    options.dir = vault_.dir() + "/restored-" + std::to_string(restores_) + "/keyserver";
    options.mirror_dir = vault_.dir() + "/restored-" + std::to_string(restores_) + "/mirror2";
    const auto again = KeyServer::open(options, vault_.root(), env::real_files(), vault_.clock());
    EXPECT_TRUE(again) << again.error().text;
  }
}

TEST_F(BackupTest, ALogWithoutItsEndGoesOnUnderAnotherName) {
  const Copy copy = take();
  const std::string origin = vault_.server().vault_file().origin();
  std::set<std::string> origins = {origin};
  for (int i = 0; i < 3; ++i) {
    const Restored restored = must_restore(copy);
    const std::string name = restored.server->vault_file().origin();
    EXPECT_TRUE(origins.insert(name).second) << "two copies are two logs";
    const auto key = log_public_key(restored.server->vault_file());
    EXPECT_TRUE(tlog::verify_checkpoint(restored.server->checkpoint_note(), name, key));
    EXPECT_FALSE(tlog::verify_checkpoint(restored.server->checkpoint_note(), origin, key));
  }
  ASSERT_TRUE(vault_.server().tick());
  vault_.close();
  EXPECT_EQ(must_restore(copy, true).server->vault_file().origin(), origin);
}

TEST_F(BackupTest, AShorterLogIsRefused) {
  const std::string old = vault_.dir() + "/old";
  ASSERT_TRUE(vault_.server().tick());
  fs::copy(vault_.options().dir + "/log", old, fs::copy_options::recursive);
  const Copy copy = take();
  vault_.close();
  fs::remove_all(vault_.options().dir + "/log");
  fs::copy(old, vault_.options().dir + "/log", fs::copy_options::recursive);
  const auto restored = restore(copy, true);
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().code, ErrorCode::kDataLoss);
}

TEST_F(BackupTest, ACollectionChangedSinceIsRefusedWithTheNewestLog) {
  const Copy copy = take();
  v1::ApplyCollectionRequest request;
  *request.mutable_collection() = test_collection(kPerson, "person");
  request.mutable_collection()->mutable_fields(0)->set_title("Name");
  const auto applied = vault_.server().apply_collection("operator", request);
  ASSERT_TRUE(applied) << applied.error().text;
  if (applied->request() != 0) vault_.approve(applied->request());
  ASSERT_TRUE(vault_.server().tick());
  vault_.close();
  const auto restored = restore(copy, true);
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_TRUE(restore(copy, false));
}

TEST_F(BackupTest, LanesThatChangeMeanwhileTakeAnotherFreeze) {
  const auto prepared = step(v1::BackupRequest::PREPARE);
  open_lane(false);
  const auto refused = step(v1::BackupRequest::KEYS, kId, prepared->generation());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kConflict);
  EXPECT_TRUE(step(v1::BackupRequest::KEYS, kId, prepared->generation() + 1));
}

TEST_F(BackupTest, CopiesOfTheKeysExtendTheHorizonUntilTheyAreDestroyed) {
  take();
  EXPECT_EQ(vault_.server().status("operator", {})->backup_ms(), 0u) << "not whole yet";
  ASSERT_TRUE(step(v1::BackupRequest::TAKEN));
  ASSERT_TRUE(erase(1).has_erase());
  take("00000000000000bb");
  ASSERT_TRUE(erase(2).has_erase());
  const auto check = [&] {
    const auto status = *vault_.server().status("operator", {});
    ASSERT_EQ(status.key_backups_size(), 2);
    EXPECT_EQ(status.key_backups(0).id(), kId);
    EXPECT_TRUE(status.key_backups(0).taken());
    EXPECT_EQ(status.key_backups(0).erased_since(), 2u);
    EXPECT_FALSE(status.key_backups(1).taken());
    EXPECT_EQ(status.key_backups(1).erased_since(), 1u);
    EXPECT_NE(status.backup_ms(), 0u);
  };
  check();
  ASSERT_TRUE(vault_.open());
  check();
  ASSERT_TRUE(step(v1::BackupRequest::DESTROYED));
  EXPECT_EQ(step(v1::BackupRequest::DESTROYED).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(vault_.server().status("operator", {})->key_backups_size(), 1);
}

TEST_F(BackupTest, OnlyWhoKeepsCollectionsBacksUp) {
  v1::BackupRequest request;
  request.set_step(v1::BackupRequest::PREPARE);
  for (const char* who : {"clerk", "officer", "approver1", "nobody"}) {
    const auto refused = vault_.server().backup(who, request);
    ASSERT_FALSE(refused) << who;
    EXPECT_EQ(refused.error().code, ErrorCode::kPermissionDenied) << who;
  }
  EXPECT_FALSE(step(v1::BackupRequest::KEYS, "../../etc", 0));
  EXPECT_FALSE(step(v1::BackupRequest::STEP_UNSPECIFIED));
  EXPECT_FALSE(step(v1::BackupRequest::TAKEN, "00000000000000cc"));
}

// The thief has the key part, and not the shares.
TEST_F(BackupTest, WithoutTheRootKeyACopyOpensNothing) {
  const Copy copy = take();
  const auto other = crypto::random_secret<SealingKey>();
  KeyServerOptions options = vault_.options();
  options.dir = copy.dir + "/keyserver";
  options.mirror_dir = copy.dir + "/mirror";
  const auto refused =
      KeyServer::restore(options, other, copy.from, env::real_files(), vault_.clock());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kPermissionDenied);
}

// --- A log whose key was changed ---

class LogKeyBackupTest : public BackupTest {
 protected:
  void tick() {
    vault_.clock().advance_ms(1000);
    ASSERT_TRUE(vault_.server().tick());
  }
  void change() {
    const auto asked = vault_.server().change_log_key("officer", {});
    ASSERT_TRUE(asked);
    vault_.approve(asked->request());
    tick();
  }
  void finish() {
    ASSERT_TRUE(vault_.server().finish_log_key("officer", {}));
    tick();
  }
  // The key that the restored vault signs with, if its log verifies from the first key on.
  std::optional<crypto::PublicKey> signer_of(const Restored& restored) {
    const auto& file = restored.server->vault_file();
    const auto pinned = tlog::log_key(file.origin(), log_public_key(file));
    const std::string dir =
        vault_.dir() + "/restored-" + std::to_string(restores_) + "/keyserver/log/";
    const auto report = tlog::verify_log(
        [&](std::string_view path) {
          return env::real_files().read(dir + std::string(path), 1 << 20);
        },
        pinned, nullptr);
    if (!report) ADD_FAILURE() << report.error().text;
    const auto told = restored.server->log_keys("clerk", {});
    const auto keys = tlog::LogKeys::follow(pinned, told->changes());
    if (!keys || told->changing() || !report) return std::nullopt;
    return keys->newest();
  }
  std::string origin() { return vault_.server().vault_file().origin(); }
  crypto::PublicKey first_key() { return log_public_key(vault_.server().vault_file()); }
  crypto::PublicKey newest_key() {
    const auto told = vault_.server().log_keys("clerk", {});
    return tlog::LogKeys::follow(tlog::log_key(origin(), first_key()), told->changes())->newest();
  }
};

TEST_F(LogKeyBackupTest, ABackupFromBeforeGoesOnUnderAnotherNameWithItsOwnKey) {
  const Copy copy = take();
  change();
  ASSERT_TRUE(erase(3).has_erase());
  finish();
  const Restored restored = must_restore(copy, true);
  EXPECT_NE(restored.server->vault_file().origin(), origin());
  EXPECT_EQ(signer_of(restored), first_key());
  EXPECT_EQ(restored.call(open_call({1, 3})).release().keys(), key_of(1))
      << "what was erased since stays erased";
}

TEST_F(LogKeyBackupTest, ABackupFromBetweenGoesOnAsThatLog) {
  change();
  const Copy copy = take();
  finish();
  const Restored restored = must_restore(copy, true);
  EXPECT_EQ(restored.server->vault_file().origin(), origin());
  EXPECT_EQ(signer_of(restored), newest_key());
}

TEST_F(LogKeyBackupTest, ABackupFromBehindItLeadsFromTheFirstKeyToTheNewest) {
  change();
  finish();
  const Copy copy = take();
  for (const bool newest_log : {false, true}) {
    const Restored restored = must_restore(copy, newest_log);
    EXPECT_EQ(restored.server->vault_file().origin() == origin(), newest_log);
    EXPECT_EQ(signer_of(restored), newest_key());
  }
}

TEST_F(LogKeyBackupTest, OfTwoChangesTheOneTheBackupHasStays) {
  change();
  finish();
  const auto second = newest_key();
  const Copy copy = take();
  change();
  finish();
  const Restored restored = must_restore(copy, true);
  EXPECT_NE(restored.server->vault_file().origin(), origin());
  EXPECT_EQ(signer_of(restored), second);
}

class BoundBackupTest : public BackupTest {
 protected:
  v1::VaultFile file_to_found() override {
    vault_.options().hardware = &tpm_;
    v1::VaultFile file;
    file.mutable_tpm()->set_tcti("memory");
    file.mutable_tpm()->set_epochs(true);
    return file;
  }
  // What a thief makes of key server files, with the root key and the TPM of now.
  bool opens(const std::string& dir) {
    KeyServerOptions options = vault_.options();
    options.dir = dir;
    options.mirror_dir = dir + "-mirror";
    return KeyServer::open(options, vault_.root(), env::real_files(), vault_.clock()).has_value();
  }

  MemoryHardware tpm_;
};

TEST_F(BoundBackupTest, ItOpensWithoutTheTpmWhatWasThere) {
  const Copy copy = take();
  ASSERT_TRUE(erase(2).has_erase());
  const Restored restored = must_restore(copy);
  EXPECT_FALSE(restored.server->vault_file().has_tpm());
  EXPECT_EQ(restored.call(open_call({1, 2})).release().keys(), key_of(1) + key_of(2));
  EXPECT_EQ(must_restore(copy, true).call(open_call({1, 2})).release().keys(), key_of(1));
}

// Images of the disk at each step of a backup, opened in a later epoch with all shares and the TPM.
TEST_F(BoundBackupTest, OfABoundStateNoDiskHasWhatOpensTheCopy) {
  const std::string dir = vault_.options().dir;
  const auto image = [&](const std::string& name) {
    const std::string to = vault_.dir() + "/image-" + name;
    fs::copy(dir, to, fs::copy_options::recursive);
    fs::copy(vault_.options().mirror_dir, to + "-mirror", fs::copy_options::recursive);
    return to;
  };
  const std::string state_name = [&] {
    const auto prepared = step(v1::BackupRequest::PREPARE);
    return step(v1::BackupRequest::KEYS, kId, prepared->generation())->files(0).name();
  }();
  const std::string while_copied = image("copied");
  EXPECT_TRUE(fs::exists(while_copied + "/state-copy"));
  ASSERT_TRUE(step(v1::BackupRequest::TAKEN));
  EXPECT_FALSE(fs::exists(dir + "/state-copy"));
  const std::string taken = image("taken");
  ASSERT_TRUE(vault_.open());
  vault_.close();
  EXPECT_FALSE(opens(taken));
  EXPECT_FALSE(opens(while_copied));
  const auto body = env::real_files().read(while_copied + "/state-copy", kStateBytesMax);
  const auto own = env::real_files().read(while_copied + "/" + state_name, kStateBytesMax);
  ASSERT_TRUE(body && own);
  // In place of the state; behind every header of the epochs that there were.
  for (size_t head = 0; head < std::min<size_t>(own->size(), 400); ++head) {
    for (const char* place : {"", "-mirror"}) {
      const std::string file = while_copied + place + "/" + state_name;
      ASSERT_TRUE(env::real_files().write_atomic(file, as_bytes(own->substr(0, head) + *body)));
    }
    ASSERT_FALSE(opens(while_copied)) << head;
  }
}

}  // namespace
}  // namespace strongroom::keyserver
