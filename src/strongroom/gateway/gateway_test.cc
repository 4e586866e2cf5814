#include "strongroom/gateway/gateway.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strongroom/env/faulty_files.h"
#include "test/support/gateway_vault.h"

namespace strongroom::gateway {
namespace {

using test::GatewayVault;
using test::Source;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Key;
using testing::Not;
using testing::UnorderedElementsAre;

// 40 people, half of them of Wuhan; number 7 is the one searched for by name.
Source town() {
  Source source{"town", {"name", "number", "email", "city", "note"}, "", {}, keyserver::kPerson};
  for (int i = 0; i < 40; ++i) {
    const std::string n = std::to_string(i);
    source.rows.push_back({i == 7 ? "王小明" : "Resident " + n, "N-" + std::to_string(1000 + i),
                           "r" + n + "@example.org", i % 2 == 0 ? "Wuhan" : "Xian", "note " + n});
  }
  return source;
}

// Gives the clerk's only grant another shape.
void change_policy_of(GatewayVault& vault, const std::function<void(v1::Policy&)>& change) {
  v1::ApplyPolicyRequest request;
  *request.mutable_policy() = vault.vault().founding().policy;
  change(*request.mutable_policy());
  request.mutable_policy()->clear_version();
  const auto done = vault.vault().server().apply_policy("officer", request);
  ASSERT_TRUE(done) << done.error().text;
  if (done->request() != 0) vault.vault().approve(done->request());
}

class GatewayTest : public testing::Test {
 protected:
  GatewayTest() { SR_CHECK(vault_.import(town()).has_value(), "an import"); }
  template <class T>
  static ErrorCode code(const Result<T>& result) {
    EXPECT_FALSE(result.has_value());
    return result ? ErrorCode::kInternal : result.error().code;
  }
  std::map<std::string, std::string> fields(const v1::Record& record) {
    return {record.fields().begin(), record.fields().end()};
  }
  void change_policy(const std::function<void(v1::Policy&)>& change) {
    change_policy_of(vault_, change);
  }

  GatewayVault vault_;
};

TEST_F(GatewayTest, FindOpensWhatTheTermsMatch) {
  auto found = vault_.find({{"name", "王小明"}});
  ASSERT_TRUE(found) << found.error().text;
  ASSERT_EQ(found->records_size(), 1);
  EXPECT_EQ(fields(found->records(0)),
            (std::map<std::string, std::string>{{"name", "王小明"},
                                                {"number", "N-1007"},
                                                {"email", "r7@example.org"},
                                                {"city", "Xian"},
                                                {"note", "note 7"}}));
  EXPECT_FALSE(found->more());
  EXPECT_FALSE(found->has_explain());
  EXPECT_GT(found->leaf(), 0u);
  found = vault_.find({{"city", "XIAN"}, {"email", "R7@example.org"}, {"name", " 王小明 "}});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->records_size(), 1);
  found = vault_.find({{"city", "Wuhan"}, {"email", "r7@example.org"}});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->records_size(), 0);
  found = vault_.find({{"name", "nobody"}});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->records_size(), 0);
}

TEST_F(GatewayTest, LimitIsTwentyUnlessSaidAndMoreSaysThatThereIsMore) {
  auto found = vault_.find(vault_.find_request({{"city", "Wuhan"}}, 0));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->records_size(), 20);
  EXPECT_FALSE(found->more());
  found = vault_.find(vault_.find_request({{"city", "Wuhan"}}, 19));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->records_size(), 19);
  EXPECT_TRUE(found->more());
  found = vault_.find(vault_.find_request({{"city", "Wuhan"}}, ~0u));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->records_size(), 20);
}

TEST(GatewayLimitTest, AHugeLimitIsCutToWhatOneAnswerHolds) {
  auto options = test::small_chunks();
  options.records_per_answer_max = 5;
  GatewayVault vault(options);
  ASSERT_TRUE(vault.import(town()));
  const auto found = vault.find(vault.find_request({{"city", "Wuhan"}}, ~0u));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->records_size(), 5);
  EXPECT_TRUE(found->more());
}

