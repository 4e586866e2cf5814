#include "strongroom/index/phone.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "strongroom/index/normalise.h"
#include "strongroom/index/test_data.h"

namespace strongroom::index {
namespace {

std::string phone(std::string_view text, std::string_view region) {
  const auto result = normalise(ValueType::kPhone, text, region);
  if (result) return *result;
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
  return "refused";
}

TEST(PhoneTest, SpellingsOfOneNumberBecomeOne) {
  for (const char* text :
       {"13800138000", "138 0013 8000", "138-0013-8000", "+8613800138000", "+86 138 0013 8000",
        "(+86)138-0013-8000", "008613800138000", "0086-138-0013-8000", "8613800138000",
        "86 13800138000", "013800138000", "１３８００１３８０００",
        "＋８６　１３８００１３８０００", "138‐0013–8000", " 13800138000\t", "138.0013.8000"}) {
    EXPECT_EQ(phone(text, "CN"), "+8613800138000") << text;
  }
  for (const char* text : {"202-224-3121", "(202) 224-3121", "1-202-224-3121", "+1 202.224.3121",
                           "0012022243121", "01112022243121", "[202] 224 3121"}) {
    EXPECT_EQ(phone(text, "US"), "+12022243121") << text;
  }
}

TEST(PhoneTest, ChineseLandlinesNeedTheirAreaCode) {
  EXPECT_EQ(phone("010-62551234", "CN"), "+861062551234");
  EXPECT_EQ(phone("(021) 6255 1234", "CN"), "+862162551234");
  EXPECT_EQ(phone("0755-26551234", "CN"), "+8675526551234");
  EXPECT_EQ(phone("0891-6551234", "CN"), "+868916551234");
  EXPECT_EQ(phone("+86 (0)10 6255 1234", "CN"), "+861062551234");
  EXPECT_EQ(phone("+86 010 6255 1234", ""), "+861062551234");
  EXPECT_EQ(phone("86-10-62551234", "CN"), "+861062551234");
  EXPECT_EQ(phone("400-820-8820", "CN"), "+864008208820");
  EXPECT_EQ(phone("62551234", "CN"), "refused");
  EXPECT_EQ(phone("1062551234", "CN"), "refused") << "without its 0";
  EXPECT_EQ(phone("2022243121", "CN"), "refused") << "Washington is not Guangzhou";
}

TEST(PhoneTest, ImpossibleNumbersAreRefused) {
  for (const char* text : {"1380013800",
                           "138001380000",
                           "12800138000",
                           "110",
                           "95588",
                           "+86138001380",
                           "+861380013800012",
                           "138001380001380013800013800",
                           "13800138000 ext 5",
                           "13800138000/13900139000",
                           "138OO138000",
                           "1-800-FLOWERS",
                           "138+00138000",
                           "++8613800138000",
                           "+",
                           "-",
                           "()",
                           "0",
                           "00",
                           "010-12345678",
                           "0100-6551234",
                           "一三八"}) {
    EXPECT_EQ(phone(text, "CN"), "refused") << text;
  }
  for (const char* text : {"224-3121", "102-224-3121", "202-124-3121", "292-224-3121",
                           "2-202-224-3121", "12022243121 x5"}) {
    EXPECT_EQ(phone(text, "US"), "refused") << text;
  }
}

TEST(PhoneTest, OtherCountriesByCountryCodeAlone) {
  EXPECT_EQ(phone("+44 (0)20 7946 0018", "GB"), "+442079460018");
  EXPECT_EQ(phone("+852 2345 6789", "CN"), "+85223456789");
  EXPECT_EQ(phone("00852 2345 6789", "CN"), "+85223456789");
  EXPECT_EQ(phone("011 44 20 7946 0018", "US"), "+442079460018");
  EXPECT_EQ(phone("+683 4000", ""), "+6834000");
  EXPECT_EQ(phone("+378 0549 882345", ""), "+3780549882345");
  EXPECT_EQ(phone("020 7946 0018", "GB"), "refused") << "we do not know how Britain dials";
  EXPECT_EQ(phone("13800138000", ""), "refused");
  EXPECT_EQ(phone("+280 123 4567", ""), "refused") << "no such country code";
  EXPECT_EQ(phone("+0 123 456 789", ""), "refused");
  EXPECT_EQ(phone("+1234567890123456", ""), "refused") << "16 digits";
  EXPECT_EQ(phone("+44 123", ""), "refused") << "5 digits";
}

TEST(PhoneTest, EveryPhoneOfRealOfficesNormalises) {
  if (!has_test_data("legislators.csv")) GTEST_SKIP() << "legislators.csv is not here";
  size_t given = 0;
  size_t refused = 0;
  for (const char* file : {"legislators.csv", "district_offices.csv"}) {
    for (const char* column : {"phone", "fax"}) {
      for (const std::string& cell : csv_column(file, column)) {
        if (cell.empty()) continue;
        ++given;
        refused += phone(cell, "US") == "refused" ? 1 : 0;
      }
    }
  }
  RecordProperty("given", static_cast<int>(given));
  RecordProperty("refused", static_cast<int>(refused));
  EXPECT_GT(given, 2000u);
  EXPECT_EQ(refused, 0u);
}

// Completes a real prefix, "86755", to a number of its kind and asks for it as dialled at home and
// from abroad.
void expect_prefix_accepted(const std::string& prefix) {
  std::string national = prefix.substr(2);
  const bool mobile = national[0] == '1' && national[1] >= '3';
  const bool short_area = national[0] == '2' || national.substr(0, 2) == "10";
  for (const size_t size : {size_t{10}, size_t{11}}) {
    if (mobile != (size == 11) && (mobile || short_area)) continue;
    std::string number = national;
    number.resize(size, '5');
    EXPECT_EQ(phone((mobile ? "" : "0") + number, "CN"), "+86" + number);
    EXPECT_EQ(phone("0086" + number, "CN"), "+86" + number);
  }
}

TEST(PhoneTest, EveryChineseCarrierPrefixIsAccepted) {
  std::ifstream in(test_data("libphonenumber_carrier_zh_86.txt"));
  if (!in.good()) GTEST_SKIP() << "libphonenumber_carrier_zh_86.txt is not here";
  size_t prefixes = 0;
  for (std::string line; std::getline(in, line);) {
    const size_t bar = line.find('|');
    if (line.empty() || line[0] == '#' || bar == std::string::npos) continue;
    expect_prefix_accepted(line.substr(0, bar));
    ++prefixes;
  }
  EXPECT_GT(prefixes, 50u);
}

TEST(PhoneTest, EveryChineseAreaPrefixIsAccepted) {
  const std::string name = "libphonenumber_geocoding_zh_86.txt.gz";
  if (!has_test_data(name)) GTEST_SKIP() << name << " is not here";
  gzFile file = gzopen(test_data(name).c_str(), "rb");
  ASSERT_NE(file, nullptr);
  size_t prefixes = 0;
  char line[512];
  while (gzgets(file, line, sizeof(line)) != nullptr) {
    const std::string text(line);
    const size_t bar = text.find('|');
    if (text[0] == '#' || bar == std::string::npos) continue;
    expect_prefix_accepted(text.substr(0, bar));
    ++prefixes;
  }
  gzclose(file);
  EXPECT_GT(prefixes, 100'000u);
}

}  // namespace
}  // namespace strongroom::index
