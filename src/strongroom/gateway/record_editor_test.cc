// Single records put and changed: found by what they are now and by nothing they were, all or
// nothing, whatever fails in between.
#include <gtest/gtest.h>

#include "strongroom/gateway/record_editor.h"
#include "test/support/gateway_vault.h"

namespace strongroom::gateway {
namespace {

using test::GatewayVault;
using Values = GatewayVault::Values;

Values wang(int n) {
  const std::string text = std::to_string(n);
  return {{"name", "Wang " + text},
          {"number", "N" + text},
          {"email", "w" + text + "@x"},
          {"city", "Wuhan"},
          {"note", "note " + text}};
}

std::vector<Values> wangs(int count) {
  std::vector<Values> out;
  for (int n = 0; n < count; ++n) out.push_back(wang(n));
  return out;
}

std::string put_one(GatewayVault& vault, const Values& values) {
  const auto put = vault.put({values});
  SR_CHECK(put && put->ids_size() == 1, "a record that is put");
  return put->ids(0);
}

std::vector<std::string> found(GatewayVault& vault, const std::string& field,
                               const std::string& value) {
  const auto response = vault.find({{field, value}});
  SR_CHECK(response.has_value(), "a search");
  std::vector<std::string> out;
  for (const auto& record : response->records()) out.push_back(record.id());
  return out;
}

using Ids = std::vector<std::string>;

// Who is found, rather than what has a row: that of an erased record may still be there.
std::map<std::string, Values> everybody(GatewayVault& vault) {
  std::map<std::string, Values> out;
  for (const char* city : {"Wuhan", "Beijing"}) {
    const auto response = vault.find({{"city", city}});
    SR_CHECK(response.has_value(), "a search");
    for (const auto& record : response->records()) {
      out[record.id()] = {record.fields().begin(), record.fields().end()};
    }
  }
  return out;
}

TEST(RecordEditorTest, WhatIsPutIsFoundByEachOfItsValues) {
  GatewayVault vault;
  const auto put = vault.put(wangs(5));
  ASSERT_TRUE(put) << put.error().text;
  ASSERT_EQ(put->ids_size(), 5);
  EXPECT_TRUE(put->rejects().empty());
  EXPECT_EQ(found(vault, "city", "Wuhan").size(), 5u);
  for (int n = 0; n < 5; ++n) {
    for (const char* field : {"name", "number", "email"}) {
      EXPECT_EQ(found(vault, field, wang(n)[field]), Ids{put->ids(n)});
    }
    EXPECT_EQ(vault.records()[put->ids(n)], wang(n));
  }
  vault.crash();
  EXPECT_EQ(vault.records().size(), 5u) << "it was acknowledged";
  EXPECT_EQ(vault.count({{"city", "Wuhan"}})->count(), 5u);
}

TEST(RecordEditorTest, OneRowThatWillNotDoKeepsAllOut) {
  GatewayVault vault;
  auto rows = wangs(3);
  rows[1].erase("name");
  rows[2]["shoe"] = "44";
  const auto put = vault.put(rows);
  ASSERT_TRUE(put) << put.error().text;
  EXPECT_TRUE(put->ids().empty());
  ASSERT_EQ(put->rejects_size(), 2);
  EXPECT_EQ(put->rejects(0).number(), 2u);
  EXPECT_EQ(put->rejects(0).field(), "name");
  EXPECT_EQ(put->rejects(1).number(), 3u);
  EXPECT_EQ(put->rejects(1).field(), "") << "what was sent as a name may be a value";
  EXPECT_TRUE(vault.records().empty());
  EXPECT_EQ(vault.put({}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(vault.put(std::vector<Values>(kPutRecordsMax + 1, wang(1))).error().code,
            ErrorCode::kInvalidArgument);
}

TEST(RecordEditorTest, AUniqueValueIsTakenOnce) {
  GatewayVault vault;
  put_one(vault, wang(1));
  auto same_email = wang(2);
  same_email["email"] = wang(1)["email"];
  const auto second = vault.put({wang(3), same_email});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(second.error().number, 1);
  EXPECT_EQ(vault.put({wang(4), wang(4)}).error().code, ErrorCode::kAlreadyExists)
      << "in one request too";
  EXPECT_EQ(vault.records().size(), 1u);
}

TEST(RecordEditorTest, AValueInAnImportUnderWayIsTakenToo) {
  GatewayVault vault;
  test::Source source{"people", {"name", "number"}, "", {{"Li", "N7"}}, keyserver::kPerson};
  const auto begun = vault.begin(vault.begin_request(source));
  ASSERT_TRUE(begun);
  ASSERT_TRUE(vault.batch(source, begun->import_id(), 0, 1));
  EXPECT_EQ(vault.put({wang(7)}).error().code, ErrorCode::kAlreadyExists);
  ASSERT_TRUE(vault.finish(source, begun->import_id()));
  EXPECT_EQ(vault.records().size(), 1u);
}

TEST(RecordEditorTest, AChangeKeepsWhatItDoesNotName) {
  GatewayVault vault;
  const std::string id = put_one(vault, wang(1)), other = put_one(vault, wang(2));
  const auto changed = vault.update(id, {{"city", "Beijing"}, {"note", ""}});
  ASSERT_TRUE(changed) << changed.error().text;
  EXPECT_TRUE(changed->changed());
  EXPECT_EQ(changed->id(), id);
  EXPECT_FALSE(changed->has_erased());
  auto expected = wang(1);
  expected["city"] = "Beijing";
  expected.erase("note");
  EXPECT_EQ(vault.records()[id], expected);
  EXPECT_EQ(vault.records()[other], wang(2));
  EXPECT_EQ(found(vault, "city", "Beijing"), Ids{id});
  EXPECT_EQ(found(vault, "city", "Wuhan"), Ids{other});
  EXPECT_EQ(vault.count({{"city", "Wuhan"}})->count(), 1u);
  EXPECT_EQ(found(vault, "number", "N1"), Ids{id});
}

TEST(RecordEditorTest, NothingIsWrittenWhereNothingChanges) {
  GatewayVault vault;
  const std::string id = put_one(vault, wang(1));
  const uint64_t before = vault.vault().server().status("operator", {})->log_size();
  const auto same = vault.update(id, {{"city", "Wuhan"}});
  ASSERT_TRUE(same) << same.error().text;
  EXPECT_FALSE(same->changed());
  EXPECT_EQ(vault.vault().server().status("operator", {})->log_size(), before + 1)
      << "it was opened, and that is all";
  EXPECT_EQ(same->leaf(), before);
}

TEST(RecordEditorTest, AUniqueValueMovesWithTheRecord) {
  GatewayVault vault;
  const std::string one = put_one(vault, wang(1)), two = put_one(vault, wang(2));
  EXPECT_EQ(vault.update(one, {{"number", "N2"}}).error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(vault.records()[one], wang(1));
  ASSERT_TRUE(vault.update(two, {{"number", "N3"}}));
  const auto changed = vault.update(one, {{"number", "N2"}});
  ASSERT_TRUE(changed) << "it is free by now: " << changed.error().text;
  EXPECT_EQ(found(vault, "number", "N2"), Ids{one});
  EXPECT_EQ(found(vault, "number", "N3"), Ids{two});
  EXPECT_TRUE(found(vault, "number", "N1").empty());
}

TEST(RecordEditorTest, WhatWillNotDoLeavesTheRecordAsItWas) {
  GatewayVault vault;
  const std::string id = put_one(vault, wang(1));
  const uint64_t before = vault.vault().server().status("operator", {})->log_size();
  const auto unknown = vault.update(id, {{"shoe", "44"}});
  ASSERT_TRUE(unknown);
  EXPECT_EQ(unknown->rejects_size(), 1);
  EXPECT_EQ(vault.vault().server().status("operator", {})->log_size(), before)
      << "nothing was opened for it";
  const auto missing = vault.update(id, {{"name", ""}});
  ASSERT_TRUE(missing);
  ASSERT_EQ(missing->rejects_size(), 1);
  EXPECT_EQ(missing->rejects(0).field(), "name");
  EXPECT_FALSE(missing->changed());
  EXPECT_EQ(vault.update("00000fffff", {{"city", "X"}}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(vault.update("x", {{"city", "X"}}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(vault.records()[id], wang(1));
}

TEST(RecordEditorTest, ToForgetIsANewRecordAndTheOldOneErased) {
  GatewayVault vault;
  const std::string id = put_one(vault, wang(1));
  const auto before =
      vault.store().scan(store::Table::kRecords, {}, {}, [](auto, auto) { return true; });
  ASSERT_TRUE(before);
  const auto changed = vault.update(id, {{"city", "Beijing"}}, true);
  ASSERT_TRUE(changed) << changed.error().text;
  EXPECT_NE(changed->id(), id);
  EXPECT_EQ(changed->erased().records(), 1u);
  EXPECT_EQ(changed->not_erased(), "");
  auto expected = wang(1);
  expected["city"] = "Beijing";
  EXPECT_EQ(vault.records(), (std::map<std::string, Values>{{changed->id(), expected}}));
  EXPECT_EQ(vault.get(vault.get_request({id})).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(found(vault, "number", "N1"), Ids{changed->id()});
  EXPECT_TRUE(found(vault, "city", "Wuhan").empty());
  // The unique value is the new record's.
  EXPECT_EQ(vault.put({wang(1)}).error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(vault.update(id, {{"city", "Xian"}}, true).error().code, ErrorCode::kNotFound);
}

TEST(RecordEditorTest, WhoseErasureIsRefusedIsToldThatBothAreThere) {
  GatewayVault vault;
  const std::string one = put_one(vault, wang(1)), two = put_one(vault, wang(2));
  v1::UpdateRequest request;
  *request.mutable_ticket() = vault.changer(*parse_record_id(one));
  request.set_request_id(keyserver::fresh(16));
  request.set_id(one);
  (*request.mutable_set())["city"] = "Beijing";
  // A ticket for the erasure of another record.
  *request.mutable_forget_old() = vault.eraser({*parse_record_id(two)});
  const auto changed = vault.loop().wait<v1::UpdateResponse>(
      [&](auto done) { vault.gateway().update(request, done); });
  ASSERT_TRUE(changed) << changed.error().text;
  EXPECT_FALSE(changed->has_erased());
  EXPECT_NE(changed->not_erased().find("other records"), std::string::npos);
  EXPECT_EQ(vault.records().size(), 3u);
}

TEST(RecordEditorTest, WhoMayNotChangeOpensNothing) {
  GatewayVault vault;
  const std::string id = put_one(vault, wang(1));
  const uint64_t before = vault.vault().server().status("operator", {})->log_size();
  v1::UpdateRequest request;
  *request.mutable_ticket() = vault.importer();  // IMPORT is not UPDATE.
  request.set_request_id(keyserver::fresh(16));
  request.set_id(id);
  (*request.mutable_set())["city"] = "Beijing";
  const auto refused = vault.loop().wait<v1::UpdateResponse>(
      [&](auto done) { vault.gateway().update(request, done); });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kPermissionDenied);
  // Nor is a ticket that names no record, or another.
  for (const auto& ticket : {vault.clerk(), vault.changer(RecordIndex{1})}) {
    *request.mutable_ticket() = ticket;
    const auto kept = vault.loop().wait<v1::UpdateResponse>(
        [&](auto done) { vault.gateway().update(request, done); });
    ASSERT_FALSE(kept);
    EXPECT_EQ(kept.error().code, ErrorCode::kPermissionDenied);
  }
  v1::PutRequest put;
  *put.mutable_ticket() = vault.clerk();  // Nor the other way round.
  put.set_request_id(keyserver::fresh(16));
  (*put.add_records()->mutable_fields())["name"] = "Li";
  const auto kept_out =
      vault.loop().wait<v1::PutResponse>([&](auto done) { vault.gateway().put(put, done); });
  ASSERT_FALSE(kept_out);
  EXPECT_EQ(kept_out.error().code, ErrorCode::kPermissionDenied);
  EXPECT_EQ(vault.vault().server().status("operator", {})->log_size(), before);
}

TEST(RecordEditorTest, WhatWasChangedMeanwhileIsNotWrittenByTheOldDefinition) {
  GatewayVault vault;
  vault.keys().tamper = [](v1::Reply& reply) {
    if (reply.has_grant()) reply.mutable_grant()->set_revision(reply.grant().revision() + 1);
  };
  const auto put = vault.put({wang(1)});
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, ErrorCode::kUnavailable);
  vault.keys().tamper = {};
  EXPECT_TRUE(vault.records().empty());
  put_one(vault, wang(1));
}

// Every call to store and key server fails in turn, before or behind its effect, the power with it.
TEST(RecordEditorTest, ACrashLeavesTheOldRecordOrTheNewOne) {
  for (const bool forget : {false, true}) {
    for (const bool applied : {false, true}) {
      for (const bool power_cut : {false, true}) {
        uint64_t nth = 1;
        for (bool struck = true; struck; ++nth) {
          SCOPED_TRACE("call " + std::to_string(nth) + (forget ? ", forgetting" : ""));
          GatewayVault vault;
          const std::string id = put_one(vault, wang(1));
          auto moved = wang(1);
          moved["city"] = "Beijing";
          vault.faults().fail_from(nth, applied);
          const auto changed = vault.update(id, {{"city", "Beijing"}}, forget);
          struck = vault.faults().struck();
          power_cut ? vault.crash() : vault.faults().clear();
          const auto now = everybody(vault);
          const size_t old_ones = static_cast<size_t>(
              std::ranges::count_if(now, [](const auto& one) { return one.second == wang(1); }));
          const size_t new_ones = static_cast<size_t>(
              std::ranges::count_if(now, [&](const auto& one) { return one.second == moved; }));
          EXPECT_EQ(old_ones + new_ones, now.size()) << "nothing in between";
          EXPECT_GE(now.size(), 1u);
          EXPECT_LE(now.size(), forget ? 2u : 1u);
          if (changed) {
            EXPECT_EQ(new_ones, 1u);
          }
          if (changed && changed->not_erased().empty()) {
            EXPECT_EQ(old_ones, 0u);
          }
          // Counted and found as they are.
          EXPECT_EQ(found(vault, "city", "Beijing").size(), new_ones);
          EXPECT_EQ(vault.count({{"city", "Wuhan"}})->count(), old_ones);
          // What is still to do can be done.
          if (now.contains(id) && now.at(id) == wang(1)) {
            if (new_ones == 0) {
              const auto again = vault.update(id, {{"city", "Beijing"}}, forget);
              ASSERT_TRUE(again) << again.error().text;
            } else {
              ASSERT_TRUE(vault.erase({id}));
            }
          }
          EXPECT_EQ(found(vault, "city", "Beijing").size(), 1u);
          EXPECT_TRUE(found(vault, "city", "Wuhan").empty());
          ASSERT_LT(nth, 60u);
        }
        EXPECT_GT(nth, 5u);
      }
    }
  }
}

TEST(RecordEditorTest, ACrashWhilePuttingLeavesAllOrNone) {
  for (const bool applied : {false, true}) {
    for (const bool power_cut : {false, true}) {
      uint64_t nth = 1;
      for (bool struck = true; struck; ++nth) {
        SCOPED_TRACE("call " + std::to_string(nth));
        GatewayVault vault;
        vault.faults().fail_from(nth, applied);
        const auto put = vault.put(wangs(3));
        struck = vault.faults().struck();
        power_cut ? vault.crash() : vault.faults().clear();
        const size_t there = vault.records().size();
        EXPECT_TRUE(there == 3 || (there == 0 && !put)) << there;
        EXPECT_EQ(found(vault, "city", "Wuhan").size(), there);
        if (there == 0) {
          ASSERT_TRUE(vault.put(wangs(3)));
        }
        EXPECT_EQ(found(vault, "city", "Wuhan").size(), 3u);
        ASSERT_LT(nth, 40u);
      }
      EXPECT_GT(nth, 4u);
    }
  }
}

}  // namespace
}  // namespace strongroom::gateway
