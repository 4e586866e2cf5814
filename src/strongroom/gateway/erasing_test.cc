// Erasure as a gateway sees it: rows go, searches and counts are right at every moment, and a
// repeated call mends whatever a crash left.
#include <gtest/gtest.h>

#include "test/support/gateway_vault.h"

namespace strongroom::gateway {
namespace {

using test::GatewayVault;
using test::Source;

Source people(int count, const std::string& name = "people", const std::string& key = "") {
  Source source{name, {"name", "number", "email", "city"}, key, {}, keyserver::kPerson};
  for (int i = 0; i < count; ++i) {
    const std::string n = std::to_string(i);
    source.rows.push_back({"Wang " + n, "N" + n, "w" + n + "@x", "Wuhan"});
  }
  return source;
}

std::string id_of(GatewayVault& vault, const std::string& number) {
  const auto found = vault.find({{"number", number}});
  SR_CHECK(found && found->records_size() == 1, "one record of this number");
  return found->records(0).id();
}

std::map<std::string, std::string> rows(GatewayVault& vault) {
  std::map<std::string, std::string> out;
  SR_CHECK(vault.store()
               .scan(store::Table::kRecords, {}, {},
                     [&](std::string_view key, std::string_view value) {
                       out.emplace(key, value);
                       return true;
                     })
               .has_value(),
           "a sound store");
  return out;
}

void expect_people(GatewayVault& vault, uint64_t count) {
  const auto found = vault.find({{"city", "Wuhan"}});
  ASSERT_TRUE(found) << found.error().text;
  EXPECT_EQ(static_cast<uint64_t>(found->records_size()), count);
  const auto counted = vault.count({{"city", "Wuhan"}});
  ASSERT_TRUE(counted) << counted.error().text;
  EXPECT_EQ(counted->count(), count);
  EXPECT_EQ(rows(vault).size(), count);
}

TEST(GatewayErasingTest, AnErasedRecordIsGoneForFindGetAndCount) {
  GatewayVault vault;
  ASSERT_TRUE(vault.import(people(20)));
  const std::string id = id_of(vault, "N3"), other = id_of(vault, "N4");
  const auto erased = vault.erase({id, id});
  ASSERT_TRUE(erased) << erased.error().text;
  EXPECT_EQ(erased->records(), 1u);
  EXPECT_FALSE(erased->rows_left());
  expect_people(vault, 19);
  EXPECT_EQ(vault.find({{"number", "N3"}})->records_size(), 0);
  EXPECT_EQ(vault.get(vault.get_request({id})).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(vault.get(vault.get_request({id, other}))->records_size(), 1);
  EXPECT_TRUE(vault.erase({id})) << "again is no error";
  vault.restart();
  expect_people(vault, 19);
}

TEST(GatewayErasingTest, AUniqueValueIsFreeAgain) {
  for (const char* key : {"", "number"}) {
    GatewayVault vault;
    ASSERT_TRUE(vault.import(people(20)));
    const std::string id = id_of(vault, "N3");
    ASSERT_TRUE(vault.erase({id}));
    const auto again = vault.import(people(20, "again", key));
    ASSERT_TRUE(again) << again.error().text;
    EXPECT_EQ(again->state.imported(), 1u);
    EXPECT_NE(id_of(vault, "N3"), id);
    expect_people(vault, 20);
  }
}

TEST(GatewayErasingTest, OneThatDoesNotExistErasesNone) {
  GatewayVault vault;
  ASSERT_TRUE(vault.import(people(20)));
  const auto refused = vault.erase({id_of(vault, "N3"), "00000fffff"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(vault.erase({"x"}).error().code, ErrorCode::kInvalidArgument);
  expect_people(vault, 20);
}

// Every call of the gateway to store and key server fails in turn, before or behind its effect.
TEST(GatewayErasingTest, ACrashLeavesNoWrongAnswerAndIsMendedByTheNextErasure) {
  for (const bool applied : {false, true}) {
    for (const bool power_cut : {false, true}) {
      uint64_t nth = 1;
      for (bool struck = true; struck; ++nth) {
        SCOPED_TRACE("call " + std::to_string(nth));
        GatewayVault vault;
        ASSERT_TRUE(vault.import(people(20)));
        const std::string id = id_of(vault, "N3");
        vault.faults().fail_from(nth, applied);
        const auto erased = vault.erase({id});
        struck = vault.faults().struck();
        power_cut ? vault.crash() : vault.faults().clear();
        const bool gone = vault.vault().server().status("operator", {})->erased() == 1;
        EXPECT_TRUE(gone || !erased);
        const auto found = vault.find({{"city", "Wuhan"}});
        EXPECT_EQ(found->records_size(), gone ? 19 : 20);
        EXPECT_EQ(vault.count({{"city", "Wuhan"}})->count(), gone ? 19u : 20u);
        ASSERT_TRUE(vault.erase({id}));
        expect_people(vault, 19);
        ASSERT_LT(nth, 50u);
      }
      EXPECT_GT(nth, 3u);
    }
  }
}

TEST(GatewayErasingTest, AStoreFromBeforeShowsNothingAndIsCleaned) {
  GatewayVault vault;
  ASSERT_TRUE(vault.import(people(20)));
  const auto before = rows(vault);
  ASSERT_TRUE(vault.erase({id_of(vault, "N3"), id_of(vault, "N4")}));
  std::vector<store::Put> back;
  for (const auto& [key, value] : before) back.push_back({store::Table::kRecords, key, value});
  ASSERT_TRUE(vault.store().put(back, store::Durability::kSynced));
  // While it runs: searches drop them, and have their rows removed.
  EXPECT_EQ(vault.find({{"city", "Wuhan"}})->records_size(), 18);
  EXPECT_EQ(vault.count({{"city", "Wuhan"}})->count(), 18u) << "behind the search, on its thread";
  EXPECT_EQ(rows(vault).size(), 18u);
  ASSERT_TRUE(vault.store().put(back, store::Durability::kSynced));
  vault.restart();
  EXPECT_EQ(vault.count({{"city", "Wuhan"}})->count(), 18u) << "a start goes through the list";
  expect_people(vault, 18);
}

// At the key server, as another gateway would, in the middle of an import of this one.
void erase_during(GatewayVault& vault, v1::Reply::ReplyCase kind, bool first_only) {
  vault.keys().tamper = [&vault, kind, first_only, done = false](v1::Reply& reply) mutable {
    if (reply.reply_case() != kind || done) return;
    done = first_only;
    const uint64_t idx = reply.has_grant() ? reply.grant().first() : 0;
    v1::Call call;
    *call.mutable_erase()->mutable_ticket() = vault.eraser({RecordIndex{idx}});
    call.mutable_erase()->set_request_id(keyserver::fresh(16));
    call.mutable_erase()->add_records(idx);
    SR_CHECK(vault.vault().call(call).has_erase(), "an erasure beside the import");
  };
}

TEST(GatewayErasingTest, ErasedWhileItsChunkIsPendingItNeverAppears) {
  for (const int count : {6, 40}) {  // Through the online lane, in packed chunks.
    GatewayVault vault;
    erase_during(vault, v1::Reply::kGrant, true);
    const auto imported = vault.import(people(count));
    vault.keys().tamper = {};
    ASSERT_TRUE(imported) << imported.error().text;
    EXPECT_EQ(imported->state.imported(), static_cast<uint64_t>(count));
    expect_people(vault, static_cast<uint64_t>(count) - 1);
  }
}

TEST(GatewayErasingTest, ErasedWhileItIsUpdatedItStaysErased) {
  GatewayVault vault;
  ASSERT_TRUE(vault.import(people(6)));
  Source changed = people(6, "changed", "number");
  for (auto& row : changed.rows) row[0] += " Li";
  erase_during(vault, v1::Reply::kUpdateGrant, true);
  const auto imported = vault.import(changed);
  vault.keys().tamper = {};
  ASSERT_TRUE(imported) << imported.error().text;
  expect_people(vault, 5);
  const auto again = vault.import(changed, 10, true);
  ASSERT_TRUE(again) << again.error().text;
  EXPECT_EQ(again->state.imported(), 1u) << "a new record of that number";
  expect_people(vault, 6);
}

// The row by which recovery tells whether a chunk was committed is erased when it matters.
TEST(GatewayErasingTest, RecoveryIsNotMisledByAnErasedLastRow) {
  for (const bool applied : {false, true}) {
    uint64_t nth = 1;
    for (bool struck = true; struck; ++nth) {
      SCOPED_TRACE("call " + std::to_string(nth));
      GatewayVault vault;
      Source source = people(16);
      vault.faults().fail_from(nth, applied);
      const auto first = vault.import(source);
      struck = vault.faults().struck();
      vault.faults().clear();
      // All that were granted, at the key server, before the gateway starts again.
      std::vector<RecordIndex> records;
      for (uint64_t idx = 0; idx < 16; ++idx) records.push_back(RecordIndex{idx});
      v1::Call call;
      *call.mutable_erase()->mutable_ticket() = vault.eraser(records);
      call.mutable_erase()->set_request_id(keyserver::fresh(16));
      for (const RecordIndex idx : records) call.mutable_erase()->add_records(idx.value);
      const bool erased = vault.vault().call(call).has_erase();
      vault.crash();
      const auto again = vault.import(source);
      ASSERT_TRUE(again) << again.error().text;
      EXPECT_TRUE(again->state.finished());
      const auto counted = vault.count({{"city", "Wuhan"}});
      ASSERT_TRUE(counted) << counted.error().text;
      EXPECT_EQ(counted->count(), rows(vault).size());
      EXPECT_EQ(static_cast<uint64_t>(vault.find({{"city", "Wuhan"}})->records_size()),
                counted->count());
      if (!erased) {
        EXPECT_EQ(counted->count(), 16u);
      }
      ASSERT_LT(nth, 300u);
    }
    EXPECT_GT(nth, 10u);
  }
}

}  // namespace
}  // namespace strongroom::gateway
