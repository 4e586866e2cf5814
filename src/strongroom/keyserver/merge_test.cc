// Lanes merged into others: who may, which, what the log and the key state hold afterwards.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "strongroom/env/faulty_files.h"
#include "strongroom/keyserver/test_vault.h"

namespace strongroom::keyserver {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Searches, lanes and merges of one vault.
struct Merging {
  explicit Merging(env::Files& files = env::real_files()) : vault(files) {}

  v1::Reply call(const v1::Call& call) {
    vault.clock().advance_ms(1);
    return vault.call(call);
  }
  uint32_t online(bool close = true, uint32_t collection = kPerson) {
    const uint32_t lane =
        call(lane_call(vault.import_ticket(collection), false)).open_lane().lane();
    if (close) call(publish_call(lane, v1::PublishLaneCall::CLOSE));
    return lane;
  }
  uint32_t packed(bool publish = true, uint32_t collection = kPerson) {
    const uint32_t lane = call(lane_call(vault.import_ticket(collection), true)).open_lane().lane();
    if (publish) call(publish_call(lane, v1::PublishLaneCall::PUBLISH));
    return lane;
  }
  v1::Reply begin(std::vector<uint32_t> sources, uint32_t collection = kPerson) {
    return call(begin_merge_call(vault.compactor_credential(), std::move(sources), collection));
  }
  v1::Reply finish(uint32_t lane, std::vector<uint32_t> sources) {
    return call(finish_merge_call(vault.compactor_credential(), lane, std::move(sources)));
  }
  std::vector<uint32_t> searched() {
    const auto reply = call(tokens_call(vault.ticket(), {}, {kTerm})).tokens();
    return {reply.lanes().begin(), reply.lanes().end()};
  }
  v1::ListLanesReply lanes() {
    v1::Call list;
    list.mutable_list_lanes();
    return call(list).list_lanes();
  }
  std::vector<uint32_t> in_use() {
    std::vector<uint32_t> out;
    const auto list = lanes();
    for (const auto& lane : list.lanes()) out.push_back(lane.lane());
    return out;
  }
  v1::ResetLanesReply reset() {
    v1::Call reset;
    reset.mutable_reset_lanes();
    return call(reset).reset_lanes();
  }
  v1::StatusResponse status() { return *vault.server().status("operator", {}); }

