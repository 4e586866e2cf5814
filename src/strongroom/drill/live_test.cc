// The observer of a live store, on stores that leak as ours does and on one that would not.
#include "strongroom/drill/live.h"

#include <gtest/gtest.h>

#include "strongroom/synth/random.h"

namespace strongroom::drill {
namespace {

constexpr uint64_t kPeople = 20'000;

std::string key(const char* what, uint64_t i) {
  return what + std::to_string(synth::mix64(i));
}

TEST(RecordingStoreTest, NotesWhatIsReadAndPassesItOn) {
  const auto below = store::open_memory_store();
  RecordingStore store(*below);
  ASSERT_TRUE(store.put(std::vector<store::Put>{{store::Table::kRecords, "r", "v"}},
                        store::Durability::kSynced));
  std::vector<std::optional<std::string>> values;
  const std::vector<std::string> labels{"a", "b"}, rows{"r"};
  ASSERT_TRUE(store.get(store::Table::kPostings, labels, values));
  ASSERT_TRUE(store.get(store::Table::kRecords, rows, values));
  EXPECT_EQ(values.at(0), "v");
  const QueryReads reads = store.take();
  ASSERT_EQ(reads.postings.size(), 2u);
  EXPECT_EQ(reads.postings[1].key, "b");
  EXPECT_EQ(reads.postings[1].size, 0u);
  EXPECT_EQ(reads.records, rows);
  EXPECT_TRUE(store.take().postings.empty());
}

class ObserverTest : public testing::Test {
 protected:
  Population people_{kPeople, 1}, others_{kPeople, 2};
  SearchableValues known_{people_}, sample_{others_};

  // As our store shows it: the same rows for the same value, and the rows of who has it.
  static FieldShares all_fields() {
    FieldShares out{};
    for (const size_t field : kSearchable) out[field] = 1.0 / std::size(kSearchable);
    return out;
  }
  QueryReads leaky(uint32_t value) const {
    QueryReads reads;
    const auto& people = known_.people(value);
    reads.postings = {{key("label", value), 16}};
    double left = packed_bytes(static_cast<double>(people.size()), kPeople);
    while (people.size() >= 8 && left > 0) {
      const size_t size = left > 3 * 1008 ? 4096 : left > 240 ? 1024 : 256;
      reads.postings.push_back({key("label", value), size});
      left -= static_cast<double>(size) - 16;
    }
    for (size_t p = 0; p < people.size() && p < kAnswerMax + 1; ++p) {
      reads.records.push_back(key("row", people[p]));
    }
    return reads;
  }
};

TEST_F(ObserverTest, WhoHasTheRegisterReadsManyQueriesOfALeakyStore) {
  Observer observer(known_, kPeople, sample_, kPeople, all_fields());
  synth::Rng rng(5, 1, 1);
  for (int q = 0; q < 5000; ++q) {
    const auto& person = people_.people()[rng.below(kPeople)];
    const size_t field = kSearchable[rng.below(std::size(kSearchable))];
    const uint32_t value = known_.find(field, person.values[field]);
    observer.see(leaky(value), value);
  }
  const LiveLearned learned = observer.learn();
  EXPECT_EQ(learned.queries, 5000u);
  EXPECT_EQ(learned.values, learned.patterns);
  EXPECT_GT(learned.by_register, 1000u);
  EXPECT_GT(learned.by_statistics, learned.by_modal);
  EXPECT_LT(learned.by_statistics, learned.by_register);
}

TEST_F(ObserverTest, NothingIsLearnedWhereEveryQueryReadsOtherRows) {
  Observer observer(known_, kPeople, sample_, kPeople, all_fields());
  synth::Rng rng(5, 1, 1);
  for (uint64_t q = 0; q < 3000; ++q) {
    const auto& person = people_.people()[rng.below(kPeople)];
    // As an oblivious store would show it: as many rows each time, never the same.
    QueryReads reads;
    reads.postings = {{key("label", q), 16}};
    for (uint64_t r = 0; r < 20; ++r) reads.records.push_back(key("row", q * 20 + r));
    observer.see(reads, known_.find(kName, person.values[kName]));
  }
  const LiveLearned learned = observer.learn();
  EXPECT_LE(learned.by_register, 30u);
  EXPECT_LE(learned.by_statistics, 30u);
}

}  // namespace
}  // namespace strongroom::drill
