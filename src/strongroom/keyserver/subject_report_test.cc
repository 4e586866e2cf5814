// Who looked at a record, told to the person in it: all of it, no more than the policy shows, and
// provable by whoever has the log's key.
#include <gtest/gtest.h>

#include "strongroom/base/durations.h"
#include "strongroom/keyserver/report_check.h"
#include "strongroom/keyserver/test_vault.h"

namespace strongroom::keyserver {
namespace {

// Distinct from all else in a report, so that it can be looked for.
constexpr const char* kClerkName = "clerk.ghostwriter";
constexpr const char* kCase = "A-7788-secret";

class SubjectReportTest : public testing::Test {
 protected:
  void SetUp() override {
    v1::Policy& policy = vault_.founding().policy;
    v1::Role& privacy = *policy.add_roles();
    privacy.set_name("privacy");
    privacy.set_title("Privacy officer");
    privacy.add_powers(v1::REPORT_SUBJECTS);
    add_grant(privacy, "person", "access", {v1::FIND}).add_groups("masked");
    policy.add_purposes()->set_name("access");
    policy.mutable_purposes(1)->set_title("Service <desk> & \"more\"");
    add_principal("privacy.officer", "privacy");
    add_principal(kClerkName, "clerk");
  }

  void add_principal(const std::string& name, const std::string& role) {
    vault_.set_key(name, crypto::SigningKey::generate());
    v1::Principal& principal = vault_.founding().principals.emplace_back();
    principal.set_name(name);
    principal.set_role(role);
    principal.set_unit("Precinct 7");
    principal.set_public_key(std::string(as_text(vault_.key(name).public_key())));
  }
  v1::Purpose& service() { return *vault_.founding().policy.mutable_purposes(1); }
  v1::Purpose& investigation() { return *vault_.founding().policy.mutable_purposes(0); }

  void create() {
    ASSERT_TRUE(vault_.create());
    const auto granted = vault_.call(grant_call(vault_.import_ticket(), 64)).grant();
    first_ = granted.first();
    u_ = granted.u();
  }

  void release(const std::vector<uint64_t>& offsets, const std::string& purpose = "service",
               uint32_t groups = 2) {
    std::vector<std::pair<uint64_t, uint64_t>> items;
    for (const uint64_t offset : offsets) items.emplace_back(first_ + offset, u_);
    const auto reply = vault_.call(release_call(
        vault_.ticket({.principal = kClerkName, .purpose = purpose, .case_reference = kCase}), {},
        items, groups, true));
    ASSERT_TRUE(reply.has_release()) << reply.error().text();
    vault_.clock().advance_ms(1000);
  }

  Result<v1::SubjectReport> ask(std::vector<uint64_t> idx,
                                const std::string& who = "privacy.officer",
                                const std::string& purpose = "access",
                                const std::string& collection = "person") {
    v1::ReportSubjectRequest request;
    request.set_collection(collection);
    request.mutable_idx()->Add(idx.begin(), idx.end());
    request.set_purpose(purpose);
    SR_ASSIGN(auto response, vault_.server().report_subject(who, request));
    return std::move(*response.mutable_report());
  }
  v1::SubjectReport must(std::vector<uint64_t> offsets) {
    for (uint64_t& offset : offsets) offset += first_;
    auto report = ask(std::move(offsets));
    SR_CHECK(report.has_value(), "a report");
    return std::move(*report);
  }
  static std::optional<ErrorCode> refused(const Result<v1::SubjectReport>& report) {
    return report ? std::nullopt : std::optional(report.error().code);
  }

  tlog::NoteKey log_key() {
    const auto& file = vault_.server().vault_file();
    crypto::PublicKey key{};
    SR_CHECK(from_hex(file.log_public_key(), key), "a log key");
    return tlog::log_key(file.origin(), key);
  }
  Result<CheckedReport> check(const v1::SubjectReport& report) {
    return check_subject_report(report, tlog::LogKeys(log_key()), {});
  }

  // As whoever is given it gets it.
  static bool tells(const v1::SubjectReport& report, std::string_view text) {
    return report.SerializeAsString().find(text) != std::string::npos;
  }

