#include "strongroom/drill/live.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "strongroom/base/check.h"

namespace strongroom::drill {
namespace {

// A find reads rows until it has one more than the answer may hold: with fewer, all that matched
// were read.
constexpr size_t kRowsWholeBelow = kAnswerMax + 1;
// Below this, too many values are as common as each other to say anything.
constexpr size_t kStatisticsFrom = 3;

uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

std::string key_of(size_t field, const std::string& value) {
  return static_cast<char>('0' + field) + value;
}

// The most postings that take no more than `bytes`.
double postings_in(double bytes, double records) {
  double least = 0, most = records / 2;
  for (int i = 0; i < 40; ++i) {
    const double middle = (least + most) / 2;
    (packed_bytes(middle, records) <= bytes ? least : most) = middle;
  }
  return least;
}

// Between how many and how many postings were read, about: blocks are full but perhaps the last of
// a lane, which is the smallest there is, and where there are blocks, one of the small rows is a
// head.
std::pair<uint64_t, uint64_t> volume_by_postings(const std::vector<QueryReads::Posting>& postings,
                                                 uint64_t records) {
  constexpr size_t kLaneBytes = 3;
  constexpr size_t kSingleBytes = 16, kTailBytes = 256, kBlockBytes = 1024, kLargeBytes = 4096;
  constexpr double kTailHolds = 240, kBlockHolds = 1008, kLargeHolds = 4080;
  constexpr double kSlack = 0.04;  // Steps are not all what they are on the average.
  struct Lane {
    uint64_t singles = 0, tails = 0, blocks = 0, large = 0;
  };
  std::map<std::string, Lane> lanes;
  for (const auto& posting : postings) {
    if (posting.size == 0) continue;
    Lane& lane = lanes[posting.key.substr(0, kLaneBytes)];
    if (posting.size == kSingleBytes) ++lane.singles;
    if (posting.size == kTailBytes) ++lane.tails;
    if (posting.size == kBlockBytes) ++lane.blocks;
    if (posting.size == kLargeBytes) ++lane.large;
  }
  std::pair<uint64_t, uint64_t> out{0, 0};
  for (const auto& [id, lane] : lanes) {
    if (lane.blocks + lane.tails + lane.large == 0) {
      out.first += lane.singles;
      out.second += lane.singles;
      continue;
    }
    const double full = static_cast<double>(lane.blocks) * kBlockHolds +
                        static_cast<double>(lane.large) * kLargeHolds;
    // What the last one may lack.
    const double lack = lane.tails > 0    ? 0
                        : lane.blocks > 0 ? kBlockHolds - kTailHolds
                                          : kLargeHolds - 3 * kBlockHolds;
    const auto of = static_cast<double>(records);
    const double least = full - lack;
    const double most = full + (lane.tails > 0 ? kTailHolds : 0);
    out.first += static_cast<uint64_t>(postings_in(least, of) * (1 - kSlack)) + 1;
    out.second += static_cast<uint64_t>(postings_in(most, of) * (1 + kSlack)) + 1;
  }
  return out;
}

double log_chance(double seen, double expected, double variance) {
  return -(seen - expected) * (seen - expected) / (2 * variance) - std::log(variance) / 2;
}

}  // namespace

double packed_bytes(double postings, double records) {
  constexpr double kFirst = 11, kHead = 1, kGroup = 64;
  if (postings <= 1) return kFirst;
  const double share = std::min(0.999999, postings / records);
  const double group = std::min(kGroup, postings - 1);
  double bits = 0;  // Of the longest step, less one: by the chance that it has one more.
  for (int b = 0; b < 40; ++b) {
    const double longer = std::exp(std::log1p(-share) * std::exp2(b));
    bits += 1 - std::pow(1 - longer, group);
  }
  const double span = group / share - group;
  const double span_bytes = span < 1 ? 0 : 1 + std::floor(std::log2(span) / 7);
  return kFirst + (postings - 1) / group * (kHead + span_bytes) + (postings - 1) * bits / 8;
}

Result<void> RecordingStore::get(store::Table table, std::span<const std::string> keys,
                                 std::vector<std::optional<std::string>>& values) {
  if (table == store::Table::kPostings) {
    SR_TRY(base_.get(table, keys, values));
    for (size_t i = 0; i < keys.size(); ++i) {
      reads_.postings.push_back({keys[i], values[i] ? values[i]->size() : 0});
    }
    return {};
  }
  if (table == store::Table::kRecords) {
    reads_.records.insert(reads_.records.end(), keys.begin(), keys.end());
  }
  return base_.get(table, keys, values);
}

SearchableValues::SearchableValues(const Population& population) {
  const auto& people = population.people();
  for (uint32_t i = 0; i < people.size(); ++i) {
    for (const size_t field : kSearchable) {
      const std::string& text = people[i].values[field];
      const auto [it, fresh] =
          numbers_.emplace(key_of(field, text), static_cast<uint32_t>(people_.size()));
      if (fresh) {
        people_.emplace_back();
        field_.push_back(field);
        text_.push_back(text);
      }
      people_[it->second].push_back(i);
    }
  }
}

uint32_t SearchableValues::find(size_t field, const std::string& value) const {
  const auto it = numbers_.find(key_of(field, value));
  return it == numbers_.end() ? UINT32_MAX : it->second;
}

Observer::Observer(const SearchableValues& known, uint64_t known_people,
                   const SearchableValues& sample, uint64_t sample_people,
                   const FieldShares& field_shares)
    : known_(known),
      known_people_(known_people),
      sample_(sample),
      sample_people_(sample_people),
      field_shares_(field_shares),
      value_seen_(known.size(), false) {
  class_of_.reserve(known.size());
  for (uint32_t v = 0; v < known.size(); ++v) {
    uint64_t hash = 1;
    for (const uint32_t person : known.people(v)) hash = mix(hash ^ person);
    class_of_.push_back(hash | 1);  // 0: unknown.
  }
}

void Observer::see(const QueryReads& reads, uint32_t value) {
  ++queries_;
  if (!value_seen_.at(value)) {
    value_seen_[value] = true;
    ++values_;
  }
  if (reads.postings.empty()) return;
  // The first row asked for is the term's own, in its first lane.
  const auto [it, fresh] = at_.emplace(reads.postings.front().key, patterns_.size());
  if (fresh) {
    Pattern& pattern = patterns_.emplace_back();
    pattern.truth = value;
    for (const std::string& key : reads.records) {
      const auto number = static_cast<uint32_t>(row_numbers_.size());
      pattern.rows.push_back(row_numbers_.emplace(key, number).first->second);
    }
    std::sort(pattern.rows.begin(), pattern.rows.end());
    pattern.rows.erase(std::unique(pattern.rows.begin(), pattern.rows.end()), pattern.rows.end());
    pattern.whole = pattern.rows.size() < kRowsWholeBelow;
    pattern.least = pattern.most = pattern.rows.size();
    if (!pattern.whole) {
      std::tie(pattern.least, pattern.most) = volume_by_postings(reads.postings, known_people_);
    }
  }
  ++patterns_[it->second].times;
}

// In `sample`, by pattern; UINT32_MAX: no idea. Each value once: the commonest pattern chooses
// first.
std::vector<uint32_t> Observer::guess_by_statistics() const {
  struct Candidate {
    double share;
    uint32_t value;
    bool taken;
  };
  std::vector<Candidate> candidates;
  for (uint32_t v = 0; v < sample_.size(); ++v) {
    if (sample_.people(v).size() < 2) continue;
    candidates.push_back(
        {static_cast<double>(sample_.people(v).size()) / static_cast<double>(sample_people_), v,
         false});
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.share > b.share; });
  std::vector<size_t> order;
  for (size_t i = 0; i < patterns_.size(); ++i) {
    if (patterns_[i].most >= kStatisticsFrom) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return patterns_[a].most > patterns_[b].most; });

  const auto n = static_cast<double>(known_people_);
  const double noise = 1 + n / static_cast<double>(sample_people_);
  std::vector<uint32_t> guesses(patterns_.size(), UINT32_MAX);
  for (const size_t i : order) {
    const double volume =
        (static_cast<double>(patterns_[i].least) + static_cast<double>(patterns_[i].most)) / 2;
    const auto times = static_cast<double>(patterns_[i].times);
    const double reach = 4 * std::sqrt(volume * noise) + 4;
    auto from = std::partition_point(candidates.begin(), candidates.end(), [&](const Candidate& c) {
      return c.share * n > volume + reach;
    });
    Candidate* best = nullptr;
    double most = 0;
    for (; from != candidates.end() && from->share * n >= volume - reach; ++from) {
      if (from->taken) continue;
      // A name is asked for as often as there are people of that name, but some people are asked
      // for much more often than others: a broad guess.
      const double field = field_shares_[sample_.field(from->value)];
      const double asked = static_cast<double>(queries_) * from->share * field;
      const double chance = log_chance(volume, from->share * n, from->share * n * noise + 1) +
                            log_chance(times, asked, 10 * asked + 1) + std::log(field + 1e-9);
      if (best == nullptr || chance > most) {
        best = &*from;
        most = chance;
      }
    }
    if (best == nullptr) continue;
    best->taken = true;
    guesses[i] = best->value;
  }
  return guesses;
}

