#include "strongroom/index/normalise.h"

#include <gtest/gtest.h>

#include "strongroom/index/dates.h"
#include "strongroom/index/test_data.h"

namespace strongroom::index {
namespace {

std::string norm(ValueType type, std::string_view text) {
  const auto result = normalise(type, text, "CN");
  if (result) {
    EXPECT_EQ(normalise(type, *result, "CN").value(), *result) << "idempotent";
    const Forms forms = forms_of(type, text, "CN").value();
    EXPECT_EQ(forms.norm, *result);
    EXPECT_EQ(normalise(type, forms.stored, "CN").value(), *result);
    return *result;
  }
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
  EXPECT_FALSE(forms_of(type, text, "CN"));
  return "refused";
}

TEST(NormaliseTest, TextAndNameFoldWidthCaseAndBlanks) {
  EXPECT_EQ(norm(ValueType::kName, "  Ｗａｎｇ　 Xiǎomíng "), "wang xiǎomíng");
  EXPECT_EQ(norm(ValueType::kName, "王小明"), "王小明");
  EXPECT_EQ(norm(ValueType::kText, "Straße\nﬁn"), "strasse fin");
  EXPECT_EQ(norm(ValueType::kText, "Cafe\u0301"), "caf\u00e9");
  EXPECT_EQ(norm(ValueType::kText, "soft\u00adhyphen"), "softhyphen");
}

TEST(NormaliseTest, EmptyAndNotUtf8AreRefusedForEveryType) {
  for (uint8_t type = 1; type <= 9; ++type) {
    for (const std::string_view text :
         {"", "  ", "\t\u3000\n", "a\x80", "\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
          "\xe4\xb8", "12345678\xe4"}) {
      EXPECT_EQ(norm(static_cast<ValueType>(type), text), "refused") << int{type};
    }
  }
  EXPECT_EQ(norm(ValueType::kText, "\u200b\u00ad"), "refused") << "nothing is left of it";
  EXPECT_EQ(norm(ValueType::kText, std::string(kValueBytesMax + 1, 'a')), "refused");
  EXPECT_EQ(norm(static_cast<ValueType>(99), "a"), "refused");
}

TEST(NormaliseTest, NationalIdNeedsItsCheckDigitAndADay) {
  EXPECT_EQ(norm(ValueType::kNationalId, "11010519491231002X"),
            "11010519491231002X");  // GB 11643's own example
  EXPECT_EQ(norm(ValueType::kNationalId, "11010519491231002x"), "11010519491231002X");
  EXPECT_EQ(norm(ValueType::kNationalId, " 110105 19491231 002X "), "11010519491231002X");
  EXPECT_EQ(norm(ValueType::kNationalId, "１１０１０５１９４９１２３１００２Ｘ"),
            "11010519491231002X");
  EXPECT_EQ(norm(ValueType::kNationalId, "440524188001010014"), "440524188001010014");
  for (const char* text :
       {"110105194912310021", "11010519491331002X", "1101051949123100", "110105491231002",
        "11010519491231002XX", "X1010519491231002X", "110105194912310.2X"}) {
    EXPECT_EQ(norm(ValueType::kNationalId, text), "refused") << text;
  }
}

TEST(NormaliseTest, NationalIdDetectsEveryChangedDigitAndEverySwap) {
  const std::string id = "440524188001010014";
  for (size_t at = 0; at < id.size(); ++at) {
    for (char digit = '0'; digit <= '9'; ++digit) {
      std::string changed = id;
      changed[at] = digit;
      EXPECT_EQ(norm(ValueType::kNationalId, changed), digit == id[at] ? id : "refused");
    }
    if (at > 0 && id[at] != id[at - 1]) {
      std::string swapped = id;
      std::swap(swapped[at], swapped[at - 1]);
      EXPECT_EQ(norm(ValueType::kNationalId, swapped), "refused");
    }
  }
}

TEST(NormaliseTest, DatesInFiveSpellingsBecomeIso) {
  for (const char* text :
       {"2024-01-31", "2024/1/31", "2024.01.31", "20240131", "2024年1月31日", "2024-1-31",
        "２０２４－０１－３１", "２０２４年１月３１日", " 2024-01-31 "}) {
    EXPECT_EQ(norm(ValueType::kDate, text), "2024-01-31") << text;
  }
  EXPECT_EQ(norm(ValueType::kDate, "0001-01-01"), "0001-01-01");
  EXPECT_EQ(norm(ValueType::kDate, "9999-12-31"), "9999-12-31");
  EXPECT_EQ(norm(ValueType::kDate, "2000-02-29"), "2000-02-29");
  for (const char* text :
       {"2024-02-30", "1900-02-29", "0000-01-01", "2024-13-01", "2024-00-01", "2024-01-00",
        "24-01-31", "2024-01/31", "2024-01-31T", "2024131", "202401311", "2024年1月31", "1月31日",
        "2024-", "2024", "31.01.2024", "2024-001-01", "-2024-01-31"}) {
    EXPECT_EQ(norm(ValueType::kDate, text), "refused") << text;
  }
}

TEST(NormaliseTest, IntegersAreCanonicalInt64) {
  EXPECT_EQ(norm(ValueType::kInteger, "42"), "42");
  EXPECT_EQ(norm(ValueType::kInteger, "-0"), "0");
  EXPECT_EQ(norm(ValueType::kInteger, "+007"), "7");
  EXPECT_EQ(norm(ValueType::kInteger, "４２"), "42");
  EXPECT_EQ(norm(ValueType::kInteger, "-9223372036854775808"), "-9223372036854775808");
  EXPECT_EQ(norm(ValueType::kInteger, "9223372036854775807"), "9223372036854775807");
  for (const char* text :
       {"9223372036854775808", "1.0", "1e3", "0x10", "--1", "+-1", "-", "+", "1 2", "1,000"}) {
    EXPECT_EQ(norm(ValueType::kInteger, text), "refused") << text;
  }
}

TEST(NormaliseTest, CodesFoldCaseAndHoldNoWhiteSpace) {
  EXPECT_EQ(norm(ValueType::kCode, " SF-１２34ab "), "sf-1234ab");
  EXPECT_EQ(norm(ValueType::kCode, "SF 1234"), "refused");
  EXPECT_EQ(norm(ValueType::kCode, "SF\u30001234"), "refused");
}

TEST(NormaliseTest, JsonIsCheckedAndKept) {
  EXPECT_EQ(norm(ValueType::kJson, " {\"b\": [1, 2.50, null],\"a\":\"Ａ\"} "),
            "{\"b\": [1, 2.50, null],\"a\":\"Ａ\"}");
  EXPECT_EQ(norm(ValueType::kJson, "\"text\""), "\"text\"");
  EXPECT_EQ(norm(ValueType::kJson, "1"), "1");
  for (const char* text : {"{", "{a:1}", "[1,]", "nul", "1 2", "'a'"}) {
    EXPECT_EQ(norm(ValueType::kJson, text), "refused") << text;
  }
  EXPECT_EQ(norm(ValueType::kJson, std::string(100'000, '[')), "refused");
}

TEST(NormaliseTest, TimestampsBecomeUtcMilliseconds) {
  EXPECT_EQ(norm(ValueType::kTimestamp, "2024-01-31T08:30:00+08:00"), "2024-01-31T00:30:00.000Z");
  EXPECT_EQ(norm(ValueType::kTimestamp, "2024-01-31t00:30:00z"), "2024-01-31T00:30:00.000Z");
  EXPECT_EQ(norm(ValueType::kTimestamp, "2024-01-31 00:30:00.5Z"), "2024-01-31T00:30:00.500Z");
  EXPECT_EQ(norm(ValueType::kTimestamp, "2024-01-31T00:30:00.1239999999999Z"),
            "2024-01-31T00:30:00.123Z");
  EXPECT_EQ(norm(ValueType::kTimestamp, "2024-03-01T00:00:00+00:01"), "2024-02-29T23:59:00.000Z");
  EXPECT_EQ(norm(ValueType::kTimestamp, "2016-12-31T23:59:60Z"), "2017-01-01T00:00:00.000Z");
  EXPECT_EQ(norm(ValueType::kTimestamp, "0001-01-01T00:00:00Z"), "0001-01-01T00:00:00.000Z");
  EXPECT_EQ(norm(ValueType::kTimestamp, "9999-12-31T23:59:59.999-00:00"),
            "9999-12-31T23:59:59.999Z");
  for (const char* text :
       {"2024-01-31T08:30:00", "2024-01-31", "2024-02-30T00:00:00Z", "2024-01-31T24:00:00Z",
        "2024-01-31T00:60:00Z", "2024-01-31T00:00:61Z", "2024-01-31T00:00:00.Z",
        "2024-01-31T00:00:00+24:00", "2024-01-31T00:00:00+0800", "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01", "2024-1-31T00:00:00Z"}) {
    EXPECT_EQ(norm(ValueType::kTimestamp, text), "refused") << text;
  }
}

TEST(NormaliseTest, TimestampsAgreeWithTheCalendarOverItsWholeRange) {
  // One day further each step, across the year and the era: the calendar's own successor.
  uint32_t year = 1;
  uint32_t month = 1;
  uint32_t day = 1;
  char from[40];
  char expected[40];
  for (int n = 0; n < 3'652'058; ++n) {
    const uint32_t y = year;
    const uint32_t m = month;
    const uint32_t d = day++;
    if (!is_calendar_day(year, month, day)) day = 1, ++month;
    if (month > 12) month = 1, ++year;
    if (n % 61 != 0 && !(d >= 28 && n % 7 == 0)) continue;
    snprintf(from, sizeof(from), "%04u-%02u-%02uT23:30:00-01:00", y, m, d);
    snprintf(expected, sizeof(expected), "%04u-%02u-%02uT00:30:00.000Z", year, month, day);
    const auto result = normalise_timestamp(from);
    ASSERT_TRUE(result) << from;
    ASSERT_EQ(*result, expected);
  }
  EXPECT_EQ(year, 9999u);
  EXPECT_EQ(day, 31u);
}

TEST(NormaliseTest, WhatIsStoredKeepsSpellingButNotForm) {
  const auto stored = [](ValueType type, std::string_view text) {
    return forms_of(type, text, "CN").value().stored;
  };
  EXPECT_EQ(stored(ValueType::kName, " Ｗａｎｇ  Xiaoming "), "Ｗａｎｇ  Xiaoming");
  EXPECT_EQ(stored(ValueType::kText, "Cafe\u0301"), "Caf\u00e9");
  EXPECT_EQ(stored(ValueType::kPhone, "138 0013 8000"), "+8613800138000");
  EXPECT_EQ(stored(ValueType::kDate, "2024年1月31日"), "2024-01-31");
  EXPECT_EQ(stored(ValueType::kCode, " AbC "), "AbC");
  EXPECT_EQ(stored(ValueType::kJson, " [\"e\u0301\"] "), "[\"e\u0301\"]");
}

TEST(NormaliseTest, RealNamesAndAddressesNormalise) {
  if (!has_test_data("legislators.csv")) GTEST_SKIP() << "the shared data is not here";
  const struct {
    const char* file;
    const char* column;
    ValueType type;
  } kSources[] = {{"legislators.csv", "official_full", ValueType::kName},
                  {"legislators.csv", "address", ValueType::kText},
                  {"legislators.csv", "birthday", ValueType::kDate},
                  {"district_offices.csv", "address", ValueType::kText},
                  {"china_streets.csv", "name", ValueType::kText}};
  for (const auto& source : kSources) {
    size_t given = 0;
    for (const std::string& cell : csv_column(source.file, source.column)) {
      if (cell.empty()) continue;
      ++given;
      EXPECT_NE(norm(source.type, cell), "refused") << source.file << " " << source.column;
    }
    EXPECT_GT(given, 500u) << source.file;
  }
}

}  // namespace
}  // namespace strongroom::index
