#include "strongroom/sim/theft.h"

#include <gtest/gtest.h>

#include <cmath>
#include <iostream>
#include <map>

#include "strongroom/sim/bounds.h"
#include "strongroom/sim/thieves.h"

namespace strongroom::sim {
namespace {

TEST(TheftTest, NoThiefGetsMoreThanTheBoundComputedBefore) {
  std::map<std::string, int> noticed;
  constexpr uint64_t kSeeds = 5;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const auto thefts = simulate_thefts(seed);
    ASSERT_TRUE(thefts) << thefts.error().text;
    for (const Theft& theft : *thefts) {
      std::cout << "seed " << seed << ": " << theft.name << " lost " << theft.lost << " of at most "
                << theft.bound << ", noticed by " << theft.noticed_by << "\n";
      EXPECT_LE(theft.lost, theft.bound) << theft.name << ", seed " << seed;
      if (!theft.noticed_by.empty()) ++noticed[theft.name];
    }
  }
  for (const char* name :
       {"smash-and-grab", "walk", "ten colluders", "replayed and forged", "clock moved back"}) {
    EXPECT_EQ(noticed[name], static_cast<int>(kSeeds)) << name;
  }
}

TEST(TheftTest, TheSameSeedIsTheSameTheft) {
  const auto one = simulate_thefts(9);
  const auto two = simulate_thefts(9);
  ASSERT_TRUE(one && two);
  ASSERT_EQ(one->size(), two->size());
  for (size_t i = 0; i < one->size(); ++i) {
    EXPECT_EQ((*one)[i].lost, (*two)[i].lost) << (*one)[i].name;
    EXPECT_EQ((*one)[i].noticed_by, (*two)[i].noticed_by) << (*one)[i].name;
    EXPECT_EQ((*one)[i].noticed_ms, (*two)[i].noticed_ms) << (*one)[i].name;
  }
}

TEST(TheftTest, ASpentBudgetIsSpentExactly) {
  // The bound is not just a wide one: honest arithmetic reaches it.
  SimOptions options;
  options.days = 0;
  options.canaries = 0;
  options.watched = false;
  auto vault = SimVault::found(options);
  ASSERT_TRUE(vault);
  synth::Rng rng(1, 1, 1);
  Heist heist(**vault);
  for (const char* purpose : {"service", "investigation"}) {
    const auto ticket = (*vault)->ticket({.principal = "clerk0", .purpose = purpose}, rng);
    for (int i = 0; i < 200; ++i) {
      heist.call(release_call(ticket, random_bytes(rng, 16), heist.some_records(1, rng),
                              (*vault)->version(), true));
    }
  }
  EXPECT_EQ(heist.lost(),
            bound_by_budgets((*vault)->policy(), "clerk", kCollectionName, 3'600'000));
}

TEST(BoundsTest, CanariesByTheFormula) {
  EXPECT_NEAR(chance_of_canary(10, 1000, 100), 1 - std::pow(0.99, 100), 1e-12);
  EXPECT_EQ(chance_of_canary(0, 1000, 100), 0);
}

}  // namespace
}  // namespace strongroom::sim
