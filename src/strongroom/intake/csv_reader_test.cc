#include "strongroom/intake/csv_reader.h"

#include <gtest/gtest.h>

namespace strongroom::intake {
namespace {

using Values = std::vector<std::string>;

struct Read {
  uint64_t number;
  uint64_t line;
  uint64_t byte_end;
  Values values;
  std::string reason;
};

std::vector<Column> abc() {
  return {{"a", "a", false}, {"b", "b", false}, {"c", "name.c", false}};
}

std::unique_ptr<RowReader> reader_of(std::string raw, Encoding encoding = Encoding::kUtf8) {
  auto reader = make_csv_reader(std::move(*ByteSource::from_text(std::move(raw))), encoding, abc());
  EXPECT_TRUE(reader) << (reader ? "" : reader.error().text);
  return reader ? std::move(*reader) : nullptr;
}

std::vector<Read> rest_of(RowReader& reader) {
  std::vector<Read> rows;
  Row row;
  for (;;) {
    auto status = reader.next(row);
    EXPECT_TRUE(status);
    if (!status || *status == ReadStatus::kEnd) return rows;
    rows.push_back({row.number, row.line, row.byte_end,
                    Values(row.values.begin(), row.values.end()), row.reject_reason.value_or("")});
  }
}

std::vector<Read> read_all(std::string raw, Encoding encoding = Encoding::kUtf8) {
  auto reader = reader_of(std::move(raw), encoding);
  return reader ? rest_of(*reader) : std::vector<Read>{};
}

Error header_error(std::string raw) {
  auto reader =
      make_csv_reader(std::move(*ByteSource::from_text(std::move(raw))), Encoding::kUtf8, abc());
  EXPECT_FALSE(reader);
  return reader ? Error{} : reader.error();
}

TEST(CsvReaderTest, ReadsQuotedFieldsLineBreaksAndDoubledQuotes) {
  const std::string raw = "a,b\n1,\"x,y\"\n\"two\nlines\",\"say \"\"hi\"\"\"\n\"\", z \n";
  const auto rows = read_all(raw);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].values, (Values{"1", "x,y"}));
  EXPECT_EQ(rows[1].values, (Values{"two\nlines", "say \"hi\""}));
  EXPECT_EQ(rows[2].values, (Values{"", " z "}));
  EXPECT_EQ(rows[1].line, 3u);
  EXPECT_EQ(rows[2].line, 5u) << "a row of two lines is before";
  EXPECT_EQ(rows[2].number, 3u);
  EXPECT_EQ(rows[0].byte_end, 12u);
  EXPECT_EQ(rows[2].byte_end, raw.size());
}

TEST(CsvReaderTest, LineEndsMayBeCrlfAndTheLastMayBeMissing) {
  for (const char* raw : {"a,b\r\n1,2\r\n3,\"4\"\r\n", "a,b\r\n1,2\r\n3,\"4\"", "a,b\n1,2\n3,4\r",
                          "\xef\xbb\xbf"
                          "a,b\n1,2\n3,4"}) {
    const auto rows = read_all(raw);
    ASSERT_EQ(rows.size(), 2u) << raw;
    EXPECT_EQ(rows[0].values, (Values{"1", "2"}));
    EXPECT_EQ(rows[1].values, (Values{"3", "4"}));
    EXPECT_EQ(rows[1].byte_end, strlen(raw));
  }
}

TEST(CsvReaderTest, EmptyFieldsAtTheEndCount) {
  EXPECT_EQ(read_all("a,b\n1,")[0].values, (Values{"1", ""}));
  EXPECT_EQ(read_all("a,b\n,\n")[0].values, (Values{"", ""}));
}

TEST(CsvReaderTest, BlankLinesAreNoRowsButCountAsLines) {
  const auto rows = read_all("a\n\n\r\nx\n\"\"\n\n");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].line, 4u);
  EXPECT_EQ(rows[0].number, 1u);
  EXPECT_EQ(rows[1].values, (Values{""}));
}

