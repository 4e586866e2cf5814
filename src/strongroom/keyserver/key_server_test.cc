#include "strongroom/keyserver/key_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "strongroom/crypto/hash.h"
#include "strongroom/env/faulty_files.h"
#include "strongroom/keyserver/test_vault.h"
#include "strongroom/keyserver/unseal.h"

namespace strongroom::keyserver {
namespace {

using testing::ElementsAre;

class KeyServerTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(vault_.create()); }

  ErrorCode code(const v1::Reply& reply) {
    return reply.has_error() ? static_cast<ErrorCode>(reply.error().code()) : ErrorCode{255};
  }
  static constexpr ErrorCode kOk{255};

  // Grants `count` records in a collection; the first idx and u.
  std::pair<uint64_t, uint64_t> grant(uint32_t count, uint32_t collection = kPerson) {
    const auto reply = vault_.call(grant_call(vault_.import_ticket(collection), count));
    EXPECT_TRUE(reply.has_grant()) << reply.error().text();
    return {reply.grant().first(), reply.grant().u()};
  }
  v1::TokensReply search(const v1::SignedTicket& ticket, const RequestId& request = {}) {
    const auto reply = vault_.call(tokens_call(ticket, request, {kTerm}));
    EXPECT_TRUE(reply.has_tokens()) << reply.error().text();
    return reply.tokens();
  }
  uint32_t open_lane(bool packed, uint32_t collection = kPerson) {
    const auto reply = vault_.call(lane_call(vault_.import_ticket(collection), packed));
    EXPECT_TRUE(reply.has_open_lane()) << reply.error().text();
    return reply.open_lane().lane();
  }

  TestVault vault_;
};

TEST_F(KeyServerTest, AFindGetsTokensThenKeysThatOpenWhatAWriterSealed) {
  const auto granted = vault_.call(grant_call(vault_.import_ticket(), 3)).grant();
  ASSERT_EQ(granted.count(), 3u);
  ASSERT_EQ(granted.secrets().size(), 96u);
  const auto lane = vault_.call(lane_call(vault_.import_ticket(), false)).open_lane();
  const auto ticket = vault_.ticket();
  const RequestId request;
  const auto tokens = search(ticket, request);
  EXPECT_THAT(tokens.lanes(), ElementsAre(lane.lane()));

  LaneRoot root(as_bytes(lane.root()).first<32>());
  crypto::LaneTokens writer(root);
  TermHash h_w;
  h_w.bytes.fill('t');
  EXPECT_EQ(tokens.tokens(), as_text(writer.token(h_w).read(SecretAccess{})));

  const auto released = vault_.call(
      release_call(ticket, request, {{granted.first() + 1, granted.u()}}, 1u << 0 | 1u << 1));
  ASSERT_TRUE(released.has_release()) << released.error().text();
  const WriteSecret secret(as_bytes(granted.secrets()).subspan(32).first<32>());
  std::string expected;
  for (const uint8_t g : {uint8_t{0}, uint8_t{1}}) {
    append(expected, crypto::derive_group_key(secret, GroupId{g}).read(SecretAccess{}));
  }
  EXPECT_EQ(released.release().keys(), expected);
  EXPECT_GT(released.release().leaf(), tokens.leaf());
}

TEST_F(KeyServerTest, TokensComeForEachTermAndLane) {
  open_lane(false);
  open_lane(false);
  open_lane(false, kParcel);
  const auto reply =
      vault_.call(tokens_call(vault_.ticket(), {}, {kTerm, std::string(16, 'x')})).tokens();
  EXPECT_EQ(reply.lanes_size(), 2);
  ASSERT_EQ(reply.tokens().size(), 4u * 32);
  std::set<std::string> distinct;
  for (size_t i = 0; i < 4; ++i) distinct.insert(reply.tokens().substr(32 * i, 32));
  EXPECT_EQ(distinct.size(), 4u);
}

