#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "strongroom/rpc/frames.h"
#include "strongroom/rpc/rpc_testing.h"

namespace strongroom::rpc {
namespace {

v1::Call publish(uint32_t lane) {
  v1::Call call;
  call.mutable_publish_lane()->set_lane(lane);
  return call;
}

// Answers each call with its own number; lane 666 with an error.
v1::ReplyBatch echo(v1::CallBatch&& batch) {
  v1::ReplyBatch replies;
  for (const v1::Call& call : batch.calls()) {
    v1::Reply& reply = *replies.add_replies();
    if (call.publish_lane().lane() == 666) {
      reply.mutable_error()->set_code(static_cast<uint32_t>(ErrorCode::kBudgetExhausted));
      reply.mutable_error()->set_text("spent; wait");
      reply.mutable_error()->set_number(3);
      reply.mutable_error()->set_retry_after_ms(250);
    } else {
      reply.mutable_publish_lane()->set_leaf(call.publish_lane().lane());
    }
  }
  return replies;
}

class KeyServiceTest : public testing::Test {
 protected:
  KeyServiceTest() {
    char name[] = "/tmp/strongroom-rpc-XXXXXX";
    SR_CHECK(mkdtemp(name) != nullptr, "temporary folder");
    folder_ = name;
    path_ = folder_ + "/key.sock";
  }
  ~KeyServiceTest() override {
    gateway_.stop();
    server_.stop();
    link_.reset();
    listener_.reset();
    std::filesystem::remove_all(folder_);
  }
  void listen(KeyServiceListener::Handler handler) {
    auto made = KeyServiceListener::listen(server_.loop, path_, std::move(handler));
    ASSERT_TRUE(made) << made.error().text;
    listener_ = std::move(*made);
    server_.start();
  }
  void connect(KeyServiceLink::Options options = {}) {
    auto made = KeyServiceLink::connect(gateway_.loop, path_, options);
    ASSERT_TRUE(made);
    link_ = std::move(*made);
    gateway_.start();
  }

  std::string folder_;
  std::string path_;
  LoopThread server_;
  LoopThread gateway_;
  std::unique_ptr<KeyServiceListener> listener_;
  std::unique_ptr<KeyServiceLink> link_;
};

TEST_F(KeyServiceTest, RepliesComeToTheirCalls) {
  listen(echo);
  connect();
  for (uint32_t i = 0; i < 100; ++i) {
    const auto reply = link_->call_blocking(publish(i));
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->publish_lane().leaf(), i);
  }
}

TEST_F(KeyServiceTest, ErrorsKeepCodeTextAndNumbers) {
  listen(echo);
  connect();
  const auto reply = link_->call_blocking(publish(666));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kBudgetExhausted);
  EXPECT_STREQ(reply.error().text, "spent; wait");
  EXPECT_EQ(reply.error().number, 3);
  EXPECT_EQ(reply.error().retry_after_ms, 250);
}

// The key server looks at its own door in the middle of a batch.
TEST_F(KeyServiceTest, AHandlerMayRunWhatIsReadyAndNoBatchIsHandledWithinAnother) {
  constexpr uint32_t kCalls = 200;
  std::atomic<int> within = 0, deepest = 0, others = 0;
  listen([&](v1::CallBatch&& batch) {
    deepest = std::max(deepest.load(), ++within);
    server_.loop.post([&] { ++others; });
    const int before = others;
    std::this_thread::sleep_for(
        std::chrono::microseconds(200));  // The other gateway's batch comes.
    server_.loop.run_ready();
    EXPECT_GT(others, before);
    auto replies = echo(std::move(batch));
    --within;
    return replies;
  });
  connect();
  LoopThread second_loop;
  auto made = KeyServiceLink::connect(second_loop.loop, path_, {});
  ASSERT_TRUE(made);
  second_loop.start();
  std::thread second([&] {
    for (uint32_t i = 0; i < kCalls; ++i) {
      const auto reply = (*made)->call_blocking(publish(1000 + i));
      ASSERT_TRUE(reply);
      EXPECT_EQ(reply->publish_lane().leaf(), 1000 + i);
    }
  });
  for (uint32_t i = 0; i < kCalls; ++i) {
    const auto reply = link_->call_blocking(publish(i));
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->publish_lane().leaf(), i);
  }
  second.join();
  EXPECT_EQ(deepest, 1);
  second_loop.stop();
}

