// The observer of a live store: sees which rows each query reads, as whoever runs the store's disk
// does, and holds against it what it knows of the people. It has no key.
//
// What it uses is known as search pattern (equal queries read equal rows), volume pattern (how many
// rows) and access pattern (which rows). Cash, Grubbs, Perry, Ristenpart: Leakage-abuse attacks
// against searchable encryption, CCS 2015 (the count attack).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "strongroom/drill/population.h"
#include "strongroom/store/store.h"

namespace strongroom::drill {

// What the drill's searches ask for. An observer sees the rows of an answer, so the more the worse
// for us: a clerk who is content with twenty shows no others.
inline constexpr uint32_t kAnswerMax = 250;

// What the store was asked for by one query. The store sees when it is asked, so queries of a vault
// that is not busy are told apart by time alone.
struct QueryReads {
  struct Posting {
    std::string key;
    size_t size = 0;  // Of the row; 0: there is none.
  };
  std::vector<Posting> postings;     // In the order asked for.
  std::vector<std::string> records;  // Keys.
};

// How many bytes the postings of a term take in its blocks, about, in a lane of so many records
// that came in bulk: the first takes 11, and each 64 others as many bits each as the longest step
// to one of them has, which are as far apart as chance has it. Ascending up to half of `records`.
double packed_bytes(double postings, double records);

// Passes everything on and notes what is read. Not thread-safe. Borrows the store.
class RecordingStore : public store::Store {
 public:
  explicit RecordingStore(store::Store& base) : base_(base) {}
  // What was read since the last call.
  QueryReads take() { return std::exchange(reads_, {}); }

  Result<void> get(store::Table table, std::span<const std::string> keys,
                   std::vector<std::optional<std::string>>& values) override;
  Result<void> put(std::span<const store::Put> puts, store::Durability durability) override {
    return base_.put(puts, durability);
  }
  Result<void> erase(std::span<const store::KeyRef> keys, store::Durability durability) override {
    return base_.erase(keys, durability);
  }
  Result<void> scan(store::Table table, std::string_view from, std::string_view to,
                    const std::function<bool(std::string_view, std::string_view)>& visit) override {
    return base_.scan(table, from, to, visit);
  }
  Result<std::unique_ptr<store::SortedRun>> begin_run(store::Table table) override {
    return base_.begin_run(table);
  }
  Result<void> ingest(std::unique_ptr<store::SortedRun> run) override {
    return base_.ingest(std::move(run));
  }
  Result<bool> compare_and_set(store::Table table, std::string_view key,
                               const std::optional<std::string>& expected,
                               std::string_view desired) override {
    return base_.compare_and_set(table, key, expected, desired);
  }
  Result<void> flush() override { return base_.flush(); }
  uint64_t position() override { return base_.position(); }
  Result<void> erase_range(store::Table table, std::string_view from,
                           std::string_view to) override {
    return base_.erase_range(table, from, to);
  }
  Result<uint64_t> measure(store::Table table, std::string_view from,
                           std::string_view to) override {
    return base_.measure(table, from, to);
  }
  Result<void> freeze(const std::string& folder) override { return base_.freeze(folder); }
  Result<void> ingest_files(store::Table table, std::string_view from, std::string_view to,
                            std::span<const std::string> files) override {
    return base_.ingest_files(table, from, to, files);
  }
  Result<store::StoreStats> stats() override { return base_.stats(); }

 private:
  store::Store& base_;
  QueryReads reads_;
};

// Who has a value: positions in a population, ascending.
using PeopleWith = std::vector<uint32_t>;

inline constexpr size_t kSearchable[] = {kName,    kNationalId, kPhone,    kDob,
                                         kSurname, kRegion,     kBirthYear};

// Everything one may search for exactly in a population, with the people who have it.
class SearchableValues {
 public:
  explicit SearchableValues(const Population& population);
  // The number of a value; UINT32_MAX if nobody has it.
  uint32_t find(size_t field, const std::string& value) const;
  size_t size() const { return people_.size(); }
  const PeopleWith& people(uint32_t value) const { return people_[value]; }
  size_t field(uint32_t value) const { return field_[value]; }
  const std::string& text(uint32_t value) const { return text_[value]; }

 private:
  std::unordered_map<std::string, uint32_t> numbers_;  // By field and text.
  std::vector<PeopleWith> people_;
  std::vector<size_t> field_;
  std::vector<std::string> text_;
};

using FieldShares = std::array<double, kColumns>;

struct LiveLearned {
  uint64_t queries = 0;
  uint64_t values = 0;    // Different ones searched for.
  uint64_t patterns = 0;  // Different ones as the observer tells them apart.
  uint64_t records = 0;   // Whose rows were read.
  // Queries of which the observer knows what was searched for:
  uint64_t by_modal = 0;  // saying each time the commonest value of all;
  uint64_t by_statistics =
      0;                     // from public statistics: the volumes that values are likely to have;
  uint64_t by_register = 0;  // from a copy of the register itself in clear, from elsewhere.
  // Of these, queries by surname: few values, each of many people.
  uint64_t surnames = 0;
  uint64_t surnames_by_statistics = 0;
  // Records of which the observer knows a searched value, or whose they are:
  uint64_t records_by_statistics = 0;
  uint64_t records_by_register = 0;
};

// Collects queries and attacks them. The truth that comes with each query is used for counting what
// is right and for nothing else.
class Observer {
 public:
  // `known`: the same people, for the attack of who has the register, and for the truth.
  // `sample`: other people, for the attack of who knows how common values are, and by which fields
  // people search: field_shares[f] of all queries.
  Observer(const SearchableValues& known, uint64_t known_people, const SearchableValues& sample,
           uint64_t sample_people, const FieldShares& field_shares);
  // `value`: in `known`, what was searched for.
  void see(const QueryReads& reads, uint32_t value);
  LiveLearned learn() const;

 private:
  struct Pattern {
    uint64_t times = 0;
    std::vector<uint32_t> rows;  // Record rows read, numbered.
    bool whole = true;           // Whether all that matched were read, or what an answer may hold.
    uint64_t least = 0, most = 0;  // How many matched.
    uint32_t truth = 0;            // The value, for counting.
  };
  std::vector<uint32_t> guess_by_statistics() const;
  std::vector<uint64_t> resolve_by_register() const;

  const SearchableValues& known_;
  const uint64_t known_people_;
  const SearchableValues& sample_;
  const uint64_t sample_people_;
  const FieldShares field_shares_;
  std::vector<uint64_t> class_of_;  // By known value: a hash of who has it.
  std::unordered_map<std::string, uint32_t> row_numbers_;
  std::unordered_map<std::string, size_t> at_;
  std::vector<Pattern> patterns_;
  std::vector<bool> value_seen_;
  uint64_t queries_ = 0;
  uint64_t values_ = 0;
};

}  // namespace strongroom::drill