TEST_F(KeyServerTest, ARequestIsAnsweredOnce) {
  const auto [first, u] = grant(3);
  const auto ticket = vault_.ticket();
  const RequestId request;
  search(ticket, request);
  EXPECT_EQ(code(vault_.call(tokens_call(ticket, request, {kTerm}))), ErrorCode::kReplayed);
  EXPECT_EQ(code(vault_.call(tokens_call(ticket, request, {kTerm}, true))), ErrorCode::kReplayed);
  EXPECT_EQ(code(vault_.call(release_call(ticket, request, {{first, u}}))), kOk);
  EXPECT_EQ(code(vault_.call(release_call(ticket, request, {{first, u}}))), ErrorCode::kReplayed);
  EXPECT_EQ(code(vault_.call(release_call(ticket, request, {{first + 1, u}, {first, u}}))),
            ErrorCode::kReplayed);
  EXPECT_EQ(code(vault_.call(release_call(ticket, request, {{first + 1, u}}))), kOk)
      << "another page of the same request";

  // And after a restart, from the log.
  ASSERT_TRUE(vault_.open());
  EXPECT_EQ(code(vault_.call(tokens_call(ticket, request, {kTerm}))), ErrorCode::kReplayed);
  EXPECT_EQ(code(vault_.call(release_call(ticket, request, {{first + 1, u}}))),
            ErrorCode::kReplayed);
  EXPECT_EQ(code(vault_.call(release_call(ticket, request, {{first + 2, u}}))), kOk);
}

TEST_F(KeyServerTest, AReleaseBelongsToItsOwnSearch) {
  const auto [first, u] = grant(2);
  const auto ticket = vault_.ticket();
  const RequestId request;
  EXPECT_EQ(code(vault_.call(release_call(ticket, request, {{first, u}}))),
            ErrorCode::kFailedPrecondition);
  search(ticket, request);
  RequestId other = request;
  other.hash = fresh(32);
  EXPECT_EQ(code(vault_.call(release_call(ticket, other, {{first, u}}))), ErrorCode::kReplayed);
  EXPECT_EQ(code(vault_.call(release_call(ticket, request, {{first, u}}))), kOk);
  EXPECT_EQ(code(vault_.call(release_call(ticket, {}, {{first, u}}, 2, true))), kOk)
      << "a get has no search";
}

TEST_F(KeyServerTest, ATicketIsSpentAcrossCallsAndRestarts) {
  const auto [first, u] = grant(10);
  const auto ticket = vault_.ticket({.records_max = 3});
  EXPECT_EQ(code(vault_.call(release_call(ticket, {}, {{first, u}, {first + 1, u}}, 2, true))),
            kOk);
  ASSERT_TRUE(vault_.open());
  const auto spent =
      vault_.call(release_call(ticket, {}, {{first + 2, u}, {first + 3, u}}, 2, true));
  EXPECT_EQ(code(spent), ErrorCode::kBudgetExhausted);
  EXPECT_EQ(spent.error().number(), 1);
  EXPECT_EQ(code(vault_.call(release_call(ticket, {}, {{first + 2, u}}, 2, true))), kOk);
  EXPECT_EQ(code(vault_.call(release_call(ticket, {}, {{first + 3, u}}, 2, true))),
            ErrorCode::kBudgetExhausted);
}

TEST_F(KeyServerTest, BudgetsHoldAcrossRestartsAndReopen) {
  const auto granted = grant(4096);
  uint64_t next = granted.first;
  const auto take = [&](uint64_t count) {
    std::vector<std::pair<uint64_t, uint64_t>> items;
    for (uint64_t i = 0; i < count; ++i) items.emplace_back(next + i, granted.second);
    auto reply = vault_.call(release_call(vault_.ticket(), {}, items, 2, true));
    if (reply.has_release()) next += count;
    return reply;
  };
  for (int i = 0; i < 5; ++i) ASSERT_EQ(code(take(20)), kOk);
  ASSERT_TRUE(vault_.open());
  const auto over = take(1);
  ASSERT_EQ(code(over), ErrorCode::kBudgetExhausted);
  EXPECT_GT(over.error().retry_after_ms(), 0);
  vault_.clock().advance_ms(static_cast<uint64_t>(over.error().retry_after_ms()));
  EXPECT_EQ(code(take(1)), kOk);
}

