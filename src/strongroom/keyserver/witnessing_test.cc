// How much may leave beyond what witnesses have cosigned.
#include "strongroom/keyserver/witnessing.h"

#include <gtest/gtest.h>

#include "strongroom/keyserver/test_vault.h"
#include "strongroom/tlog/checkpoint.h"

namespace strongroom::keyserver {
namespace {

constexpr char kWitnessAuthority[] = "-----BEGIN CERTIFICATE-----\n...";
constexpr uint64_t kNow = 1'700'000'000'000;

class WitnessingTest : public testing::Test {
 protected:
  WitnessingTest() {
    for (uint8_t i = 0; i < 3; ++i) {
      ByteArray<32> seed{};
      seed.fill(static_cast<uint8_t>(i + 1));
      signers_.push_back(
          {"witness.example/" + std::to_string(i), crypto::SigningKey::from_seed(seed)});
      v1::WitnessEntry& entry = *config_.add_list();
      entry.set_key(signers_.back().note_key().text());
      entry.set_url("https://witness.example:7430");
      entry.set_ca_pem(kWitnessAuthority);
    }
    config_.set_quorum(2);
    config_.set_entries_max(100);
    config_.set_seconds_max(10);
    witnessing_.configure(config_);
    witnessing_.started(50);
  }
  // Hands a checkpoint out.
  std::string hand_out(uint64_t size, uint64_t t_ms) {
    tlog::Checkpoint checkpoint{"strongroom.local/7e57", size};
    checkpoint.root.fill(static_cast<uint8_t>(size));
    witnessing_.handed_out(tlog::sign_checkpoint(checkpoint, log_), size, t_ms);
    return tlog::checkpoint_text(checkpoint);
  }
  bool cosign(size_t witness, uint64_t size, const std::string& text) {
    const auto taken = witnessing_.take(size, tlog::cosign(signers_[witness], text, kNow / 1000));
    return taken && *taken;
  }
  ErrorCode refusal(uint64_t log_size, uint64_t now) const {
    const auto may = witnessing_.may_leave(log_size, now);
    return may ? ErrorCode::kInternal : may.error().code;
  }

