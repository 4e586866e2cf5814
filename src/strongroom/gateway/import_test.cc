// One import through the gateway, from a client's first call to its last.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strongroom/gateway/import_testing.h"

namespace strongroom::gateway {
namespace {

using test::GatewayVault;
using test::Source;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

TEST_F(ImportTest, ASmallFileGoesThroughTheOnlineLane) {
  EXPECT_EQ(import(people_file("a", 0, 8)), (Counts{8, 0, 0, 0}));
  EXPECT_TRUE(vault_.keys().lanes(v1::PublishLaneCall::PUBLISH).empty());
  EXPECT_EQ(vault_.count({{"city", "wuhan"}})->count(), 8u);
  EXPECT_THAT(names({{"number", "n3"}}), ElementsAre("Wang 3"));
}

TEST_F(ImportTest, ALargerOneIsPackedChunkByChunk) {
  EXPECT_EQ(import(people_file("a", 0, 100)), (Counts{100, 0, 0, 0}));
  EXPECT_EQ(vault_.keys().lanes(v1::PublishLaneCall::PUBLISH).size(), 3u) << "20, 40 and 40 rows";
  EXPECT_EQ(vault_.count({{"city", "Wuhan"}})->count(), 100u);
  for (const size_t i : {0, 19, 20, 59, 60, 99}) {
    const std::string n = std::to_string(i);
    EXPECT_THAT(names({{"email", "W" + n + "@EXAMPLE.org"}, {"city", "WUHAN"}}),
                ElementsAre("Wang " + n));
  }
  EXPECT_EQ(vault_.records().size(), 100u);
}

TEST_F(ImportTest, WhatIsNotCommittedIsNeitherFoundNorCountedDurable) {
  const Source source = people_file("a", 0, 30);
  const auto begun = vault_.begin(vault_.begin_request(source));
  ASSERT_TRUE(begun);
  auto state = vault_.batch(source, begun->import_id(), 0, 10);
  ASSERT_TRUE(state);
  EXPECT_EQ(state->durable().row(), 0u);
  EXPECT_EQ(state->imported(), 0u);
  EXPECT_EQ(vault_.count({{"city", "Wuhan"}})->count(), 0u);
  state = vault_.batch(source, begun->import_id(), 10, 30);
  ASSERT_TRUE(state);
  EXPECT_EQ(state->durable().row(), 30u);
  EXPECT_EQ(state->imported(), 30u);
  EXPECT_EQ(vault_.count({{"city", "Wuhan"}})->count(), 30u);
}

TEST_F(ImportTest, AnEmptyFileIsFinishedAndRemembered) {
  EXPECT_EQ(import(people_file("a", 0, 0)), (Counts{0, 0, 0, 0}));
  const auto again = vault_.begin(vault_.begin_request(people_file("a", 0, 0)));
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->finished());
  EXPECT_EQ(vault_.keys().calls(v1::Call::kGrant), 0u);
}

TEST_F(ImportTest, AFinishedFileIsNotTakenInTwiceUnlessAskedTo) {
  const Source source{"a", {"name"}, "", {{"Li"}, {"Zhou"}}, keyserver::kPerson};
  EXPECT_EQ(import(source), (Counts{2, 0, 0, 0}));
  vault_.restart();
  EXPECT_EQ(import(source), (Counts{2, 0, 0, 0})) << "what the first run said";
  EXPECT_EQ(vault_.records().size(), 2u);
  ASSERT_TRUE(vault_.import(source, 10, true));
  EXPECT_EQ(vault_.records().size(), 4u);
}

TEST_F(ImportTest, RefusedRowsAreNamedAndTheOthersTakenIn) {
  Source source{"a", {"name", "email", "note"}, "", {}, keyserver::kPerson};
  source.rows = {{"Li", "a@x", "ok"},
                 {"", "b@x", ""},
                 {"Zhou", "b@x", "Zo\xeb"},
                 {"Zhou", "c@x"},
                 {"Zhou", "d@x", std::string(65, 'x')},
                 {"Sun", "A@X", ""},
                 {"Wu", "", ""}};
  EXPECT_EQ(import(source), (Counts{2, 0, 0, 5}));
  EXPECT_THAT(rejected_, UnorderedElementsAre(2, 3, 4, 5, 6));
  for (const auto& reason : reasons_) {
    EXPECT_FALSE(reason.empty());
    EXPECT_EQ(reason.find("Zhou"), std::string::npos);
  }
  EXPECT_THAT(names({{"email", "a@x"}}), ElementsAre("Li"));
  EXPECT_EQ(vault_.records().size(), 2u);
}

TEST_F(ImportTest, WithoutAKeyAUniqueValueIsTakenOnceWhereverTheFirstIs) {
  EXPECT_EQ(import(people_file("a", 0, 40)), (Counts{40, 0, 0, 0}));
  Source second = people_file("b", 30, 40);  // 30..39 are in the store.
  second.rows.push_back(second.rows[15]);    // In a chunk committed before, or this one.
  second.rows.push_back({"Li", "", second.rows[39][2], ""});
  second.rows.push_back({"Li", "", "", ""});
  EXPECT_EQ(import(second), (Counts{31, 0, 0, 12}));
  EXPECT_EQ(vault_.records().size(), 71u);
  Source third = people_file("c", 100, 2);
  third.rows.push_back(third.rows[0]);
  EXPECT_EQ(import(third), (Counts{2, 0, 0, 1})) << "twice in one batch";
  EXPECT_THAT(rejected_, ElementsAre(3));
}

TEST_F(ImportTest, ByKeyRowsAreAddedUpdatedOrLeftAlone) {
  EXPECT_EQ(import(people_file("a", 0, 30, "number")), (Counts{30, 0, 0, 0}));
  Source second = people_file("b", 0, 40, "number");
  second.rows[3][3] = "Xian";
  second.rows[25][0] = "Zhang";
  EXPECT_EQ(import(second), (Counts{10, 2, 28, 0}));
  EXPECT_EQ(vault_.records().size(), 40u);
  EXPECT_THAT(names({{"city", "xian"}}), ElementsAre("Wang 3"));
  EXPECT_EQ(vault_.count({{"city", "Wuhan"}})->count(), 39u) << "the old version is not found";
  EXPECT_THAT(names({{"name", "Wang 25"}}), IsEmpty());
  EXPECT_EQ(import(second), (Counts{0, 0, 40, 0})) << "by key a file may be taken in again";
}

TEST_F(ImportTest, TheKeyNeedNotBeTheFirstUniqueField) {
  EXPECT_EQ(import(people_file("a", 0, 3, "email")), (Counts{3, 0, 0, 0}));
  Source second = people_file("b", 0, 3, "email", "Xian");
  EXPECT_EQ(import(second), (Counts{0, 3, 0, 0})) << "their numbers are their own";
  second.name = "c";
  second.rows[0][1] = "N7";
  EXPECT_EQ(import(second), (Counts{0, 1, 2, 0}));
  EXPECT_EQ(field("N7", "name"), "Wang 0");
  EXPECT_THAT(names({{"number", "N0"}}), IsEmpty());
}

TEST_F(ImportTest, ByKeyARowWithoutItIsRefused) {
  Source source = people_file("a", 0, 2, "number");
  source.rows[0][1] = "";
  EXPECT_EQ(import(source), (Counts{1, 0, 0, 1}));
  EXPECT_THAT(rejected_, ElementsAre(1));
}

TEST_F(ImportTest, OfRowsWithOneKeyTheLastOneHolds) {
  for (const size_t rows_per_batch : {1, 3, 7, 50}) {
    const std::string mark = std::to_string(rows_per_batch);
    for (const bool exists : {false, true}) {
      Source source = people_file("f" + mark + (exists ? "e" : ""), 0, 12, "number");
      for (auto& row : source.rows) row[1] += "-" + mark, row[2] += mark;
      if (exists) {
        source.name += " before";
        import(source);
        source.name += " and after";
      }
      // A B A: back to what it was; then a last word.
      for (const char* city : {"Xian", "Wuhan", "Lanzhou", "Lanzhou", "Harbin"}) {
        source.rows.push_back(source.rows[5]);
        source.rows.back()[3] = city;
      }
      source.rows.push_back(source.rows[6]);
      source.rows.back()[3] = "Xian";
      source.rows.push_back(source.rows[6]);
      const auto done = import(source, rows_per_batch);
      EXPECT_EQ(done.imported + done.updated + done.unchanged, 19u);
      EXPECT_EQ(done.rejected, 0u);
      EXPECT_EQ(field("N5-" + mark, "city"), "Harbin") << rows_per_batch << exists;
      EXPECT_EQ(field("N6-" + mark, "city"), "Wuhan") << rows_per_batch << exists;
    }
  }
}

TEST_F(ImportTest, UpdatesDoNotDoubleAnotherUniqueValue) {
  for (const size_t rows_per_batch : {1, 10}) {
    const std::string mark = std::to_string(rows_per_batch);
    Source source = people_file("a" + mark, 0, 3, "number");
    for (auto& row : source.rows) row[1] += "-" + mark, row[2] += mark;
    import(source);
    source.name = "b" + mark;
    source.rows[0][2] = "same" + mark;  // Two updates and an insert want one address.
    source.rows[1][2] = "same" + mark;
    source.rows[2] = {"New", "N9-" + mark, "same" + mark, ""};
    EXPECT_EQ(import(source, rows_per_batch), (Counts{0, 1, 0, 2}));
    EXPECT_THAT(names({{"email", "same" + mark}}), ElementsAre("Wang 0"));
  }
}

// Outcomes do not hang on where a batch ends.
TEST_F(ImportTest, AValueThatIsGivenUpIsFreeForALaterRow) {
  for (const size_t rows_per_batch : {1, 10}) {
    const std::string mark = std::to_string(rows_per_batch);
    Source source = people_file("a" + mark, 0, 2, "number");
    for (auto& row : source.rows) row[1] += "-" + mark, row[2] += mark;
    import(source);
    source.name = "b" + mark;
    const std::string given_up = source.rows[0][2];
    source.rows[0][2] = "other" + mark;
    source.rows[1][2] = given_up;
    EXPECT_EQ(import(source, rows_per_batch), (Counts{0, 2, 0, 0}));
    EXPECT_THAT(names({{"email", given_up}}), ElementsAre("Wang 1"));
    EXPECT_THAT(names({{"email", "other" + mark}}), ElementsAre("Wang 0"));
  }
}

TEST_F(ImportTest, ManyRowsOfOneKeyAreTakenInOneAfterTheOther) {
  Source source = people_file("a", 0, 1, "number");
  for (int i = 1; i < 60; ++i) {
    source.rows.push_back(source.rows[0]);
    source.rows.back()[3] = "City " + std::to_string(i);
  }
  EXPECT_EQ(import(source, 60), (Counts{1, 59, 0, 0}));
  EXPECT_EQ(field("N0", "city"), "City 59");
  EXPECT_EQ(vault_.records().size(), 1u);
}

TEST_F(ImportTest, ABatchMayHaveMoreUniqueValuesThanOneCallMayCarry) {
  auto options = test::small_chunks();
  options.import = {};
  GatewayVault vault(options);
  const Source source = people_file("a", 0, 2100);
  const auto done = vault.import(source, 2100);
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_EQ(counts(done->state), (Counts{2100, 0, 0, 0}));
}

TEST_F(ImportTest, WhatDoesNotFitTheCollectionIsRefusedBeforeAnyRow) {
  const auto code = [&](const std::function<void(v1::BeginImportRequest&)>& change) {
    auto request = vault_.begin_request(people_file("a", 0, 1));
    change(request);
    const auto begun = vault_.begin(request);
    return begun ? std::optional<ErrorCode>() : begun.error().code;
  };
  using R = v1::BeginImportRequest;
  EXPECT_EQ(code([](R&) {}), std::nullopt);
  const auto kInvalid = ErrorCode::kInvalidArgument;
  EXPECT_EQ(code([](R& r) { r.add_columns("phone"); }), kInvalid);
  EXPECT_EQ(code([](R& r) { r.add_columns("name"); }), kInvalid);
  EXPECT_EQ(code([](R& r) { r.clear_columns(); }), kInvalid);
  EXPECT_EQ(code([](R& r) { r.set_columns(0, "note"); }), kInvalid) << "name is required";
  EXPECT_EQ(code([](R& r) { r.set_key_field("name"); }), kInvalid) << "not unique";
  EXPECT_EQ(code([](R& r) { r.set_key_field("phone"); }), kInvalid);
  EXPECT_EQ(code([](R& r) {
              r.set_columns(1, "note");
              r.set_key_field("number");
            }),
            kInvalid)
      << "the key is no column";
  EXPECT_EQ(code([](R& r) {
              r.set_key_field("number");
              r.set_empties_missing(false);
            }),
            kInvalid)
      << "the city of whoever changed would be lost";
  EXPECT_EQ(code([](R& r) { r.set_source_id("short"); }), kInvalid);
  EXPECT_EQ(code([](R& r) { r.mutable_ticket()->set_ticket("?"); }), ErrorCode::kUnauthenticated);
  EXPECT_EQ(code([](R& r) { r.mutable_ticket()->set_signature(std::string(64, 's')); }),
            ErrorCode::kUnauthenticated);
  EXPECT_EQ(code([&](R& r) { *r.mutable_ticket() = vault_.clerk(); }),
            ErrorCode::kPermissionDenied);
}

TEST_F(ImportTest, ABatchIsOfAnOpenImportAndNotTooLarge) {
  const Source source = people_file("a", 0, 2);
  EXPECT_EQ(vault_.batch(source, "no such import", 0, 2).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(vault_.finish(source, "no such import").error().code, ErrorCode::kNotFound);
  const auto begun = vault_.begin(vault_.begin_request(source));
  ASSERT_TRUE(begun);
  auto request = vault_.batch_request(source, begun->import_id(), 0, 2);
  for (int i = 0; i < 4100; ++i) *request.add_rows() = request.rows(0);
  EXPECT_EQ(vault_.batch(request).error().code, ErrorCode::kInvalidArgument);
}

// Sealed under one collection's number with another's keys, a record could never be opened.
TEST(ImportTicketTest, ATicketForAnotherCollectionIsRefused) {
  auto other = test::people();
  other.set_id(2);
  other.set_name("other");
  GatewayVault vault(test::small_chunks(), {test::people(), other});
  const Source source = people_file("a", 0, 2);
  const auto begun = vault.begin(vault.begin_request(source));
  ASSERT_TRUE(begun);
  auto request = vault.batch_request(source, begun->import_id(), 0, 2);
  *request.mutable_ticket() = vault.importer(2);
  EXPECT_EQ(vault.batch(request).error().code, ErrorCode::kInvalidArgument);
  ASSERT_TRUE(vault.batch(source, begun->import_id(), 0, 2));
  ASSERT_TRUE(vault.finish(source, begun->import_id()));
  EXPECT_EQ(vault.records().size(), 2u);
}

TEST_F(ImportTest, NonsenseOfTheKeyServerIsRefusedAndNothingStored) {
  const auto tampers = std::vector<std::function<void(v1::Reply&)>>{
      [](v1::Reply& r) {
        if (!r.has_grant()) return;  // More than was asked for.
        r.mutable_grant()->set_count(r.grant().count() + 1);
        r.mutable_grant()->mutable_secrets()->append(32, 's');
      },
      [](v1::Reply& r) {
        if (r.has_grant()) r.mutable_grant()->set_count(r.grant().count() + 1);
      },
      [](v1::Reply& r) {
        if (!r.has_grant()) return;
        r.mutable_grant()->set_count(0);
        r.mutable_grant()->clear_secrets();
      },
      [](v1::Reply& r) {
        if (r.has_grant()) r.mutable_grant()->set_first(~uint64_t{0});
      },
      [](v1::Reply& r) {
        if (r.has_grant()) r.mutable_grant()->set_u(~uint64_t{0});
      },
      [](v1::Reply& r) {
        if (r.has_open_lane()) r.mutable_open_lane()->set_lane(1u << 24);
      },
      [](v1::Reply& r) {
        if (r.has_open_lane()) r.mutable_open_lane()->clear_root();
      },
      [](v1::Reply& r) {
        if (r.has_unique_tokens()) r.mutable_unique_tokens()->mutable_tokens()->pop_back();
      }};
  for (const auto& tamper : tampers) {
    vault_.keys().tamper = tamper;
    const auto done = vault_.import(people_file("a", 0, 12));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::kInternal);
  }
  vault_.keys().tamper = nullptr;
  EXPECT_EQ(vault_.records().size(), 0u);
  EXPECT_EQ(import(people_file("a", 0, 12, "number")), (Counts{12, 0, 0, 0}));
  vault_.keys().tamper = [](v1::Reply& r) {
    if (r.has_update_grant()) r.mutable_update_grant()->set_u(1);  // Not above the old one.
  };
  const auto done = vault_.import(people_file("b", 0, 12, "number", "Xian"));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::kInternal);
  EXPECT_EQ(vault_.count({{"city", "Wuhan"}})->count(), 12u);
}