// Sends `count` calls from one piece of loop work; returns the sizes of the batches the key server
// saw.
std::vector<int> batches_of(KeyServiceLink& link, LoopThread& gateway, int count,
                            std::vector<int>& seen, std::vector<uint64_t>* order) {
  std::promise<void> all;
  gateway.on_loop([&] {
    for (int i = 0; i < count; ++i) {
      link.call(publish(static_cast<uint32_t>(i)), [&, count](Result<v1::Reply> reply) {
        order->push_back(reply ? reply->publish_lane().leaf() : UINT64_MAX);
        if (order->size() == static_cast<size_t>(count)) all.set_value();
      });
    }
  });
  all.get_future().wait();
  return seen;
}

TEST_F(KeyServiceTest, CallsMadeTogetherShareOneBatch) {
  std::vector<int> seen;
  listen([&](v1::CallBatch&& batch) {
    seen.push_back(batch.calls_size());
    return echo(std::move(batch));
  });
  connect();
  std::vector<uint64_t> order;
  EXPECT_EQ(batches_of(*link_, gateway_, 200, seen, &order), std::vector<int>({200}));
  for (uint64_t i = 0; i < 200; ++i) EXPECT_EQ(order[i], i);
}

TEST_F(KeyServiceTest, BatchesAreCappedByCallsAndByBytes) {
  std::vector<int> seen;
  listen([&](v1::CallBatch&& batch) {
    seen.push_back(batch.calls_size());
    return echo(std::move(batch));
  });
  connect({.batch_calls_max = 64});
  std::vector<uint64_t> order;
  EXPECT_EQ(batches_of(*link_, gateway_, 200, seen, &order), std::vector<int>({64, 64, 64, 8}));
  EXPECT_EQ(gateway_.on_loop([&] { return link_->batches_sent(); }), 4u);
}

TEST_F(KeyServiceTest, CallsWhoseRepliesWouldNotFitAFrameAreSpread) {
  std::vector<int> seen;
  listen([&](v1::CallBatch&& batch) {
    seen.push_back(batch.calls_size());
    v1::ReplyBatch replies;
    for (const v1::Call& call : batch.calls()) {
      replies.add_replies()->mutable_grant()->set_secrets(
          std::string(size_t{32} * call.grant().count(), 's'));
    }
    return replies;
  });
  connect();
  std::promise<void> all;
  int left = 200;
  size_t bytes = 0;
  gateway_.on_loop([&] {
    for (int i = 0; i < 200; ++i) {
      v1::Call call;
      call.mutable_grant()->set_count(4096);
      link_->call(std::move(call), [&](Result<v1::Reply> reply) {
        bytes += reply ? reply->grant().secrets().size() : 0;
        if (--left == 0) all.set_value();
      });
    }
  });
  all.get_future().wait();
  EXPECT_EQ(bytes, size_t{200} * 4096 * 32);
  EXPECT_GT(seen.size(), 1u);
}

TEST_F(KeyServiceTest, TwoBatchesInFlightKeepTheOrder) {
  std::vector<int> seen;
  listen([&](v1::CallBatch&& batch) {
    seen.push_back(batch.calls_size());
    return echo(std::move(batch));
  });
  connect({.batch_calls_max = 10, .batches_in_flight = 2});
  std::vector<uint64_t> order;
  batches_of(*link_, gateway_, 300, seen, &order);
  for (uint64_t i = 0; i < 300; ++i) EXPECT_EQ(order[i], i);
}

TEST_F(KeyServiceTest, SeveralGatewaysAreServed) {
  listen(echo);
  connect();
  LoopThread other;
  auto second = KeyServiceLink::connect(other.loop, path_);
  ASSERT_TRUE(second);
  other.start();
  for (uint32_t i = 0; i < 20; ++i) {
    EXPECT_EQ(link_->call_blocking(publish(i))->publish_lane().leaf(), i);
    EXPECT_EQ((*second)->call_blocking(publish(i + 100))->publish_lane().leaf(), i + 100);
  }
  other.stop();
}

