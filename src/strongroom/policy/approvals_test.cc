#include "strongroom/policy/approvals.h"

#include <gtest/gtest.h>

#include <fstream>

namespace strongroom::policy {
namespace {

ByteArray<16> vault() {
  ByteArray<16> id{};
  for (size_t i = 0; i < id.size(); ++i) id[i] = static_cast<uint8_t>(i);
  return id;
}

v1::ApprovalRequest request(uint64_t id = 7) {
  v1::ApprovalRequest out;
  out.set_vault(std::string(as_text(vault())));
  out.set_id(id);
  out.set_author("officer");
  out.set_reason("back from leave");
  out.set_created_ms(1'700'000'000'000);
  out.set_expires_ms(1'700'259'200'000);
  out.set_base(41);
  out.set_thaw("principal:alice");
  return out;
}

// Written by test/golden/approval_model.py from the specification alone.
TEST(ApprovalTest, TheSignedBytesAreTheGoldenFiles) {
  std::ifstream file(std::string(STRONGROOM_SOURCE_DIR) + "/test/golden/approval_v1.hex");
  for (const auto decision : {Decision::kApprove, Decision::kDeny}) {
    std::string line;
    ASSERT_TRUE(std::getline(file, line));
    const std::string message = approval_message(decision, request().SerializeAsString());
    EXPECT_EQ(to_hex(as_bytes(message)), line);
  }
}

TEST(ApprovalTest, WhatCouldNotBeShownIsNotRead) {
  const auto read = [](const v1::ApprovalRequest& r) {
    return parse_approval_request(r.SerializeAsString(), vault()).has_value();
  };
  EXPECT_TRUE(read(request()));
  auto other = request();
  other.set_vault(std::string(16, 'x'));
  EXPECT_FALSE(read(other));
  other = request();
  other.clear_change();
  EXPECT_FALSE(read(other));
  other = request();
  other.set_id(0);
  EXPECT_FALSE(read(other));
  other = request();
  other.GetReflection()->MutableUnknownFields(&other)->AddVarint(99, 1);
  EXPECT_FALSE(read(other));
  other = request();
  auto& role = *other.mutable_policy()->add_roles();
  EXPECT_TRUE(read(other));
  role.GetReflection()->MutableUnknownFields(&role)->AddVarint(99, 1);
  EXPECT_FALSE(read(other)) << "however deep";
  EXPECT_FALSE(parse_approval_request("\xff", vault()));
  EXPECT_FALSE(parse_approval_request(std::string(kApprovalBytesMax + 1, '\0'), vault()));
}

TEST(ApprovalTest, StepsThatCannotFollowAreNotTaken) {
  Approvals approvals;
  EXPECT_FALSE(approvals.open(request(2), "", 1)) << "ids are counted";
  EXPECT_TRUE(approvals.open(request(1), "", 1));
  EXPECT_FALSE(approvals.open(request(1), "", 1));
  EXPECT_TRUE(approvals.approve(1, {"a", 1}, false, 2));
  EXPECT_TRUE(approvals.approve(1, {"b", 1}, true, 3));
  EXPECT_FALSE(approvals.approve(1, {"c", 1}, true, 4)) << "done is done";
  EXPECT_FALSE(approvals.close(1, RequestState::End::kDenied, "c", 4));
  EXPECT_FALSE(approvals.approve(9, {"a", 1}, false, 2));
}

TEST(ApprovalTest, ClosedOnesAreForgottenOldestFirstAndOpenOnesNever) {
  Approvals approvals;
  ASSERT_TRUE(approvals.open(request(1), "", 1));
  for (uint64_t id = 2; id < 400; ++id) {
    ASSERT_TRUE(approvals.open(request(id), "", id));
    ASSERT_TRUE(approvals.close(id, RequestState::End::kDenied, "c", id));
  }
  EXPECT_NE(approvals.find(1), nullptr);
  EXPECT_EQ(approvals.find(2), nullptr);
  EXPECT_NE(approvals.find(399), nullptr);
  EXPECT_LE(approvals.all().size(), kOpenRequestsMax + kClosedRequestsKept);
}

}  // namespace
}  // namespace strongroom::policy
