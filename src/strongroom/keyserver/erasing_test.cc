// Erasure at the key server: who may, what it takes away, and what a crash at any step leaves.
#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>

#include "strongroom/env/faulty_files.h"
#include "strongroom/keyserver/test_vault.h"
#include "strongroom/keyserver/unseal.h"
#include "strongroom/tlog/merkle.h"
#include "strongroom/tlog/opening.h"
#include "strongroom/tlog/proof.h"

namespace strongroom::keyserver {
namespace {

namespace fs = std::filesystem;

// Adds "eraser", who may erase 3 an hour, 5000 a day, of persons for "rights".
void add_eraser(Founding& founding, TestVault& vault, uint64_t hour = 3) {
  founding.policy.add_purposes()->set_name("rights");
  v1::Role& role = *founding.policy.add_roles();
  role.set_name("eraser");
  v1::Grant& grant = *role.add_grants();
  grant.set_collection("person");
  grant.add_purposes("rights");
  grant.add_actions(v1::ERASE);
  grant.mutable_budget()->set_erasures_per_hour(hour);
  grant.mutable_budget()->set_erasures_per_day(5000);
  auto key = crypto::SigningKey::generate();
  v1::Principal& principal = founding.principals.emplace_back();
  principal.set_name("eraser");
  principal.set_role("eraser");
  principal.set_public_key(std::string(as_text(key.public_key())));
  vault.set_key("eraser", std::move(key));
}

class ErasingTest : public testing::Test {
 protected:
  ErasingTest() { add_eraser(vault_.founding(), vault_); }
  void SetUp() override {
    ASSERT_TRUE(vault_.create());
    granted_ = vault_.call(grant_call(vault_.import_ticket(), 8)).grant();
    ASSERT_EQ(granted_.count(), 8u);
  }

  static v1::SignedTicket erasure_ticket(const TestVault& vault, std::vector<uint64_t> records,
                                         TicketOptions options = {.principal = "eraser",
                                                                  .purpose = "rights"}) {
    std::vector<RecordIndex> named;
    for (const uint64_t idx : records) named.push_back(RecordIndex{idx});
    v1::Ticket ticket = vault.ticket_terms(options);
    ticket.set_erases(erasure_digest(named));
    return sign_ticket(ticket, vault.key(options.principal));
  }
  static v1::Call erase_call(const v1::SignedTicket& ticket, const std::vector<uint64_t>& records) {
    v1::Call call;
    *call.mutable_erase()->mutable_ticket() = ticket;
    call.mutable_erase()->set_request_id(fresh(kRequestIdSize));
    call.mutable_erase()->mutable_records()->Add(records.begin(), records.end());
    return call;
  }
  v1::Reply erase(const std::vector<uint64_t>& records) {
    return vault_.call(erase_call(erasure_ticket(vault_, records), records));
  }
  v1::Call open_call(const std::vector<uint64_t>& records) const {
    std::vector<std::pair<uint64_t, uint64_t>> items;
    for (const uint64_t idx : records) items.emplace_back(idx, granted_.u());
    return release_call(vault_.ticket(), {}, items, 2, true);
  }
  v1::Reply open(const std::vector<uint64_t>& records) { return vault_.call(open_call(records)); }
  std::string key_of(uint64_t offset) const {
    const auto secret = as_bytes(granted_.secrets()).subspan(offset * 32).first<32>();
    return std::string(
        as_text(crypto::derive_group_key(WriteSecret(secret), GroupId{1}).read(SecretAccess{})));
  }
  v1::StatusResponse status() { return *vault_.server().status("operator", {}); }

