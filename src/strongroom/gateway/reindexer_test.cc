// Indexes added to a collection that has records, through a real gateway and key server.
#include "strongroom/gateway/reindexer.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "strongroom/gateway/search.h"
#include "strongroom/index/normalise.h"
#include "test/support/gateway_vault.h"
#include "test/support/reindexing.h"

namespace strongroom::gateway {
namespace {

using test::allow;
using test::ask_to_renew;
using test::GatewayVault;
using test::reindex;
using test::Source;
using test::step;
using test::ticket;

constexpr int kPeople = 40;

Source small_town() {
  Source source{"town", {"name", "number", "email", "city"}, "", {}, keyserver::kPerson};
  for (int i = 0; i < kPeople; ++i) {
    const std::string n = std::to_string(i);
    source.rows.push_back({i % 4 == 0 ? "Wang Wei" : "Smith " + n, "N" + std::to_string(1000 + i),
                           i % 3 == 0 ? "" : "r" + n + "@x", i % 2 == 0 ? "Wuhan" : "Xian"});
  }
  return source;
}

// Names by other spellings, numbers by prefix, and city and number together.
v1::Collection indexed_more() {
  v1::Collection more = test::people();
  more.mutable_fields(0)->add_index(v1::FUZZY);
  more.mutable_fields(1)->add_index(v1::PREFIX);
  more.mutable_fields(1)->add_prefixes(4);
  auto& composite = *more.add_composites();
  composite.set_id(1);
  composite.add_parts()->set_field("city");
  composite.add_parts()->set_field("name");
  return more;
}

class ReindexerTest : public testing::Test {
 protected:
  void SetUp() override { prepare(vault_); }

  static void prepare(GatewayVault& vault) {
    ASSERT_TRUE(vault.import(small_town(), 7));
    allow(vault, {v1::IMPORT, v1::REINDEX});
  }
  // Asked, and not approved.
  static uint64_t ask_for_indexes(GatewayVault& vault) {
    v1::ApplyCollectionRequest request;
    *request.mutable_collection() = indexed_more();
    const auto applied = vault.vault().server().apply_collection("operator", request);
    EXPECT_TRUE(applied) << applied.error().text;
    EXPECT_EQ(applied->collection().reindexing().indexes_size(), 3);
    return applied->request();
  }
  static void add_indexes(GatewayVault& vault) {
    vault.vault().approve(ask_for_indexes(vault));
    ASSERT_TRUE(vault.start());
  }
  static v1::FindRequest asking(GatewayVault& vault, v1::Term::Op op, const char* field,
                                const char* value) {
    auto request = vault.find_request({{field, value}});
    request.mutable_terms(0)->set_op(op);
    return request;
  }
  static ErrorCode code(const Result<v1::FindResponse>& found) {
    return found ? ErrorCode::kInternal : found.error().code;
  }
  // All of the town, each once, by old indexes and new ones, alone and together.
  static void expect_all_found(GatewayVault& vault) {
    ASSERT_TRUE(vault.start());
    const auto fuzzy = vault.find(asking(vault, v1::Term::FUZZY, "name", "wei wang"));
    ASSERT_TRUE(fuzzy) << fuzzy.error().text;
    EXPECT_EQ(fuzzy->records_size(), kPeople / 4);
    const auto prefix = vault.find(asking(vault, v1::Term::PREFIX, "number", "n101"));
    ASSERT_TRUE(prefix) << prefix.error().text;
    EXPECT_EQ(prefix->records_size(), 10);
    EXPECT_EQ(vault.count({{"city", "Wuhan"}})->count(), uint64_t{kPeople / 2});
    EXPECT_EQ(vault.count({{"city", "Wuhan"}, {"name", "Wang Wei"}})->count(),
              uint64_t{kPeople / 4});
    auto both = asking(vault, v1::Term::FUZZY, "name", "wang");
    auto& other = *both.add_terms();
    other.set_field("city");
    other.set_value("Wuhan");
    other.set_negated(true);
    EXPECT_EQ(vault.find(both)->records_size(), 0) << "old and new indexes are held together";
    auto old_but_new = asking(vault, v1::Term::EQUALS, "city", "Wuhan");
    auto& excluded = *old_but_new.add_terms();
    excluded.set_field("name");
    excluded.set_op(v1::Term::FUZZY);
    excluded.set_value("wei wang");
    excluded.set_negated(true);
    EXPECT_EQ(vault.find(old_but_new)->records_size(), kPeople / 4)
        << "a lane that lacks the new terms does not exclude; the one that has them does";
    std::set<std::string> numbers;
    for (const auto& [id, fields] : vault.records()) numbers.insert(fields.at("number"));
    EXPECT_EQ(numbers.size(), size_t{kPeople});
    // Unique values are taken still.
    Source again = small_town();
    again.name = "again";
    again.rows.resize(3);
    EXPECT_EQ(vault.import(again)->state.rejected(), 3u);
  }