  TestVault vault_;
  uint64_t first_ = 0;
  uint64_t u_ = 0;
};

TEST_F(SubjectReportTest, TellsEveryReleaseOfTheRecordNewestFirstWithProofs) {
  create();
  release({3});
  release({3, 4, 5}, "investigation");
  release({4});
  release({3}, "service", 1);
  const auto report = must({3});
  ASSERT_EQ(report.records_size(), 1);
  const auto& record = report.records(0);
  EXPECT_EQ(record.releases(), 3u);
  EXPECT_EQ(record.hidden(), 0u);
  EXPECT_EQ(record.older(), 0u);
  ASSERT_EQ(record.lines_size(), 3);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(record.lines(i).k(), 2u - static_cast<uint32_t>(i));
    EXPECT_EQ(record.lines(i).shown_as(), "role");
    EXPECT_EQ(record.lines(i).who(), "clerk");
  }
  EXPECT_EQ(record.lines(0).purpose(), "service");
  EXPECT_EQ(record.lines(0).purpose_title(), "Service <desk> & \"more\"");
  EXPECT_EQ(record.lines(0).groups(0), "masked");
  EXPECT_EQ(record.lines(1).purpose(), "investigation");
  EXPECT_EQ(record.lines(1).groups(0), "identity");
  const auto checked = check(report);
  ASSERT_TRUE(checked) << checked.error().text;
  EXPECT_EQ(checked->lines, 3u);
  EXPECT_EQ(checked->unnamed, 0u);
}

TEST_F(SubjectReportTest, NobodyWhomThePolicyMasksAndNoThirdPersonIsInItsBytes) {
  create();
  release({3, 9}, "investigation");
  const auto report = must({3});
  ASSERT_EQ(report.records(0).lines_size(), 1);
  EXPECT_FALSE(tells(report, kClerkName));
  EXPECT_FALSE(tells(report, kCase));
  EXPECT_FALSE(tells(report, "Precinct 7"));
  for (const auto& shown : report.records(0).lines(0).proof().items()) {
    v1::LogItem item;
    ASSERT_TRUE(item.ParseFromString(shown.item()));
    EXPECT_TRUE(item.has_shown() || (item.has_release() && item.release().idx() == first_ + 3));
  }
}

TEST_F(SubjectReportTest, ThePurposeSaysWhetherRoleUnitOrPersonAndTheCase) {
  service().set_shown_as(v1::PERSON);
  service().set_show_case(true);
  investigation().set_shown_as(v1::UNIT);
  create();
  release({1}, "investigation");
  release({1});
  const auto report = must({1});
  const auto& lines = report.records(0).lines();
  ASSERT_EQ(lines.size(), 2);
  EXPECT_EQ(lines[0].shown_as(), "person");
  EXPECT_EQ(lines[0].who(), kClerkName);
  EXPECT_EQ(lines[0].case_reference(), kCase);
  EXPECT_EQ(lines[1].shown_as(), "unit");
  EXPECT_EQ(lines[1].who(), "Precinct 7");
  EXPECT_EQ(lines[1].case_reference(), "");
  EXPECT_TRUE(check(report));
}

TEST_F(SubjectReportTest, AnEmbargoHidesUntilItsDayAndIsCountedInTheLog) {
  investigation().set_embargo_days(30);
  create();
  release({2});
  release({2}, "investigation");
  release({2}, "investigation");
  release({2});
  auto report = must({2});
  EXPECT_EQ(report.records(0).releases(), 4u);
  EXPECT_EQ(report.records(0).hidden(), 2u);
  ASSERT_EQ(report.records(0).lines_size(), 2);
  EXPECT_EQ(report.records(0).lines(0).k(), 3u);
  EXPECT_EQ(report.records(0).lines(1).k(), 0u);
  EXPECT_FALSE(tells(report, "investigation"));
  const auto checked = check(report);
  ASSERT_TRUE(checked);
  EXPECT_EQ(checked->hidden, 2u);
  // Which entries the hidden ones are is not told either: what is shown of the line above them
  // names no entry before it.
  v1::LogItem item;
  ASSERT_TRUE(item.ParseFromString(report.records(0).lines(0).proof().items(0).item()));
  EXPECT_EQ(item.release().GetReflection()->GetUnknownFields(item.release()).field_count(), 0);
  ASSERT_TRUE(item.ParseFromString(report.records(0).proof().items(0).item()));
  EXPECT_EQ(item.reported().hidden(), 2u);

  vault_.clock().advance_ms(31 * kDayMs);
  ASSERT_TRUE(vault_.server().tick());
  report = must({2});
  EXPECT_EQ(report.records(0).hidden(), 0u);
  EXPECT_EQ(report.records(0).lines_size(), 4);
  EXPECT_TRUE(check(report));
}

// As a court orders it: of one case, and of what was done until then.
TEST_F(SubjectReportTest, SeveralCanHaveOneCaseToldBeforeItsDay) {
  investigation().set_embargo_days(30);
  create();
  release({2}, "investigation");
  const auto other = release_call(
      vault_.ticket({.principal = kClerkName, .purpose = "investigation", .case_reference = "B-1"}),
      {}, {{first_ + 2, u_}}, 2, true);
  ASSERT_TRUE(vault_.call(other).has_release());
  EXPECT_EQ(must({2}).records(0).hidden(), 2u);
  const auto lift = [&](const char* purpose, const char* reference, const char* who) {
    v1::LiftEmbargoRequest request;
    request.mutable_lift()->set_purpose(purpose);
    request.mutable_lift()->set_case_reference(reference);
    request.set_reason("order of the court");
    return vault_.server().lift_embargo(who, request);
  };
  EXPECT_FALSE(lift("investigation", kCase, "operator"));
  EXPECT_FALSE(lift("investigation", "", "privacy.officer"));
  EXPECT_FALSE(lift("curiosity", kCase, "privacy.officer"));
  const auto asked = lift("investigation", kCase, "privacy.officer");
  ASSERT_TRUE(asked) << asked.error().text;
  EXPECT_EQ(must({2}).records(0).hidden(), 2u) << "nobody has signed yet";
  vault_.approve(asked->request());
  for (const bool restarted : {false, true}) {
    if (restarted) {
      ASSERT_TRUE(vault_.open());
    }
    const auto report = must({2});
    EXPECT_EQ(report.records(0).hidden(), 1u);
    ASSERT_EQ(report.records(0).lines_size(), 1);
    EXPECT_EQ(report.records(0).lines(0).k(), 0u);
    EXPECT_TRUE(check(report));
  }
  release({2}, "investigation");
  EXPECT_EQ(must({2}).records(0).hidden(), 2u) << "what came later waits for its own day";
  const auto again = lift("investigation", kCase, "privacy.officer");
  ASSERT_TRUE(again);
  vault_.approve(again->request());
  EXPECT_EQ(must({2}).records(0).hidden(), 1u);
}

TEST_F(SubjectReportTest, ALaterPolicyNeitherHidesNorUncoversWhatWas) {
  investigation().set_embargo_days(30);
  create();
  release({2}, "investigation");
  release({2});
  v1::ApplyPolicyRequest change;
  *change.mutable_policy() = vault_.founding().policy;
  change.mutable_policy()->mutable_purposes(0)->clear_embargo_days();
  change.mutable_policy()->mutable_purposes(1)->set_embargo_days(3650);
  change.mutable_policy()->mutable_purposes(1)->set_shown_as(v1::PERSON);
  const auto applied = vault_.server().apply_policy("officer", change);
  ASSERT_TRUE(applied) << applied.error().text;
  ASSERT_TRUE(applied->widens());
  vault_.approve(applied->request());
  const auto report = must({2});
  EXPECT_EQ(report.records(0).hidden(), 1u);
  ASSERT_EQ(report.records(0).lines_size(), 1);
  EXPECT_EQ(report.records(0).lines(0).purpose(), "service");
  EXPECT_FALSE(tells(report, kClerkName));
}

TEST_F(SubjectReportTest, TheSameAfterARestart) {
  create();
  release({1, 2});
  release({2});
  const auto before = must({1, 2});
  ASSERT_TRUE(vault_.open());
  const auto after = must({1, 2});
  for (int r = 0; r < 2; ++r) {
    ASSERT_EQ(after.records(r).lines_size(), before.records(r).lines_size());
    for (int i = 0; i < after.records(r).lines_size(); ++i) {
      EXPECT_EQ(after.records(r).lines(i).proof().leaf(),
                before.records(r).lines(i).proof().leaf());
    }
  }
  release({2});
  EXPECT_EQ(must({2}).records(0).lines_size(), 3);
  EXPECT_TRUE(check(before));
  EXPECT_TRUE(check(after));
}

TEST_F(SubjectReportTest, ReleasesOfOneBatchChainToo) {
  create();
  v1::CallBatch batch;
  for (int i = 0; i < 5; ++i) {
    *batch.add_calls() = release_call(vault_.ticket({.principal = kClerkName}), {},
                                      {{first_ + 7, u_}, {first_ + 8, u_}}, 2, true);
  }
  const auto replies = vault_.server().handle(std::move(batch));
  for (const auto& reply : replies.replies()) ASSERT_TRUE(reply.has_release());
  const auto report = must({7, 8});
  EXPECT_EQ(report.records(0).lines_size(), 5);
  EXPECT_EQ(report.records(1).lines_size(), 5);
  EXPECT_TRUE(check(report));
}

TEST_F(SubjectReportTest, OfARecordNobodyOpenedThatIsProvenToo) {
  create();
  const auto report = must({40});
  EXPECT_EQ(report.records(0).releases(), 0u);
  EXPECT_EQ(report.records(0).lines_size(), 0);
  EXPECT_TRUE(check(report));
}

TEST_F(SubjectReportTest, OnlyWhoMayAndOnlyOfTheirOwnCollections) {
  create();
  release({1});
  const uint64_t mine = first_ + 1;
  EXPECT_EQ(refused(ask({mine}, kClerkName, "service")), ErrorCode::kPermissionDenied);
  EXPECT_EQ(refused(ask({mine}, "officer")), ErrorCode::kPermissionDenied);
  EXPECT_EQ(refused(ask({mine}, "nobody")), ErrorCode::kPermissionDenied);
  EXPECT_EQ(refused(ask({mine}, "privacy.officer", "service")), ErrorCode::kPermissionDenied);
  EXPECT_EQ(refused(ask({mine}, "privacy.officer", "access", "parcel")),
            ErrorCode::kPermissionDenied);
  EXPECT_EQ(refused(ask({mine}, "privacy.officer", "access", "planet")), ErrorCode::kNotFound);
  const auto parcel = vault_.call(grant_call(vault_.import_ticket(kParcel), 4)).grant();
  EXPECT_EQ(refused(ask({parcel.first()})), ErrorCode::kNotFound);
  EXPECT_EQ(refused(ask({first_ + 4000})), ErrorCode::kNotFound);
  EXPECT_EQ(refused(ask({UINT64_MAX})), ErrorCode::kNotFound);
  EXPECT_EQ(refused(ask({})), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused(ask({mine, mine})), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused(ask(std::vector<uint64_t>(17, mine))), ErrorCode::kInvalidArgument);
  v1::FreezeRequest freeze;
  freeze.set_scope("principal:privacy.officer");
  ASSERT_TRUE(vault_.server().freeze("officer", freeze));
  EXPECT_EQ(refused(ask({mine})), ErrorCode::kPermissionDenied);
}

TEST_F(SubjectReportTest, IsMeteredAndLoggedBeforeItIsTold) {
  auto& roles = *vault_.founding().policy.mutable_roles();
  roles.rbegin()->mutable_grants(0)->mutable_budget()->set_records_per_hour(3);
  create();
  release({1, 2});
  (void)must({1, 2});
  v1::LogEntriesRequest request;
  request.set_count(kLogEntriesMax);
  const auto entries = vault_.server().log_entries("officer", request);
  ASSERT_TRUE(entries);
  const auto& last = *entries->entries().rbegin();
  EXPECT_EQ(last.type(), "report");
  v1::LogItem item;
  ASSERT_TRUE(item.ParseFromString(last.items(0)));
  EXPECT_EQ(item.ticket().principal(), "privacy.officer");
  ASSERT_TRUE(item.ParseFromString(last.items(2)));
  EXPECT_EQ(item.reported().idx(), first_ + 2);
  EXPECT_EQ(item.reported().lines(), 1u);
  EXPECT_EQ(refused(ask({first_ + 1, first_ + 2})), ErrorCode::kBudgetExhausted);
  (void)must({1});
  ASSERT_TRUE(vault_.open()) << "charged in the log";
  EXPECT_EQ(refused(ask({first_ + 1})), ErrorCode::kBudgetExhausted);
}

TEST_F(SubjectReportTest, WhoAsksAboutACanaryIsCutOffAndToldNothing) {
  vault_.founding().policy.mutable_roles(2)->add_powers(v1::PLANT_CANARIES);
  create();
  v1::PlantCanariesRequest plant;
  plant.set_collection(kPerson);
  plant.add_records(first_ + 50);
  ASSERT_TRUE(vault_.server().plant_canaries("officer", plant));
  EXPECT_EQ(refused(ask({first_ + 50})), ErrorCode::kPermissionDenied);
  EXPECT_EQ(refused(ask({first_ + 1})), ErrorCode::kPermissionDenied) << "frozen from now on";
}

TEST_F(SubjectReportTest, MoreThanAReportHoldsIsCountedAsOlder) {
  auto& budget = *vault_.founding().policy.mutable_roles(0)->mutable_grants(1)->mutable_budget();
  budget.set_records_per_hour(5000);
  budget.set_records_per_day(5000);
  create();
  v1::CallBatch batch;
  for (int i = 0; i < 1003; ++i) {
    *batch.add_calls() =
        release_call(vault_.ticket({.principal = kClerkName}), {}, {{first_ + 1, u_}}, 2, true);
  }
  (void)vault_.server().handle(std::move(batch));
  const auto report = must({1, 2});
  EXPECT_EQ(report.records(0).releases(), 1003u);
  EXPECT_EQ(report.records(0).lines_size(), 1000);
  EXPECT_EQ(report.records(0).older(), 3u);
  EXPECT_TRUE(check(report));
  EXPECT_LT(format_subject_report(report).size(), kSubjectReportBytesMax / 4);
}

// The lines of test/golden/subject_report_v1.json, from a vault of the version that brought
// reports. Its second line is the log's verifier key.
TEST(SubjectReportGoldenTest, AReportOfVersionOneIsReadAndVerifies) {
  const auto text = env::real_files().read(
      std::string(STRONGROOM_SOURCE_DIR) + "/test/golden/subject_report_v1.json", 1 << 20);
  ASSERT_TRUE(text);
  const size_t line = text->find('\n');
  const auto report = parse_subject_report(text->substr(0, line));
  ASSERT_TRUE(report);
  const auto key = tlog::parse_note_key(text->substr(line + 1, text->size() - line - 2));
  ASSERT_TRUE(key);
  const auto checked = check_subject_report(*report, tlog::LogKeys(*key), {});
  ASSERT_TRUE(checked) << checked.error().text;
  EXPECT_EQ(checked->lines, 2u);
  EXPECT_EQ(checked->hidden, 1u);
}

// Whoever hands a report on may have changed it.
TEST_F(SubjectReportTest, EveryChangeOfItIsFound) {
  investigation().set_embargo_days(30);
  create();
  release({5, 6});
  release({5}, "investigation");
  release({5, 7});
  const auto good = must({5, 6});
  ASSERT_TRUE(check(good));
  const auto bad = [&](const std::function<void(v1::SubjectReport&)>& change) {
    v1::SubjectReport report = good;
    change(report);
    return !check(report).has_value();
  };
  using R = v1::SubjectReport&;
  const auto line = [](R r) { return r.mutable_records(0)->mutable_lines(0); };
  EXPECT_TRUE(bad([&](R r) { line(r)->set_t_ms(line(r)->t_ms() + 1); }));
  EXPECT_TRUE(bad([&](R r) { line(r)->set_k(1); }));
  EXPECT_TRUE(bad([&](R r) { line(r)->set_who("officer"); }));
  EXPECT_TRUE(bad([&](R r) { line(r)->set_shown_as("person"); }));
  EXPECT_TRUE(bad([&](R r) { line(r)->set_purpose("import"); }));
  EXPECT_TRUE(bad([&](R r) { line(r)->set_purpose_title("Nothing"); }));
  EXPECT_TRUE(bad([&](R r) { line(r)->set_case_reference("x"); }));
  EXPECT_TRUE(bad([&](R r) { line(r)->add_groups("contact"); }));
  EXPECT_TRUE(bad([&](R r) { line(r)->mutable_proof()->set_leaf(1); }));
  EXPECT_TRUE(bad([&](R r) { line(r)->mutable_proof()->mutable_path()->RemoveLast(); }));
  EXPECT_TRUE(bad([&](R r) { line(r)->mutable_proof()->mutable_items()->RemoveLast(); }))
      << "it still says who";
  EXPECT_TRUE(bad([&](R r) { line(r)->mutable_proof()->clear_items(); }));
  EXPECT_TRUE(bad([&](R r) { r.mutable_records(0)->mutable_lines()->RemoveLast(); }));
  EXPECT_TRUE(bad([&](R r) { *r.mutable_records(0)->add_lines() = r.records(0).lines(0); }));
  EXPECT_TRUE(bad([&](R r) { r.mutable_records(0)->mutable_lines()->SwapElements(0, 1); }));
  EXPECT_TRUE(bad([&](R r) { r.mutable_records(0)->set_hidden(0); }));
  EXPECT_TRUE(bad([&](R r) { r.mutable_records(0)->set_older(1); }));
  EXPECT_TRUE(bad([&](R r) { r.mutable_records(0)->set_releases(2); }));
  EXPECT_TRUE(bad([&](R r) { r.mutable_records(0)->set_idx(first_ + 6); }));
  EXPECT_TRUE(bad([&](R r) { r.mutable_records(0)->set_collection("parcel"); }));
  EXPECT_TRUE(bad([&](R r) {
    r.mutable_records()->SwapElements(0, 1);
    *r.mutable_records(0)->mutable_lines() = r.records(1).lines();
  }));
  EXPECT_TRUE(bad([&](R r) { r.set_t_ms(r.t_ms() - 1); }));
  EXPECT_TRUE(bad([&](R r) { r.set_origin("strongroom.local/other"); }));
  EXPECT_TRUE(bad([&](R r) { r.clear_records(); }));
  EXPECT_TRUE(bad([&](R r) { (*r.mutable_checkpoint())[r.checkpoint().find('\n') + 1] = '9'; }));
  for (auto& proof : {good.records(0).proof(), good.records(0).lines(0).proof()}) {
    for (size_t at = 0; at < proof.entry().size(); ++at) {
      EXPECT_TRUE(bad([&](R r) {
        auto& to = &proof == &good.records(0).proof() ? *r.mutable_records(0)->mutable_proof()
                                                      : *line(r)->mutable_proof();
        (*to.mutable_entry())[at] ^= 1;
      }));
    }
  }
  const auto json = format_subject_report(good);
  const auto read = parse_subject_report(json);
  ASSERT_TRUE(read);
  EXPECT_TRUE(check(*read));
  EXPECT_FALSE(parse_subject_report(json.substr(0, json.size() - 1)));
  EXPECT_FALSE(parse_subject_report("{}"));
  v1::SubjectReport newer = good;
  newer.set_version(2);
  EXPECT_EQ(parse_subject_report(format_subject_report(newer)).error().code,
            ErrorCode::kFailedPrecondition);
}

}  // namespace
}  // namespace strongroom::keyserver
