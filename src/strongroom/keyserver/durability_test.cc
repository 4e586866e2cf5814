// What a crash, a failing disk, a wrong clock or an edited file does to a key server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "strongroom/env/faulty_files.h"
#include "strongroom/keyserver/test_vault.h"

namespace strongroom::keyserver {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

void flip_byte(const fs::path& path, uint64_t at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(at));
  const int byte = file.get();
  file.seekp(static_cast<std::streamoff>(at));
  file.put(static_cast<char>(byte ^ 1));
}

fs::path only_file(const std::string& dir) {
  for (const auto& entry : fs::directory_iterator(dir)) return entry.path();
  return {};
}

// No byte field of a reply that could hold a key.
bool holds_no_secret(const v1::Reply& reply) {
  return reply.has_error() && !reply.has_tokens() && !reply.has_release() && !reply.has_grant();
}

TEST(DurabilityTest, NothingLeavesWhenTheLogCannotBeSynced) {
  env::FaultyFiles files(env::real_files());
  TestVault vault(files);
  ASSERT_TRUE(vault.create());
  const auto granted = vault.call(grant_call(vault.import_ticket(), 4)).grant();
  const auto ticket = vault.ticket();
  files.fail_sync(1, ErrorCode::kUnavailable);
  v1::CallBatch batch;
  *batch.add_calls() = tokens_call(ticket, {}, {kTerm});
  *batch.add_calls() = release_call(ticket, {}, {{granted.first(), granted.u()}}, 2, true);
  *batch.add_calls() = grant_call(vault.import_ticket(), 1);
  batch.add_calls()->mutable_sync();
  const auto replies = vault.server().handle(std::move(batch));
  EXPECT_EQ(replies.replies_size(), 4);
  for (const auto& reply : replies.replies()) {
    EXPECT_TRUE(says(reply, ErrorCode::kLogUnavailable));
    EXPECT_TRUE(holds_no_secret(reply));
  }
  EXPECT_TRUE(vault.server().failed());
  EXPECT_TRUE(says(vault.call(tokens_call(ticket, {}, {kTerm})), ErrorCode::kLogUnavailable))
      << "it stays stopped, though the disk would work again";
  v1::DisablePrincipalRequest request;
  request.set_name("clerk");
  EXPECT_EQ(vault.server().disable_principal("operator", request).error().code,
            ErrorCode::kLogUnavailable);
  EXPECT_FALSE(vault.server().tick());
}

TEST(DurabilityTest, NothingLeavesWhenTheKeyStateCannotBeSynced) {
  for (const uint64_t nth : {2, 3}) {  // Behind the log's: the first place, the second.
    env::FaultyFiles files(env::real_files());
    TestVault vault(files);
    ASSERT_TRUE(vault.create());
    files.fail_sync(nth, ErrorCode::kUnavailable);
    const auto reply = vault.call(grant_call(vault.import_ticket(), 4));
    EXPECT_TRUE(says(reply, ErrorCode::kLogUnavailable));
    EXPECT_TRUE(holds_no_secret(reply));
    EXPECT_TRUE(vault.server().failed());
    ASSERT_TRUE(files.crash());
    ASSERT_TRUE(vault.open());
    const auto next = vault.call(grant_call(vault.import_ticket(), 4)).grant();
    EXPECT_EQ(next.first(), 4u) << "what was logged counts, though it was never answered";
  }
}

