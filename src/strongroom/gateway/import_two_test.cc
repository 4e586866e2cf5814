// Two imports at once: what one has not committed yet says nothing to the other.
#include <gtest/gtest.h>

#include "strongroom/gateway/import_testing.h"

namespace strongroom::gateway {
namespace {

using test::GatewayVault;
using test::Source;

class TwoImportsTest : public ImportTest {
 protected:
  std::string begin(const Source& source) {
    const auto begun = vault_.begin(vault_.begin_request(source));
    EXPECT_TRUE(begun);
    return begun ? begun->import_id() : "";
  }
};

TEST_F(TwoImportsTest, AValueOfAnotherImportsOpenChunkIsTaken) {
  const Source first = people_file("a", 0, 5), second = people_file("b", 3, 5);
  const std::string a = begin(first), b = begin(second);
  ASSERT_TRUE(vault_.batch(first, a, 0, 5));
  const auto state = vault_.batch(second, b, 0, 5);
  ASSERT_TRUE(state);
  EXPECT_EQ(state->rejects_size(), 2);
  const auto done = vault_.finish(second, b);
  ASSERT_TRUE(done);
  EXPECT_EQ(counts(*done), (Counts{3, 0, 0, 2}));
  vault_.restart();  // The first is never finished: what the second went by must be there all the
                     // same.
  EXPECT_EQ(vault_.records().size(), 8u);
  EXPECT_EQ(import(first), (Counts{5, 0, 0, 0})) << "it goes on behind what the other committed";
  EXPECT_EQ(vault_.records().size(), 8u);
}

TEST_F(TwoImportsTest, ByKeyUnchangedIsOnlyWhatIsInTheStore) {
  const Source first = people_file("a", 0, 5, "number"), second = people_file("b", 0, 5, "number");
  const std::string a = begin(first), b = begin(second);
  ASSERT_TRUE(vault_.batch(first, a, 0, 5));
  ASSERT_TRUE(vault_.batch(second, b, 0, 5));
  const auto done = vault_.finish(second, b);
  ASSERT_TRUE(done);
  EXPECT_EQ(counts(*done), (Counts{0, 0, 5, 0}));
  vault_.crash();
  EXPECT_EQ(vault_.records().size(), 5u) << "what was called unchanged is there";
}

TEST_F(TwoImportsTest, RowsThatWaitInBothAreEachReportedToTheirOwn) {
  Source first = people_file("a", 0, 4, "number"), second = people_file("b", 4, 4, "number");
  for (Source* source : {&first, &second}) {
    source->rows.push_back(source->rows[0]);  // Waits for its own chunk ...
    source->rows.back()[3] = "Xian";
    source->rows.push_back(source->rows[1]);  // ... and so does this, to be refused.
    source->rows.back()[2] = source->rows[2][2];
  }
  second.rows.push_back(first.rows[3]);
  second.rows.back()[3] = "Harbin";
  const std::string a = begin(first), b = begin(second);
  ASSERT_TRUE(vault_.batch(first, a, 0, first.rows.size()));
  auto state = vault_.batch(second, b, 0, second.rows.size());
  ASSERT_TRUE(state);
  EXPECT_EQ(state->rejects_size(), 0);
  state = vault_.finish(second, b);
  ASSERT_TRUE(state);
  EXPECT_EQ(counts(*state), (Counts{4, 2, 0, 1}));
  ASSERT_EQ(state->rejects_size(), 1);
  EXPECT_EQ(state->rejects(0).number(), 6u);
  state = vault_.finish(first, a);
  ASSERT_TRUE(state);
  EXPECT_EQ(counts(*state), (Counts{4, 1, 0, 1}));
  ASSERT_EQ(state->rejects_size(), 1);
  EXPECT_EQ(state->rejects(0).number(), 6u);
  EXPECT_EQ(field("N3", "city"), "Harbin");
  EXPECT_EQ(field("N0", "city"), "Xian");
  EXPECT_EQ(vault_.records().size(), 8u);
}

TEST_F(TwoImportsTest, AnImportWhoseChunkAnotherCouldNotCommitEndsAndIsTakenUpAgain) {
  const Source first = people_file("a", 0, 5), second = people_file("b", 3, 5);
  for (uint64_t nth = 1; nth < 12; ++nth) {
    GatewayVault vault;
    const auto begun_a = vault.begin(vault.begin_request(first));
    const auto begun_b = vault.begin(vault.begin_request(second));
    ASSERT_TRUE(begun_a && begun_b);
    ASSERT_TRUE(vault.batch(first, begun_a->import_id(), 0, 5));
    vault.faults().fail_from(nth, false);
    const auto failed = vault.batch(second, begun_b->import_id(), 0, 5);
    vault.faults().clear();
    static_cast<void>(failed);
    static_cast<void>(vault.batch(first, begun_a->import_id(), 0, 0));
    static_cast<void>(vault.finish(first, begun_a->import_id()));
    const auto a = vault.import(first);
    const auto b = vault.import(second);
    ASSERT_TRUE(a && b) << nth;
    EXPECT_EQ(a->state.imported() + b->state.imported(), 8u) << nth;
    EXPECT_EQ(vault.records().size(), 8u) << nth;
    EXPECT_EQ(vault.count({{"city", "Wuhan"}})->count(), 8u) << nth;
  }
}

TEST_F(TwoImportsTest, AnotherRunOfTheSameSourceTakesOver) {
  const Source source = people_file("a", 0, 12);
  const std::string a = begin(source);
  ASSERT_TRUE(vault_.batch(source, a, 0, 12));  // Held, not committed.
  const std::string b = begin(source);
  EXPECT_EQ(vault_.batch(source, a, 0, 12).error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(vault_.batch(source, b, 0, 12)) << "what the first run claimed is free";
  ASSERT_TRUE(vault_.finish(source, b));
  EXPECT_EQ(vault_.records().size(), 12u);
}

TEST_F(TwoImportsTest, ASeventeenthMustWait) {
  for (int i = 0; i < 16; ++i) begin(people_file("f" + std::to_string(i), 0, 1));
  const auto begun = vault_.begin(vault_.begin_request(people_file("one more", 0, 1)));
  ASSERT_FALSE(begun);
  EXPECT_EQ(begun.error().code, ErrorCode::kUnavailable);
  vault_.clock().advance_ms(600'001);
  EXPECT_TRUE(vault_.begin(vault_.begin_request(people_file("one more", 0, 1))))
      << "who is gone for ten minutes makes room";
}

}  // namespace
}  // namespace strongroom::gateway