TEST_F(KeyServerTest, ForeignUngrantedAndImpossibleRecordsAreNotFound) {
  const auto [first, u] = grant(2);
  const auto [parcel, parcel_u] = grant(2, kParcel);
  for (const auto& item : std::vector<std::pair<uint64_t, uint64_t>>{
           {parcel, parcel_u},       // Another collection's.
           {first + 2, u},           // Not granted.
           {uint64_t{77} << 12, u},  // No such block.
           {UINT64_MAX, u},
           {first, 0},
           {first, parcel_u + 1}}) {  // A version never granted.
    const auto reply = vault_.call(release_call(vault_.ticket(), {}, {item}, 2, true));
    EXPECT_EQ(code(reply), ErrorCode::kNotFound) << item.first;
  }
}

TEST_F(KeyServerTest, GroupsActionsAndPurposesAreTheRoles) {
  const auto granted = grant(1);
  const auto release = [&](uint32_t groups) {
    return code(vault_.call(release_call(vault_.ticket(), {}, {granted}, groups, true)));
  };
  EXPECT_EQ(release(1u << 2), ErrorCode::kPermissionDenied) << "contact is not the clerk's";
  EXPECT_EQ(release(1u << 5), ErrorCode::kInvalidArgument);
  EXPECT_EQ(release(0), ErrorCode::kInvalidArgument);
  const auto no_case = vault_.ticket({.purpose = "investigation"});
  EXPECT_EQ(code(vault_.call(tokens_call(no_case, {}, {kTerm}))), ErrorCode::kPermissionDenied);
  const auto with_case = vault_.ticket({.purpose = "investigation", .case_reference = "A-1"});
  EXPECT_EQ(code(vault_.call(tokens_call(with_case, {}, {kTerm}))), kOk);
  EXPECT_EQ(code(vault_.call(tokens_call(vault_.ticket({.purpose = "import"}), {}, {kTerm}))),
            ErrorCode::kPermissionDenied);
  EXPECT_EQ(code(vault_.call(grant_call(vault_.ticket(), 1))), ErrorCode::kPermissionDenied);
  EXPECT_EQ(code(vault_.call(tokens_call(vault_.import_ticket(), {}, {kTerm}))),
            ErrorCode::kPermissionDenied);
  EXPECT_EQ(code(vault_.call(tokens_call(vault_.ticket({.collection = 99}), {}, {kTerm}))),
            ErrorCode::kNotFound);
}

TEST_F(KeyServerTest, TermsOfHiddenFieldsGetNoTokens) {
  const auto ask = [&](uint32_t field, v1::IndexKind kind, uint32_t composite = 0) {
    v1::Call call = tokens_call(vault_.ticket(), {}, {kTerm, fresh(16)});
    auto& term = *call.mutable_tokens()->mutable_terms(1);
    term.set_field(field);
    term.set_kind(kind);
    term.set_composite(composite);
    const auto reply = vault_.call(call);
    return std::pair{code(reply), reply.error().number()};
  };
  EXPECT_EQ(ask(2, v1::EXACT), std::pair(kOk, int64_t{0}));
  EXPECT_EQ(ask(3, v1::EXACT), std::pair(ErrorCode::kSearchDenied, int64_t{3}));
  EXPECT_EQ(ask(0, v1::INDEX_KIND_UNSPECIFIED).first, ErrorCode::kInvalidArgument);
  EXPECT_EQ(ask(2, v1::RANGE).first, ErrorCode::kInvalidArgument) << "no such index";
  EXPECT_EQ(ask(0, v1::INDEX_KIND_UNSPECIFIED, 1).first, ErrorCode::kInvalidArgument);
  EXPECT_EQ(ask(2, static_cast<v1::IndexKind>(77)).first, ErrorCode::kInvalidArgument);
}

