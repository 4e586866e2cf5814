// That the attack works where there is something to attack, and finds nothing where there is not.
#include "strongroom/drill/frequency.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "strongroom/drill/population.h"
#include "strongroom/synth/random.h"

namespace strongroom::drill {
namespace {

constexpr uint64_t kPeople = 50'000;

std::vector<Label> blind(std::span<const Value> values) {
  std::vector<Label> out;
  for (const Value v : values) out.push_back(synth::mix64(v + 77) >> 1);
  return out;
}

double right(const std::vector<Value>& guesses, const std::vector<Value>& truth) {
  return static_cast<double>(count_right(guesses, truth)) / static_cast<double>(truth.size());
}

// Values whose shares fall by a third each: nobody can mistake one for the next.
std::vector<Value> skewed(uint64_t seed) {
  synth::Rng rng(seed, 1, 1);
  std::vector<Value> out;
  for (uint64_t i = 0; i < kPeople; ++i) {
    Value v = 0;
    while (v < 15 && rng.chance(66)) ++v;
    out.push_back(v);
  }
  return out;
}

TEST(FrequencyTest, ADeterministicIndexOfASkewedColumnIsRead) {
  const auto truth = skewed(1);
  const auto table = make_table(skewed(2), 16);
  EXPECT_GT(right(match_by_rank(blind(truth), table), truth), 0.95);
  EXPECT_GT(right(match_by_assignment(blind(truth), table), truth), 0.95);
}

TEST(FrequencyTest, SurnamesBehindAnHmacAreMostlyRead) {
  Dictionary dictionary;
  const Population victims(kPeople, 1), others(kPeople, 2);
  const auto truth = victims.attribute(Attribute::kSurname, dictionary);
  const auto sample = others.attribute(Attribute::kSurname, dictionary);
  const auto table = make_table(sample, dictionary.size(Attribute::kSurname));
  EXPECT_GT(right(match_by_rank(blind(truth), table), truth), 0.5);
  EXPECT_GT(right(match_by_assignment(blind(truth), table), truth), 0.5);
}

TEST(FrequencyTest, RandomLabelsAreWorthTheModalGuess) {
  const auto truth = skewed(1);
  const auto table = make_table(skewed(2), 16);
  const double modal = right(std::vector<Value>(kPeople, table.modal()), truth);
  synth::Rng rng(3, 1, 1);
  std::vector<Label> unique(kPeople), few(kPeople);
  std::iota(unique.begin(), unique.end(), Label{0});
  for (Label& label : few) label = rng.below(16);
  for (const auto& labels : {unique, few}) {
    EXPECT_LT(right(match_by_rank(labels, table), truth), modal + 0.01);
    EXPECT_LT(right(match_by_assignment(labels, table), truth), modal + 0.01);
    EXPECT_LT(right(match_by_example(labels, skewed(2), labels, table), truth), modal + 0.01);
  }
  EXPECT_EQ(right(match_by_rank(std::vector<Label>(kPeople, kNoLabel), table), truth), modal);
}

TEST(FrequencyTest, AnAssignmentBeatsRanksWhereLabelsAreMissing) {
  // The commonest value does not occur: ranks are off by one, counts are not.
  auto truth = skewed(1);
  std::erase(truth, Value{0});
  const auto table = make_table(skewed(2), 16);
  PublicTable same = table;
  // The shares among those who are left.
  double sum = 0;
  for (size_t v = 1; v < 16; ++v) sum += same.share[v];
  for (size_t v = 1; v < 16; ++v) same.share[v] /= sum;
  same.share[0] = 0.6;
  EXPECT_LT(right(match_by_rank(blind(truth), same), truth), 0.1);
  EXPECT_GT(right(match_by_assignment(blind(truth), same), truth), 0.9);
}

TEST(FrequencyTest, AnExampleTeachesWhatLabelsMean) {
  const auto truth = skewed(1), own = skewed(2);
  const auto table = make_table(own, 16);
  const auto labels_of = [](const std::vector<Value>& values) {
    std::vector<Label> out;
    for (const Value v : values) out.push_back(v / 4);  // Like a size: several values share one.
    return out;
  };
  const double modal = right(std::vector<Value>(kPeople, table.modal()), truth);
  EXPECT_GT(right(match_by_example(labels_of(own), own, labels_of(truth), table), truth),
            modal + 0.05);
}

TEST(FrequencyTest, ASortedSourceIsReadByItsOrderAlone) {
  auto truth = skewed(1);
  std::sort(truth.begin(), truth.end());
  const auto table = make_table(skewed(2), 16);
  std::vector<uint64_t> positions(kPeople);
  std::iota(positions.begin(), positions.end(), uint64_t{0});
  std::vector<uint32_t> order(16);
  std::iota(order.begin(), order.end(), 0u);
  EXPECT_GT(right(match_by_order(positions, table, order), truth), 0.97);
  const auto shuffled = skewed(1);
  const double modal = right(std::vector<Value>(kPeople, table.modal()), shuffled);
  EXPECT_LT(right(match_by_order(positions, table, order), shuffled), modal + 0.01);
}

TEST(FrequencyTest, TheAssignmentIsTheCheapest) {
  // Few enough to try all: counts of 7 labels, shares of 7 values.
  const std::vector<uint64_t> counts{40, 25, 13, 11, 6, 4, 1};
  std::vector<Label> labels;
  for (size_t l = 0; l < counts.size(); ++l) labels.insert(labels.end(), counts[l], l);
  const PublicTable table{{0.05, 0.3, 0.12, 0.02, 0.35, 0.1, 0.06}, 100};
  const auto guesses = match_by_assignment(labels, table);
  std::vector<Value> first;
  for (size_t l = 0, at = 0; l < counts.size(); at += counts[l++]) first.push_back(guesses[at]);
  const auto cost = [&](const std::vector<Value>& of) {
    double sum = 0;
    for (size_t l = 0; l < counts.size(); ++l) {
      const double expected = 100 * table.share[of[l]];
      const double variance = expected * 2 + 1;
      const double off = static_cast<double>(counts[l]) - expected;
      sum += off * off / variance + std::log(variance);
    }
    return sum;
  };
  std::vector<Value> each{0, 1, 2, 3, 4, 5, 6};
  double least = cost(each);
  do {
    least = std::min(least, cost(each));
  } while (std::next_permutation(each.begin(), each.end()));
  EXPECT_NEAR(cost(first), least, 1e-9);
}

}  // namespace
}  // namespace strongroom::drill