TEST(CsvReaderTest, HeaderOnlyIsZeroRows) {
  EXPECT_TRUE(read_all("a,b\n").empty());
  EXPECT_TRUE(read_all("a,b").empty());
}

TEST(CsvReaderTest, HeaderMayUsePathsAndAnyOrder) {
  auto reader = reader_of("name.c,a\n1,2\n");
  EXPECT_EQ(reader->columns(), (std::vector<std::string>{"c", "a"}));
  EXPECT_EQ(reader_of("\"c\",\"b\"\n")->columns(), (std::vector<std::string>{"c", "b"}));
}

TEST(ColumnsTest, FollowTheCollectionWithItsPathsAndJsonFields) {
  v1::Collection collection;
  collection.add_fields()->set_name("plain");
  v1::Field* field = collection.add_fields();
  field->set_name("nested");
  field->set_path("x.y");
  field->set_type(v1::JSON);
  const std::vector<Column> columns = columns_of(collection);
  ASSERT_EQ(columns.size(), 2u);
  EXPECT_EQ(columns[0].path, "plain");
  EXPECT_FALSE(columns[0].json);
  EXPECT_EQ(columns[1].field, "nested");
  EXPECT_EQ(columns[1].path, "x.y");
  EXPECT_TRUE(columns[1].json);
}

TEST(CsvReaderTest, BadHeadersAreErrorsThatNameTheColumn) {
  EXPECT_STREQ(header_error("").text,
               "the source is empty; CSV begins with a line of column names");
  EXPECT_EQ(header_error("\n\n").code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(header_error("a,b,a\n").number, 3);
  EXPECT_EQ(header_error("c,name.c\n").number, 2);
  EXPECT_EQ(header_error("a,nope,b\n").number, 2);
  EXPECT_EQ(header_error("a,\n").number, 2);
  EXPECT_EQ(header_error("a,\"b\n").code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(header_error("\xcd\xf5\n").code, ErrorCode::kInvalidArgument);
  std::string wide = "a";
  for (size_t i = 0; i < kColumnsMax; ++i) wide += ",a";
  EXPECT_STREQ(header_error(wide).text, "the header names more than 1,000 columns");
}

TEST(CsvReaderTest, ABrokenRowIsRejectedAndTheRestGoesIn) {
  for (const char* broken : {"1", "1,2,3", "1,x\"y", "\"1\"x,2", "1,\"2\" ", "1\r2,3", "\"1\"\r,2",
                             "1,\xff", "1,\xe7\x8e"}) {
    const auto rows = read_all(std::string("a,b\n") + broken + "\ngood,row\n");
    ASSERT_EQ(rows.size(), 2u) << broken;
    EXPECT_NE(rows[0].reason, "") << broken;
    EXPECT_TRUE(rows[0].values.empty());
    EXPECT_EQ(rows[0].line, 2u);
    EXPECT_EQ(rows[1].values, (Values{"good", "row"}));
    EXPECT_EQ(rows[1].line, 3u);
    EXPECT_EQ(rows[1].number, 2u);
  }
}

TEST(CsvReaderTest, AnUnclosedQuoteIsRejectedWhereItBegins) {
  const auto rows = read_all("a,b\n1,2\n3,\"4\n5,6\n7,8\n");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[1].line, 3u);
  EXPECT_NE(rows[1].reason, "");
}

TEST(CsvReaderTest, WhatStandsInQuotesIsNeverTakenForRows) {
  // A field too large, whose content looks like a row.
  std::string field;
  while (field.size() < 3 * kFieldMax) field += "\nevil,row\n";
  const auto rows = read_all("a,b\n1,\"" + field + "\"\ngood,row\n");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_NE(rows[0].reason, "");
  EXPECT_EQ(rows[1].values, (Values{"good", "row"}));
  EXPECT_EQ(rows[1].line, 3u + static_cast<uint64_t>(std::count(field.begin(), field.end(), '\n')));
}

TEST(CsvReaderTest, LimitsRejectTheRowWithItsLine) {
  const std::string fits(kFieldMax, 'x');
  const auto rows = read_all("a,b\n1," + fits + "\n2," + fits + "x\n3,\"" + fits + "\"\n" +
                             std::string(12 << 20, 'y') + ",\"q\n\"\n4,\n");
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_EQ(rows[0].values[1].size(), kFieldMax);
  EXPECT_EQ(rows[1].reason, "a field is larger than 1 MiB");
  EXPECT_EQ(rows[2].values[1].size(), kFieldMax);
  EXPECT_NE(rows[3].reason, "");
  EXPECT_EQ(rows[3].line, 5u);
  EXPECT_EQ(rows[4].values, (Values{"4", ""}));
  EXPECT_EQ(rows[4].line, 7u);
}

TEST(CsvReaderTest, Gb18030GivesTheSameRowsAsUtf8WithRawOffsets) {
  const std::string raw = "a,b\n\xcd\xf5,\"\xc0\xee\"\n\x81,x\n\xd5\xc5,y\n";
  const auto rows = read_all(raw, Encoding::kGb18030);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].values, (Values{"王", "李"}));
  EXPECT_EQ(rows[0].byte_end, 12u);
  EXPECT_NE(rows[1].reason, "");
  EXPECT_EQ(rows[2].values, (Values{"张", "y"}));
  EXPECT_EQ(rows[2].byte_end, raw.size());
}

