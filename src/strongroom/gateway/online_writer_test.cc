#include "strongroom/gateway/online_writer.h"

#include "strongroom/gateway/search_testing.h"

#include <gtest/gtest.h>

#include "strongroom/crypto/random.h"
#include "strongroom/gateway/search.h"
#include "strongroom/keyserver/test_vault.h"
#include "test/support/faulty_store.h"
#include "test/support/local_key_service.h"
#include "test/support/test_loop.h"

namespace strongroom::gateway {
namespace {

using index::Posting;

constexpr CollectionId kCollection{keyserver::kPerson};

TermHash hash_of(uint8_t term) {
  TermHash h;
  h.bytes.fill(term);
  return h;
}

class OnlineWriterTest : public testing::Test {
 protected:
  OnlineWriterTest() {
    SR_CHECK(vault_.create().has_value(), "a vault");
    writer_ = std::make_unique<OnlineWriter>(store_, keys_, vault_.clock(), term_key_);
  }
  Result<void> write(std::vector<OnlineWrite> writes) {
    return writer_->write(kCollection, index::WritePadding::kNarrow, vault_.import_ticket(),
                          std::move(writes));
  }
  static OnlineWrite record(uint64_t idx, uint64_t u, std::vector<TermHash> terms) {
    return {{RecordIndex{idx}, Version{u}},
            std::nullopt,
            "row " + std::to_string(u),
            std::move(terms),
            {}};
  }
  std::vector<Posting> find(const TermHash& term) {
    const auto reply = vault_.call(
        keyserver::tokens_call(vault_.ticket(), {}, {std::string(as_text(term.bytes))}));
    const auto& tokens = reply.tokens();
    std::vector<LaneId> lanes;
    std::vector<TermToken> held;
    for (int l = 0; l < tokens.lanes_size(); ++l) {
      lanes.push_back(LaneId{tokens.lanes(l)});
      held.emplace_back(as_bytes(tokens.tokens()).subspan(static_cast<size_t>(l) * 32).first<32>());
    }
    SearchStats stats;
    const auto found = search(*base_, lanes, held, 1, all_of(1), {}, stats);
    SR_CHECK(found.has_value(), "a sound index");
    lanes_ = lanes.size();
    return postings_of(*found);
  }
  std::optional<std::string> row(uint64_t idx) {
    std::vector<std::optional<std::string>> values;
    SR_CHECK(
        base_
            ->get(store::Table::kRecords,
                  std::vector<std::string>{record::row_key(kCollection, RecordIndex{idx})}, values)
            .has_value(),
        "a sound store");
    return values[0];
  }