  const crypto::SigningKey log_ = crypto::SigningKey::from_seed(ByteArray<32>{9});
  std::vector<tlog::WitnessSigner> signers_;
  v1::Witnesses config_;
  Witnessing witnessing_;
};

TEST_F(WitnessingTest, NothingLeavesBeforeAQuorumHasSeenTheStart) {
  EXPECT_EQ(refusal(50, kNow), ErrorCode::kUnavailable);
  const std::string before = hand_out(49, kNow);
  EXPECT_TRUE(cosign(0, 49, before) && cosign(1, 49, before));
  EXPECT_EQ(refusal(50, kNow), ErrorCode::kUnavailable) << "the start entry is behind that";
  const std::string text = hand_out(50, kNow);
  EXPECT_TRUE(cosign(0, 50, text));
  EXPECT_EQ(refusal(50, kNow), ErrorCode::kUnavailable) << "one of two";
  EXPECT_FALSE(cosign(0, 50, text)) << "the same one again";
  EXPECT_EQ(refusal(50, kNow), ErrorCode::kUnavailable);
  EXPECT_TRUE(cosign(2, 50, text));
  EXPECT_TRUE(witnessing_.may_leave(50, kNow));
}

TEST_F(WitnessingTest, SoManyEntriesAndSoLongAndNoMore) {
  const std::string text = hand_out(50, kNow);
  ASSERT_TRUE(cosign(0, 50, text) && cosign(1, 50, text));
  EXPECT_TRUE(witnessing_.may_leave(149, kNow + 10'000));
  EXPECT_EQ(refusal(150, kNow), ErrorCode::kUnavailable);
  EXPECT_EQ(refusal(51, kNow + 10'001), ErrorCode::kUnavailable);
  // An idle log is carried again and again, and stays fresh.
  hand_out(50, kNow + 9'000);
  EXPECT_TRUE(witnessing_.may_leave(50, kNow + 19'000));
  // One witness alone is ahead: the quorum counts.
  const std::string more = hand_out(140, kNow + 9'500);
  ASSERT_TRUE(cosign(2, 140, more));
  EXPECT_EQ(witnessing_.witnessed_size(), 50u);
  EXPECT_EQ(refusal(150, kNow + 9'600), ErrorCode::kUnavailable);
  ASSERT_TRUE(cosign(0, 140, more));
  EXPECT_TRUE(witnessing_.may_leave(150, kNow + 9'600));
  EXPECT_NE(witnessing_.cosigned_note().find("witness.example/0"), std::string::npos);
}

TEST_F(WitnessingTest, WhoeverCarriesIsNotBelieved) {
  const std::string text = hand_out(60, kNow);
  // Over another text, by another key, over a checkpoint that was never handed out, no line at all.
  EXPECT_FALSE(witnessing_.take(60, tlog::cosign(signers_[0], "another\n", kNow / 1000)));
  const tlog::WitnessSigner forged{signers_[0].name,
                                   crypto::SigningKey::from_seed(ByteArray<32>{77})};
  EXPECT_FALSE(*witnessing_.take(60, tlog::cosign(forged, text, kNow / 1000)));
  EXPECT_FALSE(*witnessing_.take(61, tlog::cosign(signers_[0], text, kNow / 1000)));
  EXPECT_FALSE(witnessing_.take(60, ""));
  EXPECT_EQ(witnessing_.witnessed_size(), 0u);
  EXPECT_EQ(refusal(60, kNow), ErrorCode::kUnavailable);
  EXPECT_TRUE(witnessing_.cosigned_note().empty());
}

TEST_F(WitnessingTest, ALogThatWasPutBackReleasesNothing) {
  const std::string text = hand_out(50, kNow);
  ASSERT_TRUE(cosign(0, 50, text) && cosign(1, 50, text));
  witnessing_.ahead();
  EXPECT_EQ(refusal(50, kNow), ErrorCode::kDataLoss);
}

TEST_F(WitnessingTest, WithoutWitnessesNothingWaits) {
  witnessing_.configure({});
  EXPECT_TRUE(witnessing_.may_leave(1'000'000, kNow));
  witnessing_.configure(config_);
  EXPECT_EQ(refusal(50, kNow), ErrorCode::kUnavailable);
}

TEST_F(WitnessingTest, WhatCannotWorkIsRefused) {
  EXPECT_TRUE(Witnessing::check(config_));
  EXPECT_TRUE(Witnessing::check({}));
  v1::Witnesses bad = config_;
  bad.set_quorum(4);
  EXPECT_FALSE(Witnessing::check(bad));
  bad = config_;
  bad.mutable_list(0)->set_key(tlog::verifier_key("log", log_.public_key()));
  EXPECT_FALSE(Witnessing::check(bad)) << "a log's key";
  bad = config_;
  *bad.add_list() = bad.list(0);
  EXPECT_FALSE(Witnessing::check(bad)) << "twice";
  for (const char* url : {"http://witness.example:7430", "https://witness.example",
                          "https://witness.example:", "https://:7430", "https://a:b/c", ""}) {
    bad = config_;
    bad.mutable_list(0)->set_url(url);
    EXPECT_FALSE(Witnessing::check(bad)) << url;
  }
  bad = config_;
  bad.mutable_list(0)->set_url("https://witness.example:7430/of/ours");
  EXPECT_TRUE(Witnessing::check(bad));
  bad.mutable_list(0)->clear_ca_pem();
  EXPECT_FALSE(Witnessing::check(bad)) << "the courier would believe nobody";
  bad = config_;
  bad.clear_list();
  EXPECT_FALSE(Witnessing::check(bad)) << "a quorum of nobody";
}

// The same through the key server's calls, as the courier makes them.
class WitnessedServerTest : public testing::Test {
 protected:
  WitnessedServerTest() : signer_{"witness.example/0", crypto::SigningKey::generate()} {
    v1::Policy& policy = vault_.founding().policy;
    v1::WitnessEntry& entry = *policy.mutable_witnesses()->add_list();
    entry.set_key(signer_.note_key().text());
    entry.set_url("https://witness.example:7430");
    entry.set_ca_pem(kWitnessAuthority);
    policy.mutable_witnesses()->set_entries_max(4);
    v1::Purpose& emergency = *policy.add_purposes();
    emergency.set_name("emergency");
    emergency.set_emergency(true);
    policy.mutable_roles(0)->mutable_grants(1)->add_purposes("emergency");
  }
  void SetUp() override {
    ASSERT_TRUE(vault_.create());
    granted_ = vault_.call(grant_call(vault_.import_ticket(), 8)).grant();
  }
  v1::Reply carry(std::initializer_list<v1::WitnessWord> words = {}) {
    v1::Call call;
    call.mutable_witness()->set_credential(vault_.courier_credential());
    for (const auto& word : words) *call.mutable_witness()->add_words() = word;
    vault_.clock().advance_ms(200);
    return vault_.call(std::move(call));
  }
  // One round of the courier: fetches the newest checkpoint, has it cosigned, brings that back.
  void cosign() {
    const auto now = carry().witness();
    v1::WitnessWord word;
    word.set_size(now.size());
    word.set_lines(
        tlog::cosign(signer_, tlog::parse_note(now.note())->text, vault_.clock().wall_ms() / 1000));
    ASSERT_TRUE(carry({word}).has_witness());
  }
  v1::Reply get(const std::string& purpose = "service", size_t count = 1) {
    std::vector<std::pair<uint64_t, uint64_t>> items;
    for (size_t i = 0; i < count; ++i) items.emplace_back(granted_.first() + i, granted_.u());
    return vault_.call(
        release_call(vault_.ticket({.purpose = purpose}), {}, std::move(items), 2, true));
  }
  static uint32_t code(const v1::Reply& reply) { return reply.error().code(); }

  TestVault vault_;
  const tlog::WitnessSigner signer_;
  v1::GrantReply granted_;
  static constexpr auto kUnavailable = static_cast<uint32_t>(ErrorCode::kUnavailable);
};

TEST_F(WitnessedServerTest, NothingLeavesUncosignedAndItGoesOnByItself) {
  EXPECT_EQ(code(get()), kUnavailable);
  EXPECT_EQ(code(vault_.call(tokens_call(vault_.ticket(), {}, {std::string(16, 't')}))),
            kUnavailable);
  cosign();
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(get().has_release()) << i;
  EXPECT_EQ(code(get()), kUnavailable) << "four entries ahead";
  cosign();
  EXPECT_TRUE(get().has_release());
  vault_.clock().advance_ms(31'000);
  EXPECT_EQ(code(get()), kUnavailable) << "half a minute ago";
  cosign();
  EXPECT_TRUE(get().has_release());
  const auto status = vault_.server().status("operator", {});
  ASSERT_EQ(status->witnesses_size(), 1);
  EXPECT_EQ(status->witnesses(0).size(), status->witnessed_size());
  ASSERT_TRUE(vault_.open());
  EXPECT_EQ(code(get()), kUnavailable) << "a start is cosigned first";
  cosign();
  EXPECT_TRUE(get().has_release());
}

TEST_F(WitnessedServerTest, AnEmergencyGoesFirstOneRecordAtATime) {
  EXPECT_TRUE(get("emergency").has_release());
  EXPECT_EQ(code(get("emergency", 2)), kUnavailable);
  EXPECT_EQ(code(get()), kUnavailable);
  v1::WitnessWord ahead;
  ahead.set_size(1);
  ahead.set_ahead(1'000'000);
  ASSERT_TRUE(carry({ahead}).has_witness());
  EXPECT_EQ(code(get("emergency")), static_cast<uint32_t>(ErrorCode::kDataLoss))
      << "not from a log that was put back";
}

TEST_F(WitnessedServerTest, OnlyTheCourierCarries) {
  v1::Call call;
  call.mutable_witness()->set_credential(vault_.sender_credential());
  call.mutable_witness()->add_words()->set_ahead(1'000'000);
  EXPECT_EQ(code(vault_.call(call)), static_cast<uint32_t>(ErrorCode::kPermissionDenied));
  v1::Call tile;
  tile.mutable_log_tile()->set_path("tile/0/000.p/1");
  EXPECT_EQ(code(vault_.call(tile)), static_cast<uint32_t>(ErrorCode::kPermissionDenied));
  cosign();
  EXPECT_TRUE(get().has_release());
}

// Whoever may change the policy alone must not get rid of those who watch.
TEST_F(WitnessedServerTest, FewerWitnessesTakeSeveralSignatures) {
  for (const auto& weaken : std::initializer_list<void (*)(v1::Witnesses&)>{
           [](v1::Witnesses& w) {
             w.clear_list();
             w.clear_entries_max();
           },
           [](v1::Witnesses& w) { w.set_entries_max(5); },
           [](v1::Witnesses& w) { w.set_seconds_max(31); },
           [](v1::Witnesses& w) {
             w.mutable_list(0)->set_url("https://elsewhere.example:7430");
           }}) {
    v1::ApplyPolicyRequest request;
    *request.mutable_policy() = vault_.founding().policy;
    request.mutable_policy()->clear_version();
    weaken(*request.mutable_policy()->mutable_witnesses());
    const auto applied = vault_.server().apply_policy("officer", request);
    ASSERT_TRUE(applied) << applied.error().text;
    EXPECT_TRUE(applied->widens());
    EXPECT_NE(applied->request(), 0u);
  }
  v1::ApplyPolicyRequest request;
  *request.mutable_policy() = vault_.founding().policy;
  request.mutable_policy()->clear_version();
  request.mutable_policy()->mutable_witnesses()->set_entries_max(3);
  const auto applied = vault_.server().apply_policy("officer", request);
  ASSERT_TRUE(applied) << applied.error().text;
  EXPECT_FALSE(applied->widens());
}

}  // namespace
}  // namespace strongroom::keyserver