// By pattern: the class of the value, once only one class of the register fits; 0: not yet.
//
// A class fits if it has as many people as rows were read, and if these people are as much in the
// classes already known as the rows are in their patterns. What is found narrows the rest, so it
// goes on until nothing is found. Where not all rows were read, the number of people alone decides.
std::vector<uint64_t> Observer::resolve_by_register() const {
  std::vector<uint64_t> resolved(patterns_.size(), 0);
  std::unordered_map<uint64_t, uint32_t> value_of_class;
  std::multimap<uint64_t, uint64_t> by_volume;  // Of the large ones.
  for (uint32_t v = 0; v < known_.size(); ++v) {
    if (!value_of_class.emplace(class_of_[v], v).second) continue;
    if (known_.people(v).size() >= kRowsWholeBelow) {
      by_volume.emplace(known_.people(v).size(), class_of_[v]);
    }
  }
  std::vector<uint64_t> of_row(row_numbers_.size(), 0), of_person(known_people_, 0);
  std::unordered_map<uint64_t, bool> used;
  for (size_t i = 0; i < patterns_.size(); ++i) {
    if (patterns_[i].whole) continue;
    const auto first = by_volume.lower_bound(patterns_[i].least);
    const auto last = by_volume.upper_bound(patterns_[i].most);
    if (first != last && std::next(first) == last) resolved[i] = first->second;
  }
  const auto signature = [](size_t size, const std::vector<uint32_t>& members,
                            const std::vector<uint64_t>& of) {
    uint64_t sum = mix(size);
    for (const uint32_t member : members) sum += mix(of[member]);
    return sum;
  };
  for (bool found = true; found;) {
    found = false;
    constexpr uint64_t kSeveral = 0;
    std::unordered_map<uint64_t, uint64_t> fitting;
    for (const auto& [of_class, value] : value_of_class) {
      const PeopleWith& people = known_.people(value);
      const auto [it, fresh] =
          fitting.emplace(signature(people.size(), people, of_person), of_class);
      if (!fresh) it->second = kSeveral;
    }
    std::vector<uint64_t> news;
    for (size_t i = 0; i < patterns_.size(); ++i) {
      const Pattern& pattern = patterns_[i];
      if (resolved[i] != 0 || !pattern.whole || pattern.rows.empty()) continue;
      const auto it = fitting.find(signature(pattern.rows.size(), pattern.rows, of_row));
      if (it == fitting.end() || it->second == kSeveral) continue;
      resolved[i] = it->second;
      found = true;
      if (!used.emplace(it->second, true).second) continue;
      news.push_back(i);
    }
    for (const size_t i : news) {
      const uint64_t mark = mix(resolved[i]);
      for (const uint32_t row : patterns_[i].rows) of_row[row] += mark;
      for (const uint32_t person : known_.people(value_of_class.at(resolved[i]))) {
        of_person[person] += mark;
      }
    }
  }
  return resolved;
}

