// Freezes at the key server: at once, in flight, over restarts, on a full disk.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strongroom/env/faulty_files.h"
#include "strongroom/keyserver/test_vault.h"

namespace strongroom::keyserver {
namespace {

v1::FreezeRequest freeze_request(const std::string& scope, bool to_masked = false) {
  v1::FreezeRequest request;
  request.set_scope(scope);
  request.set_reason("drill");
  request.set_to_masked(to_masked);
  return request;
}

bool denied(const v1::Reply& reply) {
  return reply.has_error() &&
         reply.error().code() == static_cast<uint32_t>(ErrorCode::kPermissionDenied);
}

class FreezeTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(vault_.create());
    granted_ = vault_.call(grant_call(vault_.import_ticket(), 8)).grant();
  }
  v1::Call get(uint32_t groups = 2) {
    return release_call(vault_.ticket(), {}, {{granted_.first(), granted_.u()}}, groups, true);
  }
  void freeze(const std::string& scope, bool to_masked = false) {
    const auto done = vault_.server().freeze("officer", freeze_request(scope, to_masked));
    ASSERT_TRUE(done) << done.error().text;
    EXPECT_TRUE(done->changed());
  }
  TestVault vault_;
  v1::GrantReply granted_;
};

TEST_F(FreezeTest, EachScopeCutsOffAndSurvivesARestart) {
  for (const char* scope : {"principal:clerk", "role:clerk", "purpose:service", "collection:person",
                            "gateway:gateway-1", "all"}) {
    TestVault vault;
    ASSERT_TRUE(vault.create());
    const auto granted = vault.call(grant_call(vault.import_ticket(), 1)).grant();
    const auto call = [&] {
      return release_call(vault.ticket(), {}, {{granted.first(), granted.u()}}, 2, true);
    };
    ASSERT_TRUE(vault.call(call()).has_release());
    const auto done = vault.server().freeze("officer", freeze_request(scope));
    ASSERT_TRUE(done) << scope;
    for (int restart = 0; restart < 2; ++restart) {
      EXPECT_TRUE(denied(vault.call(call()))) << scope;
      EXPECT_TRUE(denied(vault.call(tokens_call(vault.ticket(), {}, {kTerm})))) << scope;
      const auto status = vault.server().status("operator", {});
      ASSERT_EQ(status->frozen_size(), 1);
      EXPECT_EQ(status->frozen(0).scope(), scope);
      EXPECT_EQ(status->frozen(0).author(), "officer");
      EXPECT_EQ(status->frozen(0).reason(), "drill");
      EXPECT_EQ(status->frozen(0).leaf(), done->leaf());
      ASSERT_TRUE(vault.open());
    }
  }
}

TEST_F(FreezeTest, OthersGoOn) {
  freeze("principal:operator");
  freeze("purpose:investigation");
  freeze("collection:parcel");
  EXPECT_TRUE(vault_.call(get()).has_release());
  EXPECT_TRUE(denied(vault_.call(grant_call(vault_.import_ticket(), 1))));
  EXPECT_TRUE(denied(vault_.call(lane_call(vault_.import_ticket(), false))));
  EXPECT_TRUE(denied(vault_.call(unique_call(vault_.import_ticket(), {kTerm}))));
}

TEST_F(FreezeTest, ToMaskedLeavesTheMaskedViewAndIsHardenedButNotLoosened) {
  freeze("role:clerk", true);
  EXPECT_TRUE(denied(vault_.call(get(2))));
  EXPECT_TRUE(denied(vault_.call(get(3))));
  EXPECT_TRUE(vault_.call(get(1)).has_release());
  freeze("role:clerk");
  EXPECT_TRUE(denied(vault_.call(get(1))));
  const auto again = vault_.server().freeze("officer", freeze_request("role:clerk", true));
  EXPECT_FALSE(again->changed());
  EXPECT_TRUE(denied(vault_.call(get(1))));
}

TEST_F(FreezeTest, WhoeverIsFrozenChangesNothingEither) {
  freeze("principal:operator");
  v1::DisablePrincipalRequest request;
  request.set_name("clerk");
  EXPECT_EQ(vault_.server().disable_principal("operator", request).error().code,
            ErrorCode::kPermissionDenied);
  EXPECT_TRUE(vault_.server().status("operator", {})) << "but sees that it is";
}