TEST_F(GatewayTest, TheSameTermTwiceIsThatTerm) {
  auto request = vault_.find_request({{"city", "Wuhan"}, {"city", "wuhan "}});
  request.set_explain(true);
  const auto found = vault_.find(request);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->records_size(), 20);
  EXPECT_EQ(found->explain().terms_size(), 1);
  EXPECT_EQ(vault_.count({{"city", "Wuhan"}, {"city", "Xian"}})->count(), 0u);
}

TEST_F(GatewayTest, ExplainCountsAndNamesNoValue) {
  auto request = vault_.find_request({{"city", "Wuhan"}, {"name", "Resident 4"}});
  request.set_explain(true);
  const auto found = vault_.find(request);
  ASSERT_TRUE(found);
  ASSERT_EQ(found->explain().terms_size(), 2);
  EXPECT_EQ(found->explain().terms(0).field(), "city");
  EXPECT_EQ(found->explain().terms(1).field(), "name");
  EXPECT_GE(found->explain().terms(1).postings(), 1u);
  EXPECT_EQ(found->explain().round_trips(), 2u);
  EXPECT_THAT(found->explain().ShortDebugString(), Not(HasSubstr("Resident")));
}

TEST_F(GatewayTest, OnlyTheFieldsAskedForAreShown) {
  auto request = vault_.find_request({{"number", "n-1003"}});
  request.add_fields("city");
  request.add_fields("number");
  auto found = vault_.find(request);
  ASSERT_TRUE(found);
  EXPECT_THAT(fields(found->records(0)), UnorderedElementsAre(Key("city"), Key("number")));
  request = vault_.find_request({{"number", "n-1003"}});
  request.add_fields("phone");
  EXPECT_EQ(code(vault_.find(request)), ErrorCode::kInvalidArgument);
}

TEST_F(GatewayTest, TheMaskedViewShowsMaskedFieldsAndNothingElse) {
  auto request = vault_.find_request({{"number", "n-1007"}});
  request.set_masked(true);
  auto found = vault_.find(request);
  ASSERT_TRUE(found) << found.error().text;
  EXPECT_EQ(fields(found->records(0)),
            (std::map<std::string, std::string>{{"name", "王**"}, {"number", "**1007"}}));
  request = vault_.find_request({{"number", "n-1007"}});
  request.set_masked(true);
  request.add_fields("name");
  found = vault_.find(request);
  ASSERT_TRUE(found);
  EXPECT_THAT(fields(found->records(0)),
              ElementsAre(std::pair<const std::string, std::string>("name", "王**")));
  request = vault_.find_request({{"number", "n-1007"}});
  request.set_masked(true);
  request.add_fields("city");
  EXPECT_EQ(code(vault_.find(request)), ErrorCode::kInvalidArgument) << "it has no mask";
}

TEST(GatewayMaskTest, ACollectionWithoutMasksHasNoMaskedView) {
  auto plain = test::people();
  for (auto& field : *plain.mutable_fields()) field.clear_mask();
  GatewayVault vault(test::small_chunks(), {plain});
  ASSERT_TRUE(vault.import(town()));
  auto request = vault.find_request({{"number", "n-1007"}});
  request.set_masked(true);
  const auto found = vault.find(request);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::kInvalidArgument);
}

TEST_F(GatewayTest, FieldsOutsideTheRolesGroupsAreNotShown) {
  change_policy([](v1::Policy& policy) {
    auto& grant = *policy.mutable_roles(0)->mutable_grants(0);
    grant.clear_groups();
    grant.add_groups("identity");
    grant.add_search_hidden("city");
  });
  ASSERT_TRUE(vault_.start());
  auto found = vault_.find({{"city", "Xian"}, {"number", "n-1007"}});
  ASSERT_TRUE(found) << found.error().text;
  EXPECT_THAT(fields(found->records(0)), UnorderedElementsAre(Key("name"), Key("number")));
  auto request = vault_.find_request({{"number", "n-1007"}});
  request.add_fields("name");
  request.add_fields("city");
  EXPECT_EQ(code(vault_.find(request)), ErrorCode::kPermissionDenied);
  request = vault_.find_request({{"number", "n-1007"}});
  request.set_masked(true);
  EXPECT_EQ(code(vault_.find(request)), ErrorCode::kPermissionDenied);
  change_policy([](v1::Policy& policy) {
    auto& grant = *policy.mutable_roles(0)->mutable_grants(0);
    grant.clear_groups();
    grant.clear_actions();
    grant.add_actions(v1::COUNT);
    grant.add_search_hidden("city");
    grant.add_search_hidden("number");
  });
  ASSERT_TRUE(vault_.start());
  EXPECT_EQ(code(vault_.find({{"number", "n-1007"}})), ErrorCode::kPermissionDenied);
  EXPECT_EQ(vault_.count({{"city", "Xian"}})->count(), 20u);
}

