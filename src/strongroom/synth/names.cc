#include "strongroom/synth/names.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>

namespace strongroom::synth {
namespace {

struct Surname {
  std::string_view text;
  uint32_t weight;  // People in 100,000, after the shares the Ministry of Public Security published
                    // for 2018-2020.
};

constexpr Surname kSurnames[] = {
    {"王", 7170}, {"李", 7000}, {"张", 6740}, {"刘", 5100}, {"陈", 4610}, {"杨", 3220},
    {"黄", 2450}, {"赵", 2200}, {"吴", 2050}, {"周", 2020}, {"徐", 1500}, {"孙", 1450},
    {"马", 1290}, {"朱", 1260}, {"胡", 1160}, {"郭", 1150}, {"何", 1080}, {"林", 1030},
    {"高", 1000}, {"罗", 860},  {"郑", 850},  {"梁", 810},  {"谢", 760},  {"宋", 700},
    {"唐", 680},  {"许", 660},  {"韩", 640},  {"邓", 620},  {"冯", 600},  {"曹", 590},
    {"彭", 580},  {"曾", 560},  {"肖", 550},  {"田", 540},  {"董", 530},  {"潘", 520},
    {"袁", 510},  {"蔡", 500},  {"蒋", 490},  {"余", 480},  {"于", 460},  {"杜", 450},
    {"叶", 440},  {"程", 430},  {"魏", 420},  {"苏", 410},  {"吕", 400},  {"丁", 390},
    {"任", 380},  {"卢", 370},  {"姚", 360},  {"沈", 350},  {"钟", 340},  {"姜", 330},
    {"崔", 330},  {"谭", 320},  {"陆", 310},  {"范", 310},  {"汪", 300},  {"廖", 300},
    {"石", 290},  {"金", 290},  {"韦", 280},  {"贾", 280},  {"夏", 270},  {"付", 270},
    {"方", 260},  {"邹", 260},  {"熊", 250},  {"白", 250},  {"孟", 240},  {"秦", 240},
    {"邱", 230},  {"侯", 230},  {"江", 220},  {"尹", 220},  {"薛", 210},  {"闫", 210},
    {"雷", 200},  {"龙", 200},  {"黎", 200},  {"史", 190},  {"陶", 190},  {"贺", 190},
    {"毛", 180},  {"段", 180},  {"郝", 180},  {"顾", 170},  {"龚", 170},  {"邵", 170},
    {"覃", 160},  {"武", 160},  {"钱", 160},  {"戴", 150},  {"严", 150},  {"莫", 150},
    {"孔", 140},  {"向", 140},  {"常", 130},  {"汤", 130},  {"康", 120},  {"易", 120},
    {"乔", 120},  {"赖", 110},  {"文", 110},  {"施", 100},  {"洪", 100},  {"辛", 90},
    {"柯", 80},   {"颜", 80},   {"庄", 80},   {"温", 80},   {"齐", 70},   {"倪", 70},
    {"葛", 70},   {"俞", 60},   {"章", 60},   {"鲁", 60},   {"欧阳", 60}, {"司马", 3},
    {"上官", 9},  {"诸葛", 5},  {"令狐", 5},  {"皇甫", 4},  {"尉迟", 2},  {"慕容", 2},
};

constexpr auto kSurnameEnds = [] {
  std::array<uint32_t, std::size(kSurnames)> ends{};
  uint32_t sum = 0;
  for (size_t i = 0; i < ends.size(); ++i) ends[i] = sum += kSurnames[i].weight;
  return ends;
}();

// Characters of given names, three bytes each. Early ones are more common: see pick_character.
constexpr std::string_view kMale =
    "伟强军勇杰涛明超刚平辉鹏华飞波斌亮建国志文龙林峰东海俊浩宇鑫永福生德才荣光祥瑞成立新庆天一凯旋"
    "嘉博泽轩"
    "晨铭航睿哲毅昊翔振宏家豪子沐景行承书远知星河启润霖卓恒";
constexpr std::string_view kFemale =
    "芳娜秀英敏静丽艳娟霞玲兰萍红燕梅婷倩颖雪玉桂莉珍珠凤云月琴春香洁琳璐蕾欣怡佳琪思涵雨梦可心语彤"
    "诺慧美瑶"
    "诗韵若曦悦妍菲清言晓然馨宁依婉紫芸岚";

struct Era {
  unsigned until;  // Year of birth, exclusive.
  std::array<std::string_view, 12> male;
  std::array<std::string_view, 12> female;
};

constexpr Era kEras[] = {
    {1960,
     {"建国", "国强", "志强", "德明", "福生", "玉林", "振华", "永昌", "文忠", "金龙", "树林",
      "长海"},
     {"秀英", "桂英", "玉兰", "秀兰", "淑珍", "凤英", "桂兰", "玉珍", "秀珍", "淑英", "素珍",
      "玉梅"}},
    {1980,
     {"建军", "卫东", "国庆", "建华", "志刚", "红军", "海涛", "爱民", "永强", "文革", "建平",
      "军民"},
     {"丽华", "春梅", "秀丽", "红梅", "海燕", "晓红", "丽萍", "爱华", "小红", "卫红", "玉霞",
      "艳红"}},
    {2000,
     {"志伟", "俊杰", "晓东", "海波", "鹏飞", "文杰", "建伟", "少华", "俊峰", "浩然", "家豪",
      "振宇"},
     {"婷婷", "晓燕", "丹丹", "静怡", "佳佳", "雪梅", "文静", "莉莉", "慧敏", "思思", "雅琴",
      "晓雪"}},
    {9999,
     {"浩宇", "子轩", "宇航", "浩然", "梓豪", "俊熙", "沐辰", "奕辰", "一诺", "宇轩", "睿哲",
      "铭泽"},
     {"梓涵", "欣怡", "诗涵", "子涵", "雨桐", "可馨", "一诺", "依诺", "语桐", "梓萱", "思彤",
      "若曦"}},
};

std::string_view pick_character(Rng& rng, std::string_view characters) {
  const uint64_t n = characters.size() / 3;
  // The lesser of two draws: the first characters come about twice as often as the middle ones.
  const uint64_t at = std::min(rng.below(n), rng.below(n));
  return characters.substr(at * 3, 3);
}

}  // namespace

void append_name(Rng& rng, bool male, unsigned birth_year, std::string& out) {
  const uint64_t drawn = rng.below(kSurnameEnds.back());
  const auto surname =
      std::upper_bound(kSurnameEnds.begin(), kSurnameEnds.end(), drawn) - kSurnameEnds.begin();
  out += kSurnames[surname].text;
  if (rng.chance(20)) {
    const Era* era = kEras;
    while (birth_year >= era->until) ++era;
    out += (male ? era->male : era->female)[rng.below(12)];
    return;
  }
  const std::string_view characters = male ? kMale : kFemale;
  out += pick_character(rng, characters);
  if (rng.chance(80)) out += pick_character(rng, characters);
}

}  // namespace strongroom::synth