// A working day, call by call, on a disk that stops at its nth operation. Whatever was answered
// before holds after the restart: no number is handed out twice, no key has changed.
TEST(DurabilityTest, ACrashAtAnyPointLosesNothingThatWasAnswered) {
  uint64_t crashes = 0;
  for (uint64_t stop = 1;; ++stop) {
    env::FaultyFiles files(env::real_files());
    TestVault vault(files);
    ASSERT_TRUE(vault.create());
    std::set<uint64_t> versions, records;
    std::set<uint32_t> lanes;
    std::string unique;
    std::vector<std::tuple<uint64_t, uint64_t, std::string>> writer;  // idx, u, S
    const auto work = [&] {
      const auto granted = vault.call(grant_call(vault.import_ticket(), 2));
      if (granted.has_grant()) {
        EXPECT_TRUE(versions.insert(granted.grant().u()).second);
        for (uint32_t i = 0; i < granted.grant().count(); ++i) {
          EXPECT_TRUE(records.insert(granted.grant().first() + i).second);
        }
        writer.emplace_back(granted.grant().first(), granted.grant().u(),
                            granted.grant().secrets().substr(0, 32));
      }
      vault.clock().advance_ms(10);
      const auto lane = vault.call(lane_call(vault.import_ticket(), false));
      if (lane.has_open_lane()) {
        EXPECT_TRUE(lanes.insert(lane.open_lane().lane()).second);
      }
      vault.clock().advance_ms(10);
      const auto tokens = vault.call(unique_call(vault.import_ticket(), {kTerm}));
      if (tokens.has_unique_tokens()) {
        if (!unique.empty()) {
          EXPECT_EQ(tokens.unique_tokens().tokens(), unique);
        }
        unique = tokens.unique_tokens().tokens();
      }
      vault.clock().advance_ms(10);
      (void)vault.server().tick();
    };
    files.stop_at(stop);
    work();
    const bool stopped = files.operations() >= stop;
    ASSERT_TRUE(files.crash(stop % 3 * 7));
    const auto opened = vault.open();
    ASSERT_TRUE(opened) << opened.error().text << " stop " << stop;
    work();
    ASSERT_FALSE(vault.server().failed());
    for (const auto& [idx, u, secret] : writer) {
      const auto reply = vault.call(release_call(vault.ticket(), {}, {{idx, u}}, 2, true));
      ASSERT_TRUE(reply.has_release()) << reply.error().text();
      const WriteSecret s(as_bytes(secret).first<32>());
      EXPECT_EQ(reply.release().keys(),
                as_text(crypto::derive_group_key(s, GroupId{1}).read(SecretAccess{})));
    }
    if (!stopped) break;
    ++crashes;
    ASSERT_LT(stop, 1000u);
  }
  EXPECT_GT(crashes, 5u);
}

// The same for a restart that crashes itself, at any of its steps.
TEST(DurabilityTest, ACrashWhileStartingLosesNothing) {
  for (uint64_t stop = 1;; ++stop) {
    env::FaultyFiles files(env::real_files());
    TestVault vault(files);
    ASSERT_TRUE(vault.create());
    const auto granted = vault.call(grant_call(vault.import_ticket(), 2)).grant();
    vault.close();
    files.stop_at(stop);
    const bool opened = vault.open().has_value();
    const bool stopped = files.operations() >= stop;
    vault.close();
    ASSERT_TRUE(files.crash());
    const auto again = vault.open();
    ASSERT_TRUE(again) << again.error().text << " stop " << stop;
    const auto next = vault.call(grant_call(vault.import_ticket(), 1));
    ASSERT_EQ(next.grant().first(), granted.first() + 2);
    if (!stopped) {
      EXPECT_TRUE(opened);
      break;
    }
    ASSERT_LT(stop, 1000u);
  }
}

class RestartTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(vault_.create()); }
  std::string state() { return vault_.options().dir + "/state"; }
  std::string mirror() { return vault_.options().mirror_dir + "/state"; }
  std::string log() { return vault_.options().dir + "/log"; }
  v1::GrantReply grant(uint32_t count) {
    vault_.clock().advance_ms(10);
    return vault_.call(grant_call(vault_.import_ticket(), count)).grant();
  }
  Error open_error() {
    const auto opened = vault_.open();
    EXPECT_FALSE(opened);
    return opened ? Error{} : opened.error();
  }
  std::vector<std::string> warnings() {
    const auto status = vault_.server().status("operator", {});
    return {status->warnings().begin(), status->warnings().end()};
  }
  TestVault vault_;
};