TEST_F(KeyServerTest, TheLogSaysByWhichIndexATermWasAsked) {
  const auto leaf = search(vault_.ticket()).leaf();
  v1::LogEntriesRequest request;
  request.set_first(leaf);
  request.set_count(1);
  const auto logged = vault_.server().log_entries("officer", request);
  ASSERT_TRUE(logged) << logged.error().text;
  v1::LogItem item;
  ASSERT_TRUE(item.ParseFromString(logged->entries(0).items(1)));
  EXPECT_EQ(item.token().h_w(), kTerm);
  EXPECT_EQ(item.token().field(), 1u);
  EXPECT_EQ(item.token().kind(), v1::EXACT);
}

TEST_F(KeyServerTest, SizesOfTheGatewayAreNotTrusted) {
  const auto [first, u] = grant(1);
  const auto ticket = vault_.ticket();
  const auto refused = [&](const v1::Call& call) {
    return code(vault_.call(call)) == ErrorCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused(tokens_call(ticket, {}, {})));
  EXPECT_TRUE(refused(tokens_call(ticket, {}, {std::string(15, 'x')})));
  EXPECT_TRUE(refused(tokens_call(ticket, {}, std::vector<std::string>(257, kTerm))));
  EXPECT_TRUE(refused(tokens_call(ticket, {.id = "short", .hash = fresh(32)}, {kTerm})));
  EXPECT_TRUE(refused(tokens_call(ticket, {.id = fresh(16), .hash = ""}, {kTerm})));
  EXPECT_TRUE(refused(release_call(ticket, {}, {}, 2, true)));
  EXPECT_TRUE(refused(release_call(ticket, {}, {{first, u}, {first, u}}, 2, true)));
  EXPECT_TRUE(refused(release_call(
      ticket, {}, std::vector<std::pair<uint64_t, uint64_t>>(1001, {first, u}), 2, true)));
  EXPECT_TRUE(refused(grant_call(vault_.import_ticket(), 0)));
  EXPECT_TRUE(refused(grant_call(vault_.import_ticket(), 4097)));
  EXPECT_TRUE(refused(update_call(vault_.import_ticket(), {})));
  EXPECT_TRUE(refused(unique_call(vault_.import_ticket(), {})));
  EXPECT_TRUE(refused(unique_call(vault_.import_ticket(), std::vector<std::string>(4097, kTerm))));
  EXPECT_TRUE(refused(v1::Call()));
  EXPECT_EQ(code(vault_.call(tokens_call({}, {}, {kTerm}))), ErrorCode::kUnauthenticated);
}

TEST_F(KeyServerTest, GrantsFillBlocksInOrderUnderFreshVersions) {
  const auto [first, u] = grant(4000);
  const auto rest = vault_.call(grant_call(vault_.import_ticket(), 200)).grant();
  EXPECT_EQ(rest.first(), first + 4000);
  EXPECT_EQ(rest.count(), 96u) << "the rest of the block";
  EXPECT_GT(rest.u(), u);
  const auto [parcel, parcel_u] = grant(1, kParcel);
  const auto [next, next_u] = grant(1);
  EXPECT_EQ(RecordIndex{parcel}.block(), RecordIndex{first}.block() + 1);
  EXPECT_EQ(RecordIndex{next}.block(), RecordIndex{first}.block() + 2);
  EXPECT_GT(next_u, parcel_u);
  ASSERT_TRUE(vault_.open());
  EXPECT_EQ(grant(1).first, next + 1);
}