TEST_F(GatewayTest, HiddenFieldsAreNotSearchedNotEvenByWhatTheyAreNot) {
  change_policy([](v1::Policy& policy) {
    auto& grant = *policy.mutable_roles(0)->mutable_grants(0);
    grant.clear_groups();
    grant.add_groups("identity");
  });
  ASSERT_TRUE(vault_.start());
  const auto refused = [&](const Result<v1::FindResponse>& found) {
    return !found && found.error().code == ErrorCode::kSearchDenied && found.error().number == 4;
  };
  EXPECT_TRUE(refused(vault_.find({{"city", "Xian"}})));
  EXPECT_TRUE(refused(vault_.find({{"number", "n-1007"}, {"city", "Xian"}})));
  auto request = vault_.find_request({{"number", "n-1007"}, {"city", "Xian"}});
  request.mutable_terms(1)->set_negated(true);
  EXPECT_TRUE(refused(vault_.find(request)));
  request = vault_.find_request({{"number", "n-1007"}, {"city", "nowhere"}});
  request.mutable_terms(1)->add_or_values("Xian");
  EXPECT_TRUE(refused(vault_.find(request)));
  EXPECT_EQ(code(vault_.count({{"city", "Xian"}})), ErrorCode::kSearchDenied);
  EXPECT_TRUE(vault_.find({{"number", "n-1007"}}));
}

TEST_F(GatewayTest, HowManyMatchIsForRolesThatMayCount) {
  change_policy([](v1::Policy& policy) {
    auto& grant = *policy.mutable_roles(0)->mutable_grants(0);
    grant.clear_actions();
    grant.add_actions(v1::FIND);
  });
  ASSERT_TRUE(vault_.start());
  auto request = vault_.find_request({{"city", "Wuhan"}, {"name", "Resident 4"}});
  request.set_explain(true);
  const auto found = vault_.find(request);
  ASSERT_TRUE(found) << found.error().text;
  EXPECT_EQ(found->records_size(), 1);
  const auto& explain = found->explain();
  EXPECT_EQ(explain.terms_size(), 2);
  EXPECT_FALSE(explain.terms(0).has_postings());
  EXPECT_FALSE(explain.has_candidates());
  EXPECT_FALSE(explain.has_store_reads());
}

TEST_F(GatewayTest, ARequestThatCannotSucceedIsRefusedBeforeTokensAreAsked) {
  const size_t before = vault_.keys().calls(v1::Call::kTokens);
  const auto kInvalid = ErrorCode::kInvalidArgument;
  EXPECT_EQ(code(vault_.find(GatewayVault::Terms{})), kInvalid);
  EXPECT_EQ(code(vault_.find({{"phone", "1"}})), kInvalid);
  EXPECT_EQ(code(vault_.find({{"note", "note 7"}})), kInvalid) << "not indexed";
  EXPECT_EQ(code(vault_.find({{"city", ""}})), kInvalid);
  EXPECT_EQ(code(vault_.find({{"number", "a b"}})), kInvalid);
  EXPECT_EQ(code(vault_.find({{"city", "Zo\xeb"}})), kInvalid);
  EXPECT_EQ(code(vault_.find(GatewayVault::Terms(33, {"city", "Wuhan"}))), kInvalid);
  EXPECT_EQ(code(vault_.count({})), kInvalid);
  auto request = vault_.find_request({{"city", "Wuhan"}});
  request.mutable_terms(0)->set_op(static_cast<v1::Term::Op>(1));
  EXPECT_EQ(code(vault_.find(request)), kInvalid) << "an operator of a later version";
  request = vault_.find_request({{"city", "Wuhan"}});
  request.mutable_ticket()->set_ticket("?");
  EXPECT_EQ(code(vault_.find(request)), ErrorCode::kUnauthenticated);
  EXPECT_EQ(code(vault_.find(vault_.find_request({{"city", "Wuhan"}}, 0, 9))),
            ErrorCode::kNotFound);
  EXPECT_EQ(vault_.keys().calls(v1::Call::kTokens), before);
}

