#include "strongroom/index/field_terms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <random>
#include <set>

#include "strongroom/index/han.h"
#include "strongroom/index/names.h"
#include "strongroom/index/ranges.h"
#include "strongroom/index/test_data.h"
#include "strongroom/index/words.h"

namespace strongroom::index {
namespace {

using testing::ElementsAre;
using testing::IsSupersetOf;

std::set<FieldTerm> terms_of(const FieldIndex& index, std::string_view value) {
  std::vector<FieldTerm> out;
  const auto norm = normalise(index.type, value, index.region);
  EXPECT_TRUE(norm) << value;
  if (!norm) return {};
  EXPECT_TRUE(value_terms(index, *norm, out)) << value;
  return {out.begin(), out.end()};
}

// The rank with which a search finds a value, as the planner would: the best alternative all of
// whose terms are among the value's.
std::optional<int> rank(const FieldIndex& index, Op op, std::string_view asked, std::string_view to,
                        std::string_view value) {
  Condition condition;
  const auto made = condition_terms(index, op, asked, to, condition);
  EXPECT_TRUE(made) << asked << ": " << (made ? "" : made.error().text);
  const auto has = terms_of(index, value);
  std::optional<int> best;
  for (const auto& one : condition.any_of) {
    const bool all = std::all_of(one.all_of.begin(), one.all_of.end(),
                                 [&](const FieldTerm& term) { return has.contains(term); });
    if (all && (!best || one.rank < *best)) best = one.rank;
  }
  return best;
}

std::optional<NameMatch> name_match(std::string_view asked, std::string_view name) {
  FieldIndex index;
  index.type = ValueType::kName;
  index.fuzzy = true;
  const auto found = rank(index, Op::kFuzzy, asked, "", name);
  if (!found) return std::nullopt;
  return static_cast<NameMatch>(*found);
}

TEST(HanTest, TablesAreIcus) {
  EXPECT_EQ(simplified(std::string_view("張偉國")), "张伟国");
  EXPECT_EQ(pinyin(U'王').tones, "wáng");
  EXPECT_EQ(surname_pinyin(U'单').tones, "shàn");
  EXPECT_EQ(without_tone("lǚ"), "lv");
  EXPECT_EQ(without_tone("xiǎo"), "xiao");
  EXPECT_TRUE(is_syllable("zhuang"));
  EXPECT_FALSE(is_syllable("zhq"));
  EXPECT_EQ(pinyin(U'a').tones, "");
}

TEST(NeighbourhoodTest, NumbersShareAllButTheirLastCharacters) {
  EXPECT_EQ(neighbourhood_of(ValueType::kPhone, "+8613800138000"), "+86138001380");
  EXPECT_EQ(neighbourhood_of(ValueType::kNationalId, "411302198903301350"), "41130219890330");
  EXPECT_EQ(neighbourhood_of(ValueType::kCode, "ab1234"), "ab12");
  EXPECT_EQ(neighbourhood_of(ValueType::kCode, "ab123"), "") << "too short to be one of many";
  EXPECT_EQ(neighbourhood_of(ValueType::kName, "wang xiaoming"), "");
  EXPECT_EQ(neighbourhood_of(ValueType::kDate, "1980-01-01"), "");
}

TEST(NamesTest, OtherSpellingsOfOneHanName) {
  EXPECT_EQ(name_match("王小明", "王小明"), NameMatch::kSame);
  EXPECT_EQ(name_match("張偉國", "张伟国"), NameMatch::kSame) << "traditional";
  EXPECT_EQ(name_match("王 小明", "王小明"), NameMatch::kSame);
  EXPECT_EQ(name_match("王晓明", "王小明"), std::optional(NameMatch::kSameTones)) << "homophones";
  EXPECT_EQ(name_match("wang xiaoming", "王小明"), NameMatch::kSamePinyin);
  EXPECT_EQ(name_match("Xiaoming WANG", "王小明"), NameMatch::kSamePinyin);
  EXPECT_EQ(name_match("wangxiaoming", "王小明"), NameMatch::kSamePinyin);
  EXPECT_EQ(name_match("ｗａｎｇ xiaoming", "王小明"), NameMatch::kSamePinyin) << "full width";
  EXPECT_EQ(name_match("wáng xiǎomíng", "王小明"), NameMatch::kSameTones);
  EXPECT_EQ(name_match("wang xiaomin", "王小明"), NameMatch::kOneTypo);
  EXPECT_EQ(name_match("王小朋", "王小明"), NameMatch::kOneTypo);
  EXPECT_EQ(name_match("小明", "王小明"), NameMatch::kPart);
  EXPECT_EQ(name_match("明", "王小明"), NameMatch::kPart);
  EXPECT_EQ(name_match("lv wei", "吕伟"), NameMatch::kSamePinyin);
  EXPECT_EQ(name_match("Lyu Wei", "吕伟"), NameMatch::kSamePinyin);
  EXPECT_EQ(name_match("shan hong", "单红"), NameMatch::kSamePinyin);
  EXPECT_EQ(name_match("dan hong", "单红"), NameMatch::kSamePinyin);
  EXPECT_EQ(name_match("李小明", "王大伟"), std::nullopt);
  EXPECT_EQ(name_match("王伟", "王芳"), std::nullopt) << "one of two characters is no evidence";
}

TEST(NamesTest, OtherSpellingsOfOneLatinName) {
  EXPECT_EQ(name_match("jose garcia", "García José"), NameMatch::kSame);
  EXPECT_EQ(name_match("Katherine", "Katherine O'Brien"), NameMatch::kPart);
  EXPECT_EQ(name_match("Katharine Obrien", "Katherine O'Brien"), NameMatch::kOneTypo) << "replaced";
  EXPECT_EQ(name_match("Katherne Obrien", "Katherine O'Brien"), NameMatch::kOneTypo) << "lost";
  EXPECT_EQ(name_match("Kathherine Obrien", "Katherine O'Brien"), NameMatch::kOneTypo) << "added";
  EXPECT_EQ(name_match("Kahterine Obrien", "Katherine O'Brien"), NameMatch::kOneTypo) << "swapped";
  EXPECT_EQ(name_match("Jon Smyth", "John Smith"), NameMatch::kSameSound);
  EXPECT_EQ(name_match("Иванов", "Ivanov Sergei"), NameMatch::kPart);
  EXPECT_EQ(name_match("Alice Jones", "Bob Miller"), std::nullopt);
}

// Printed rather than asserted away: how much of real other spellings is found, and how much else.
TEST(NamesTest, RecallAndPrecisionOnRealNames) {
  if (!has_test_data("legislator_name_pairs.csv")) {
    GTEST_SKIP() << "no " << test_data("legislator_name_pairs.csv");
  }
  const auto names = csv_column("legislator_name_pairs.csv", "name");
  const auto others = csv_column("legislator_name_pairs.csv", "other");
  ASSERT_EQ(names.size(), others.size());
  ASSERT_GT(names.size(), 500u);
  FieldIndex index;
  index.type = ValueType::kName;
  index.fuzzy = true;
  std::map<std::string, std::set<FieldTerm>> people;
  for (const auto& name : names) people.emplace(name, terms_of(index, name));
  size_t found = 0, first = 0, answers = 0;
  for (size_t i = 0; i < others.size(); ++i) {
    Condition condition;
    ASSERT_TRUE(condition_terms(index, Op::kFuzzy, others[i], "", condition)) << others[i];
    std::map<int, size_t> by_rank;
    std::optional<int> mine;
    for (const auto& [name, has] : people) {
      std::optional<int> best;
      for (const auto& one : condition.any_of) {
        const bool all = std::all_of(one.all_of.begin(), one.all_of.end(),
                                     [&](const FieldTerm& term) { return has.contains(term); });
        if (all && (!best || one.rank < *best)) best = one.rank;
      }
      if (!best) continue;
      ++by_rank[*best];
      ++answers;
      if (name == names[i]) mine = best;
    }
    found += mine.has_value();
    first += mine && by_rank.begin()->first == *mine && by_rank[*mine] == 1;
  }
  const auto percent = [](size_t part, size_t whole) {
    return 100.0 * static_cast<double>(part) / static_cast<double>(whole);
  };
  std::printf(
      "%zu other spellings of %zu names: recall %.1f%%, alone in the first place %.1f%%, "
      "precision %.1f%%\n",
      others.size(), people.size(), percent(found, others.size()), percent(first, others.size()),
      percent(found, answers));
  EXPECT_GT(percent(found, others.size()), 50);  // Nicknames that share no letters are not found.
}

TEST(WordsTest, ChineseByDictionaryLatinByBoundaries) {
  EXPECT_THAT(words_of("报案人称其住处被入室盗窃"), IsSupersetOf({std::string("盗窃")}));
  EXPECT_THAT(words_of("the burglary of a house"), ElementsAre("burglary", "house"));
  EXPECT_THAT(words_of("the of"), ElementsAre("of", "the")) << "nothing else there";
  EXPECT_EQ(words_of("盜竊"), words_of("盗窃")) << "traditional";
  EXPECT_TRUE(words_of("...").empty());
  EXPECT_EQ(words_of(std::string(100, 'x')), std::vector<std::string>{std::string(64, 'x')});
}

// Texts of dictionary words, any Han characters, digits, Latin and signs in any mixture: cutting
// them into pieces and going through the dictionary ourselves changes no word.
TEST(WordsTest, AreIcusWords) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const std::vector<std::string> plain = {
      "2022", "30", "3.5", "1,200", "12:56", "a", "burglary", "o'brien", "x_1", "第", "年", "月",
      " ",    ",",  ".",   ":",     ";",     "'", "\"",       "-",       "(",   ")",  "。", "、",
      "“",    "”",  "—",   "#",     "$",     "&", "*",        "+",       "<",   "=",  "[",  "\\",
      "^",    "`",  "{",   "|",     "~",     "!", "?",        "%",       "@",   "/",  "_"};
  std::vector<std::string> all = plain;
  for (const char* one : {"…", "·", "の", "カタカナ", "한국", "é", "\u0301", "\u200d", "𠮷", "々",
                          "〇", "\n", "\u00ad", "’", "盜竊", "１２", "ก", "\u3000"}) {
    all.emplace_back(one);
  }
  std::vector<std::string> places;
  if (has_test_data("china_streets.csv")) places = csv_column("china_streets.csv", "name");
  const std::string prose =
      "报警人称其在商场三楼遇到电信诈骗一事涉及金项链一条价值约对方冒充其孩子的班主任在家长群内收取"
      "资料费其未经核实即扫码转账"
      "后经老师提醒发现异常民警已联系辖区社区警务室协助查找有关人员已启动紧急止付并冻结收款账户案件"
      "正在侦办现场秩序已恢复正常"
      "中华人民共和国中央人民政府驻香港特别行政区联络办公室长江三角洲一体化发展";
  const auto pick = [&](size_t count) { return static_cast<size_t>(random() % count); };
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    const size_t parts = 1 + pick(12);
    const auto& bits = i % 2 == 0 ? plain : all;
    for (size_t p = 0; p < parts; ++p) {
      switch (pick(4)) {
        case 0:
          text += bits[pick(bits.size())];
          break;
        case 1: {
          const size_t from = pick(prose.size() / 3), size = 1 + pick(20);
          text += prose.substr(3 * from, 3 * size);
          break;
        }
        case 2:
          if (!places.empty()) text += places[pick(places.size())];
          break;
        default:
          for (size_t k = pick(6); k > 0; --k) {
            append_utf8(static_cast<char32_t>(0x4e00 + pick(0x5200)), text);
          }
      }
    }
    const auto norm = normalise(ValueType::kText, text, {});
    if (!norm) continue;  // Blanks only.
    ASSERT_EQ(words_of(*norm), words_by_icu(*norm)) << *norm;
  }
}