TEST_F(FreezeTest, TakesThePowerAndASoundScope) {
  EXPECT_EQ(vault_.server().freeze("clerk", freeze_request("all")).error().code,
            ErrorCode::kPermissionDenied);
  EXPECT_EQ(vault_.server().freeze("officer", freeze_request("everything")).error().code,
            ErrorCode::kInvalidArgument);
  auto request = freeze_request("all");
  request.set_reason(std::string(201, 'x'));
  EXPECT_FALSE(vault_.server().freeze("officer", request));
  request.set_reason("a\nb");
  EXPECT_FALSE(vault_.server().freeze("officer", request));
  EXPECT_TRUE(vault_.call(get()).has_release());
}

TEST_F(FreezeTest, NoCompactorGetsRootsOfAFrozenCollection) {
  const auto lane = vault_.call(lane_call(vault_.import_ticket(), false)).open_lane().lane();
  vault_.call(publish_call(lane, v1::PublishLaneCall::CLOSE));
  const auto begin = begin_merge_call(vault_.compactor_credential(), {lane});
  freeze("collection:person");
  EXPECT_TRUE(denied(vault_.call(begin)));
}

TEST_F(FreezeTest, CutsOffABatchThatIsLoggedAndWhoseKeysHaveNotLeft) {
  v1::CallBatch batch;
  *batch.add_calls() = get();
  *batch.add_calls() = tokens_call(vault_.ticket(), {}, {kTerm});
  *batch.add_calls() = grant_call(vault_.import_ticket(), 1);
  const uint64_t before = vault_.server().status("operator", {})->log_size();
  const auto replies = vault_.server().handle(std::move(batch), [&] { freeze("principal:clerk"); });
  EXPECT_TRUE(denied(replies.replies(0)));
  EXPECT_TRUE(denied(replies.replies(1)));
  EXPECT_TRUE(replies.replies(2).has_grant()) << "another's";
  EXPECT_EQ(vault_.server().status("operator", {})->log_size(), before + 4);
}

// Nothing may be lost when the disk is full, least of all the cut.
TEST(FullDiskTest, NothingLeavesButFreezesAreRecorded) {
  env::FaultyFiles files(env::real_files());
  TestVault vault(files);
  ASSERT_TRUE(vault.create());
  const auto granted = vault.call(grant_call(vault.import_ticket(), 4)).grant();
  const auto call = [&] {
    return release_call(vault.ticket(), {}, {{granted.first(), granted.u()}}, 2, true);
  };
  files.set_space(0);
  // The last that finds the reserve whole still leaves.
  ASSERT_TRUE(vault.call(call()).has_release());
  const auto refused = vault.call(call());
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().code(), static_cast<uint32_t>(ErrorCode::kNoSpace));
  EXPECT_THAT(refused.error().text(), testing::HasSubstr("nothing leaves"));
  EXPECT_TRUE(vault.server().tick());
  EXPECT_FALSE(vault.server().failed());
  EXPECT_TRUE(vault.server().status("operator", {})->disk_full());
  for (int i = 0; i < 100; ++i) {
    const std::string scope = "principal:p" + std::to_string(i);
    ASSERT_TRUE(vault.server().freeze("officer", freeze_request(scope))) << i;
  }
  ASSERT_TRUE(vault.server().freeze("officer", freeze_request("role:clerk")));

  files.set_space(uint64_t{1} << 40);
  ASSERT_TRUE(vault.server().tick());
  EXPECT_FALSE(vault.server().status("operator", {})->disk_full());
  EXPECT_TRUE(vault.call(grant_call(vault.import_ticket(), 1)).has_grant());
  EXPECT_TRUE(denied(vault.call(call())));
  ASSERT_TRUE(vault.open());
  EXPECT_TRUE(denied(vault.call(call())));
  EXPECT_EQ(vault.server().status("operator", {})->frozen_size(), 101);
}

}  // namespace
}  // namespace strongroom::keyserver