TEST_F(KeyServerTest, AnUpdateGetsAVersionThatPostingsTellApart) {
  const auto [first, u] = grant(2);
  const auto update =
      vault_.call(update_call(vault_.import_ticket(), {{first, u}, {first + 1, u}}));
  ASSERT_TRUE(update.has_update_grant()) << update.error().text();
  EXPECT_EQ(update.update_grant().u(), u + 1) << "one for the whole grant";
  EXPECT_EQ(update.update_grant().secrets().size(), 64u);
  EXPECT_NE(update.update_grant().secrets().substr(0, 32),
            update.update_grant().secrets().substr(32));
  const auto again = vault_.call(update_call(vault_.import_ticket(), {{first, u + 1}}));
  EXPECT_EQ(again.update_grant().u(), u + 2);
  EXPECT_EQ(code(vault_.call(update_call(vault_.import_ticket(), {{first, u + 3}}))),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(vault_.call(update_call(vault_.import_ticket(kParcel), {{first, u}}))),
            ErrorCode::kNotFound);
  ASSERT_TRUE(vault_.open());
  EXPECT_GT(grant(1).second, u + 2);
}

// Twice the same record under one u would be the same secret for two contents.
TEST_F(KeyServerTest, AnUpdateNamesEachRecordOnceAndInOrder) {
  const auto [first, u] = grant(2);
  for (const auto& [a, b] : {std::pair{first, first}, {first + 1, first}}) {
    const auto refused = vault_.call(update_call(vault_.import_ticket(), {{a, u}, {b, u}}));
    EXPECT_EQ(code(refused), ErrorCode::kInvalidArgument);
    EXPECT_EQ(refused.error().number(), 1);
  }
}

// All calls of a batch are decided before the first is answered.
TEST_F(KeyServerTest, ALaneDroppedInTheBatchThatOpensItIsNotAnsweredWithARoot) {
  const uint32_t next = vault_.call(lane_call(vault_.import_ticket(), true)).open_lane().lane() + 1;
  v1::CallBatch batch;
  *batch.add_calls() = lane_call(vault_.import_ticket(), true);
  *batch.add_calls() = publish_call(next, v1::PublishLaneCall::DROP);
  const auto replies = vault_.server().handle(std::move(batch));
  EXPECT_EQ(code(replies.replies(0)), ErrorCode::kUnavailable);
  EXPECT_TRUE(replies.replies(1).has_publish_lane());
  EXPECT_TRUE(vault_.call(lane_call(vault_.import_ticket(), true)).has_open_lane());
}

TEST_F(KeyServerTest, LanesAreSearchedFromOpeningOrPublishing) {
  const auto lanes = [&] {
    const auto reply = search(vault_.ticket());
    return std::vector<uint32_t>(reply.lanes().begin(), reply.lanes().end());
  };
  const uint32_t online = open_lane(false);
  const uint32_t packed = open_lane(true);
  const uint32_t dropped = open_lane(true);
  EXPECT_THAT(lanes(), ElementsAre(online));
  const auto generation = search(vault_.ticket()).generation();
  const auto published = vault_.call(publish_call(packed, v1::PublishLaneCall::PUBLISH));
  ASSERT_TRUE(published.has_publish_lane());
  EXPECT_THAT(lanes(), ElementsAre(online, packed));
  EXPECT_GT(search(vault_.ticket()).generation(), generation);
  const auto again = vault_.call(publish_call(packed, v1::PublishLaneCall::PUBLISH));
  EXPECT_EQ(again.publish_lane().leaf(), published.publish_lane().leaf()) << "idempotent";
  EXPECT_EQ(code(vault_.call(publish_call(online, v1::PublishLaneCall::CLOSE))), kOk);
  EXPECT_EQ(code(vault_.call(publish_call(online, v1::PublishLaneCall::CLOSE))), kOk);
  EXPECT_EQ(code(vault_.call(publish_call(dropped, v1::PublishLaneCall::DROP))), kOk);
  EXPECT_EQ(code(vault_.call(publish_call(dropped, v1::PublishLaneCall::DROP))), kOk);
  EXPECT_EQ(code(vault_.call(publish_call(dropped, v1::PublishLaneCall::PUBLISH))),
            ErrorCode::kFailedPrecondition);
  EXPECT_EQ(code(vault_.call(publish_call(packed, v1::PublishLaneCall::DROP))),
            ErrorCode::kFailedPrecondition);
  EXPECT_EQ(code(vault_.call(publish_call(online, v1::PublishLaneCall::PUBLISH))),
            ErrorCode::kFailedPrecondition);
  EXPECT_EQ(code(vault_.call(publish_call(999, v1::PublishLaneCall::CLOSE))), ErrorCode::kNotFound);
  EXPECT_THAT(lanes(), ElementsAre(online, packed)) << "a closed lane is searched on";
  const auto before = search(vault_.ticket());
  ASSERT_TRUE(vault_.open());
  EXPECT_EQ(search(vault_.ticket()).tokens(), before.tokens());
  EXPECT_GT(open_lane(false), dropped) << "lane numbers are never used again";
}