  TestVault vault;
};

ErrorCode code(const v1::Reply& reply) {
  EXPECT_TRUE(reply.has_error());
  return static_cast<ErrorCode>(reply.error().code());
}

class MergeTest : public testing::Test, protected Merging {
 protected:
  void SetUp() override { ASSERT_TRUE(vault.create()); }
};

TEST_F(MergeTest, TheTargetTakesTheSourcesPlaceInOneEntry) {
  const uint32_t a = packed(), b = online(), c = packed();
  const auto root = vault.server().handle([&] {
    v1::CallBatch batch;
    *batch.add_calls() = tokens_call(vault.ticket(), {}, {kTerm});
    return batch;
  }());
  const auto begun = begin({c, a, b});
  ASSERT_TRUE(begun.has_begin_merge()) << begun.error().text();
  const auto& merge = begun.begin_merge();
  EXPECT_GT(merge.lane(), c);
  EXPECT_EQ(merge.root().size(), 32u);
  ASSERT_EQ(merge.source_roots().size(), 96u);
  // The roots are those the searches' tokens come from, in the order asked.
  crypto::LaneTokens tokens(LaneRoot(as_bytes(merge.source_roots()).subspan(32).first<32>()));
  TermHash term;
  term.bytes.fill('t');
  EXPECT_EQ(as_text(tokens.token(term).read(SecretAccess{})),
            root.replies(0).tokens().tokens().substr(0, 32));
  EXPECT_THAT(searched(), ElementsAre(a, b, c)) << "until it is finished";
  EXPECT_EQ(status().lanes_merging(), 3u);

  const uint64_t before = status().log_size();
  const uint64_t generation = lanes().generation();
  const auto finished = finish(merge.lane(), {a, b, c});
  ASSERT_TRUE(finished.has_finish_merge()) << finished.error().text();
  EXPECT_EQ(status().log_size(), before + 1);
  EXPECT_EQ(lanes().generation(), generation + 1);
  EXPECT_THAT(searched(), ElementsAre(merge.lane()));
  EXPECT_THAT(in_use(), ElementsAre(merge.lane()));
  EXPECT_EQ(finish(merge.lane(), {a, b, c}).finish_merge().leaf(), finished.finish_merge().leaf())
      << "idempotent";
  EXPECT_EQ(status().lanes_merged(), 3u);
  EXPECT_EQ(status().lanes_merging(), 0u);
  EXPECT_EQ(status().lanes_live(), 1u);

  const auto replied = call(tokens_call(vault.ticket(), {}, {kTerm})).tokens().tokens();
  ASSERT_TRUE(vault.open());
  EXPECT_THAT(searched(), ElementsAre(merge.lane()));
  EXPECT_EQ(call(tokens_call(vault.ticket(), {}, {kTerm})).tokens().tokens(), replied);
  EXPECT_EQ(code(begin({a})), ErrorCode::kFailedPrecondition) << "its root is gone";
  // What an import that was cut short asks again once its lane was merged.
  EXPECT_TRUE(call(publish_call(a, v1::PublishLaneCall::PUBLISH)).has_publish_lane());
  EXPECT_TRUE(begin({merge.lane()}).has_begin_merge()) << "a target can be merged again";
}

TEST_F(MergeTest, OnlyWhatIsSearchedAndClosedIsMerged) {
  const uint32_t good = packed();
  const uint32_t open = online(false);
  const uint32_t reserved = packed(false);
  const uint32_t other = packed(true, kParcel);
  auto history_call = lane_call(vault.import_ticket(), true);
  history_call.mutable_open_lane()->set_history(true);
  const uint32_t history = call(history_call).open_lane().lane();
  call(publish_call(history, v1::PublishLaneCall::PUBLISH));
  for (const uint32_t bad : {open, reserved, other, history, 999u}) {
    const auto refused = begin({good, bad});
    EXPECT_EQ(code(refused), ErrorCode::kFailedPrecondition) << bad;
    EXPECT_EQ(refused.error().number(), bad);
  }
  EXPECT_EQ(code(begin({})), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(begin({good, good})), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(begin({good}, 99)), ErrorCode::kNotFound);
  call(publish_call(open, v1::PublishLaneCall::CLOSE));
  EXPECT_TRUE(begin({good, open}).has_begin_merge());
}

TEST_F(MergeTest, NobodyMergesWithoutTheCredential) {
  const uint32_t a = packed(), b = packed();
  for (const std::string& wrong : {std::string(), std::string(32, 'x'), fresh(32)}) {
    const auto refused = call(begin_merge_call(wrong, {a, b}));
    EXPECT_EQ(code(refused), ErrorCode::kPermissionDenied);
    EXPECT_FALSE(refused.has_begin_merge());
  }
  const uint32_t lane = begin({a, b}).begin_merge().lane();
  EXPECT_EQ(code(call(finish_merge_call(fresh(32), lane, {a, b}))), ErrorCode::kPermissionDenied);
  for (const auto change : {v1::PublishLaneCall::PUBLISH, v1::PublishLaneCall::DROP}) {
    EXPECT_EQ(code(call(publish_call(lane, change))), ErrorCode::kPermissionDenied)
        << "a gateway does not end a merge";
  }
  EXPECT_TRUE(finish(lane, {a, b}).has_finish_merge());

  KeyServerOptions options = vault.options();
  options.compactor_credential.reset();
  vault.close();
  const auto server = KeyServer::open(options, vault.root(), env::real_files(), vault.clock());
  ASSERT_TRUE(server);
  v1::CallBatch batch;
  *batch.add_calls() = begin_merge_call(vault.compactor_credential(), {lane});
  EXPECT_EQ(code((*server)->handle(std::move(batch)).replies(0)), ErrorCode::kPermissionDenied);
}

TEST_F(MergeTest, APartOfTheSourcesOrNoneMayBeMerged) {
  const uint32_t a = packed(), b = packed(), c = packed();
  const uint32_t first = begin({a, b, c}).begin_merge().lane();
  EXPECT_EQ(code(finish(first, {a, a})), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(finish(first, {a, 999})), ErrorCode::kInvalidArgument);
  ASSERT_TRUE(finish(first, {c, a}).has_finish_merge());
  EXPECT_THAT(searched(), ElementsAre(b, first));
  const uint32_t second = begin({b, first}).begin_merge().lane();
  ASSERT_TRUE(finish(second, {}).has_finish_merge());
  ASSERT_TRUE(finish(second, {}).has_finish_merge()) << "idempotent";
  EXPECT_THAT(searched(), ElementsAre(b, first));
  EXPECT_THAT(in_use(), ElementsAre(b, first));
  EXPECT_EQ(code(finish(second, {b})), ErrorCode::kFailedPrecondition);
}

TEST_F(MergeTest, AMergeThatIsNotFinishedIsAbandonedByTheNextOneAndByARestart) {
  const uint32_t a = packed(), b = packed();
  const uint32_t first = begin({a, b}).begin_merge().lane();
  const uint32_t second = begin({a}).begin_merge().lane();
  EXPECT_EQ(code(finish(first, {a, b})), ErrorCode::kFailedPrecondition);
  EXPECT_THAT(in_use(), ElementsAre(a, b, second));
  ASSERT_TRUE(vault.open());
  EXPECT_EQ(code(finish(second, {a})), ErrorCode::kFailedPrecondition);
  EXPECT_THAT(in_use(), ElementsAre(a, b));
  EXPECT_THAT(searched(), ElementsAre(a, b));
  ASSERT_TRUE(vault.open());
  EXPECT_THAT(searched(), ElementsAre(a, b));
}

TEST_F(MergeTest, ASearchDecidedBeforeAMergeInOneBatchStillGetsItsTokens) {
  const uint32_t a = packed(), b = packed();
  const auto expected = call(tokens_call(vault.ticket(), {}, {kTerm})).tokens().tokens();
  ASSERT_TRUE(vault.open());  // Nothing derived is held yet.
  const uint32_t lane = begin({a, b}).begin_merge().lane();
  v1::CallBatch batch;
  *batch.add_calls() = tokens_call(vault.ticket(), {}, {kTerm});
  *batch.add_calls() = finish_merge_call(vault.compactor_credential(), lane, {a, b});
  *batch.add_calls() = tokens_call(vault.ticket(), {}, {kTerm});
  *batch.add_calls() = begin_merge_call(vault.compactor_credential(), {lane});
  *batch.add_calls() = begin_merge_call(vault.compactor_credential(), {lane});
  *batch.add_calls() = finish_merge_call(vault.compactor_credential(), lane + 2, {lane});
  const auto replies = vault.server().handle(std::move(batch));
  EXPECT_EQ(replies.replies(0).tokens().tokens(), expected);
  EXPECT_THAT(replies.replies(2).tokens().lanes(), ElementsAre(lane));
  EXPECT_EQ(code(replies.replies(3)), ErrorCode::kUnavailable) << "abandoned by the next call";
  EXPECT_EQ(code(replies.replies(4)), ErrorCode::kUnavailable) << "ended by the next call";
  EXPECT_TRUE(replies.replies(5).has_finish_merge());
  EXPECT_FALSE(vault.server().failed());
}

TEST_F(MergeTest, AGatewayThatStartsClosesAndDropsWhatWasLeftOpen) {
  const uint32_t open = online(false), closed = online(), reserved = packed(false), a = packed();
  const uint32_t target = begin({a, closed}).begin_merge().lane();
  const auto done = reset();
  EXPECT_EQ(done.closed(), 1u);
  EXPECT_EQ(done.dropped(), 1u);
  EXPECT_THAT(in_use(), ElementsAre(open, closed, a, target)) << "not the merge's";
  EXPECT_EQ(code(call(publish_call(reserved, v1::PublishLaneCall::PUBLISH))),
            ErrorCode::kFailedPrecondition);
  const uint64_t size = status().log_size();
  EXPECT_EQ(reset().leaf(), 0u) << "nothing left";
  EXPECT_EQ(status().log_size(), size);
  EXPECT_EQ(status().lanes_open(), 0u);
  ASSERT_TRUE(finish(target, {a, closed}).has_finish_merge());
  EXPECT_TRUE(begin({open, target}).has_begin_merge());
  ASSERT_TRUE(vault.open());
  EXPECT_THAT(searched(), ElementsAre(open, target));
}

TEST_F(MergeTest, TheOldRootsAreGoneFromTheKeyState) {
  const uint32_t a = packed(), b = packed();
  const uint32_t lane = begin({a, b}).begin_merge().lane();
  ASSERT_TRUE(finish(lane, {a, b}).has_finish_merge());
  vault.close();
  // Of an earlier epoch's file nothing remains, and the new one holds one lane root only.
  const auto state =
      KeyState::open({vault.options().dir + "/state", vault.options().mirror_dir + "/state"},
                     env::real_files(), vault.root());
  ASSERT_TRUE(state);
  EXPECT_EQ((*state)->lane_root(LaneId{a}), nullptr);
  EXPECT_EQ((*state)->lane_root(LaneId{b}), nullptr);
  EXPECT_NE((*state)->lane_root(LaneId{lane}), nullptr);
}

// Two merges on a disk that stops at its nth operation: after the restart every lane that is
// searched has the tokens it had, and no lane is searched beside what was merged into it.
TEST(MergeCrashTest, ACrashAtAnyPointLeavesEitherTheSourcesOrTheTarget) {
  uint64_t crashes = 0;
  for (uint64_t stop = 1;; ++stop) {
    env::FaultyFiles files(env::real_files());
    Merging m(files);
    ASSERT_TRUE(m.vault.create());
    const uint32_t a = m.packed(), b = m.online(), c = m.packed();
    std::map<uint32_t, std::string> roots;
    bool first_done = false, second_done = false;
    uint32_t first = 0, second = 0;
    files.stop_at(stop);
    const auto begin = [&](std::vector<uint32_t> sources) -> uint32_t {
      const auto begun = m.begin(sources);
      if (!begun.has_begin_merge()) return 0;
      roots[begun.begin_merge().lane()] = begun.begin_merge().root();
      for (size_t i = 0; i < sources.size(); ++i) {
        const std::string root = begun.begin_merge().source_roots().substr(i * 32, 32);
        EXPECT_EQ(roots.emplace(sources[i], root).first->second, root);
      }
      return begun.begin_merge().lane();
    };
    first = begin({a, b});
    if (first != 0) first_done = m.finish(first, {a, b}).has_finish_merge();
    (void)m.vault.server().tick();
    if (first_done) second = begin({first, c});
    if (second != 0) second_done = m.finish(second, {first, c}).has_finish_merge();
    const bool stopped = files.operations() >= stop;
    ASSERT_TRUE(files.crash(stop % 3 * 7));
    const auto opened = m.vault.open();
    ASSERT_TRUE(opened) << opened.error().text << " stop " << stop;

    const std::vector<uint32_t> now = m.searched();
    std::set<std::vector<uint32_t>> allowed = {{a, b, c}};
    if (first != 0) allowed.insert({c, first});
    if (second != 0) allowed.insert({second});
    if (first_done) allowed.erase({a, b, c});
    if (second_done) allowed = {{second}};
    EXPECT_TRUE(allowed.contains(now)) << "stop " << stop;
    EXPECT_EQ(m.in_use(), now) << "no reserved lane stays behind";
    // And all of them can be merged, with the roots they had.
    const auto again = m.begin(now);
    ASSERT_TRUE(again.has_begin_merge()) << again.error().text();
    for (size_t i = 0; i < now.size(); ++i) {
      const std::string root = again.begin_merge().source_roots().substr(i * 32, 32);
      if (roots.contains(now[i])) {
        EXPECT_EQ(root, roots[now[i]]) << "stop " << stop;
      }
    }
    EXPECT_TRUE(m.finish(again.begin_merge().lane(), now).has_finish_merge());
    if (!stopped) {
      EXPECT_TRUE(second_done);
      break;
    }
    ++crashes;
    ASSERT_LT(stop, 1000u);
  }
  EXPECT_GT(crashes, 5u);
}

}  // namespace
}  // namespace strongroom::keyserver
