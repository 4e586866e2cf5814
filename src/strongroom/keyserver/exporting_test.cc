// Exports: nothing leaves before several have signed exactly that, and no more than they signed.
#include <gtest/gtest.h>

#include "strongroom/keyserver/exports.h"
#include "strongroom/keyserver/test_vault.h"

namespace strongroom::keyserver {
namespace {

ErrorCode code_of(const v1::Reply& reply) {
  return reply.has_error() ? static_cast<ErrorCode>(reply.error().code()) : ErrorCode::kInternal;
}

class ExportingTest : public testing::Test {
 protected:
  void SetUp() override {
    v1::Policy& policy = vault_.founding().policy;
    policy.add_purposes()->set_name("audit");
    v1::Role& role = *policy.add_roles();
    role.set_name("exporter");
    v1::Grant& grant = *role.add_grants();
    grant.set_collection("person");
    grant.add_purposes("audit");
    grant.add_actions(v1::EXPORT);
    grant.add_groups("identity");
    grant.mutable_budget()->set_exported_per_day(1000);
    auto key = crypto::SigningKey::generate();
    v1::Principal& principal = vault_.founding().principals.emplace_back();
    principal.set_name("exporter");
    principal.set_role("exporter");
    principal.set_public_key(std::string(as_text(key.public_key())));
    vault_.set_key("exporter", std::move(key));
    ASSERT_TRUE(vault_.create());
    granted_ = vault_.call(grant_call(vault_.import_ticket(), 100)).grant();
  }

