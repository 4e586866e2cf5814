#include "strongroom/intake/ndjson_reader.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace strongroom::intake {
namespace {

using Values = std::vector<std::string>;

std::vector<Column> columns() {
  return {{"id", "id", false},
          {"full", "name.full", false},
          {"phone", "terms.-1.phone", false},
          {"terms", "terms", true},
          {"extra", "extra", true}};
}

struct JsonRead {
  uint64_t line;
  Values values;
  std::string reason;
};

std::unique_ptr<RowReader> json_reader_of(std::string raw, Encoding encoding = Encoding::kAuto) {
  auto reader =
      make_ndjson_reader(std::move(*ByteSource::from_text(std::move(raw))), encoding, columns());
  EXPECT_TRUE(reader);
  return reader ? std::move(*reader) : nullptr;
}

std::vector<JsonRead> rest_of_json(RowReader& reader) {
  std::vector<JsonRead> rows;
  Row row;
  for (;;) {
    auto status = reader.next(row);
    EXPECT_TRUE(status);
    if (!status || *status == ReadStatus::kEnd) return rows;
    rows.push_back(
        {row.line, Values(row.values.begin(), row.values.end()), row.reject_reason.value_or("")});
  }
}

std::vector<JsonRead> read_json(std::string raw) {
  return rest_of_json(*json_reader_of(std::move(raw)));
}

TEST(NdjsonReaderTest, FollowsPathsAndKeepsJsonAsItStands) {
  const auto rows = read_json(
      R"({"id": "A\u4e00\n", "name": {"full": "Wang"},)"
      R"( "terms": [{"phone": "1"}, {"phone": "2", "x": [1.10, {}]} ], "extra": {"k" : [ ]} })"
      "\n"
      R"({"extra":"text\"","terms":[{"phone":"1"},{}],"name":{}})"
      "\n");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].values,
            (Values{"A一\n", "Wang", "2", R"([{"phone": "1"}, {"phone": "2", "x": [1.10, {}]} ])",
                    R"({"k" : [ ]})"}));
  EXPECT_EQ(rows[1].values, (Values{"", "", "", R"([{"phone":"1"},{}])", R"("text\"")"}))
      << "of an array only the last element counts";
}

TEST(NdjsonReaderTest, NumbersAndTruthValuesAreTakenAsWritten) {
  for (const char* text :
       {"12345678901234567890123456789", "-0.10", "1e400", "true", "false", "0"}) {
    const auto rows = read_json(std::string("{\"id\": ") + text + " }\n{\"extra\":" + text + "}");
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_EQ(rows[0].values[0], text);
    EXPECT_EQ(rows[1].values[4], text);
  }
}

TEST(NdjsonReaderTest, NullIsAbsent) {
  EXPECT_EQ(read_json(R"({"id":null,"name":null,"terms":null})")[0].values, Values(5));
}

TEST(NdjsonReaderTest, FlatNamesWillDo) {
  EXPECT_EQ(read_json(R"({"full":"W","phone":"3"})")[0].values, (Values{"", "W", "3", "", ""}));
}

TEST(NdjsonReaderTest, UnknownMembersAreReportedOnceEachWithoutWhatIsBelow) {
  auto reader = json_reader_of(R"({"id":"1","x":{"y":1,"id":2},"name":{"z":1}})"
                               "\n"
                               R"({"x":[{"q":1}]})");
  const auto rows = rest_of_json(*reader);
  EXPECT_EQ(rows[0].values[0], "1");
  EXPECT_EQ(reader->unknown_members(), 3u);
  EXPECT_EQ(reader->unknown_names(), (std::vector<std::string>{"x", "z"}));
}

TEST(NdjsonReaderTest, ABrokenLineIsRejectedAndTheRestGoesIn) {
  const std::string deep =
      std::string(R"({"x":)") + std::string(100, '[') + std::string(100, ']') + "}";
  for (const std::string& broken : {std::string("{"),
                                    std::string("}"),
                                    std::string("[]"),
                                    std::string("1"),
                                    std::string("nul"),
                                    std::string(R"({"id":})"),
                                    std::string(R"({"id" 1})"),
                                    std::string(R"({"id":"a",})"),
                                    std::string(R"({"id":"a"} x)"),
                                    std::string(R"({"id":"a"}{})"),
                                    std::string(R"({"id":"a"}})"),
                                    std::string(R"({"id":01})"),
                                    std::string(R"({"id":1.})"),
                                    std::string(R"({"id":+1})"),
                                    std::string(R"({"id":tru})"),
                                    std::string(R"({"x":nulll})"),
                                    std::string(R"({"x":[1 2]})"),
                                    std::string(R"({"x":{"y"}})"),
                                    std::string(R"({"x":[1,]})"),
                                    std::string(R"({"x":"\q"})"),
                                    std::string(R"({"id":"\ud800"})"),
                                    std::string(R"({"id":"\udc00"})"),
                                    std::string("{\"id\":\"\xff\"}"),
                                    std::string("{\"id\":\"a\tb\"}"),
                                    std::string(R"({"id":"1","id":"2"})"),
                                    std::string(R"({"id":[1]})"),
                                    std::string(R"({"id":{}})"),
                                    std::string(R"({"name":"flat"})"),
                                    std::string(R"({"name":[1]})"),
                                    std::string(R"({"x":"unclosed})"),
                                    std::string(R"({"x":[})"),
                                    deep}) {
    const auto rows = read_json(broken + "\n{\"id\":\"good\"}\n");
    ASSERT_EQ(rows.size(), 2u) << broken;
    EXPECT_NE(rows[0].reason, "") << broken;
    EXPECT_EQ(rows[1].values.at(0), "good") << broken;
    EXPECT_EQ(rows[1].line, 2u);
  }
}