TEST(RangesTest, ADateIsCoveredExactlyOnce) {
  std::mt19937 random(20261122);
  const auto day = [&] {
    char text[16];
    std::snprintf(
        text, sizeof(text), "%04u-%02u-%02u", 1895 + static_cast<unsigned>(random() % 140),
        1 + static_cast<unsigned>(random() % 12), 1 + static_cast<unsigned>(random() % 28));
    return std::string(text);
  };
  for (int i = 0; i < 20'000; ++i) {
    auto from = day(), to = day();
    if (from > to) std::swap(from, to);
    const auto cover = date_cover(from, to);
    EXPECT_LE(cover.size(), 100u);
    EXPECT_TRUE(std::is_sorted(cover.rbegin(), cover.rend())) << "newest first";
    const auto value = day();
    size_t times = 0;
    for (const auto& node : date_nodes(value)) {
      times += static_cast<size_t>(std::count(cover.begin(), cover.end(), node));
    }
    EXPECT_EQ(times, from <= value && value <= to ? 1u : 0u) << from << " " << to << " " << value;
  }
  EXPECT_THAT(date_cover("1980-01-01", "1989-12-31"), ElementsAre("198"));
  EXPECT_THAT(date_cover("1980-01-31", "1980-03-01"),
              ElementsAre("1980-03-01", "1980-02", "1980-01-31"));
  EXPECT_EQ(date_cover("0001-01-01", "9999-12-31").size(), 9u + 9u + 99u) << "the year 0 is none";
}