  // After the nth call, carried out or not, nothing more reaches the key server; then the power
  // goes, or the gateway is started anew, or the link alone comes back.
  enum class Cut { kPower, kRestart, kLink };
  static void cut_off_anywhere(std::initializer_list<Cut> cuts,
                               const std::function<void(GatewayVault&)>& begin,
                               const std::function<void(GatewayVault&)>& meanwhile,
                               const std::function<void(GatewayVault&)>& expect) {
    for (const bool applied : {false, true}) {
      for (const Cut cut : cuts) {
        uint64_t nth = 1;
        for (bool struck = true; struck && !HasFailure(); nth += cut == Cut::kLink ? 1 : 3) {
          SCOPED_TRACE("call " + std::to_string(nth));
          GatewayVault vault;
          prepare(vault);
          begin(vault);
          vault.faults().fail_from(nth, applied);
          const auto first = reindex(vault);
          struck = vault.faults().struck();
          EXPECT_TRUE(struck || first);
          vault.faults().clear();
          if (cut == Cut::kPower) vault.crash();
          if (cut == Cut::kRestart) vault.restart();
          meanwhile(vault);
          const auto rest = reindex(vault);
          // Its last call may have been carried out, and the answer lost.
          EXPECT_TRUE(rest || rest.error().code == ErrorCode::kFailedPrecondition);
          expect(vault);
          ASSERT_LT(nth, 500u);
        }
        EXPECT_GT(nth, 20u) << "it makes more calls than that";
      }
    }
  }

