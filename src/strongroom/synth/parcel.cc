#include "strongroom/synth/parcel.h"

#include <string_view>

namespace strongroom::synth {
namespace {

enum : uint64_t { kParcelStream = 5, kTrackingStream = 6 };

constexpr uint64_t kTrackingNumbers = 10'000'000'000'000;  // 13 digits.
constexpr std::string_view kContents[] = {
    "服装一件",     "运动鞋一双", "图书三册",     "手机配件", "化妆品两件", "茶叶礼盒",
    "婴儿奶粉两罐", "家用小电器", "文件资料",     "保健食品", "床上用品",   "儿童玩具",
    "厨房用具",     "数码产品",   "地方特产一箱", "处方药品", "宠物用品",   "办公耗材",
    "水果一箱",     "眼镜一副",   "电动工具",     "雨伞两把", "护肤套装",   "汽车用品"};
constexpr std::string_view kNotes[] = {"（放丰巢柜）",           "（送货前请电话联系）",
                                       "（放门卫室代收）",       "（驿站自提）",
                                       "（工作日白天无人在家）", "（易碎，轻拿轻放）"};

}  // namespace

Parcels::Parcels(const People& people, uint64_t seed)
    : people_(people), seed_(seed), tracking_(kTrackingNumbers, seed, kTrackingStream) {}

void Parcels::make(uint64_t i, Parcel& out) const {
  Rng rng(seed_, kParcelStream, i);
  out.tracking_no.assign("SF");
  append_number(out.tracking_no, tracking_(i), 13);
  out.sent.clear();
  const int64_t first_day = days_from_date({2020, 1, 1});
  const int64_t last_day = days_from_date({2025, 12, 31});
  append_date(out.sent,
              date_from_days(first_day + static_cast<int64_t>(rng.below(
                                             static_cast<uint64_t>(last_day - first_day + 1)))));
  people_.make(rng.below(i + 1), out.sender);
  people_.make(rng.below(i + 1), out.recipient);
  out.content.assign(rng.pick(kContents));
  if (rng.chance(30)) out.content += rng.pick(kNotes);
}

}  // namespace strongroom::synth