TEST(RangesTest, AnIntegerIsCoveredExactlyOnce) {
  std::mt19937_64 random(7);
  for (const auto& [min, max] : {std::pair<int64_t, int64_t>{0, 255},
                                 {-1000, 99'999},
                                 {5, 5},
                                 {INT64_MIN, INT64_MIN + 70'000},
                                 {0, 0xffffffff}}) {
    const auto span = static_cast<uint64_t>(max) - static_cast<uint64_t>(min);
    const auto any = [&, min = min] {
      return static_cast<int64_t>(static_cast<uint64_t>(min) +
                                  (span == 0 ? 0 : random() % (span + 1)));
    };
    for (int i = 0; i < 3000; ++i) {
      auto from = any(), to = any();
      if (from > to) std::swap(from, to);
      const auto cover = integer_cover(min, max, from, to);
      EXPECT_LE(cover.size(), 15u * 2 * 8);
      const auto value = any();
      size_t times = 0;
      for (const auto& node : integer_nodes(min, max, value)) {
        times += static_cast<size_t>(std::count(cover.begin(), cover.end(), node));
      }
      EXPECT_EQ(times, from <= value && value <= to ? 1u : 0u) << from << " " << to << " " << value;
    }
    EXPECT_EQ(integer_cover(min, max, INT64_MIN, min == INT64_MIN ? min : min - 1).size(),
              min == INT64_MIN ? 1u : 0u);
  }
}

FieldIndex field(ValueType type, const char* region = "") {
  FieldIndex out;
  out.type = type;
  out.region = region;
  return out;
}

TEST(FieldTermsTest, PrefixesOfTheLengthsChosen) {
  auto phone = field(ValueType::kPhone, "CN");
  phone.prefixes = {3, 7};
  EXPECT_TRUE(rank(phone, Op::kPrefix, "138", "", "138 0013 8000"));
  EXPECT_TRUE(rank(phone, Op::kPrefix, "+86 138", "", "13800138000"));
  EXPECT_TRUE(rank(phone, Op::kPrefix, "1380013", "", "13800138000"));
  EXPECT_FALSE(rank(phone, Op::kPrefix, "139", "", "13800138000"));
  Condition none;
  const auto refused = condition_terms(phone, Op::kPrefix, "13800", "", none);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().number, 3);
  auto name = field(ValueType::kName);
  name.prefixes = {1};
  EXPECT_TRUE(rank(name, Op::kPrefix, "王", "", "王小明"));
  EXPECT_FALSE(rank(name, Op::kPrefix, "王", "", "小王明"));
}

TEST(FieldTermsTest, RangesOfDaysYearsAndNumbers) {
  auto date = field(ValueType::kDate);
  date.range = true;
  EXPECT_TRUE(rank(date, Op::kRange, "1980", "1989", "1984-02-29"));
  EXPECT_TRUE(rank(date, Op::kRange, "1984-02", "1984-02", "1984-02-29"));
  EXPECT_TRUE(rank(date, Op::kRange, "", "1984-02-29", "1984-02-29"));
  EXPECT_FALSE(rank(date, Op::kRange, "1984-03-01", "", "1984-02-29"));
  EXPECT_LT(*rank(date, Op::kRange, "1980", "1995", "1991-01-01"),
            *rank(date, Op::kRange, "1980", "1995", "1984-01-01"))
      << "newest first";
  auto number = field(ValueType::kInteger);
  number.range = true;
  number.range_min = 0;
  number.range_max = 1000;
  EXPECT_TRUE(rank(number, Op::kRange, "10", "500", "500"));
  EXPECT_FALSE(rank(number, Op::kRange, "10", "499", "500"));
  std::vector<FieldTerm> out;
  EXPECT_FALSE(value_terms(number, "1001", out));
}

TEST(FieldTermsTest, WhatIsNotIndexedIsRefusedWithAdvice) {
  auto name = field(ValueType::kName);
  Condition out;
  for (const auto op : {Op::kEquals, Op::kPrefix, Op::kRange, Op::kFuzzy, Op::kWords}) {
    EXPECT_FALSE(condition_terms(name, op, "x", "", out));
  }
  name.fuzzy = true;
  const auto refused = condition_terms(name, Op::kEquals, "x", "", out);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text, testing::HasSubstr("name (~)"));
}

}  // namespace
}  // namespace strongroom::index