  GatewayVault vault_;
};

TEST_F(ReindexerTest, AnIndexAddedLaterFindsEverythingOnceItIsBuilt) {
  add_indexes(vault_);
  const auto refused = vault_.find(asking(vault_, v1::Term::FUZZY, "name", "wei wang"));
  EXPECT_EQ(code(refused), ErrorCode::kFailedPrecondition) << "never half an answer";
  EXPECT_EQ(code(vault_.find(asking(vault_, v1::Term::PREFIX, "number", "n101"))),
            ErrorCode::kFailedPrecondition);
  EXPECT_EQ(vault_.count({{"city", "Wuhan"}, {"name", "Wang Wei"}})->count(), uint64_t{kPeople / 4})
      << "its parts do what the composite will do";
  EXPECT_EQ(reindex(vault_).value(), uint64_t{kPeople});
  expect_all_found(vault_);
  EXPECT_EQ(step(vault_).error().code, ErrorCode::kFailedPrecondition) << "there is no more to do";
}

TEST_F(ReindexerTest, ReadsAndWritesGoOnMeanwhile) {
  add_indexes(vault_);
  ASSERT_TRUE(step(vault_));
  Source change{"change", {"name", "number", "email", "city"}, "number", {}, keyserver::kPerson};
  change.rows = {{"Li Bo", "N1004", "", "Harbin"},
                 {"Li Bo", "N1035", "", "Harbin"},
                 {"Li Bo", "N9000", "", "Harbin"}};
  ASSERT_TRUE(vault_.import(change));
  EXPECT_EQ(vault_.count({{"city", "Harbin"}})->count(), 3u);
  const uint64_t indexed = reindex(vault_).value();
  EXPECT_LE(indexed, uint64_t{kPeople});
  EXPECT_GE(indexed, uint64_t{kPeople} - 2) << "what was changed meanwhile is newer";
  ASSERT_TRUE(vault_.start());
  EXPECT_EQ(vault_.find(asking(vault_, v1::Term::FUZZY, "name", "bo li"))->records_size(), 3);
  EXPECT_EQ(vault_.count({{"city", "Harbin"}})->count(), 3u);
  EXPECT_EQ(vault_.count({{"name", "Wang Wei"}})->count(), uint64_t{kPeople / 4 - 1});
  EXPECT_EQ(vault_.records().size(), size_t{kPeople + 1});
}

TEST_F(ReindexerTest, AnImportThatBeganBeforeHoldsItUp) {
  Source late = small_town();
  late.name = "late";
  for (auto& row : late.rows) row[1] = "L" + row[1], row[2] = "";
  const auto begun = vault_.begin(vault_.begin_request(late));
  ASSERT_TRUE(begun);
  ASSERT_TRUE(vault_.batch(late, begun->import_id(), 0, 10));
  add_indexes(vault_);
  EXPECT_EQ(step(vault_).error().code, ErrorCode::kFailedPrecondition);
  ASSERT_TRUE(vault_.finish(late, begun->import_id()));
  EXPECT_EQ(reindex(vault_).value(), uint64_t{kPeople} + 10) << "what it wrote lacks terms too";
}

TEST_F(ReindexerTest, ItOpensWhatIsOlderThanTheIndexAndNothingElse) {
  const auto release = [&](uint64_t idx, uint64_t u) {
    v1::Call call = keyserver::release_call(ticket(vault_), {}, {{idx, u}}, 2);
    call.mutable_release()->set_reindex(true);
    const auto reply = vault_.vault().call(call);
    return reply.has_error() ? static_cast<ErrorCode>(reply.error().code()) : ErrorCode::kInternal;
  };
  EXPECT_EQ(release(0, 1), ErrorCode::kFailedPrecondition) << "nothing is being indexed";
  add_indexes(vault_);
  EXPECT_EQ(release(0, 1), ErrorCode::kFailedPrecondition) << "it has not begun";
  ASSERT_TRUE(step(vault_));
  EXPECT_EQ(release(0, 1), ErrorCode::kInternal) << "it opens";
  v1::Call grant = keyserver::update_call(vault_.importer(), {{0, 1}});
  const uint64_t newer = vault_.vault().call(grant).update_grant().u();
  EXPECT_EQ(release(0, newer), ErrorCode::kPermissionDenied);
  ASSERT_TRUE(reindex(vault_));
  EXPECT_EQ(release(0, 1), ErrorCode::kFailedPrecondition) << "it is over";
}

TEST_F(ReindexerTest, OnlyWhoMayReindexDoes) {
  add_indexes(vault_);
  allow(vault_, {v1::IMPORT});
  ASSERT_TRUE(vault_.start());
  EXPECT_EQ(step(vault_).error().code, ErrorCode::kPermissionDenied);
  allow(vault_, {v1::REINDEX});
  ASSERT_TRUE(vault_.start());
  EXPECT_EQ(vault_.begin(vault_.begin_request(small_town(), true)).error().code,
            ErrorCode::kPermissionDenied)
      << "it is no right to import";
  EXPECT_EQ(reindex(vault_).value(), uint64_t{kPeople});
}

TEST_F(ReindexerTest, AnIndexAddedToNoRecordsIsThereAtOnce) {
  GatewayVault empty;
  v1::ApplyCollectionRequest request;
  *request.mutable_collection() = indexed_more();
  const auto applied = empty.vault().server().apply_collection("operator", request);
  ASSERT_TRUE(applied);
  EXPECT_FALSE(applied->collection().has_reindexing());
}

TEST_F(ReindexerTest, RecordsThatCameBeforeTheApprovalAreNotForgotten) {
  GatewayVault empty;
  v1::ApplyCollectionRequest request;
  *request.mutable_collection() = indexed_more();
  const auto applied = empty.vault().server().apply_collection("operator", request);
  ASSERT_TRUE(applied);
  ASSERT_TRUE(empty.import(small_town()));
  ASSERT_TRUE(empty.vault().sign("approver1", applied->request()));
  const auto last = empty.vault().sign("approver2", applied->request());
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().code, ErrorCode::kConflict);
}

TEST_F(ReindexerTest, NothingIsOpenedBeforeSeveralHaveSigned) {
  const uint64_t request = ask_for_indexes(vault_);
  ASSERT_TRUE(vault_.start());
  EXPECT_EQ(step(vault_).error().code, ErrorCode::kFailedPrecondition);
  ASSERT_TRUE(vault_.vault().sign("approver1", request));
  EXPECT_EQ(step(vault_).error().code, ErrorCode::kFailedPrecondition);
  ASSERT_TRUE(vault_.vault().sign("approver2", request));
  EXPECT_TRUE(step(vault_));
}

TEST_F(ReindexerTest, NoMoreIsOpenedThanWasSigned) {
  add_indexes(vault_);
  ASSERT_TRUE(step(vault_));
  const auto release = [&] {
    std::vector<std::pair<uint64_t, uint64_t>> items;
    for (uint64_t idx = 0; idx < kPeople; ++idx) items.emplace_back(idx, 1);
    v1::Call call = keyserver::release_call(ticket(vault_), {}, items, 2);
    call.mutable_release()->set_reindex(true);
    return vault_.vault().call(call);
  };
  constexpr int kSigned = 2 * kPeople + 10'000;
  int opened = 6;
  for (; opened + kPeople <= kSigned; opened += kPeople) ASSERT_TRUE(release().has_release());
  EXPECT_EQ(release().error().number(), kSigned);
  ASSERT_TRUE(vault_.vault().open()) << "it is counted from the log";
  EXPECT_EQ(release().error().number(), kSigned);
  // The same collection once more: several sign for as many again.
  v1::ApplyCollectionRequest request;
  *request.mutable_collection() = indexed_more();
  const auto applied = vault_.vault().server().apply_collection("operator", request);
  ASSERT_TRUE(applied);
  EXPECT_EQ(applied->collection().reindexing().records_max(), uint64_t(opened) + kSigned);
  vault_.vault().approve(applied->request());
  EXPECT_EQ(reindex(vault_).value(), uint64_t{kPeople});
  expect_all_found(vault_);
}

TEST_F(ReindexerTest, AFreezeStopsIt) {
  add_indexes(vault_);
  ASSERT_TRUE(step(vault_));
  v1::FreezeRequest freeze;
  freeze.set_scope("principal:operator");
  freeze.set_reason("drill");
  ASSERT_TRUE(vault_.vault().server().freeze("officer", freeze));
  EXPECT_EQ(step(vault_).error().code, ErrorCode::kPermissionDenied);
  v1::ThawRequest thaw;
  thaw.set_scope(freeze.scope());
  thaw.set_reason("drill");
  const auto asked = vault_.vault().server().thaw("officer", thaw);
  ASSERT_TRUE(asked) << asked.error().text;
  vault_.vault().approve(asked->request());
  EXPECT_EQ(reindex(vault_).value(), uint64_t{kPeople});
}

TEST_F(ReindexerTest, ItGoesOnWhereItStopped) {
  add_indexes(vault_);
  ASSERT_TRUE(step(vault_, 20));
  const size_t before = vault_.keys().calls(v1::Call::kRelease);
  vault_.restart();
  EXPECT_EQ(step(vault_, 10)->indexed(), 30u);
  EXPECT_EQ(vault_.keys().calls(v1::Call::kRelease), before + 1) << "nothing is opened again";
  const auto refused = vault_.find(asking(vault_, v1::Term::FUZZY, "name", "wei wang"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().number, 75) << "in percent";
  EXPECT_EQ(reindex(vault_).value(), uint64_t{kPeople});
  expect_all_found(vault_);
}

TEST_F(ReindexerTest, CutOffAtAnyCallItGoesOnAndLosesNothing) {
  cut_off_anywhere(
      {Cut::kPower, Cut::kRestart}, add_indexes, [](GatewayVault&) {}, expect_all_found);
}

// The same collection, under a fresh key.
class RenewalTest : public ReindexerTest {
 protected:
  static void approve_renewal(GatewayVault& vault) {
    vault.vault().approve(ask_to_renew(vault));
    ASSERT_TRUE(vault.start());
  }
  static void expect_counts(GatewayVault& vault) {
    EXPECT_EQ(vault.count({{"city", "Wuhan"}})->count(), uint64_t{kPeople / 2});
    EXPECT_EQ(vault.count({{"city", "Wuhan"}, {"name", "Wang Wei"}})->count(),
              uint64_t{kPeople / 4});
    EXPECT_EQ(vault.records().size(), size_t{kPeople});
  }
  static void expect_town(GatewayVault& vault) {
    expect_counts(vault);
    Source again = small_town();
    again.name = "again" + keyserver::fresh(4);
    again.rows.resize(3);
    EXPECT_EQ(vault.import(again)->state.rejected(), 3u) << "unique values are taken still";
    again.name = "by key" + keyserver::fresh(4);
    again.key = "number";
    EXPECT_EQ(vault.import(again)->state.unchanged(), 3u) << "and their records known";
  }
  static uint64_t unique_rows(GatewayVault& vault) {
    uint64_t rows = 0;
    EXPECT_TRUE(vault.store().scan(store::Table::kUnique, "", "",
                                   [&](std::string_view, std::string_view) { return ++rows; }));
    return rows;
  }
  static std::vector<uint32_t> searched_lanes(GatewayVault& vault) {
    v1::Call call;
    call.mutable_list_lanes();
    std::vector<uint32_t> lanes;
    const auto reply = vault.vault().call(call);
    for (const auto& lane : reply.list_lanes().lanes()) {
      if (lane.searched()) lanes.push_back(lane.lane());
    }
    return lanes;
  }
};

TEST_F(RenewalTest, EverythingIsFoundUnderTheFreshKeyAndNothingIsLeftOfTheOld) {
  const uint64_t uniques = unique_rows(vault_);
  const auto before = searched_lanes(vault_);
  approve_renewal(vault_);
  expect_counts(vault_);
  const auto renewed = reindex(vault_);
  ASSERT_TRUE(renewed) << renewed.error().text;
  EXPECT_GE(*renewed, uint64_t{kPeople});
  // The gateway finds out by itself.
  expect_town(vault_);
  EXPECT_EQ(unique_rows(vault_), uniques) << "the old ones are gone";
  for (const uint32_t lane : searched_lanes(vault_)) {
    EXPECT_EQ(std::count(before.begin(), before.end(), lane), 0) << lane;
  }
  ASSERT_TRUE(vault_.start());
  expect_town(vault_);
  EXPECT_EQ(step(vault_).error().code, ErrorCode::kFailedPrecondition) << "there is no more to do";
  // And again, and with single records written in between.
  approve_renewal(vault_);
  ASSERT_TRUE(step(vault_));
  EXPECT_TRUE(reindex(vault_));
  expect_town(vault_);
}

TEST_F(RenewalTest, SearchesAndSingleRecordsGoOnAndImportsWait) {
  allow(vault_, {v1::IMPORT, v1::REINDEX, v1::UPDATE, v1::GET});
  approve_renewal(vault_);
  ASSERT_TRUE(step(vault_));
  const auto put = [&](const std::string& number, const std::string& city) {
    v1::PutRequest request;
    *request.mutable_ticket() = ticket(vault_);
    request.set_request_id(keyserver::fresh(16));
    auto& fields = *request.add_records()->mutable_fields();
    fields["name"] = "Li Bo";
    fields["number"] = number;
    fields["city"] = city;
    return vault_.loop().wait<v1::PutResponse>(
        [&](auto done) { vault_.gateway().put(request, done); });
  };
  const auto first = put("N9000", "Harbin");
  ASSERT_TRUE(first) << first.error().text;
  ASSERT_TRUE(step(vault_));
  ASSERT_TRUE(put("N9001", "Harbin"));
  EXPECT_FALSE(put("N9000", "Harbin")) << "taken";
  EXPECT_EQ(vault_.count({{"city", "Harbin"}})->count(), 2u);
  Source more = small_town();
  more.name = "more";
  EXPECT_EQ(vault_.import(more).error().code, ErrorCode::kFailedPrecondition);
  ASSERT_TRUE(reindex(vault_));
  EXPECT_EQ(vault_.count({{"city", "Harbin"}})->count(), 2u);
  EXPECT_EQ(vault_.find({{"number", "N9000"}})->records_size(), 1);
  EXPECT_FALSE(put("N9001", "Harbin")) << "taken";
  ASSERT_TRUE(put("N9002", "Harbin"));
  EXPECT_EQ(vault_.count({{"city", "Harbin"}})->count(), 3u);
  EXPECT_EQ(vault_.records().size(), size_t{kPeople + 3});
}

TEST_F(RenewalTest, MoreThanAStepWrittenMeanwhileTakesAPassOfItsOwn) {
  constexpr int kLate = 16'500, kAtOnce = 100;
  allow(vault_, {v1::IMPORT, v1::REINDEX, v1::UPDATE, v1::GET});
  approve_renewal(vault_);
  ASSERT_TRUE(step(vault_));
  for (int i = 0; i < kLate; i += kAtOnce) {
    v1::PutRequest request;
    *request.mutable_ticket() = ticket(vault_);
    request.set_request_id(keyserver::fresh(16));
    for (int k = i; k < i + kAtOnce; ++k) {
      auto& fields = *request.add_records()->mutable_fields();
      fields["name"] = "Li Bo";
      fields["number"] = "N" + std::to_string(100'000 + k);
      fields["city"] = "Harbin";
    }
    const auto put = vault_.loop().wait<v1::PutResponse>(
        [&](auto done) { vault_.gateway().put(request, done); });
    ASSERT_TRUE(put) << put.error().text;
  }
  const auto refused = reindex(vault_, 0);
  ASSERT_FALSE(refused) << "several signed for what there was, and not for all of these";
  EXPECT_EQ(refused.error().code, ErrorCode::kPermissionDenied) << refused.error().text;
  v1::ApplyCollectionRequest again;
  *again.mutable_collection() = test::people();
  const auto applied = vault_.vault().server().apply_collection("operator", again);
  ASSERT_TRUE(applied) << applied.error().text;
  vault_.vault().approve(applied->request());
  ASSERT_TRUE(step(vault_, 0)) << "a step at most, since much came behind its start";
  const auto renewed = reindex(vault_, 0);
  ASSERT_TRUE(renewed) << renewed.error().text;
  EXPECT_GE(*renewed, uint64_t{kLate + kPeople});
  EXPECT_EQ(vault_.count({{"city", "Harbin"}})->count(), uint64_t{kLate});
  EXPECT_EQ(vault_.find({{"number", "N100000"}})->records_size(), 1);
  EXPECT_EQ(vault_.find({{"number", "N116499"}})->records_size(), 1);
  EXPECT_EQ(vault_.count({{"city", "Wuhan"}})->count(), uint64_t{kPeople / 2});
}

TEST_F(RenewalTest, WhoeverHasTheOldKeyAloneFindsNothing) {
  const auto old = vault_.find_request({{"city", "Wuhan"}});
  approve_renewal(vault_);
  ASSERT_TRUE(reindex(vault_));
  // As a stolen term key would name it.
  index::TermHasher hasher(vault_.term_key());
  const TermHash h_w = hasher(CollectionId{keyserver::kPerson}, FieldId{4}, index::Kind::kExact,
                              index::normalise(index::ValueType::kText, "Wuhan", "").value());
  auto call =
      keyserver::tokens_call(vault_.vault().ticket(), {}, {std::string(as_text(h_w.bytes))});
  EXPECT_EQ(static_cast<ErrorCode>(vault_.vault().call(call).error().code()),
            ErrorCode::kFailedPrecondition)
      << "a gateway that knows nothing of it";
  call.mutable_tokens()->set_renewals(1);
  const auto reply = vault_.vault().call(call);
  ASSERT_TRUE(reply.has_tokens()) << reply.error().text();
  std::vector<LaneId> lanes;
  std::vector<TermToken> tokens;
  for (int l = 0; l < reply.tokens().lanes_size(); ++l) {
    lanes.push_back(LaneId{reply.tokens().lanes(l)});
    tokens.emplace_back(
        as_bytes(reply.tokens().tokens()).subspan(static_cast<size_t>(l) * 32).first<32>());
  }
  SearchPlan plan;
  plan.clauses.push_back({{{{0}, 0}}, false});
  SearchStats stats;
  const auto found = search(vault_.store(), lanes, tokens, 1, plan, {}, stats);
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->empty());
}

TEST_F(RenewalTest, CutOffAtAnyCallItGoesOnAndLosesNothing) {
  const uint64_t uniques = unique_rows(vault_);
  cut_off_anywhere({Cut::kPower, Cut::kRestart}, approve_renewal, expect_counts,
                   [&](GatewayVault& vault) {
                     expect_town(vault);
                     EXPECT_EQ(unique_rows(vault), uniques) << "none is left of the old key";
                   });
}

// The end may have come, and only the answer been lost: who writes then must not write under the
// key that is gone.
TEST_F(RenewalTest, WhatIsWrittenBehindALostAnswerIsFound) {
  cut_off_anywhere(
      {Cut::kLink}, approve_renewal,
      [](GatewayVault& vault) {
        Result<v1::PutResponse> put = make_error(ErrorCode::kUnavailable, "");
        for (int i = 0; i < 5 && !put; ++i) {
          v1::PutRequest request;
          *request.mutable_ticket() = ticket(vault);
          request.set_request_id(keyserver::fresh(16));
          auto& fields = *request.add_records()->mutable_fields();
          fields["name"] = "Li Bo";
          fields["number"] = "N9000";
          fields["city"] = "Harbin";
          put = vault.loop().wait<v1::PutResponse>(
              [&](auto done) { vault.gateway().put(request, done); });
        }
        ASSERT_TRUE(put) << put.error().text;
        EXPECT_EQ(vault.count({{"city", "Harbin"}})->count(), 1u);
      },
      [](GatewayVault& vault) {
        EXPECT_EQ(vault.count({{"city", "Harbin"}})->count(), 1u);
        EXPECT_EQ(vault.count({{"city", "Wuhan"}})->count(), uint64_t{kPeople / 2});
        EXPECT_EQ(vault.find({{"number", "N9000"}})->records_size(), 1);
      });
}

}  // namespace
}  // namespace strongroom::gateway