TEST_F(ImportTest, ADamagedCheckpointStopsItsOwnSourceAndNoOther) {
  const Source source = people_file("a", 0, 3);
  import(source);
  std::vector<std::string> keys;
  ASSERT_TRUE(
      vault_.store().scan(store::Table::kMeta, {}, {}, [&](std::string_view key, std::string_view) {
        keys.emplace_back(key);
        return true;
      }));
  ASSERT_EQ(keys.size(), 1u);
  ASSERT_TRUE(vault_.store().put(
      std::vector<store::Put>{{store::Table::kMeta, keys[0], "not a checkpoint"}},
      store::Durability::kSynced));
  vault_.restart();
  EXPECT_EQ(vault_.begin(vault_.begin_request(source)).error().code, ErrorCode::kDataLoss);
  EXPECT_EQ(import(people_file("a", 0, 3, "number")), (Counts{0, 0, 3, 0}))
      << "by key the same file goes in, doubling nothing";
}

TEST_F(ImportTest, ADamagedUniqueRowIsDataLoss) {
  import(people_file("a", 0, 3));
  std::vector<store::Put> bad;
  ASSERT_TRUE(vault_.store().scan(
      store::Table::kUnique, {}, {}, [&](std::string_view key, std::string_view value) {
        std::string flipped(value);
        flipped.back() = static_cast<char>(flipped.back() ^ 1);
        bad.push_back({store::Table::kUnique, std::string(key), flipped});
        return true;
      }));
  ASSERT_EQ(bad.size(), 6u);
  ASSERT_TRUE(vault_.store().put(bad, store::Durability::kSynced));
  const auto done = vault_.import(people_file("b", 2, 3));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::kDataLoss);
  EXPECT_EQ(vault_.records().size(), 3u);
}

