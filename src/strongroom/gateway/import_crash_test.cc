// An import that is cut off at every call it makes to the store or the key server, and taken up
// again: every row once, nothing lost that was acknowledged.
#include <gtest/gtest.h>

#include <set>

#include "test/support/gateway_vault.h"

namespace strongroom::gateway {
namespace {

using test::GatewayVault;
using test::Source;

GatewayOptions tiny_chunks() {
  GatewayOptions options;
  options.import.first_chunk_records = 6;
  options.import.chunk_records_max = 8;
  options.import.online_records_max = 3;
  return options;
}

std::vector<std::string> person(int i, const std::string& city) {
  const std::string n = std::to_string(i);
  return {"Wang " + n, "N" + n, i % 3 == 0 ? "" : "w" + n + "@x", city};
}

// Packed chunks of 8, a last one of 3 through the online lane, two rows refused.
Source plain_file() {
  Source source{"plain", {"name", "number", "email", "city"}, "", {}, keyserver::kPerson};
  for (int i = 0; i < 17; ++i) source.rows.push_back(person(i, i % 2 == 0 ? "Wuhan" : "Xian"));
  source.rows.insert(source.rows.begin() + 9, {"", "N900", "", "Wuhan"});
  source.rows.insert(source.rows.begin() + 16, person(4, "Wuhan"));
  return source;
}
// On top of it: rows unchanged, changed, new, changed twice, and twice in one chunk.
Source keyed_file() {
  Source source{"keyed", {"name", "number", "email", "city"}, "number", {}, keyserver::kPerson};
  source.rows = {
      person(0, "Wuhan"),  person(1, "Harbin"),   person(30, "Wuhan"), person(31, "Xian"),
      person(2, "Wuhan"),  person(30, "Lanzhou"), person(3, "Harbin"), person(3, "Lanzhou"),
      person(32, "Wuhan"), person(33, "Wuhan"),   person(34, "Wuhan"), person(35, "Wuhan"),
      person(31, "Xian"),  person(5, "Wuhan"),    person(36, "Xian"),  person(30, "Harbin")};
  return source;
}

using Records = std::multiset<std::map<std::string, std::string>>;
std::map<std::string, std::string> record_of(const std::vector<std::string>& row) {
  std::map<std::string, std::string> out;
  const char* names[] = {"name", "number", "email", "city"};
  for (size_t i = 0; i < 4; ++i) {
    if (!row[i].empty()) out[names[i]] = row[i];
  }
  return out;
}
Records plain_records() {
  Records out;
  for (int i = 0; i < 17; ++i) out.insert(record_of(person(i, i % 2 == 0 ? "Wuhan" : "Xian")));
  return out;
}
Records both_records() {
  std::map<std::string, std::vector<std::string>> by_number;
  for (int i = 0; i < 17; ++i) {
    by_number["N" + std::to_string(i)] = person(i, i % 2 == 0 ? "Wuhan" : "Xian");
  }
  for (const auto& row : keyed_file().rows) by_number[row[1]] = row;
  Records out;
  for (const auto& [number, row] : by_number) out.insert(record_of(row));
  return out;
}

enum class After { kNothing, kRestart, kCrash, kCrashTwice };

void recover(GatewayVault& vault, After after) {
  switch (after) {
    case After::kNothing:
      vault.faults().clear();
      break;
    case After::kRestart:
      vault.restart();
      break;
    case After::kCrash:
    case After::kCrashTwice:
      vault.crash();
      break;
  }
}

// The store holds exactly `expected`, and search finds exactly that.
void expect_vault_holds(GatewayVault& vault, const Records& expected) {
  const auto all = vault.records();
  Records stored;
  std::map<std::string, std::set<std::string>> by_city;
  std::set<std::string> numbers, emails;
  for (const auto& [id, fields] : all) {
    stored.insert(fields);
    by_city[fields.at("city")].insert(id);
    EXPECT_TRUE(numbers.insert(fields.at("number")).second) << "a unique value doubled";
    if (fields.contains("email")) {
      EXPECT_TRUE(emails.insert(fields.at("email")).second);
    }
  }
  EXPECT_EQ(stored, expected);
  for (const char* city : {"Wuhan", "Xian", "Harbin", "Lanzhou"}) {
    const auto found = vault.find({{"city", city}});
    ASSERT_TRUE(found) << found.error().text;
    std::set<std::string> ids;
    for (const auto& record : found->records()) ids.insert(record.id());
    EXPECT_EQ(ids, by_city[city]) << city;
    EXPECT_EQ(static_cast<size_t>(found->records_size()), ids.size()) << "each once";
    EXPECT_EQ(vault.count({{"city", city}})->count(), ids.size());
  }
  const auto tokens =
      vault.vault().call(keyserver::tokens_call(vault.clerk(), {}, {std::string(16, 't')}));
  const auto dropped = vault.keys().lanes(v1::PublishLaneCall::DROP);
  for (const uint32_t lane : tokens.tokens().lanes()) {
    EXPECT_FALSE(dropped.contains(lane)) << "a lane that was dropped is searched";
  }
}

// Runs `source` with every call failing from the nth on, then again without faults. False once
// there are fewer calls than that.
bool interrupted_import(GatewayVault& vault, const Source& source, uint64_t nth, bool applied,
                        After after, bool ahead, v1::ImportState* state) {
  vault.faults().fail_from(nth, applied);
  const auto first = vault.import(source, 5, false, ahead);
  const bool struck = vault.faults().struck();
  if (!first) {
    EXPECT_EQ(first.error().code, ErrorCode::kUnavailable);
  }
  EXPECT_TRUE(struck || first);
  recover(vault, after);
  if (after == After::kCrashTwice) {
    vault.faults().fail_from(1 + nth * 7 % 13, !applied);
    static_cast<void>(vault.import(source, 5));
    vault.crash();
  }
  const auto done = vault.import(source, 5, false, ahead);
  EXPECT_TRUE(done) << done.error().text;
  if (!done) return false;
  EXPECT_TRUE(done->state.finished());
  EXPECT_EQ(done->state.durable().row(), source.rows.size());
  *state = done->state;
  return struck;
}

class ImportCrashTest : public testing::TestWithParam<std::tuple<bool, After>> {};

TEST_P(ImportCrashTest, APlainImportTakesEveryRowInOnce) {
  const auto [applied, after] = GetParam();
  for (const bool ahead : {false, true}) {
    uint64_t nth = 1;
    for (bool struck = true; struck && !HasFailure(); ++nth) {
      SCOPED_TRACE("call " + std::to_string(nth) + (ahead ? ", answered ahead" : ""));
      GatewayVault vault(tiny_chunks());
      v1::ImportState state;
      struck = interrupted_import(vault, plain_file(), nth, applied, after, ahead, &state);
      EXPECT_EQ(state.imported(), 17u);
      EXPECT_EQ(state.rejected(), 2u);
      EXPECT_EQ(state.updated() + state.unchanged(), 0u);
      expect_vault_holds(vault, plain_records());
      ASSERT_LT(nth, 500u);
    }
    // Batches that are taken together make fewer chunks.
    EXPECT_GT(nth, ahead ? 30u : 40u) << "an import makes more calls than that";
  }
}

TEST_P(ImportCrashTest, AKeyedImportLeavesEachKeyAsItsLastRowSays) {
  const auto [applied, after] = GetParam();
  uint64_t nth = 1;
  for (bool struck = true; struck && !HasFailure(); ++nth) {
    SCOPED_TRACE("call " + std::to_string(nth));
    GatewayVault vault(tiny_chunks());
    ASSERT_TRUE(vault.import(plain_file(), 5));
    v1::ImportState state;
    struck = interrupted_import(vault, keyed_file(), nth, applied, after, true, &state);
    EXPECT_EQ(state.imported() + state.updated() + state.unchanged(), keyed_file().rows.size());
    EXPECT_EQ(state.rejected(), 0u);
    expect_vault_holds(vault, both_records());
    ASSERT_LT(nth, 500u);
  }
  EXPECT_GT(nth, 40u);
}

std::string case_name(const testing::TestParamInfo<std::tuple<bool, After>>& given) {
  const char* after[] = {"Nothing", "Restart", "Crash", "CrashTwice"};
  return std::string(std::get<0>(given.param) ? "AnswerLostThen" : "CallLostThen") +
         after[static_cast<size_t>(std::get<1>(given.param))];
}

INSTANTIATE_TEST_SUITE_P(All, ImportCrashTest,
                         testing::Combine(testing::Bool(),
                                          testing::Values(After::kNothing, After::kRestart,
                                                          After::kCrash, After::kCrashTwice)),
                         case_name);

}  // namespace
}  // namespace strongroom::gateway
