#include "strongroom/compactor/choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <random>

namespace strongroom::compactor {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<LaneSize> lanes(std::initializer_list<uint64_t> sizes) {
  std::vector<LaneSize> out;
  for (const uint64_t size : sizes) {
    out.push_back({LaneId{static_cast<uint32_t>(out.size() + 1)}, size});
  }
  return out;
}

std::vector<uint32_t> chosen(std::initializer_list<uint64_t> sizes, ChoiceRules rules = {4, 1000}) {
  std::vector<uint32_t> out;
  for (const LaneId lane : choose_merge(lanes(sizes), rules)) out.push_back(lane.value);
  return out;
}

TEST(ChoiceTest, FewLanesAreLeftAlone) {
  EXPECT_THAT(chosen({}), IsEmpty());
  EXPECT_THAT(chosen({1, 1, 1, 1}), IsEmpty());
  EXPECT_THAT(chosen({501, 900, 1000, 600, 700, 800}), IsEmpty()) << "full ones do not count";
}

TEST(ChoiceTest, LanesOfASizeAreMergedTogether) {
  EXPECT_THAT(chosen({10, 10, 10, 10, 10}), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_THAT(chosen({10, 400, 10, 10, 10}), ElementsAre(1, 3, 4, 5))
      << "a large one is not moved for a few small ones";
  EXPECT_THAT(chosen({300, 300, 300, 300, 300}), ElementsAre(1, 2, 3)) << "up to the limit";
}

// Its common terms would be read row by row, for as long as nothing else comes.
TEST(ChoiceTest, ALargeOnlineLaneIsPackedThoughLanesAreFew) {
  const ChoiceRules rules{4, 1000, 100};
  const auto choose = [&](std::vector<LaneSize> lanes) { return choose_merge(lanes, rules); };
  EXPECT_THAT(choose({{LaneId{1}, 500}, {LaneId{2}, 100, true}}), IsEmpty());
  EXPECT_THAT(choose({{LaneId{1}, 400}, {LaneId{2}, 101, true}}), ElementsAre(LaneId{2}));
  EXPECT_THAT(choose({{LaneId{1}, 300, true}, {LaneId{2}, 101, true}, {LaneId{3}, 5, true}}),
              ElementsAre(LaneId{2}, LaneId{1}));
  EXPECT_THAT(choose({{LaneId{1}, 501, true}}), IsEmpty()) << "full";
}

TEST(ChoiceTest, OtherwiseTheTwoSmallest) {
  EXPECT_THAT(chosen({400, 100, 27, 9, 1}), ElementsAre(5, 4));
}

// Years of imports and gateway starts: the number of lanes stays near what their size demands, and
// no posting is moved about more than a few times.
TEST(ChoiceTest, OverYearsLanesStayFewAndMovesStayFew) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const ChoiceRules rules{random() % 2 == 0 ? 2u : 4u, 1 << 20};
  std::vector<LaneSize> live;
  uint64_t written = 0, moved = 0;
  uint32_t next = 1;
  for (int day = 0; day < 3000; ++day) {
    const uint64_t size = day % 7 == 0 ? 1 + random() % 300'000 : 1 + random() % 2000;
    live.push_back({LaneId{next++}, size});
    written += size;
    for (;;) {
      const auto merge = choose_merge(live, rules);
      if (merge.empty()) break;
      ASSERT_GE(merge.size(), 2u);
      uint64_t sum = 0;
      std::erase_if(live, [&](const LaneSize& l) {
        if (std::find(merge.begin(), merge.end(), l.lane) == merge.end()) return false;
        sum += l.postings;
        return true;
      });
      ASSERT_LE(sum, rules.postings_max);
      moved += sum;
      live.push_back({LaneId{next++}, sum});
    }
    ASSERT_LE(live.size(), rules.lanes_max + 2 * written / rules.postings_max + 1) << day;
  }
  EXPECT_LT(moved, 12 * written);
}

}  // namespace
}  // namespace strongroom::compactor