// What a client sent is answered or forgotten; nothing outlives the gateway that would use it.
TEST_F(ImportTest, AGatewayMayGoWhileWorkIsQueued) {
  const Source source = people_file("a", 0, 60);
  const auto begun = vault_.begin(vault_.begin_request(source));
  ASSERT_TRUE(begun);
  int answered = 0;
  for (size_t from = 0; from < 60; from += 10) {
    vault_.gateway().import_batch(vault_.batch_request(source, begun->import_id(), from, from + 10),
                                  [&answered](const Result<v1::ImportState>&) { ++answered; });
  }
  vault_.restart();
  EXPECT_LE(answered, 6);
  EXPECT_EQ(import(source), (Counts{60, 0, 0, 0}));
  EXPECT_EQ(vault_.records().size(), 60u);
}

TEST(ImportPlaintextTest, NothingOfARecordLiesInTheStore) {
  GatewayVault vault;
  Source source = people_file("a", 0, 30, "number", "Plantedcity");
  ASSERT_TRUE(vault.import(source));
  for (int table = 0; table < store::kTables; ++table) {
    ASSERT_TRUE(vault.store().scan(
        static_cast<store::Table>(table), {}, {}, [](std::string_view key, std::string_view value) {
          for (const char* planted : {"Wang", "Planted", "example.org", "number", "person"}) {
            EXPECT_EQ(key.find(planted), std::string_view::npos);
            EXPECT_EQ(value.find(planted), std::string_view::npos);
          }
          return true;
        }));
  }
}

}  // namespace
}  // namespace strongroom::gateway