TEST_F(RestartTest, AClockBehindTheLogIsRefusedAndNothingChanges) {
  vault_.clock().advance_ms(3'600'000);
  grant(1);
  const uint64_t last = vault_.clock().wall_ms();
  vault_.close();
  std::set<std::string> before, after;
  for (const auto& entry : fs::recursive_directory_iterator(vault_.dir()))
    before.insert(entry.path());
  vault_.clock().set_wall_ms(last - 60'001);
  EXPECT_EQ(open_error().code, ErrorCode::kFailedPrecondition);
  for (const auto& entry : fs::recursive_directory_iterator(vault_.dir()))
    after.insert(entry.path());
  EXPECT_EQ(before, after);
  vault_.clock().set_wall_ms(last - 60'000);
  EXPECT_TRUE(vault_.open());
}

TEST_F(RestartTest, AnEditedLogIsRefused) {
  grant(1);
  ASSERT_TRUE(vault_.server().tick());
  vault_.close();
  std::vector<fs::path> segments;
  for (const auto& entry : fs::directory_iterator(log())) {
    if (entry.path().filename().string().starts_with("entries-")) segments.push_back(entry.path());
  }
  ASSERT_FALSE(segments.empty());
  flip_byte(segments.front(), 100);
  EXPECT_EQ(open_error().code, ErrorCode::kDataLoss);
}

TEST_F(RestartTest, ADeletedLogIsNotANewOne) {
  vault_.close();
  fs::remove_all(log());
  EXPECT_EQ(vault_.open().error().code, ErrorCode::kDataLoss);
  EXPECT_FALSE(fs::exists(log() + "/checkpoint")) << "nothing was founded in its place";
}

TEST_F(RestartTest, ADamagedOrMissingCopyOfTheStateHeals) {
  const auto granted = grant(2);
  for (const auto& [dir, how] :
       {std::pair{state(), 0}, {mirror(), 0}, {state(), 1}, {mirror(), 1}, {state(), 2}}) {
    vault_.close();
    const fs::path file = only_file(dir);
    if (how == 0) flip_byte(file, fs::file_size(file) - 1);
    if (how == 1) fs::remove(file);
    if (how == 2) flip_byte(file, 30);
    ASSERT_TRUE(vault_.open());
    EXPECT_THAT(warnings(), testing::Contains(HasSubstr("written anew")));
    ASSERT_TRUE(vault_.open());
    EXPECT_TRUE(warnings().empty()) << "healed";
  }
  const auto reply =
      vault_.call(release_call(vault_.ticket(), {}, {{granted.first(), granted.u()}}, 2, true));
  const WriteSecret s(as_bytes(granted.secrets()).first<32>());
  EXPECT_EQ(reply.release().keys(),
            as_text(crypto::derive_group_key(s, GroupId{1}).read(SecretAccess{})));
}

TEST_F(RestartTest, BothCopiesDamagedIsDataLossAndTouchesNothing) {
  grant(2);
  vault_.close();
  for (const auto& dir : {state(), mirror()}) {
    const fs::path file = only_file(dir);
    flip_byte(file, fs::file_size(file) - 1);
  }
  EXPECT_EQ(open_error().code, ErrorCode::kDataLoss);
  for (const auto& dir : {state(), mirror()}) {
    const fs::path file = only_file(dir);
    flip_byte(file, fs::file_size(file) - 1);
  }
  EXPECT_TRUE(vault_.open());
}

TEST_F(RestartTest, AStateOlderThanTheLogIsRefused) {
  copy_tree(vault_.dir(), vault_.dir() + ".old");
  grant(4096);
  grant(1);
  vault_.close();
  copy_tree(vault_.dir() + ".old/keyserver/state", state());
  copy_tree(vault_.dir() + ".old/keyserver-mirror/state", mirror());
  fs::remove_all(vault_.dir() + ".old");
  EXPECT_EQ(open_error().code, ErrorCode::kDataLoss);
}

TEST_F(RestartTest, ALogOlderThanTheStateIsRefused) {
  copy_tree(vault_.dir(), vault_.dir() + ".old");
  grant(1);
  vault_.close();
  copy_tree(vault_.dir() + ".old/keyserver/log", log());
  fs::remove_all(vault_.dir() + ".old");
  EXPECT_EQ(open_error().code, ErrorCode::kDataLoss);
}

// A kill leaves the files as they are at that moment: each such copy opens and goes on where it
// stood.
TEST_F(RestartTest, ACopyTakenAfterAnyCallGoesOnFromThere) {
  const std::string kept = vault_.dir() + ".copy";
  uint64_t expected_first = 0;
  for (int i = 0; i < 6; ++i) {
    const auto granted = grant(1500);
    expected_first = granted.first() + granted.count();
    vault_.call(lane_call(vault_.import_ticket(), false));
    copy_tree(vault_.dir(), kept);
    KeyServerOptions options = vault_.options();
    options.dir = kept + "/keyserver";
    options.mirror_dir = kept + "/keyserver-mirror";
    auto other = KeyServer::open(options, vault_.root(), env::real_files(), vault_.clock());
    ASSERT_TRUE(other) << other.error().text;
    v1::CallBatch batch;
    *batch.add_calls() = grant_call(vault_.import_ticket(), 1);
    *batch.add_calls() = lane_call(vault_.import_ticket(), false);
    const auto replies = (*other)->handle(std::move(batch));
    EXPECT_EQ(replies.replies(0).grant().first() % 4096, expected_first % 4096);
    EXPECT_GT(replies.replies(0).grant().u(), granted.u());
    EXPECT_EQ(replies.replies(1).open_lane().lane(), static_cast<uint32_t>(i) + 2);
  }
  fs::remove_all(kept);
}

TEST_F(RestartTest, AnHourLaterTheStateIsUnderANewEpochAndTheOldOneIsGone) {
  const auto epoch = [&] { return vault_.server().status("operator", {})->epoch(); };
  const uint64_t before = epoch();
  grant(2);
  const fs::path old = only_file(state());
  vault_.clock().advance_ms(kEpochMs);
  ASSERT_TRUE(vault_.server().tick());
  EXPECT_EQ(epoch(), before + 1);
  EXPECT_FALSE(fs::exists(old));
  EXPECT_NE(only_file(mirror()).filename(), old.filename());
  const auto next = grant(2);
  ASSERT_TRUE(vault_.open());
  EXPECT_EQ(grant(1).first(), next.first() + 2);
}

// Planted values: nothing that names a person, a term or a key lies open on disk.
TEST_F(RestartTest, NeitherKeysNorCasesNorTermsLieOpenOnDisk) {
  const auto granted = grant(2);
  const auto ticket = vault_.ticket({.purpose = "investigation", .case_reference = "CASE-PLANTED"});
  const auto lane = vault_.call(lane_call(vault_.import_ticket(), false)).open_lane();
  const RequestId request;
  const auto tokens = vault_.call(tokens_call(ticket, request, {"planted-term-16b"})).tokens();
  const auto keys =
      vault_.call(release_call(ticket, request, {{granted.first(), granted.u()}})).release();
  ASSERT_FALSE(keys.keys().empty());
  ASSERT_TRUE(vault_.server().tick());
  for (const auto& entry : fs::recursive_directory_iterator(vault_.dir())) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(in)), {});
    for (const std::string& planted :
         {std::string("CASE-PLANTED"), std::string("planted-term-16b"), lane.root(),
          tokens.tokens().substr(0, 32), keys.keys(), granted.secrets().substr(0, 32),
          std::string(as_text(vault_.root().read(SecretAccess{})))}) {
      EXPECT_EQ(bytes.find(planted), std::string::npos) << entry.path();
    }
  }
}

}  // namespace
}  // namespace strongroom::keyserver