TEST_F(KeyServerTest, NoSearchReadsAHistoryLane) {
  const uint32_t online = open_lane(false);
  auto call = lane_call(vault_.import_ticket(), true);
  call.mutable_open_lane()->set_history(true);
  const uint32_t history = vault_.call(call).open_lane().lane();
  ASSERT_GT(history, online);
  EXPECT_EQ(code(vault_.call(publish_call(history, v1::PublishLaneCall::PUBLISH))), kOk);
  const auto searched = [&] {
    const auto reply = search(vault_.ticket());
    return std::vector<uint32_t>(reply.lanes().begin(), reply.lanes().end());
  };
  EXPECT_THAT(searched(), ElementsAre(online));
  ASSERT_TRUE(vault_.open());
  EXPECT_THAT(searched(), ElementsAre(online));
}

TEST_F(KeyServerTest, UniqueTokensAreStable) {
  const auto first = vault_.call(unique_call(vault_.import_ticket(), {kTerm})).unique_tokens();
  ASSERT_EQ(first.tokens().size(), 32u);
  ASSERT_TRUE(vault_.open());
  const auto again = vault_.call(unique_call(vault_.import_ticket(), {kTerm})).unique_tokens();
  EXPECT_EQ(again.tokens(), first.tokens());
  const auto other =
      vault_.call(unique_call(vault_.import_ticket(kParcel), {kTerm})).unique_tokens();
  EXPECT_NE(other.tokens(), first.tokens()) << "a root for each collection";
  EXPECT_EQ(code(vault_.call(unique_call(vault_.ticket(), {kTerm}))), ErrorCode::kPermissionDenied);
}