TEST(NdjsonReaderTest, BlankLinesCrlfAndAMissingLastLineEndAreFine) {
  const auto rows = read_json("\xef\xbb\xbf{\"id\":\"1\"}\r\n\n  \r\n{\"id\":\"2\"}");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[1].line, 4u);
  EXPECT_TRUE(read_json("").empty());
}

TEST(NdjsonReaderTest, LimitsRejectTheRowWithItsLine) {
  const std::string fits(kFieldMax, 'x');
  const auto rows = read_json("{\"id\":\"" + fits + "\"}\n{\"id\":\"" + fits + "y\"}\n{\"id\":\"" +
                              std::string(20 << 20, 'z') + "\"}\n{\"id\":\"4\"}\n");
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[0].values[0].size(), kFieldMax);
  EXPECT_EQ(rows[1].reason, "a field is larger than 1 MiB");
  EXPECT_EQ(rows[2].reason, "the row is larger than 8 MiB");
  EXPECT_EQ(rows[3].values[0], "4");
  EXPECT_EQ(rows[3].line, 4u);
}

TEST(NdjsonReaderTest, Gb18030IsDetectedAndResumed) {
  std::string raw;
  for (int i = 0; i < 20'000; ++i) raw += "{\"id\":\"" + std::to_string(i) + "\xcd\xf5\"}\n";
  auto first = json_reader_of(raw);
  EXPECT_EQ(first->encoding(), Encoding::kGb18030);
  Row row;
  for (int i = 0; i < 12'345; ++i) ASSERT_TRUE(first->next(row));
  EXPECT_EQ(row.values[0], "12344王");
  auto second = json_reader_of(raw);
  ASSERT_TRUE(second->resume(first->position()));
  ASSERT_TRUE(second->next(row));
  EXPECT_EQ(row.values[0], "12345王");
  EXPECT_EQ(row.line, 12'346u);
  EXPECT_EQ(row.number, 12'346u);
}

TEST(NdjsonReaderTest, TwoColumnsWithOnePathAreRefused) {
  auto reader = make_ndjson_reader(std::move(*ByteSource::from_text("")), Encoding::kUtf8,
                                   {{"a", "x.y", false}, {"b", "x.y", false}});
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().number, 2);
}

// Real input: the flattened CSV and the nested NDJSON of the same people.
TEST(NdjsonReaderTest, LegislatorsComeInWithoutRejects) {
  std::ifstream file("/work/shared/data/legislators.ndjson");
  if (!file) GTEST_SKIP() << "needs /work/shared/data/legislators.ndjson, which is not here";
  std::stringstream all;
  all << file.rdbuf();
  auto reader = make_ndjson_reader(std::move(*ByteSource::from_text(all.str())), Encoding::kAuto,
                                   {{"bioguide", "id", false},
                                    {"official_full", "name.official_full", false},
                                    {"phone", "terms.-1.phone", false}});
  ASSERT_TRUE(reader);
  const auto rows = rest_of_json(**reader);
  ASSERT_EQ(rows.size(), 537u);
  EXPECT_EQ(rows[0].values, (Values{"C000127", "Maria Cantwell", "202-224-3441"}));
  for (const JsonRead& row : rows) EXPECT_EQ(row.reason, "");
}

}  // namespace
}  // namespace strongroom::intake
