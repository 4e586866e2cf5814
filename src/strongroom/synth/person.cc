#include "strongroom/synth/person.h"

#include <algorithm>
#include <array>

#include "strongroom/base/check.h"
#include "strongroom/synth/divisions.h"
#include "strongroom/synth/names.h"

namespace strongroom::synth {
namespace {

enum : uint64_t { kIdStream = 1, kPhoneStream = 2, kPersonStream = 3 };

constexpr unsigned kYearFirst = 1936;
constexpr unsigned kYearLast = 2018;
constexpr unsigned kYears = kYearLast - kYearFirst + 1;

// Percent of a full year's births among the people of a register today.
constexpr uint32_t year_weight(unsigned year) {
  if (year < 1950) return 10 + 3 * (year - kYearFirst);
  if (year < 1959) return 55;
  if (year < 1962) return 35;
  if (year < 1976) return 100;
  if (year < 1985) return 75;
  if (year < 1992) return 95;
  if (year < 2000) return 70;
  return 60;
}

uint32_t days_in(unsigned year) {
  return static_cast<uint32_t>(days_from_date({year + 1, 1, 1}) - days_from_date({year, 1, 1}));
}

// How many sequence numbers a division may give out on one day of a year.
uint32_t sequences(const Division& division, unsigned year) {
  return std::max<uint32_t>(1, division.weight * year_weight(year) / 100);
}

// Prefixes in use by the four operators; 1349 (satellite) is why 134 is left out.
constexpr std::string_view kPhonePrefixes[] = {
    "130", "131", "132", "133", "135", "136", "137", "138", "139", "150", "151",
    "152", "153", "155", "156", "157", "158", "159", "166", "173", "175", "176",
    "177", "178", "180", "181", "182", "183", "184", "185", "186", "187", "188",
    "189", "191", "193", "195", "196", "197", "198", "199"};
constexpr uint64_t kPerPrefix = 100'000'000;

constexpr std::string_view kRoads[] = {
    "人民路",   "解放路",   "建设路",   "中山路", "和平路", "新华路",   "文化路",   "长江路",
    "黄河路",   "友谊路",   "光明路",   "花园路", "学府路", "滨江大道", "迎宾大道", "环城东路",
    "环城西路", "工业二路", "科技四路", "朝阳街", "胜利街", "东风街",   "民主路",   "团结路",
    "幸福路",   "振兴大道", "站前路",   "湖滨路", "河西街", "北京路",   "南京路",   "青年路",
    "体育路",   "公园路",   "健康路",   "育才路"};
constexpr std::string_view kEstates[] = {
    "阳光花园", "金色家园", "绿地新苑", "锦绣华庭", "东方公寓",  "翠湖天地", "紫金苑",
    "世纪花城", "书香门第", "御景湾",   "和平新村", "建设新村",  "长寿公寓", "滨江国际",
    "海悦名邸", "香樟苑",   "桂花园",   "梧桐里",   "康乐小区",  "明珠花园", "丽景苑",
    "银杏小区", "凤凰城",   "水岸人家", "文苑小区", "望江楼小区"};

size_t find_slot(const std::vector<uint32_t>& ends, size_t first, uint64_t slot) {
  const auto begin = ends.begin() + static_cast<ptrdiff_t>(first);
  return static_cast<size_t>(std::upper_bound(begin, begin + kYears, slot) - begin);
}

}  // namespace

char national_id_check_digit(const char* digits17) {
  static constexpr std::array<int, 17> kFactors{7, 9, 10, 5,  8, 4, 2, 1, 6,
                                                3, 7, 9,  10, 5, 8, 4, 2};
  int sum = 0;
  for (size_t i = 0; i < kFactors.size(); ++i) sum += (digits17[i] - '0') * kFactors[i];
  return "10X98765432"[sum % 11];
}

void append_number(std::string& out, uint64_t value, unsigned width) {
  char digits[20];
  unsigned n = 0;
  do {
    digits[n++] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  if (n < width) out.append(width - n, '0');
  while (n > 0) out.push_back(digits[--n]);
}

// Both after Howard Hinnant's chrono-compatible date algorithms (public domain).
int64_t days_from_date(Date date) {
  const int64_t year = static_cast<int64_t>(date.year) - (date.month <= 2 ? 1 : 0);
  const int64_t era = year / 400;
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year =
      (153 * (date.month + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1;
  return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
         719468;
}

Date date_from_days(int64_t days_since_1970) {
  const int64_t days = days_since_1970 + 719468;
  const int64_t era = days / 146097;
  const int64_t day_of_era = days - era * 146097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted = (5 * day_of_year + 2) / 153;
  const auto month = static_cast<unsigned>(shifted < 10 ? shifted + 3 : shifted - 9);
  return {static_cast<unsigned>(year_of_era + era * 400) + (month <= 2 ? 1u : 0u), month,
          static_cast<unsigned>(day_of_year - (153 * shifted + 2) / 5 + 1)};
}

void append_date(std::string& out, Date date) {
  append_number(out, date.year, 4);
  out.push_back('-');
  append_number(out, date.month, 2);
  out.push_back('-');
  append_number(out, date.day, 2);
}

void append_street_address(Rng& rng, std::string& out) {
  out += rng.pick(kRoads);
  append_number(out, 1 + rng.below(1999));
  out += "号";
  out += rng.pick(kEstates);
  append_number(out, 1 + rng.below(60));
  out += "号楼";
  append_number(out, 1 + rng.below(4));
  out += "单元";
  append_number(out, (1 + rng.below(28)) * 100 + 1 + rng.below(4));
  out += "室";
}

People::People(uint64_t seed) : seed_(seed) {
  std::array<uint32_t, kYears> days;
  for (unsigned y = 0; y < kYears; ++y) days[y] = days_in(kYearFirst + y);
  uint64_t total = 0;
  for (const Division& division : divisions()) {
    slots_.push_back({total, year_ends_.size()});
    uint32_t end = 0;
    for (unsigned y = 0; y < kYears; ++y) {
      end += days[y] * sequences(division, kYearFirst + y);
      year_ends_.push_back(end);
    }
    total += end;
  }
  SR_CHECK(total >= kPeopleMax, "too few national id slots");
  permutations_.emplace_back(total, seed, kIdStream);
  permutations_.emplace_back(std::size(kPhonePrefixes) * kPerPrefix, seed, kPhoneStream);
}

void People::make_national_id(uint64_t i, Person& out, size_t* division) const {
  uint64_t slot = permutations_[0](i);
  const auto after =
      std::upper_bound(slots_.begin(), slots_.end(), slot,
                       [](uint64_t s, const Slots& range) { return s < range.first; });
  *division = static_cast<size_t>(after - slots_.begin()) - 1;
  const Slots& range = slots_[*division];
  slot -= range.first;
  const size_t y = find_slot(year_ends_, range.years, slot);
  if (y > 0) slot -= year_ends_[range.years + y - 1];
  const unsigned year = kYearFirst + static_cast<unsigned>(y);
  const Division& home = divisions()[*division];
  const uint32_t per_day = sequences(home, year);
  const Date born =
      date_from_days(days_from_date({year, 1, 1}) + static_cast<int64_t>(slot / per_day));

  out.dob.clear();
  append_date(out.dob, born);
  out.national_id.assign(home.code);
  append_number(out.national_id, born.year, 4);
  append_number(out.national_id, born.month, 2);
  append_number(out.national_id, born.day, 2);
  append_number(out.national_id, 1 + slot % per_day, 3);
  out.national_id.push_back(national_id_check_digit(out.national_id.data()));
}

void People::make(uint64_t i, Person& out) const {
  SR_CHECK(i < kPeopleMax, "no such person");
  Rng rng(seed_, kPersonStream, i);
  size_t division = 0;
  make_national_id(i, out, &division);
  const bool male = (out.national_id[16] - '0') % 2 == 1;
  unsigned birth_year = 0;
  for (size_t at = 0; at < 4; ++at)
    birth_year = birth_year * 10 + static_cast<unsigned>(out.dob[at] - '0');
  out.name.clear();
  append_name(rng, male, birth_year, out.name);

  const uint64_t number = permutations_[1](i);
  out.phone.assign(kPhonePrefixes[number / kPerPrefix]);
  append_number(out.phone, number % kPerPrefix, 8);

  // One in four lives elsewhere than where the number was given out.
  const size_t home = rng.chance(75) ? division : rng.below(divisions().size());
  out.address.assign(divisions()[home].name);
  append_street_address(rng, out.address);
}

}  // namespace strongroom::synth