TEST_F(KeyServiceTest, BrokenLinkFailsWhatIsPendingAndComesBack) {
  std::atomic<bool> drop{true};
  std::promise<void> arrived;
  listen([&](v1::CallBatch&& batch) {
    if (drop.exchange(false)) {
      // As if the key server died with the batch in hand.
      arrived.set_value();
      listener_.reset();
    }
    return echo(std::move(batch));
  });
  connect();
  const auto lost = link_->call_blocking(publish(1));
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, ErrorCode::kUnavailable);
  arrived.get_future().wait();
  EXPECT_FALSE(link_->call_blocking(publish(1))) << "nobody listens";
  server_.on_loop([&] {
    auto again = KeyServiceListener::listen(server_.loop, path_, echo);
    ASSERT_TRUE(again);
    listener_ = std::move(*again);
  });
  Result<v1::Reply> reply = make_error(ErrorCode::kInternal, "");
  for (int tries = 0; tries < 2000 && !reply; ++tries) {
    reply = link_->call_blocking(publish(2));
    if (!reply) usleep(5000);
  }
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->publish_lane().leaf(), 2u);
}

TEST_F(KeyServiceTest, LinkMayBeMadeBeforeTheKeyServerListens) {
  connect();
  const auto early = link_->call_blocking(publish(1));
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().code, ErrorCode::kUnavailable);
  listen(echo);
  Result<v1::Reply> reply = make_error(ErrorCode::kInternal, "");
  for (int tries = 0; tries < 2000 && !reply; ++tries) {
    reply = link_->call_blocking(publish(2));
    if (!reply) usleep(5000);
  }
  EXPECT_TRUE(reply);
}

TEST_F(KeyServiceTest, SocketIsPrivateAndAStaleOneIsReplaced) {
  listen(echo);
  struct stat found {};
  ASSERT_EQ(stat(path_.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777u, 0600u);
  LoopThread other;
  const auto second = KeyServiceListener::listen(other.loop, path_, echo);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kFailedPrecondition);

  // A socket whose process is gone: bound, never removed.
  const std::string stale = folder_ + "/stale.sock";
  ASSERT_EQ(link(path_.c_str(), stale.c_str()), 0);
  server_.stop();
  listener_.reset();
  auto replaced = KeyServiceListener::listen(other.loop, stale, echo);
  EXPECT_TRUE(replaced);
}

TEST_F(KeyServiceTest, WhatIsNoSocketIsLeftAlone) {
  std::ofstream(path_) << "precious";
  LoopThread other;
  const auto refused = KeyServiceListener::listen(other.loop, path_, echo);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_TRUE(std::filesystem::is_regular_file(path_));
}

TEST_F(KeyServiceTest, PathsTooLongForASocketAreRefused) {
  const std::string path = "/tmp/" + std::string(200, 'x');
  LoopThread other;
  EXPECT_EQ(KeyServiceListener::listen(other.loop, path, echo).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(KeyServiceLink::connect(other.loop, path).error().code, ErrorCode::kInvalidArgument);
}

void give(FrameReader& reader, std::string_view bytes) {
  while (!bytes.empty()) {
    const MutableBytes space = reader.space();
    const size_t size = std::min(space.size(), bytes.size());
    memcpy(space.data(), bytes.data(), size);
    reader.filled(size);
    bytes.remove_prefix(size);
  }
}

TEST(FrameReaderTest, CutsFramesWhereverTheStreamIsCut) {
  std::string stream;
  std::vector<std::string> sent;
  for (size_t size : {size_t{0}, size_t{1}, size_t{100}, size_t{70'000}, size_t{3}}) {
    sent.push_back(std::string(size, static_cast<char>('a' + size % 26)));
    append_le(stream, size, 4);
    stream.append(sent.back());
  }
  for (size_t piece : {size_t{1}, size_t{3}, size_t{4096}, stream.size()}) {
    FrameReader reader;
    std::vector<std::string> got;
    for (size_t at = 0; at < stream.size(); at += piece) {
      give(reader, std::string_view(stream).substr(at, piece));
      for (;;) {
        const auto frame = reader.next();
        ASSERT_TRUE(frame);
        if (!*frame) break;
        got.emplace_back(as_text(**frame));
      }
    }
    EXPECT_EQ(got, sent) << piece;
  }
}

TEST(FrameReaderTest, LengthAboveTheLimitIsRefusedBeforeAllocation) {
  FrameReader reader;
  give(reader, std::string_view("\x01\x00\x00\x01", 4));  // 16 MiB + 1
  const auto frame = reader.next();
  ASSERT_FALSE(frame);
  EXPECT_EQ(frame.error().number, static_cast<int64_t>(kFrameBytesMax) + 1);
  EXPECT_LT(reader.space().size(), 1u << 20);
}

}  // namespace
}  // namespace strongroom::rpc