  TestVault vault_;
  v1::GrantReply granted_;
};

TEST_F(ErasingTest, AnErasedRecordHasNoKeyAndTheOthersKeepTheirs) {
  const auto erased = erase({2, 5});
  ASSERT_TRUE(erased.has_erase()) << erased.error().text();
  EXPECT_EQ(erased.erase().erasures(), 2u);
  const auto opened = open({1, 2, 3, 5}).release();
  EXPECT_EQ(opened.keys(), key_of(1) + key_of(3));
  EXPECT_EQ(std::vector<uint32_t>(opened.erased().begin(), opened.erased().end()),
            (std::vector<uint32_t>{1, 3}));
  const uint64_t size = status().log_size();
  const auto none = open({2});
  EXPECT_TRUE(none.has_release() && none.release().keys().empty() && none.release().leaf() == 0);
  EXPECT_EQ(status().log_size(), size) << "nothing left, so nothing is logged";
  EXPECT_TRUE(says(vault_.call(update_call(vault_.import_ticket(), {{2, granted_.u()}})),
                   ErrorCode::kNotFound));
}

TEST_F(ErasingTest, TheEntryNamesEachRecordAndItsTicket) {
  const uint64_t leaf = erase({2, 5}).erase().leaf();
  v1::LogEntriesRequest request;
  request.set_first(leaf);
  request.set_count(1);
  const auto entry = vault_.server().log_entries("officer", request)->entries(0);
  EXPECT_EQ(entry.type(), "erasure");
  ASSERT_EQ(entry.items_size(), 3);
  v1::LogItem item;
  ASSERT_TRUE(item.ParseFromString(entry.items(0)));
  EXPECT_EQ(item.ticket().principal(), "eraser");
  EXPECT_EQ(item.ticket().charge(), 2u);
  ASSERT_TRUE(item.ParseFromString(entry.items(2)));
  EXPECT_EQ(item.erasure().idx(), 5u);
  EXPECT_EQ(item.erasure().collection(), kPerson);
}

TEST_F(ErasingTest, TheProofShowsTheRecordsAndNotWhoAsked) {
  const uint64_t leaf = erase({2, 5}).erase().leaf();
  v1::ProveErasureRequest request;
  request.set_leaf(leaf);
  EXPECT_EQ(vault_.server().prove_erasure("eraser", request).error().code, ErrorCode::kUnavailable);
  ASSERT_TRUE(vault_.server().tick());
  for (const char* who : {"eraser", "officer"}) {
    const auto proven = vault_.server().prove_erasure(who, request);
    ASSERT_TRUE(proven) << proven.error().text;
    const auto proof = tlog::parse_proof(proven->proof());
    ASSERT_TRUE(proof);
    EXPECT_EQ(proof->extra.find("eraser"), std::string::npos);
    const Bytes extra = as_bytes(proof->extra);
    const auto head = tlog::parse_entry(extra.first(tlog::kEntrySize));
    const tlog::LogKeys key(tlog::log_key(vault_.server().vault_file().origin(),
                                          log_public_key(vault_.server().vault_file())));
    EXPECT_TRUE(
        tlog::verify_proof(*proof, tlog::leaf_hash(extra.first(tlog::kEntrySize)), key, {}));
    const auto shown = tlog::check_opening(extra.subspan(tlog::kEntrySize), *head);
    ASSERT_TRUE(shown && shown->size() == 2);
    v1::LogItem item;
    ASSERT_TRUE(item.ParseFromString((*shown)[1].second));
    EXPECT_EQ(item.erasure().idx(), 5u);
  }
  for (const char* who : {"clerk", "operator", "approver1"}) {
    EXPECT_EQ(vault_.server().prove_erasure(who, request).error().code, ErrorCode::kNotFound);
  }
  request.set_leaf(0);  // The start.
  EXPECT_EQ(vault_.server().prove_erasure("officer", request).error().code, ErrorCode::kNotFound);
  request.set_leaf(UINT64_MAX);
  EXPECT_EQ(vault_.server().prove_erasure("officer", request).error().code, ErrorCode::kNotFound);
}

class ErasingCanariesTest : public ErasingTest {
 protected:
  ErasingCanariesTest() {
    auto& policy = vault_.founding().policy;
    policy.mutable_watch()->mutable_canary()->set_action(v1::WatchRule::FREEZE);
    for (auto& role : *policy.mutable_roles()) {
      if (role.name() == "officer") role.add_powers(v1::PLANT_CANARIES);
    }
  }
};

TEST_F(ErasingCanariesTest, WhoErasesACanaryIsCutOff) {
  v1::PlantCanariesRequest plant;
  plant.set_collection(kPerson);
  plant.add_records(2);
  const auto planted = vault_.server().plant_canaries("officer", plant);
  ASSERT_TRUE(planted) << planted.error().text;
  EXPECT_TRUE(erase({2}).has_erase()) << "not refused, which would say which record it is";
  EXPECT_TRUE(says(erase({3}), ErrorCode::kPermissionDenied));
  const auto alarms = vault_.server().list_alarms("officer", {});
  ASSERT_EQ(alarms->alarms_size(), 1);
  EXPECT_EQ(alarms->alarms(0).alarm().principal(), "eraser");
  ASSERT_TRUE(vault_.open());
  EXPECT_TRUE(says(erase({3}), ErrorCode::kPermissionDenied));
  EXPECT_EQ(open({3}).release().keys(), key_of(3));
}

class ErasingInEmergencyTest : public ErasingTest {
 protected:
  ErasingInEmergencyTest() {
    for (auto& purpose : *vault_.founding().policy.mutable_purposes()) {
      if (purpose.name() == "rights") purpose.set_emergency(true);
    }
  }
};

TEST_F(ErasingInEmergencyTest, ErasuresAreWatchedAsTheRestIs) {
  ASSERT_TRUE(erase({2}).has_erase());
  const auto alarms = vault_.server().list_alarms("officer", {});
  ASSERT_EQ(alarms->alarms_size(), 1);
  EXPECT_EQ(alarms->alarms(0).alarm().rule(), v1::AlarmItem::EMERGENCY);
  for (int i = 0; i < 61; ++i) EXPECT_TRUE(says(erase({0, 1, 2, 3}), ErrorCode::kBudgetExhausted));
  vault_.clock().advance_ms(10'000);
  ASSERT_TRUE(vault_.server().tick());
  EXPECT_GT(vault_.server().list_alarms("officer", {})->alarms_size(), 1) << "refusals are, too";
}

TEST_F(ErasingTest, ATicketErasesTheRecordsItNamesAndDoesNothingElse) {
  const auto ticket = erasure_ticket(vault_, {2});
  EXPECT_TRUE(says(vault_.call(erase_call(ticket, {3})), ErrorCode::kPermissionDenied));
  EXPECT_TRUE(says(vault_.call(erase_call(ticket, {2, 3})), ErrorCode::kPermissionDenied));
  // Of the same principal and purpose, but signed for something else.
  const auto plain = vault_.ticket({.principal = "eraser", .purpose = "rights"});
  EXPECT_TRUE(says(vault_.call(erase_call(plain, {2})), ErrorCode::kPermissionDenied));
  EXPECT_TRUE(says(vault_.call(tokens_call(ticket, {}, {std::string(16, 't')})),
                   ErrorCode::kPermissionDenied));
  EXPECT_TRUE(says(vault_.call(lane_call(ticket, false)), ErrorCode::kPermissionDenied));
  EXPECT_EQ(open({2, 3}).release().keys(), key_of(2) + key_of(3));
}

TEST_F(ErasingTest, OnlyWhoMayErasesAndOnlySoMany) {
  for (const auto& [who, purpose] : {std::pair{"clerk", "service"}, {"operator", "import"}}) {
    const auto ticket = erasure_ticket(vault_, {2}, {.principal = who, .purpose = purpose});
    EXPECT_TRUE(says(vault_.call(erase_call(ticket, {2})), ErrorCode::kPermissionDenied)) << who;
  }
  EXPECT_TRUE(says(erase({0, 1, 2, 3}), ErrorCode::kBudgetExhausted));
  EXPECT_TRUE(erase({0, 1}).has_erase());
  EXPECT_TRUE(says(erase({2, 3}), ErrorCode::kBudgetExhausted));
  EXPECT_TRUE(erase({1}).has_erase()) << "again is no error, and is charged";
  EXPECT_TRUE(says(erase({1}), ErrorCode::kBudgetExhausted));
  ASSERT_TRUE(vault_.open());
  EXPECT_TRUE(says(erase({2}), ErrorCode::kBudgetExhausted)) << "a restart refills nothing";
  EXPECT_EQ(open({2, 3}).release().keys(), key_of(2) + key_of(3));
}

TEST_F(ErasingTest, AFrozenPrincipalErasesNothing) {
  v1::FreezeRequest request;
  request.set_scope("principal:eraser");
  ASSERT_TRUE(vault_.server().freeze("officer", request));
  EXPECT_TRUE(says(erase({2}), ErrorCode::kPermissionDenied));
  EXPECT_EQ(open({2}).release().keys(), key_of(2));
}

TEST_F(ErasingTest, OnlyRecordsOfTheTicketsCollectionCanBeNamed) {
  const auto parcels = vault_.call(grant_call(vault_.import_ticket(kParcel), 1)).grant();
  for (const uint64_t idx : {parcels.first(), uint64_t{8}, uint64_t{1} << 39, UINT64_MAX}) {
    EXPECT_TRUE(says(erase({1, idx}), ErrorCode::kNotFound)) << idx;
  }
  EXPECT_EQ(open({1}).release().keys(), key_of(1)) << "all or none";
  EXPECT_TRUE(says(erase({}), ErrorCode::kInvalidArgument));
  EXPECT_TRUE(says(erase({2, 1}), ErrorCode::kInvalidArgument));
  EXPECT_TRUE(says(erase({1, 1}), ErrorCode::kInvalidArgument));
}

TEST_F(ErasingTest, WithinOneBatchWhatWasLoggedFirstIsOwed) {
  v1::CallBatch batch;
  *batch.add_calls() = open_call({1, 2});
  *batch.add_calls() = update_call(vault_.import_ticket(), {{2, granted_.u()}});
  *batch.add_calls() = erase_call(erasure_ticket(vault_, {2}), {2});
  *batch.add_calls() = open_call({1, 2});
  const auto replies = vault_.server().handle(std::move(batch));
  EXPECT_EQ(replies.replies(0).release().keys(), key_of(1) + key_of(2));
  EXPECT_TRUE(replies.replies(1).has_update_grant());
  EXPECT_TRUE(replies.replies(2).has_erase());
  EXPECT_EQ(replies.replies(3).release().keys(), key_of(1));
}

TEST_F(ErasingTest, ErasuresAreListedInTheirOrder) {
  ASSERT_TRUE(erase({5}).has_erase());
  ASSERT_TRUE(erase({2}).has_erase());
  v1::Call call;
  call.mutable_erasures()->set_from(1);
  for (int again = 0; again < 2; ++again) {
    const auto listed = vault_.call(call).erasures();
    EXPECT_EQ(listed.erasures(), 2u);
    ASSERT_EQ(listed.erased_size(), 1);
    EXPECT_EQ(listed.erased(0).idx(), 2u);
    EXPECT_EQ(listed.erased(0).collection(), kPerson);
    ASSERT_TRUE(vault_.open());
  }
  call.mutable_erasures()->set_from(UINT64_MAX);
  EXPECT_TRUE(vault_.call(call).erasures().erased().empty());
}

// The files of the current state, opened as a thief with the root key would.
std::unique_ptr<KeyState> state_in(const TestVault& vault, const std::string& dir) {
  return *KeyState::open({dir, dir + "-none"}, env::real_files(), vault.root());
}

TEST_F(ErasingTest, BehindTheEpochTheStateHoldsNothingThatOpensIt) {
  const std::string now = vault_.options().dir + "/state", old = vault_.dir() + "/image";
  copy_tree(now, old);
  ASSERT_TRUE(erase({2}).has_erase());
  EXPECT_EQ(status().erased(), 1u);
  EXPECT_EQ(status().erased_pending(), 1u);
  vault_.clock().advance_ms(kEpochMs + 1);
  ASSERT_TRUE(vault_.server().tick());
  EXPECT_EQ(status().erased_pending(), 0u);
  EXPECT_FALSE(state_in(vault_, now)->tree().alive(RecordIndex{2}));
  EXPECT_TRUE(state_in(vault_, now)->tree().alive(RecordIndex{1}));
  EXPECT_TRUE(state_in(vault_, old)->tree().alive(RecordIndex{2}))
      << "an older image, with the root key: what the documentation says it can still do";
}

TEST_F(ErasingTest, AStatePutBackFromBeforeIsPuncturedAgain) {
  const std::string image = vault_.dir() + "/image";
  copy_tree(vault_.options().dir + "/state", image);
  ASSERT_TRUE(erase({2}).has_erase());
  vault_.close();
  copy_tree(image, vault_.options().dir + "/state");
  copy_tree(image, vault_.options().mirror_dir + "/state");
  const auto opened = vault_.open();
  ASSERT_TRUE(opened) << opened.error().text;
  EXPECT_EQ(open({1, 2}).release().keys(), key_of(1));
  EXPECT_FALSE(state_in(vault_, vault_.options().dir + "/state")->tree().alive(RecordIndex{2}));
}

TEST_F(ErasingTest, AStateWithErasuresThatTheLogLacksIsRefused) {
  const std::string image = vault_.dir() + "/image";
  vault_.close();
  copy_tree(vault_.options().dir + "/log", image);
  ASSERT_TRUE(vault_.open());
  ASSERT_TRUE(erase({2}).has_erase());
  vault_.close();
  copy_tree(image, vault_.options().dir + "/log");
  const auto opened = vault_.open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kDataLoss);
}

TEST(ErasingManyTest, AWholeBlockGoesAndTheEpochWithIt) {
  TestVault vault;
  add_eraser(vault.founding(), vault, 5000);
  ASSERT_TRUE(vault.create());
  ASSERT_EQ(vault.call(grant_call(vault.import_ticket(), 4096)).grant().count(), 4096u);
  const uint64_t epoch = vault.server().status("operator", {})->epoch();
  for (uint64_t from = 0; from < 4096; from += 1000) {
    std::vector<RecordIndex> records(std::min<uint64_t>(1000, 4096 - from));
    v1::Call call;
    for (size_t i = 0; i < records.size(); ++i) {
      records[i] = RecordIndex{from + i};
      call.mutable_erase()->add_records(from + i);
    }
    v1::Ticket ticket = vault.ticket_terms({.principal = "eraser", .purpose = "rights"});
    ticket.set_erases(erasure_digest(records));
    *call.mutable_erase()->mutable_ticket() = sign_ticket(ticket, vault.key("eraser"));
    call.mutable_erase()->set_request_id(fresh(kRequestIdSize));
    ASSERT_TRUE(vault.call(call).has_erase());
  }
  ASSERT_TRUE(vault.server().tick());
  EXPECT_EQ(vault.server().status("operator", {})->epoch(), epoch + 1) << "so many end it sooner";
  for (int again = 0; again < 2; ++again) {
    const auto opened = vault.open();
    ASSERT_TRUE(opened) << opened.error().text;
    const auto next = vault.call(grant_call(vault.import_ticket(), 1)).grant();
    EXPECT_EQ(next.first(), 4096u + static_cast<uint64_t>(again)) << "no number is given out twice";
  }
}

// The disk stops at its nth operation. What was answered as erased stays so; what the log says is
// erased, is; and nothing else is lost.
TEST(ErasingCrashTest, ACrashAtAnyPointRevivesNothing) {
  uint64_t crashes = 0, logged_only = 0;
  for (uint64_t stop = 1;; ++stop) {
    env::FaultyFiles files(env::real_files());
    TestVault vault(files);
    add_eraser(vault.founding(), vault);
    ASSERT_TRUE(vault.create());
    const auto granted = vault.call(grant_call(vault.import_ticket(), 3)).grant();
    files.stop_at(stop);
    v1::Call call;
    v1::Ticket ticket = vault.ticket_terms({.principal = "eraser", .purpose = "rights"});
    const RecordIndex record{1};
    ticket.set_erases(erasure_digest({&record, 1}));
    *call.mutable_erase()->mutable_ticket() = sign_ticket(ticket, vault.key("eraser"));
    call.mutable_erase()->set_request_id(fresh(kRequestIdSize));
    call.mutable_erase()->add_records(record.value);
    const bool answered = vault.call(call).has_erase();
    vault.clock().advance_ms(kEpochMs + 1);
    (void)vault.server().tick();
    const bool stopped = files.operations() >= stop;
    ASSERT_TRUE(files.crash(stop % 3 * 7));
    const auto opened = vault.open();
    ASSERT_TRUE(opened) << opened.error().text << " stop " << stop;
    const bool erased = vault.server().status("operator", {})->erased() == 1;
    EXPECT_TRUE(erased || !answered);
    if (erased && !answered) ++logged_only;
    const std::vector<std::pair<uint64_t, uint64_t>> items = {
        {0, granted.u()}, {1, granted.u()}, {2, granted.u()}};
    const auto left = vault.call(release_call(vault.ticket(), {}, items, 2, true)).release();
    EXPECT_EQ(left.erased_size(), erased ? 1 : 0);
    EXPECT_EQ(left.keys().size(), (erased ? 2 : 3) * RecordKey::kSize);
    EXPECT_EQ(state_in(vault, vault.options().dir + "/state")->tree().alive(record), !erased);
    if (!stopped) break;
    ++crashes;
    ASSERT_LT(stop, 1000u);
  }
  EXPECT_GT(crashes, 5u);
  EXPECT_GT(logged_only, 0u) << "stops between entry and state were among them";
}

}  // namespace
}  // namespace strongroom::keyserver