TEST(KeyServerBudgetTest, UniqueTokensAreMeteredBesideWrites) {
  TestVault vault;
  for (auto& grant : *vault.founding().policy.mutable_roles(1)->mutable_grants()) {
    grant.mutable_budget()->set_writes_per_day(10'000);
  }
  ASSERT_TRUE(vault.create());
  const auto ticket = vault.import_ticket();
  const std::vector<std::string> many(4096, kTerm);
  EXPECT_TRUE(vault.call(unique_call(ticket, many)).has_unique_tokens());
  EXPECT_TRUE(vault.call(unique_call(ticket, many)).has_unique_tokens());
  EXPECT_TRUE(vault.call(unique_call(ticket, many)).has_error());
  EXPECT_TRUE(vault.call(grant_call(ticket, 4096)).has_grant());
  EXPECT_TRUE(vault.call(grant_call(ticket, 4096)).has_grant());
  EXPECT_TRUE(vault.call(grant_call(ticket, 4096)).has_error());
}

TEST_F(KeyServerTest, CallsOfOneBatchShareACommitAndSeeEachOther) {
  const auto ticket = vault_.ticket();
  const RequestId request;
  v1::CallBatch batch;
  *batch.add_calls() = grant_call(vault_.import_ticket(), 2);
  *batch.add_calls() = grant_call(vault_.import_ticket(), 2);
  *batch.add_calls() = lane_call(vault_.import_ticket(), false);
  *batch.add_calls() = tokens_call(ticket, request, {kTerm});
  *batch.add_calls() = tokens_call(ticket, request, {kTerm});
  batch.add_calls()->mutable_sync();
  const auto replies = vault_.server().handle(std::move(batch));
  ASSERT_EQ(replies.replies_size(), 6);
  EXPECT_EQ(replies.replies(1).grant().first(), replies.replies(0).grant().first() + 2);
  EXPECT_EQ(replies.replies(1).grant().leaf(), replies.replies(0).grant().leaf() + 1);
  EXPECT_EQ(replies.replies(3).tokens().lanes_size(), 1);
  EXPECT_EQ(code(replies.replies(4)), ErrorCode::kReplayed);
  EXPECT_EQ(replies.replies(5).sync().collections_size(), 2);
  for (const auto& principal : replies.replies(5).sync().principals()) {
    EXPECT_TRUE(principal.public_key().empty());
  }
}

TEST_F(KeyServerTest, ABatchTooLargeToAnswerIsRefusedInPart) {
  v1::CallBatch batch;
  for (int i = 0; i < 150; ++i) *batch.add_calls() = grant_call(vault_.import_ticket(), 4096);
  const auto replies = vault_.server().handle(std::move(batch));
  EXPECT_EQ(code(replies.replies(0)), kOk);
  EXPECT_EQ(code(replies.replies(149)), ErrorCode::kUnavailable);
  EXPECT_LT(replies.ByteSizeLong(), size_t{16} << 20);
}

TEST_F(KeyServerTest, CheckTellsWhetherATicketIsGoodAndChargesNothing) {
  v1::Call call;
  *call.mutable_check()->mutable_ticket() = vault_.import_ticket();
  call.mutable_check()->set_action(v1::IMPORT);
  EXPECT_EQ(code(vault_.call(call)), kOk);
  call.mutable_check()->set_action(v1::FIND);
  EXPECT_EQ(code(vault_.call(call)), ErrorCode::kPermissionDenied);
}

TEST_F(KeyServerTest, EachReleaseIsLoggedWithItsTicketAndCounter) {
  const auto [first, u] = grant(1);
  const auto ticket = vault_.ticket({.purpose = "investigation", .case_reference = "A-1"});
  uint64_t leaf = 0;
  for (int i = 0; i < 2; ++i) {
    leaf = vault_.call(release_call(ticket, {}, {{first, u}}, 2, true)).release().leaf();
  }
  v1::LogEntriesRequest request;
  request.set_first(leaf);
  const auto entries = vault_.server().log_entries("officer", request);
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->entries_size(), 1);
  EXPECT_EQ(entries->entries(0).type(), "release");
  v1::LogItem ticket_item, item;
  ASSERT_TRUE(ticket_item.ParseFromString(entries->entries(0).items(0)));
  ASSERT_TRUE(item.ParseFromString(entries->entries(0).items(1)));
  EXPECT_EQ(ticket_item.ticket().principal(), "clerk");
  EXPECT_EQ(ticket_item.ticket().case_reference(), "A-1");
  EXPECT_EQ(ticket_item.ticket().charge(), 1u);
  EXPECT_TRUE(ticket_item.ticket().ticket().empty()) << "it is in the log already";
  EXPECT_EQ(item.release().idx(), first);
  EXPECT_EQ(item.release().groups(), 2u);
  EXPECT_EQ(item.release().k(), 1u) << "released once before";
}

TEST_F(KeyServerTest, AnotherRootKeyIsRefused) {
  const auto other = crypto::random_secret<SealingKey>();
  vault_.close();
  const auto opened = KeyServer::open(vault_.options(), other, env::real_files(), vault_.clock());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kPermissionDenied);
}

TEST_F(KeyServerTest, ASecondVaultInOneFolderIsRefused) {
  EXPECT_EQ(vault_.create().error().code, ErrorCode::kAlreadyExists);
}

TEST(KeyServerFoundingTest, AnUnsoundFoundingLeavesNothingBehind) {
  TestVault vault;
  vault.founding().principals[0].set_role("king");
  EXPECT_EQ(vault.create().error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(std::filesystem::is_empty(vault.dir()));
}

}  // namespace
}  // namespace strongroom::keyserver