TEST_F(GatewayTest, WhoMayNotAskLearnsNothingOfTheSchema) {
  const auto forged = [&](const char* field, uint32_t collection = keyserver::kPerson) {
    auto request = vault_.find_request({{field, "x"}}, 0, collection);
    request.mutable_ticket()->mutable_signature()->front() ^= 1;
    return request;
  };
  for (const auto& request :
       {forged("city"), forged("no such field"), forged("note"), forged("city", 9)}) {
    const auto found = vault_.find(request);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, ErrorCode::kUnauthenticated);
    EXPECT_THAT(found.error().text, HasSubstr("signature"));
  }
}

TEST_F(GatewayTest, ARequestIsAnsweredOnce) {
  const auto request = vault_.find_request({{"number", "n-1007"}});
  ASSERT_TRUE(vault_.find(request));
  EXPECT_EQ(code(vault_.find(request)), ErrorCode::kReplayed);
  const auto get = vault_.get_request({vault_.find({{"number", "n-1007"}})->records(0).id()});
  ASSERT_TRUE(vault_.get(get));
  EXPECT_EQ(code(vault_.get(get)), ErrorCode::kReplayed);
}

TEST_F(GatewayTest, AForgedTicketGetsNothing) {
  auto request = vault_.find_request({{"number", "n-1007"}});
  request.mutable_ticket()->set_signature(std::string(64, 's'));
  EXPECT_EQ(code(vault_.find(request)), ErrorCode::kUnauthenticated);
  auto get = vault_.get_request({"0000000001", "00000fffff"});
  get.mutable_ticket()->set_signature(std::string(64, 's'));
  EXPECT_EQ(code(vault_.get(get)), ErrorCode::kUnauthenticated);
  get = vault_.get_request({"00000fffff"});
  get.mutable_ticket()->set_signature(std::string(64, 's'));
  EXPECT_EQ(code(vault_.get(get)), ErrorCode::kUnauthenticated)
      << "nor that there is no such record";
}

TEST_F(GatewayTest, GetOpensById) {
  const auto all = vault_.records();
  ASSERT_EQ(all.size(), 40u);
  const std::string first = all.begin()->first, last = all.rbegin()->first;
  const auto got = vault_.get(vault_.get_request({last, first, last, "00000fffff", last}));
  ASSERT_TRUE(got) << got.error().text;
  ASSERT_EQ(got->records_size(), 2) << "each once, in the order asked for";
  EXPECT_EQ(got->records(0).id(), last);
  EXPECT_EQ(got->records(1).id(), first);
  EXPECT_EQ(fields(got->records(1)), all.begin()->second);
  EXPECT_EQ(code(vault_.get(vault_.get_request({"00000fffff"}))), ErrorCode::kNotFound);
  const auto kInvalid = ErrorCode::kInvalidArgument;
  EXPECT_EQ(code(vault_.get(vault_.get_request({}))), kInvalid);
  EXPECT_EQ(code(vault_.get(vault_.get_request({"1"}))), kInvalid);
  EXPECT_EQ(code(vault_.get(vault_.get_request({"zzzzzzzzzz"}))), kInvalid);
  EXPECT_EQ(code(vault_.get(vault_.get_request(std::vector<std::string>(1001, first)))), kInvalid);
}

TEST_F(GatewayTest, CountIsOfCurrentRecords) {
  EXPECT_EQ(vault_.count({{"city", "Wuhan"}})->count(), 20u);
  EXPECT_EQ(vault_.count({{"city", "Wuhan"}, {"name", "Resident 4"}})->count(), 1u);
  EXPECT_EQ(vault_.count({{"city", "Lanzhou"}})->count(), 0u);
  Source moved = town();
  moved.name = "moved";
  moved.key = "number";
  for (auto& row : moved.rows) row[3] = "Lanzhou";
  ASSERT_TRUE(vault_.import(moved));
  EXPECT_EQ(vault_.count({{"city", "Wuhan"}})->count(), 0u);
  EXPECT_EQ(vault_.count({{"city", "Lanzhou"}})->count(), 40u);
}

