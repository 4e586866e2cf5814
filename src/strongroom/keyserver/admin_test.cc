#include <gtest/gtest.h>

#include "strongroom/keyserver/test_vault.h"
#include "strongroom/keyserver/unseal.h"

namespace strongroom::keyserver {
namespace {

constexpr const char* kPath = "/strongroom.v1.AdminService/Status";

class AdminTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(vault_.create()); }

  std::string header(uint64_t t_ms, const std::string& who = "operator", const char* path = kPath,
                     const std::string& body = "{}") {
    ByteArray<16> nonce{};
    crypto::random_bytes(nonce);
    return make_authorization(vault_.vault_bytes(), who, vault_.key(who), t_ms, nonce, path, body);
  }
  Result<std::string> authenticate(const std::string& value, const std::string& body = "{}") {
    return vault_.server().authenticate(kPath, crypto::sha256(as_bytes(body)), value);
  }
  uint64_t now() { return vault_.clock().wall_ms(); }

  TestVault vault_;
};

TEST_F(AdminTest, ASignedCallIsGoodOnceForAMinute) {
  const std::string good = header(now());
  EXPECT_EQ(authenticate(good).value(), "operator");
  EXPECT_EQ(authenticate(good).error().code, ErrorCode::kReplayed);
  vault_.clock().advance_ms(100'000);
  EXPECT_TRUE(authenticate(header(now() - 60'000)));
  EXPECT_TRUE(authenticate(header(now() + 60'000)));
  EXPECT_FALSE(authenticate(header(now() - 60'001)));
  EXPECT_FALSE(authenticate(header(now() + 60'001)));
}

TEST_F(AdminTest, ANonceIsRememberedAsLongAsItsHeaderIsFresh) {
  const std::string ahead = header(now() + 60'000);
  ASSERT_TRUE(authenticate(ahead));
  for (int i = 0; i < 12; ++i) {
    vault_.clock().advance_ms(10'000);
    authenticate(header(now())).value();
    const auto again = authenticate(ahead);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, ErrorCode::kReplayed) << i;
  }
}

TEST_F(AdminTest, ACallSignedBeforeARestartIsNotGoodAfterIt) {
  const std::string before = header(now());
  ASSERT_TRUE(authenticate(before));
  vault_.clock().advance_ms(1000);
  ASSERT_TRUE(vault_.open());
  EXPECT_FALSE(authenticate(before));
  EXPECT_TRUE(authenticate(header(now())));
}

TEST_F(AdminTest, WhatWasNotSignedIsRefused) {
  EXPECT_FALSE(authenticate(header(now()), "{ }")) << "another body";
  EXPECT_FALSE(authenticate(header(now(), "operator", "/other"))) << "another path";
  std::string forged = header(now());
  forged[forged.size() - 5] = forged[forged.size() - 5] == 'A' ? 'B' : 'A';
  EXPECT_FALSE(authenticate(forged));
  for (const char* bad : {"", "v1", "v2 a 1 a a", "v1 operator x y z", "v1 operator  1 a a"}) {
    EXPECT_FALSE(authenticate(bad)) << bad;
  }
  v1::DisablePrincipalRequest request;
  request.set_name("officer");
  ASSERT_TRUE(vault_.server().disable_principal("operator", request));
  EXPECT_FALSE(authenticate(header(now(), "officer")));
}

TEST_F(AdminTest, RepliesAreSignedByTheVault) {
  const std::string asked = header(now());
  const auto digest = crypto::sha256(as_bytes("{}"));
  const AdminCall call{true, kPath, asked, digest};
  const AdminReply reply{429, "budget_exhausted", "17", "61000", "reply"};
  const std::string signature = vault_.server().sign_reply(call, reply);
  const auto key = log_public_key(vault_.server().vault_file());
  EXPECT_TRUE(verify_reply(key, call, reply, signature));
  EXPECT_FALSE(verify_reply(key, call, reply, ""));

  // Nothing of it can be told in another way, nor shown to another call.
  using Change = void (*)(AdminCall&, AdminReply&);
  for (const Change change : std::initializer_list<Change>{
           [](AdminCall&c, AdminReply&) { c.json = false; },
           [](AdminCall&c, AdminReply&) { c.path = "/other"; },
           [](AdminCall&c, AdminReply&) { c.authorization.remove_suffix(1); },
           [](AdminCall&c, AdminReply&) { c.body_sha256 = {}; },
           [](AdminCall&, AdminReply&r) { r.http_status = 200; },
           [](AdminCall&, AdminReply&r) { r.code = "no_space"; },
           [](AdminCall&, AdminReply&r) { r.code = ""; },
           [](AdminCall&, AdminReply&r) { r.number = "18"; },
           [](AdminCall&, AdminReply&r) { r.number = ""; },
           [](AdminCall&, AdminReply&r) { r.retry_after_ms = "61001"; },
           [](AdminCall&, AdminReply&r) { std::swap(r.number, r.retry_after_ms); },
           [](AdminCall&, AdminReply&r) { r.body = "other"; }}) {
    AdminCall c = call;
    AdminReply r = reply;
    change(c, r);
    EXPECT_FALSE(verify_reply(key, c, r, signature));
  }
  const auto other_digest = crypto::sha256(as_bytes("{ }"));
  EXPECT_FALSE(verify_reply(key, {true, kPath, asked, other_digest}, reply, signature))
      << "another body";
  const std::string others = header(now(), "officer");
  EXPECT_FALSE(verify_reply(key, {true, kPath, others, digest}, reply, signature))
      << "another's call";
}

TEST_F(AdminTest, WhatSignsNothingInParticularIsNotSigned) {
  const std::string asked = header(now());
  const auto digest = crypto::sha256(as_bytes("{}"));
  const AdminReply reply{415, "invalid_argument", "", "", "reply"};
  const KeyServer& server = vault_.server();
  EXPECT_NE(server.sign_reply({true, kPath, asked, digest}, reply), "");
  EXPECT_EQ(server.sign_reply({true, kPath, "nonsense", digest}, reply), "");
  EXPECT_EQ(server.sign_reply({true, kPath, "", digest}, reply), "");
  EXPECT_EQ(server.sign_reply({true, "", asked, digest}, reply), "");
  EXPECT_EQ(server.sign_reply({true, kPath, asked, {}}, reply), "") << "refused before it was read";
}

TEST(ShareCheckTest, OnlyWhatInitMadeIsTaken) {
  const ByteArray<32> root{};
  auto shares = crypto::split_secret(root, 2, 3);
  ASSERT_TRUE(shares);
  v1::VaultFile vault;
  vault.set_shares(3);
  vault.set_threshold(2);
  vault.set_share_set(to_hex(shares->front().set));
  const auto refusal = [&](const crypto::Share& share) {
    const auto checked = check_share(vault, share);
    return checked ? "" : checked.error().text;
  };
  for (const auto& share : *shares) EXPECT_STREQ(refusal(share), "");
  crypto::Share& share = shares->front();
  for (const uint8_t x : {uint8_t{0}, uint8_t{4}, uint8_t{255}}) {
    share.x = x;
    EXPECT_STREQ(refusal(share), kShareNotAsMade.text) << int{x};
  }
  share.x = 3;
  for (const uint8_t threshold : {uint8_t{0}, uint8_t{1}, uint8_t{3}, uint8_t{255}}) {
    share.threshold = threshold;
    EXPECT_STREQ(refusal(share), kShareNotAsMade.text) << int{threshold};
  }
  share.threshold = 2;
  EXPECT_STREQ(refusal(share), "");
  share.set[15] ^= 1;
  EXPECT_STREQ(refusal(share), kShareOfAnotherVault.text);
  // A vault without shares, as with --dev, takes none.
  vault.clear_share_set();
  EXPECT_STREQ(refusal(share), kShareOfAnotherVault.text);
}

// The bytes of docs/spec/ticket.md.
TEST(AdminAuthTest, TheMessageUnderAReplyIsAsSpecified) {
  const auto digest = crypto::sha256(as_bytes("asked"));
  const auto hash = [](std::string_view text) {
    const auto bytes = crypto::sha256(as_bytes(text));
    return std::string(as_text(bytes));
  };
  EXPECT_EQ(reply_message({false, "/path", "v1 a", digest}, {503, "unavailable", "", "7", "said"}),
            std::string("strongroom reply v2\0", 20) + hash("v1 a") + std::string("\0", 1) +
                hash("/path") + hash("asked") + "\x01\xf7" + std::string("\0\0\0\x0b", 4) +
                "unavailable" + std::string("\0\0\0\0\0\0\0\x01", 8) + "7" + hash("said"));
}

TEST_F(AdminTest, PowersAreChecked) {
  KeyServer& server = vault_.server();
  const auto denied = [](const auto& result) {
    return !result && result.error().code == ErrorCode::kPermissionDenied;
  };
  EXPECT_TRUE(denied(server.status("clerk", {})));
  EXPECT_TRUE(denied(server.apply_collection("clerk", {})));
  EXPECT_TRUE(denied(server.apply_policy("operator", {})));
  EXPECT_TRUE(denied(server.add_principal("officer", {})));
  EXPECT_TRUE(denied(server.disable_principal("clerk", {})));
  v1::RekeyPrincipalRequest rekey;
  rekey.set_name("officer");
  EXPECT_TRUE(denied(server.rekey_principal("clerk", rekey)));
  EXPECT_TRUE(denied(server.list_principals("clerk", {})));
  EXPECT_TRUE(denied(server.log_entries("operator", {})));
  EXPECT_TRUE(denied(server.log_checkpoint("clerk", {})));
  EXPECT_TRUE(denied(server.log_tile("clerk", {})));
  EXPECT_TRUE(server.status("operator", {}));
  EXPECT_TRUE(server.list_collections("clerk", {}));
  EXPECT_TRUE(server.show_policy("clerk", {}));
}

TEST_F(AdminTest, ApplyingACollectionIsIdempotentAndSurvives) {
  v1::ApplyCollectionRequest request;
  *request.mutable_collection() = test_collection(kPerson, "person");
  auto unchanged = vault_.server().apply_collection("operator", request);
  ASSERT_TRUE(unchanged);
  EXPECT_FALSE(unchanged->changed());
  request.mutable_collection()->set_title("People");
  const auto changed = vault_.server().apply_collection("operator", request);
  ASSERT_TRUE(changed);
  EXPECT_FALSE(changed->changed()) << "not yet";
  EXPECT_EQ(changed->collection().revision(), 2u);
  vault_.approve(changed->request());
  ASSERT_TRUE(vault_.open());
  unchanged = vault_.server().apply_collection("operator", request);
  EXPECT_FALSE(unchanged->changed());
  EXPECT_EQ(unchanged->request(), 0u) << "there is nothing left to ask";
  request.mutable_collection()->set_revision(1);
  EXPECT_EQ(vault_.server().apply_collection("operator", request).error().code,
            ErrorCode::kConflict);
  request.mutable_collection()->set_revision(0);
  request.mutable_collection()->mutable_fields(0)->set_type(v1::TEXT);
  EXPECT_EQ(vault_.server().apply_collection("operator", request).error().code,
            ErrorCode::kFailedPrecondition);
  *request.mutable_collection() = test_collection(7, "person");
  EXPECT_EQ(vault_.server().apply_collection("operator", request).error().code,
            ErrorCode::kFailedPrecondition);
}

TEST_F(AdminTest, ApplyingAPolicyShowsWhatChanges) {
  v1::ApplyPolicyRequest request;
  *request.mutable_policy() = test_policy();
  auto applied = vault_.server().apply_policy("officer", request);
  ASSERT_TRUE(applied);
  EXPECT_FALSE(applied->changed());
  request.mutable_policy()->mutable_roles(1)->add_powers(v1::READ_LOG);
  request.set_dry_run(true);
  applied = vault_.server().apply_policy("officer", request);
  ASSERT_TRUE(applied);
  EXPECT_EQ(applied->changes_size(), 1);
  EXPECT_EQ(applied->version(), 2u) << "what it would become";
  EXPECT_EQ(vault_.server().show_policy("clerk", {})->policy().version(), 1u);
  EXPECT_FALSE(vault_.server().log_entries("operator", {}));
  request.set_dry_run(false);
  request.mutable_policy()->set_version(1);
  applied = vault_.server().apply_policy("officer", request);
  ASSERT_TRUE(applied);
  EXPECT_EQ(applied->version(), 2u);
  EXPECT_TRUE(applied->widens());
  EXPECT_FALSE(vault_.server().log_entries("operator", {})) << "not yet";
  vault_.approve(applied->request());
  EXPECT_TRUE(vault_.server().log_entries("operator", {}));
  EXPECT_EQ(vault_.server().apply_policy("officer", request).error().code, ErrorCode::kConflict);
  ASSERT_TRUE(vault_.open());
  EXPECT_EQ(vault_.server().show_policy("clerk", {})->policy().version(), 2u);
}

TEST_F(AdminTest, APolicyThatLocksEveryoneOutIsRefused) {
  v1::ApplyPolicyRequest request;
  *request.mutable_policy() = test_policy();
  request.mutable_policy()->mutable_roles(2)->clear_powers();
  EXPECT_EQ(vault_.server().apply_policy("officer", request).error().code,
            ErrorCode::kFailedPrecondition);
  *request.mutable_policy() = test_policy();
  request.mutable_policy()->mutable_roles(0)->set_name("secretary");
  EXPECT_EQ(vault_.server().apply_policy("officer", request).error().code,
            ErrorCode::kFailedPrecondition)
      << "the clerk would have no role";
}

TEST_F(AdminTest, PrincipalsAreAddedOnceAndEachChangeNamesItsAuthor) {
  v1::AddPrincipalRequest request;
  request.set_name("second");
  request.set_role("clerk");
  request.set_public_key(std::string(32, 'k'));
  const auto added = vault_.server().add_principal("operator", request);
  ASSERT_TRUE(added);
  vault_.approve(added->request());
  EXPECT_EQ(vault_.server().add_principal("operator", request).error().code,
            ErrorCode::kAlreadyExists);
  request.set_name("Third");
  EXPECT_FALSE(vault_.server().add_principal("operator", request));
  request.set_name("third");
  request.set_role("king");
  EXPECT_FALSE(vault_.server().add_principal("operator", request));
  request.set_role("clerk");
  request.set_public_key("short");
  EXPECT_FALSE(vault_.server().add_principal("operator", request));
  v1::LogEntriesRequest entries;
  entries.set_first(4);  // Start, founding, request, first approval.
  const auto logged = vault_.server().log_entries("officer", entries);
  ASSERT_TRUE(logged);
  v1::LogItem item;
  ASSERT_EQ(logged->entries(0).items_size(), 2);
  ASSERT_TRUE(item.ParseFromString(logged->entries(0).items(0)));
  EXPECT_EQ(item.author(), "approver2");
  ASSERT_TRUE(item.ParseFromString(logged->entries(0).items(1)));
  EXPECT_EQ(item.author(), "operator");
  EXPECT_EQ(item.principal().name(), "second");
}

TEST_F(AdminTest, TheRevisionGrowsWithEachChangeOfDefinitions) {
  const auto revision = [&] {
    v1::Call call;
    call.mutable_sync();
    return vault_.call(call).sync().revision();
  };
  const uint64_t before = revision();
  v1::DisablePrincipalRequest request;
  request.set_name("clerk");
  ASSERT_TRUE(vault_.server().disable_principal("operator", request));
  const uint64_t after = revision();
  EXPECT_GT(after, before);
  ASSERT_TRUE(vault_.open());
  EXPECT_EQ(revision(), after);
}

TEST_F(AdminTest, StatusCountsAndTheLogIsReadInPages) {
  const auto status = vault_.server().status("operator", {});
  ASSERT_TRUE(status);
  EXPECT_EQ(status->principals(), 6u);
  EXPECT_EQ(status->collections(), 2u);
  EXPECT_EQ(status->log_size(), 2u);
  EXPECT_EQ(status->checkpoint_size(), 2u);
  v1::LogEntriesRequest request;
  request.set_first(1);
  request.set_count(5);
  const auto page = vault_.server().log_entries("officer", request);
  ASSERT_TRUE(page);
  EXPECT_EQ(page->entries_size(), 1);
  EXPECT_EQ(page->size(), 2u);
  request.set_first(UINT64_MAX);
  EXPECT_EQ(vault_.server().log_entries("officer", request)->entries_size(), 0);
  EXPECT_NE(vault_.server().log_checkpoint("officer", {})->note(), "");
  v1::LogTileRequest tile;
  tile.set_path("../state/x");
  EXPECT_FALSE(vault_.server().log_tile("officer", tile));
}

}  // namespace
}  // namespace strongroom::keyserver