  keyserver::TestVault vault_;
  test::Faults faults_;
  test::TestLoop loop_;
  test::LocalKeyService keys_{[this]() -> keyserver::KeyServer& { return vault_.server(); }, loop_,
                              faults_};
  std::unique_ptr<store::Store> base_ = store::open_memory_store();
  test::FaultyStore store_{*base_, faults_};
  TermKey term_key_ = crypto::random_secret<TermKey>();
  std::unique_ptr<OnlineWriter> writer_;
  size_t lanes_ = 0;
};

TEST_F(OnlineWriterTest, WhatIsWrittenIsFoundInOneLane) {
  ASSERT_TRUE(write({record(1, 10, {hash_of(1), hash_of(2)}), record(2, 10, {hash_of(1)})}));
  ASSERT_TRUE(write({record(3, 11, {hash_of(1)})}));
  EXPECT_EQ(
      find(hash_of(1)),
      (std::vector<Posting>{{RecordIndex{1}, 10}, {RecordIndex{2}, 10}, {RecordIndex{3}, 11}}));
  EXPECT_EQ(find(hash_of(2)), (std::vector<Posting>{{RecordIndex{1}, 10}}));
  EXPECT_EQ(lanes_, 1u);
  EXPECT_EQ(row(3), "row 11");
  EXPECT_EQ(store_.unsynced(), 0u) << "durable when it returns";
}

TEST_F(OnlineWriterTest, NothingToWriteOpensNoLane) {
  ASSERT_TRUE(write({}));
  EXPECT_EQ(keys_.calls(v1::Call::kOpenLane), 0u);
}

TEST_F(OnlineWriterTest, TheVersionReplacedIsPostedAsDead) {
  ASSERT_TRUE(write({record(1, 10, {hash_of(1)})}));
  auto next = record(1, 12, {hash_of(1)});
  next.superseded = Version{10};
  ASSERT_TRUE(write({std::move(next)}));
  index::TermHasher hasher(term_key_);
  EXPECT_EQ(find(hasher.dead(kCollection)), (std::vector<Posting>{{RecordIndex{1}, 10}}));
  EXPECT_EQ(find(hash_of(1)), (std::vector<Posting>{{RecordIndex{1}, 10}, {RecordIndex{1}, 12}}));
  EXPECT_EQ(row(1), "row 12");
}

// A write that failed leaves a hole in the count of its terms: were the lane written on, search
// would stop there and miss what lies behind.
TEST_F(OnlineWriterTest, AFailedWriteHidesNothingWrittenLater) {
  uint64_t u = 10;
  for (const bool applied : {false, true}) {
    for (uint64_t nth = 1;; ++nth) {
      const std::vector<Posting> before = find(hash_of(1));
      faults_.fail_from(nth, applied);
      const auto failed = write({record(u, u, {hash_of(1)})});
      const bool struck = faults_.struck();
      faults_.clear();
      if (!failed) {
        EXPECT_EQ(failed.error().code, ErrorCode::kUnavailable);
      }
      ++u;
      ASSERT_TRUE(write({record(u, u, {hash_of(1)})}));
      const auto after = find(hash_of(1));
      EXPECT_TRUE(std::find(after.begin(), after.end(),
                            Posting{RecordIndex{u}, static_cast<uint32_t>(u)}) != after.end())
          << "call " << nth;
      EXPECT_TRUE(std::includes(after.begin(), after.end(), before.begin(), before.end()));
      ++u;
      if (!struck) break;
      ASSERT_LT(nth, 20u);
    }
  }
}

// Large batches go another way into the store; the order of things is the same.
TEST_F(OnlineWriterTest, ALargeBatchIsInWholeOrNotAtAllAndFound) {
  constexpr uint32_t kRecords = 2100;  // Of 8 postings each.
  uint64_t u = 10;
  const auto batch = [&](uint64_t first) {
    std::vector<OnlineWrite> writes;
    for (uint64_t idx = first; idx < first + kRecords; ++idx) {
      writes.push_back(record(idx, u, {hash_of(1), hash_of(static_cast<uint8_t>(100 + idx % 7))}));
    }
    return writes;
  };
  const auto of_rows = [&](const TermHash& term) {  // Postings whose records are there.
    const auto found = find(term);
    return static_cast<size_t>(std::count_if(found.begin(), found.end(), [&](const Posting& p) {
      return row(p.idx.value).has_value();
    }));
  };
  ASSERT_TRUE(write({record(1, u, {hash_of(1)})}));
  size_t kept = 1, batches = 0;
  for (uint64_t nth = 1;; ++nth) {
    const uint64_t first = 10'000 * nth;
    ++u;
    faults_.fail_from(nth, false);
    const auto done = write(batch(first));
    const bool struck = faults_.struck();
    faults_.clear();
    store_.crash();
    if (done) kept += kRecords;
    batches += done.has_value();
    EXPECT_EQ(row(first).has_value(), done.has_value());
    EXPECT_EQ(row(first + kRecords - 1).has_value(), done.has_value());
    // Behind one that failed a small one is found too.
    ASSERT_TRUE(write({record(first + 5000, u, {hash_of(1)})}));
    ++kept;
    EXPECT_EQ(of_rows(hash_of(1)), kept);
    if (!struck) break;
    ASSERT_LT(nth, 20u);
  }
  EXPECT_EQ(of_rows(hash_of(103)), batches * kRecords / 7);
}

TEST_F(OnlineWriterTest, ALaneOfManyPostingsIsClosedSoThatItIsMerged) {
  ASSERT_TRUE(writer_->close_if_large(kCollection)) << "there is none";
  uint64_t u = 10;
  for (uint64_t batch = 0; batch < 17; ++batch) {
    std::vector<OnlineWrite> writes;
    for (uint64_t i = 0; i < 500; ++i) writes.push_back(record(2000 * batch + i, u, {hash_of(1)}));
    ASSERT_TRUE(write(std::move(writes)));
    ASSERT_TRUE(writer_->close_if_large(kCollection));
    EXPECT_EQ(keys_.lanes(v1::PublishLaneCall::CLOSE).size(), batch < 16 ? 0u : 1u);
  }
  EXPECT_EQ(find(hash_of(1)).size(), 17u * 500u);
}

std::vector<OnlineWrite> thousand_updates(const TermHash& term) {
  std::vector<OnlineWrite> writes;
  for (uint64_t idx = 0; idx < 1000; ++idx) {
    writes.push_back({{RecordIndex{idx}, Version{20}}, Version{10}, "row", {term}, {}});
  }
  return writes;
}

TEST_F(OnlineWriterTest, ManyUpdatesAreReadInAFewBlocks) {
  ASSERT_TRUE(write(thousand_updates(hash_of(1))));
  EXPECT_EQ(find(hash_of(1)).size(), 1000u);
  EXPECT_EQ(find(index::TermHasher(term_key_).dead(kCollection)).size(), 1000u);
  size_t rows = 0;
  ASSERT_TRUE(base_->scan(store::Table::kPostings, {}, {}, [&](std::string_view, std::string_view) {
    ++rows;
    return true;
  }));
  EXPECT_EQ(rows, 2 * 2u) << "of each term a head and a block";
  EXPECT_EQ(keys_.lanes(v1::PublishLaneCall::CLOSE).size(), 1u);
}

// Merged while it has postings that no row is there for, it would lose them.
TEST_F(OnlineWriterTest, ALaneOfManyUpdatesIsClosedBehindItsRows) {
  std::optional<bool> row_was_there;
  keys_.tamper = [&](v1::Reply& reply) {
    if (reply.has_publish_lane()) row_was_there = row(0).has_value();
  };
  ASSERT_TRUE(write(thousand_updates(hash_of(1))));
  EXPECT_EQ(row_was_there, true);
}

TEST_F(OnlineWriterTest, ALaneThatCouldNotBeClosedIsClosedBehindTheNext) {
  for (uint64_t nth = 1;; ++nth) {
    ASSERT_LT(nth, 20u);
    faults_.fail_from(nth, false);
    const auto done = write(thousand_updates(hash_of(1)));
    const bool struck = faults_.struck();
    faults_.clear();
    if (!done) continue;
    ASSERT_TRUE(struck) << "closing it failed, and nothing before";
    const size_t closed = keys_.lanes(v1::PublishLaneCall::CLOSE).size();
    ASSERT_TRUE(write(thousand_updates(hash_of(1))));
    EXPECT_GE(keys_.lanes(v1::PublishLaneCall::CLOSE).size(), closed + 2);
    break;
  }
}

TEST_F(OnlineWriterTest, RowsAreInAllOrNoneAndNeverBeforeTheirPostings) {
  for (uint64_t nth = 1;; ++nth) {
    const uint64_t idx = 100 * nth;
    faults_.fail_from(nth, false);
    const auto done = write({record(idx, 10, {hash_of(1)}), record(idx + 1, 10, {hash_of(1)})});
    const bool struck = faults_.struck();
    faults_.clear();
    EXPECT_EQ(row(idx).has_value(), row(idx + 1).has_value());
    EXPECT_EQ(row(idx).has_value(), done.has_value());
    store_.crash();
    EXPECT_EQ(row(idx).has_value(), done.has_value()) << "what was acknowledged is durable";
    if (done) {
      const auto found = find(hash_of(1));
      EXPECT_TRUE(std::find(found.begin(), found.end(), Posting{RecordIndex{idx}, 10}) !=
                  found.end());
    }
    if (!struck) break;
    ASSERT_LT(nth, 20u);
  }
}

TEST_F(OnlineWriterTest, ALaneIsClosedAfterAnHourAndStillSearched) {
  ASSERT_TRUE(write({record(1, 10, {hash_of(1)})}));
  vault_.clock().advance_ms(3'600'001);
  ASSERT_TRUE(write({record(2, 10, {hash_of(1)})}));
  EXPECT_EQ(keys_.calls(v1::Call::kOpenLane), 2u);
  EXPECT_EQ(keys_.lanes(v1::PublishLaneCall::CLOSE).size(), 1u);
  EXPECT_EQ(find(hash_of(1)), (std::vector<Posting>{{RecordIndex{1}, 10}, {RecordIndex{2}, 10}}));
  EXPECT_EQ(lanes_, 2u);
}

TEST_F(OnlineWriterTest, ARootOfTheWrongSizeIsRefused) {
  keys_.tamper = [](v1::Reply& reply) {
    if (reply.has_open_lane()) reply.mutable_open_lane()->mutable_root()->push_back('x');
  };
  const auto done = write({record(1, 10, {hash_of(1)})});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::kInternal);
  EXPECT_FALSE(row(1).has_value());
}

}  // namespace
}  // namespace strongroom::gateway
