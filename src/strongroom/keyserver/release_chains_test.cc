#include "strongroom/keyserver/release_chains.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace strongroom::keyserver {
namespace {

TEST(ReleaseChainsTest, CountsAndRemembersTheLastAsAMapDoes) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  ReleaseChains chains;
  std::map<uint64_t, RecordReleases> model;
  for (uint64_t leaf = 1; leaf < 20'000; ++leaf) {
    const uint64_t idx = random() % 300 * (random() % 2 == 0 ? 1 : 4096);
    const auto known = chains.of(RecordIndex{idx});
    EXPECT_EQ(known.count, model[idx].count);
    EXPECT_EQ(known.last, model[idx].last);
    chains.add(RecordIndex{idx}, leaf);
    model[idx] = {model[idx].count + 1, leaf};
  }
}

TEST(ReleaseChainsTest, TheLargestLeafFits) {
  ReleaseChains chains;
  chains.add(RecordIndex{RecordIndex::kMax}, ReleaseChains::kLeafMax);
  EXPECT_EQ(chains.of(RecordIndex{RecordIndex::kMax}).last, ReleaseChains::kLeafMax);
  EXPECT_EQ(chains.of(RecordIndex{RecordIndex::kMax}).count, 1u);
  EXPECT_EQ(chains.of(RecordIndex{RecordIndex::kMax - 1}).count, 0u);
}

}  // namespace
}  // namespace strongroom::keyserver