TEST(GatewayBroadTest, TooBroadASearchIsRefusedAndABroadOneRunsAsideTheLoop) {
  auto options = test::small_chunks();
  options.import = {};
  options.import.online_records_max = 100;
  options.search.scan_max = 2500;
  GatewayVault vault(options);
  Source source{"crowd", {"name", "city"}, "", {}, keyserver::kPerson};
  for (int i = 0; i < 2600; ++i) {
    source.rows.push_back({"Crowd " + std::to_string(i), i < 2400 ? "Wuhan" : "Xian"});
  }
  ASSERT_TRUE(vault.import(source, 2600));
  EXPECT_EQ(vault.count({{"city", "Wuhan"}})->count(), 2400u);
  const auto found = vault.find(vault.find_request({{"city", "Wuhan"}}, 30));
  ASSERT_TRUE(found) << found.error().text;
  EXPECT_EQ(found->records_size(), 30);
  EXPECT_TRUE(found->more());
  EXPECT_EQ(vault.find({{"city", "Wuhan"}, {"name", "Crowd 17"}})->records_size(), 1);

  source.name = "more";
  for (auto& row : source.rows) row = {row[0], "Wuhan"};
  ASSERT_TRUE(vault.import(source, 2600));
  const auto refused = vault.find({{"city", "Wuhan"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kTooBroad);
  EXPECT_GT(refused.error().number, 2500);
  const auto count = vault.count({{"city", "Wuhan"}});
  ASSERT_FALSE(count);
  EXPECT_EQ(count.error().code, ErrorCode::kTooBroad);
  change_policy_of(vault, [](v1::Policy& policy) {
    auto& grant = *policy.mutable_roles(0)->mutable_grants(0);
    grant.clear_actions();
    grant.add_actions(v1::FIND);
  });
  const auto uncounted = vault.find({{"city", "Wuhan"}});
  ASSERT_FALSE(uncounted);
  EXPECT_EQ(uncounted.error().code, ErrorCode::kTooBroad);
  EXPECT_EQ(uncounted.error().number, -1) << "the role may not count";
}

// As the key server is while it is sealed.
class SealedKeyService : public KeyService {
 public:
  void call(v1::Call, Callback done) override { done(sealed()); }
  Result<v1::Reply> call_blocking(v1::Call) override { return sealed(); }

 private:
  static Error sealed() { return make_error(ErrorCode::kUnavailable, "The vault is sealed."); }
};

TEST_F(GatewayTest, BeforeItIsSyncedTheKeyServerSaysWhy) {
  const auto store = store::open_memory_store();
  test::TestLoop loop;
  SealedKeyService keys;
  Gateway gateway(*store, keys, loop, vault_.clock(), vault_.term_key().clone(), {});
  const auto refused = [](const auto& result) {
    return !result && std::string_view(result.error().text) == "The vault is sealed.";
  };
  EXPECT_TRUE(refused(loop.wait<v1::FindResponse>([&](auto done) {
    gateway.find(vault_.find_request({{"city", "x"}}), done);
  })));
  EXPECT_TRUE(refused(loop.wait<v1::FindResponse>(
      [&](auto done) { gateway.get(vault_.get_request({"0000000001"}), done); })));
  EXPECT_TRUE(refused(loop.wait<v1::CountResponse>([&](auto done) { gateway.count({}, done); })));
}

TEST_F(GatewayTest, ACollectionAddedWhileServingIsFoundByTheFirstRequestForIt) {
  auto parcel = test::people();
  parcel.set_id(2);
  parcel.set_name("parcel");
  v1::ApplyCollectionRequest request;
  *request.mutable_collection() = parcel;
  ASSERT_TRUE(vault_.vault().server().apply_collection("operator", request));
  change_policy([&](v1::Policy& policy) {
    policy = test::generous_policy({test::people(), parcel});
  });
  vault_.clock().advance_ms(200);
  EXPECT_EQ(vault_.find(vault_.find_request({{"city", "Wuhan"}}, 0, 2))->records_size(), 0);
  Source source = town();
  source.collection = 2;
  ASSERT_TRUE(vault_.import(source));
  EXPECT_EQ(vault_.find(vault_.find_request({{"city", "Wuhan"}}, 0, 2))->records_size(), 20);
  EXPECT_EQ(vault_.records(2).size(), 40u);
  EXPECT_EQ(vault_.records(1).size(), 40u);
}

TEST_F(GatewayTest, AFieldAddedWhileServingIsTakenInAndFoundAndOldRecordsLackIt) {
  auto next = test::people();
  auto& field = *next.add_fields();
  field.set_id(9);
  field.set_name("plate");
  field.set_type(v1::CODE);
  field.set_group("vehicle");
  field.add_index(v1::EXACT);
  auto& group = *next.add_groups();
  group.set_id(3);
  group.set_name("vehicle");
  v1::ApplyCollectionRequest request;
  *request.mutable_collection() = next;
  const auto asked = vault_.vault().server().apply_collection("operator", request);
  ASSERT_TRUE(asked);
  vault_.vault().approve(asked->request());
  change_policy([&](v1::Policy& policy) { policy = test::generous_policy({next}); });
  vault_.clock().advance_ms(200);
  ASSERT_TRUE(
      vault_.import(Source{"cars", {"name", "plate"}, "", {{"Li", "A-1"}}, keyserver::kPerson}));
  const auto found = vault_.find({{"plate", "a-1"}});
  ASSERT_TRUE(found);
  EXPECT_EQ(fields(found->records(0)),
            (std::map<std::string, std::string>{{"name", "Li"}, {"plate", "A-1"}}));
  const auto old = vault_.find({{"number", "n-1007"}});
  ASSERT_TRUE(old) << old.error().text;
  EXPECT_EQ(old->records(0).fields_size(), 5);
}

TEST_F(GatewayTest, ADamagedRecordIsDataLossAndNothingOfTheAnswerIsShown) {
  const auto in_xian = vault_.find({{"city", "Xian"}});
  ASSERT_TRUE(in_xian);
  std::vector<store::Put> rows;
  for (const auto& record : in_xian->records()) {
    rows.push_back(
        {store::Table::kRecords,
         record::row_key(CollectionId{keyserver::kPerson}, *parse_record_id(record.id())),
         {}});
    std::vector<std::optional<std::string>> found;
    ASSERT_TRUE(vault_.store().get(store::Table::kRecords, std::vector{rows.back().key}, found));
    rows.back().value = *found[0];
  }
  for (const size_t at : {size_t{0}, size_t{1}, rows[0].value.size() - 1}) {
    auto bad = rows;
    bad[0].value[at] = static_cast<char>(bad[0].value[at] ^ 1);
    ASSERT_TRUE(vault_.store().put(bad, store::Durability::kSynced));
    const auto found = vault_.find({{"city", "Xian"}});
    EXPECT_EQ(code(found), ErrorCode::kDataLoss) << at;
    EXPECT_EQ(vault_.find({{"city", "Wuhan"}})->records_size(), 20) << "who does not need it";
  }
  auto swapped = rows;
  std::swap(swapped[1].value, swapped[2].value);
  ASSERT_TRUE(vault_.store().put(swapped, store::Durability::kSynced));
  EXPECT_EQ(code(vault_.find({{"city", "Xian"}})), ErrorCode::kDataLoss) << "a row moved";
}

TEST_F(GatewayTest, NonsenseOfTheKeyServerIsRefused) {
  for (const auto& tamper : std::vector<std::function<void(v1::Reply&)>>{
           [](v1::Reply& r) {
             if (r.has_tokens()) r.mutable_tokens()->mutable_tokens()->push_back('x');
           },
           [](v1::Reply& r) {
             if (r.has_tokens()) r.mutable_tokens()->add_lanes(7);
           },
           [](v1::Reply& r) {
             if (r.has_release()) r.mutable_release()->mutable_keys()->append(32, 'k');
           },
           [](v1::Reply& r) {
             if (r.has_release()) r.mutable_release()->clear_keys();
           }}) {
    vault_.keys().tamper = tamper;
    EXPECT_EQ(code(vault_.find({{"number", "n-1007"}})), ErrorCode::kInternal);
  }
  vault_.keys().tamper = [](v1::Reply& r) {
    if (r.has_release())
      r.mutable_release()->mutable_keys()->assign(r.release().keys().size(), 'k');
  };
  EXPECT_EQ(code(vault_.find({{"number", "n-1007"}})), ErrorCode::kDataLoss) << "a wrong key";
  vault_.keys().tamper = nullptr;
  EXPECT_TRUE(vault_.find({{"number", "n-1007"}}));
}

TEST_F(GatewayTest, WhereStoreOrKeyServerFailTheRequestFailsAndTheNextOneWorks) {
  const std::string id = vault_.find({{"number", "n-1007"}})->records(0).id();
  for (const bool applied : {false, true}) {
    for (uint64_t nth = 1;; ++nth) {
      vault_.faults().fail_from(nth, applied);
      const auto found = vault_.find({{"number", "n-1007"}});
      const bool struck = vault_.faults().struck();
      vault_.faults().fail_from(nth, applied);
      const auto got = vault_.get(vault_.get_request({id}));
      vault_.faults().fail_from(nth, applied);
      const auto count = vault_.count({{"number", "n-1007"}});
      vault_.faults().clear();
      EXPECT_EQ(found.has_value(), !struck);
      const auto only_unavailable = [](const auto& result) {
        return result || result.error().code == ErrorCode::kUnavailable;
      };
      EXPECT_TRUE(only_unavailable(found) && only_unavailable(got) && only_unavailable(count));
      if (!struck) break;
      EXPECT_EQ(vault_.find({{"number", "n-1007"}})->records_size(), 1);
      ASSERT_LT(nth, 50u);
    }
  }
}

// The release is durable in the log before the key leaves: a log that cannot be written releases
// nothing, at whatever write it stops.
TEST(ReleaseBeforeLogTest, WithoutADurableLogNoAnswerCarriesAField) {
  uint64_t stopped = 0;
  for (uint64_t nth = 1;; ++nth) {
    env::FaultyFiles files(env::real_files());
    GatewayVault vault(test::small_chunks(), {test::people()}, files);
    ASSERT_TRUE(vault.import(
        Source{"a", {"name", "city"}, "", {{"Planted", "Wuhan"}}, keyserver::kPerson}));
    const std::string id = vault.records().begin()->first;
    files.stop_at(nth);
    const auto found = vault.find({{"city", "Wuhan"}});
    const auto got = vault.get(vault.get_request({id}));
    if (files.operations() < nth) {
      EXPECT_TRUE(found && got);
      break;
    }
    ++stopped;
    for (const auto* answer : {&found, &got}) {
      if (*answer) {  // Answered before the disk stopped.
        EXPECT_EQ(answer, &found);
        continue;
      }
      EXPECT_EQ(answer->error().code, ErrorCode::kLogUnavailable);
    }
    EXPECT_FALSE(got) << "the disk had stopped by then";
    EXPECT_EQ(vault.find({{"city", "Wuhan"}}).has_value(), false) << "and it stays so";
    const auto count = vault.count({{"city", "Wuhan"}});
    EXPECT_FALSE(count) << "whether there is one is an answer too";
    ASSERT_LT(nth, 100u);
  }
  EXPECT_GT(stopped, 2u);
}

TEST(GatewayRocksTest, OnTheEmbeddedStoreARestartChangesNothing) {
  keyserver::TempDir dir;
  auto opened = store::open_rocks_store(dir.path() + "/store", {});
  ASSERT_TRUE(opened);
  GatewayVault vault(test::small_chunks(), {test::people()}, test::UnsyncedFiles::instance(),
                     *std::move(opened));
  ASSERT_TRUE(vault.import(town()));
  vault.restart();
  EXPECT_EQ(vault.find({{"city", "Wuhan"}})->records_size(), 20);
  EXPECT_EQ(vault.find({{"name", "王小明"}, {"city", "xian"}})->records_size(), 1);
  Source moved = town();
  moved.key = "number";
  moved.rows[7][3] = "Lanzhou";
  const auto done = vault.import(moved);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->state.updated(), 1u);
  EXPECT_EQ(done->state.unchanged(), 39u);
  EXPECT_EQ(vault.find({{"city", "Lanzhou"}})->records_size(), 1);
  EXPECT_EQ(vault.records().size(), 40u);
}

}  // namespace
}  // namespace strongroom::gateway