LiveLearned Observer::learn() const {
  LiveLearned out;
  out.queries = queries_;
  out.values = values_;
  out.patterns = patterns_.size();
  out.records = row_numbers_.size();
  uint32_t commonest = 0;
  for (uint32_t v = 0; v < sample_.size(); ++v) {
    if (sample_.people(v).size() > sample_.people(commonest).size()) commonest = v;
  }
  const auto by_statistics = guess_by_statistics();
  const auto by_register = resolve_by_register();
  std::vector<bool> row_by_statistics(row_numbers_.size(), false);
  std::vector<bool> row_by_register(row_numbers_.size(), false);
  const auto means = [&](uint32_t guess, uint32_t truth) {
    return guess != UINT32_MAX && sample_.field(guess) == known_.field(truth) &&
           sample_.text(guess) == known_.text(truth);
  };
  for (size_t i = 0; i < patterns_.size(); ++i) {
    const Pattern& pattern = patterns_[i];
    if (means(commonest, pattern.truth)) out.by_modal += pattern.times;
    const uint64_t by_surname = known_.field(pattern.truth) == kSurname ? pattern.times : 0;
    out.surnames += by_surname;
    if (means(by_statistics[i], pattern.truth)) {
      out.by_statistics += pattern.times;
      out.surnames_by_statistics += by_surname;
      for (const uint32_t row : pattern.rows) row_by_statistics[row] = true;
    }
    if (by_register[i] == class_of_[pattern.truth]) {
      out.by_register += pattern.times;
      for (const uint32_t row : pattern.rows) row_by_register[row] = true;
    }
  }
  out.records_by_statistics =
      static_cast<uint64_t>(std::count(row_by_statistics.begin(), row_by_statistics.end(), true));
  out.records_by_register =
      static_cast<uint64_t>(std::count(row_by_register.begin(), row_by_register.end(), true));
  return out;
}

}  // namespace strongroom::drill
