#include "strongroom/policy/conditions.h"

#include <gtest/gtest.h>

#include "strongroom/base/durations.h"

namespace strongroom::policy {
namespace {

constexpr uint64_t kMonday = 1'700'438'400'000;  // 20 November 2023, 00:00 UTC.

Opening opening(std::string_view hours, std::initializer_list<const char*> days = {},
                int32_t offset_min = 0) {
  google::protobuf::RepeatedPtrField<std::string> names;
  for (const char* day : days) *names.Add() = day;
  return parse_opening(hours, names, offset_min).value();
}

TEST(OpeningTest, OfficeHoursAreOpenFromTheirFirstMinuteUntilTheirLast) {
  const Opening office = opening("08:00-18:00", {"mon", "tue", "wed", "thu", "fri"});
  EXPECT_FALSE(office.open(kMonday + 8 * kHourMs - 1));
  EXPECT_TRUE(office.open(kMonday + 8 * kHourMs));
  EXPECT_TRUE(office.open(kMonday + 18 * kHourMs - 1));
  EXPECT_FALSE(office.open(kMonday + 18 * kHourMs));
  EXPECT_FALSE(office.open(kMonday + 5 * kDayMs + 12 * kHourMs)) << "Saturday";
  EXPECT_EQ(office.opens_in_ms(kMonday + 7 * kHourMs + 1), kHourMs - 1);
  EXPECT_EQ(office.opens_in_ms(kMonday + 4 * kDayMs + 18 * kHourMs), 2 * kDayMs + 14 * kHourMs);
}

TEST(OpeningTest, ANightBelongsToTheDayItBeganOn) {
  const Opening night = opening("22:00-06:00", {"fri"});
  const uint64_t friday = kMonday + 4 * kDayMs;
  EXPECT_FALSE(night.open(friday + 5 * kHourMs)) << "Thursday's night";
  EXPECT_TRUE(night.open(friday + 23 * kHourMs));
  EXPECT_TRUE(night.open(friday + kDayMs + 5 * kHourMs));
  EXPECT_FALSE(night.open(friday + kDayMs + 6 * kHourMs));
  EXPECT_FALSE(night.open(friday + kDayMs + 23 * kHourMs));
}

TEST(OpeningTest, TheClockIsTheOneOfThePolicy) {
  const Opening office = opening("08:00-18:00", {"mon"}, 8 * 60);
  EXPECT_TRUE(office.open(kMonday)) << "08:00 there";
  EXPECT_FALSE(office.open(kMonday + 10 * kHourMs));
  const Opening west = opening("08:00-18:00", {"mon"}, -5 * 60);
  EXPECT_TRUE(west.open(kMonday + 13 * kHourMs));
  EXPECT_FALSE(west.open(kMonday));
}

TEST(OpeningTest, WithoutHoursItIsAlwaysOpen) {
  for (uint64_t h = 0; h < 24 * 7; ++h) EXPECT_TRUE(opening("").open(kMonday + h * kHourMs));
}

TEST(OpeningTest, WhatIsNotWellFormedIsRefused) {
  const google::protobuf::RepeatedPtrField<std::string> none;
  for (const char* hours : {"8:00-18:00", "08:00", "08:00-", "08:60-18:00", "25:00-26:00",
                            "08:00-08:00", "24:00-08:00", "08:00 - 18:00", "aa:bb-cc:dd"}) {
    EXPECT_FALSE(parse_opening(hours, none, 0)) << hours;
  }
  EXPECT_TRUE(parse_opening("08:00-24:00", none, 0));
  google::protobuf::RepeatedPtrField<std::string> days;
  *days.Add() = "monday";
  EXPECT_FALSE(parse_opening("", days, 0));
  EXPECT_EQ(parse_utc_offset("+08:00"), 480);
  EXPECT_EQ(parse_utc_offset("-03:30"), -210);
  EXPECT_EQ(parse_utc_offset(""), 0);
  for (const char* offset : {"8", "+8:00", "08:00", "+15:00", "+08:00 "}) {
    EXPECT_FALSE(parse_utc_offset(offset)) << offset;
  }
}

TEST(CasePatternTest, DigitsLettersAndAnEnd) {
  EXPECT_TRUE(matches_case("A-####", "A-1234"));
  EXPECT_FALSE(matches_case("A-####", "A-123"));
  EXPECT_FALSE(matches_case("A-####", "A-12345"));
  EXPECT_FALSE(matches_case("A-####", "B-1234"));
  EXPECT_FALSE(matches_case("A-####", "A-12x4"));
  EXPECT_TRUE(matches_case("??.#*", "ab.1/whatever follows"));
  EXPECT_TRUE(matches_case("??.#*", "ab.1"));
  EXPECT_FALSE(matches_case("??.#*", "ab."));
  EXPECT_FALSE(matches_case("??", "1a"));
  EXPECT_TRUE(is_case_pattern("*"));
  for (const char* bad : {"", "*a", "a**"}) EXPECT_FALSE(is_case_pattern(bad)) << bad;
  EXPECT_FALSE(is_case_pattern(std::string(65, '#')));
}

}  // namespace
}  // namespace strongroom::policy