  static v1::RequestExportRequest plan(uint64_t records = 10) {
    v1::RequestExportRequest request;
    v1::ExportPlan& plan = *request.mutable_plan();
    plan.set_collection(kPerson);
    v1::Term& term = *plan.add_terms();
    term.set_field("name");
    term.set_value("wang");
    plan.add_fields("name");
    plan.set_records_max(records);
    plan.set_purpose("audit");
    plan.set_case_reference("R-1");
    plan.set_hours(24);
    return request;
  }
  Result<v1::RequestExportResponse> ask(const v1::RequestExportRequest& request,
                                        const std::string& who = "exporter") {
    return vault_.server().request_export(who, request);
  }
  uint64_t approved(const v1::RequestExportRequest& request = plan()) {
    const auto asked = ask(request);
    SR_CHECK(asked.has_value() && !asked->approved(), "asked");
    vault_.approve(asked->request());
    return asked->request();
  }
  v1::SignedTicket ticket(uint64_t request, TicketOptions options = {.principal = "exporter",
                                                                     .purpose = "audit",
                                                                     .case_reference = "R-1",
                                                                     .records_max = 1000}) {
    auto terms = vault_.ticket_terms(options);
    terms.set_export_(request);
    return sign_ticket(terms, vault_.key(options.principal));
  }
  v1::Reply search(const v1::SignedTicket& ticket, const RequestId& request,
                   const v1::ExportPlan& of = plan().plan()) {
    v1::Call call = tokens_call(ticket, request, {std::string(16, 't')});
    call.mutable_tokens()->set_plan(export_search(of));
    return vault_.call(call);
  }
  v1::Reply open(const v1::SignedTicket& ticket, const RequestId& request, uint64_t from,
                 uint64_t count, uint32_t groups = 2) {
    std::vector<std::pair<uint64_t, uint64_t>> items;
    for (uint64_t i = 0; i < count; ++i)
      items.emplace_back(granted_.first() + from + i, granted_.u());
    return vault_.call(release_call(ticket, request, items, groups));
  }
  // A batch under a ticket of its own, as `export` asks for them.
  v1::Reply batch(uint64_t request, uint64_t from, uint64_t count) {
    const auto signed_ticket = ticket(request);
    const RequestId id;
    const auto found = search(signed_ticket, id);
    return found.has_tokens() ? open(signed_ticket, id, from, count) : found;
  }
  TestVault vault_;
  v1::GrantReply granted_;
};

TEST_F(ExportingTest, NothingLeavesBeforeSeveralHaveSigned) {
  const auto asked = ask(plan());
  ASSERT_TRUE(asked) << asked.error().text;
  EXPECT_FALSE(asked->approved());
  EXPECT_EQ(ask(plan())->request(), asked->request()) << "asked once";
  EXPECT_EQ(code_of(batch(asked->request(), 0, 1)), ErrorCode::kPermissionDenied);
  ASSERT_TRUE(vault_.sign("approver1", asked->request()));
  EXPECT_EQ(code_of(batch(asked->request(), 0, 1)), ErrorCode::kPermissionDenied);
  ASSERT_TRUE(vault_.sign("approver2", asked->request()));
  EXPECT_TRUE(ask(plan())->approved());
  EXPECT_TRUE(batch(asked->request(), 0, 1).has_release());
  EXPECT_EQ(code_of(batch(0, 0, 1)), ErrorCode::kPermissionDenied) << "without naming it";
  EXPECT_EQ(code_of(batch(asked->request() + 1, 0, 1)), ErrorCode::kPermissionDenied);
}

TEST_F(ExportingTest, AsManyRecordsAsWereSignedAcrossBatchesAndRestarts) {
  const uint64_t id = approved();
  EXPECT_TRUE(batch(id, 0, 6).has_release());
  ASSERT_TRUE(vault_.open());
  EXPECT_EQ(code_of(batch(id, 6, 5)), ErrorCode::kPermissionDenied);
  EXPECT_TRUE(batch(id, 6, 4).has_release());
  EXPECT_EQ(ask(plan())->exported(), 10u);
  ASSERT_TRUE(vault_.open());
  EXPECT_EQ(code_of(batch(id, 0, 1)), ErrorCode::kPermissionDenied) << "one opened again counts";
  EXPECT_EQ(ask(plan())->exported(), 10u);
}

TEST_F(ExportingTest, OnlyTheSearchFieldsPurposeCaseAndPersonThatWereSigned) {
  const uint64_t id = approved();
  auto other = plan().plan();
  other.mutable_terms(0)->set_value("li");
  EXPECT_EQ(code_of(search(ticket(id), {}, other)), ErrorCode::kPermissionDenied);
  EXPECT_EQ(code_of(vault_.call(tokens_call(ticket(id), {}, {std::string(16, 't')}))),
            ErrorCode::kPermissionDenied)
      << "a gateway that does not say what it searches for";
  const auto signed_ticket = ticket(id);
  const RequestId request;
  ASSERT_TRUE(search(signed_ticket, request).has_tokens());
  EXPECT_EQ(code_of(open(signed_ticket, request, 0, 1, 4)), ErrorCode::kPermissionDenied)
      << "contact";
  EXPECT_EQ(code_of(open(signed_ticket, request, 0, 1, 1)), ErrorCode::kPermissionDenied)
      << "masked";
  EXPECT_EQ(
      code_of(search(
          ticket(id, {.principal = "exporter", .purpose = "audit", .case_reference = "R-2"}), {})),
      ErrorCode::kPermissionDenied);
  EXPECT_EQ(code_of(search(ticket(id, {.principal = "clerk", .purpose = "service"}), {})),
            ErrorCode::kPermissionDenied)
      << "somebody else, who may search";
  EXPECT_EQ(code_of(vault_.call(
                release_call(ticket(id), {}, {{granted_.first(), granted_.u()}}, 2, true))),
            ErrorCode::kPermissionDenied)
      << "by id";
  EXPECT_EQ(code_of(open(ticket(id), {}, 0, 1)), ErrorCode::kFailedPrecondition) << "no search";
}

TEST_F(ExportingTest, ATicketForAnExportIsGoodForNothingElse) {
  const uint64_t id = approved();
  auto terms = vault_.ticket_terms({.principal = "operator", .purpose = "import"});
  terms.set_export_(id);
  const auto import = sign_ticket(terms, vault_.key("operator"));
  EXPECT_EQ(code_of(vault_.call(grant_call(import, 1))), ErrorCode::kPermissionDenied);
  EXPECT_EQ(code_of(vault_.call(lane_call(import, false))), ErrorCode::kPermissionDenied);
  EXPECT_EQ(code_of(vault_.call(unique_call(import, {std::string(16, 'u')}))),
            ErrorCode::kPermissionDenied);
}

TEST_F(ExportingTest, ItEndsWithItsTimeItsBudgetAFreezeAndItsGrant) {
  const uint64_t id = approved(plan(5000));
  v1::FreezeRequest freeze;
  freeze.set_scope("purpose:audit");
  EXPECT_TRUE(batch(id, 0, 1).has_release());
  EXPECT_EQ(ask(plan(5000))->exported(), 1u);
  for (int i = 0; i < 9; ++i) EXPECT_TRUE(batch(id, 0, 100).has_release()) << i;
  EXPECT_TRUE(batch(id, 0, 99).has_release());
  EXPECT_EQ(code_of(batch(id, 0, 1)), ErrorCode::kBudgetExhausted) << "1000 a day";
  vault_.clock().advance_ms(uint64_t{23} * 3'600'000);
  vault_.clock().advance_ms(3'599'000);
  EXPECT_FALSE(ask(plan(5000))->until_ms() == 0);
  vault_.clock().advance_ms(2'000);
  EXPECT_EQ(code_of(batch(id, 0, 1)), ErrorCode::kPermissionDenied) << "24 hours are over";
  const uint64_t again = approved(plan(5000));
  EXPECT_NE(again, id);
  vault_.clock().advance_ms(3'600'000);
  EXPECT_TRUE(batch(again, 0, 1).has_release());
  ASSERT_TRUE(vault_.server().freeze("officer", freeze));
  EXPECT_EQ(code_of(batch(again, 0, 1)), ErrorCode::kPermissionDenied);
}

TEST_F(ExportingTest, APlanIsCheckedBeforeAnybodyIsAsked) {
  const auto refused = [&](auto&& change) {
    auto request = plan();
    change(*request.mutable_plan());
    const auto asked = ask(request);
    return asked ? ErrorCode::kInternal : asked.error().code;
  };
  EXPECT_EQ(refused([](auto& p) { p.set_collection(99); }), ErrorCode::kNotFound);
  EXPECT_EQ(refused([](auto& p) { p.clear_terms(); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused([](auto& p) { p.clear_fields(); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused([](auto& p) { p.add_fields("none"); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused([](auto& p) { p.set_records_max(0); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused([](auto& p) { p.set_records_max(kExportRecordsMax + 1); }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused([](auto& p) { p.set_hours(0); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused([](auto& p) { p.add_fields("phone"); }), ErrorCode::kPermissionDenied)
      << "of a group that the role may not open";
  EXPECT_EQ(refused([](auto& p) { p.set_purpose("service"); }), ErrorCode::kPermissionDenied);
  EXPECT_EQ(ask(plan(), "clerk").error().code, ErrorCode::kPermissionDenied);
  EXPECT_EQ(vault_.server().list_requests("officer", {})->requests_size(), 0);
}

TEST_F(ExportingTest, OnlyWhoAskedMayDoItAndNobodyApprovesTheirOwn) {
  const uint64_t id = approved();
  v1::AddPrincipalRequest add;
  add.set_name("second");
  add.set_role("exporter");
  auto key = crypto::SigningKey::generate();
  add.set_public_key(std::string(as_text(key.public_key())));
  vault_.set_key("second", std::move(key));
  vault_.approve(vault_.server().add_principal("operator", add)->request());
  EXPECT_EQ(
      code_of(search(
          ticket(id, {.principal = "second", .purpose = "audit", .case_reference = "R-1"}), {})),
      ErrorCode::kPermissionDenied);
  EXPECT_FALSE(ask(plan(), "second")->approved()) << "the same plan of another";
  EXPECT_FALSE(vault_.sign("exporter", ask(plan(20))->request()));
}

TEST_F(ExportingTest, RefusalsOfTheAdminListenerAreLogged) {
  const Error denied = make_error(ErrorCode::kPermissionDenied, "no");
  for (int i = 0; i < 20; ++i) vault_.server().note_refused_call("clerk", denied);
  for (int i = 0; i < 3; ++i) vault_.server().note_refused_call({}, denied);
  vault_.server().note_refused_call("clerk", make_error(ErrorCode::kInternal, "a bug of ours"));
  ASSERT_TRUE(vault_.server().tick());
  v1::LogEntriesRequest request;
  request.set_count(100);
  const auto entries = vault_.server().log_entries("officer", request);
  ASSERT_TRUE(entries);
  std::map<std::string, uint64_t> refused;
  for (const auto& entry : entries->entries()) {
    for (const std::string& bytes : entry.items()) {
      v1::LogItem item;
      ASSERT_TRUE(item.ParseFromString(bytes));
      if (item.refused().admin()) refused[item.refused().principal()] += item.refused().count();
    }
  }
  EXPECT_EQ(refused, (std::map<std::string, uint64_t>{{"clerk", 20}, {"", 3}}));
}

}  // namespace
}  // namespace strongroom::keyserver