std::string many_rows(bool gb) {
  std::string raw = gb ? "a,b\r\n"
                       : "\xef\xbb\xbf"
                         "a,b\r\n";
  for (int i = 0; i < 30'000; ++i) {
    raw += std::to_string(i) + ",\"";
    raw += i % 3 == 0 ? "x\n\"\"" : gb ? "\xcd\xf5" : "王";
    raw += i % 100 == 7 ? "\"broken\r\n" : "\"\r\n";
  }
  return raw;
}

TEST(CsvReaderTest, ResumesBehindAnyRow) {
  for (const bool gb : {false, true}) {
    const std::string raw = many_rows(gb);
    const Encoding encoding = gb ? Encoding::kGb18030 : Encoding::kUtf8;
    const auto all = read_all(raw, encoding);
    ASSERT_EQ(all.size(), 30'000u);
    for (size_t stop :
         {size_t{0}, size_t{1}, size_t{8}, size_t{9'999}, size_t{29'999}, size_t{30'000}}) {
      auto first = reader_of(raw, encoding);
      Row row;
      for (size_t i = 0; i < stop; ++i) ASSERT_TRUE(first->next(row));
      const v1::SourcePosition position = first->position();
      EXPECT_EQ(position.row(), stop);
      auto second = reader_of(raw, encoding);
      ASSERT_TRUE(second->resume(position));
      const auto rest = rest_of(*second);
      ASSERT_EQ(rest.size(), all.size() - stop);
      for (size_t i = 0; i < rest.size(); ++i) {
        const Read& want = all[stop + i];
        ASSERT_EQ(rest[i].values, want.values);
        ASSERT_EQ(rest[i].number, want.number);
        ASSERT_EQ(rest[i].line, want.line);
        ASSERT_EQ(rest[i].byte_end, want.byte_end);
      }
      EXPECT_EQ(second->position().rejected_by_client(), 300u);
    }
  }
}

TEST(CsvReaderTest, ResumingAChangedSourceIsRefused) {
  std::string raw = many_rows(false);
  auto first = reader_of(raw);
  Row row;
  for (int i = 0; i < 20'000; ++i) ASSERT_TRUE(first->next(row));
  raw[1000] ^= 1;
  auto second = reader_of(raw);
  EXPECT_EQ(second->resume(first->position()).error().code, ErrorCode::kFailedPrecondition);
}

}  // namespace
}  // namespace strongroom::intake
