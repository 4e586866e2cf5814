// No crash, no retry and no order of calls lets a budget be overrun, a release go unlogged, or
// something leave that was cut off.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "strongroom/env/faulty_files.h"
#include "strongroom/keyserver/test_vault.h"

namespace strongroom::keyserver {
namespace {

constexpr uint64_t kMost = 5;

// (idx, request id) of every release that the log holds.
std::multiset<std::pair<uint64_t, std::string>> logged_releases(KeyServer& server) {
  std::multiset<std::pair<uint64_t, std::string>> out;
  v1::LogEntriesRequest request;
  request.set_count(kLogEntriesMax);
  const auto entries = server.log_entries("officer", request);
  SR_CHECK(entries.has_value(), "the officer reads the log");
  for (const auto& entry : entries->entries()) {
    if (entry.type() != "release") continue;
    std::string id;
    for (const auto& bytes : entry.items()) {
      v1::LogItem item;
      SR_CHECK(item.ParseFromString(bytes), "an item");
      if (item.has_ticket()) id = item.ticket().request_id();
      if (item.has_release()) out.emplace(item.release().idx(), id);
    }
  }
  return out;
}

// A principal's limit of 5 records an hour, over two purposes, retried after every error, on a disk
// that stops at its nth operation.
TEST(GovernedTest, NoCrashOrRetryOverrunsALimitOrLeavesAReleaseUnlogged) {
  uint64_t crashes = 0;
  for (uint64_t stop = 1;; ++stop) {
    env::FaultyFiles files(env::real_files());
    TestVault vault(files);
    auto& records =
        *vault.founding().policy.mutable_limits()->mutable_each_principal()->mutable_records();
    records.set_hour(kMost);
    ASSERT_TRUE(vault.create());
    const auto granted = vault.call(grant_call(vault.import_ticket(), 16)).grant();
    std::set<std::pair<uint64_t, std::string>> left;  // What was answered with keys.
    std::vector<v1::Call> calls;
    for (uint64_t i = 0; i < 8; ++i) {
      const auto ticket = vault.ticket(
          {.purpose = i % 2 == 0 ? "service" : "investigation", .case_reference = "A-1"});
      calls.push_back(release_call(ticket, {}, {{granted.first() + i, granted.u()}}, 2, true));
    }
    const auto work = [&] {
      for (const auto& call : calls) {
        for (int attempt = 0; attempt < 2; ++attempt) {
          const auto reply = vault.call(call);
          if (!reply.has_release()) continue;
          const auto key = std::pair(call.release().items(0).idx(), call.release().request_id());
          EXPECT_TRUE(left.insert(key).second) << "one request, two answers";
        }
        vault.clock().advance_ms(10);
        (void)vault.server().tick();
      }
    };
    files.stop_at(stop);
    work();
    const bool stopped = files.operations() >= stop;
    ASSERT_TRUE(files.crash(stop % 3 * 7));
    ASSERT_TRUE(vault.open()) << "stop " << stop;
    work();
    EXPECT_LE(left.size(), kMost) << "stop " << stop;
    const auto logged = logged_releases(vault.server());
    EXPECT_LE(logged.size(), kMost) << "charged before it leaves";
    for (const auto& key : left) EXPECT_EQ(logged.count(key), 1u) << "stop " << stop;
    if (!stopped) {
      EXPECT_EQ(left.size(), kMost);
      break;
    }
    ++crashes;
    ASSERT_LT(stop, 1000u);
  }
  EXPECT_GT(crashes, 5u);
}

// A freeze that was answered holds after a crash at any operation; one that was not may or may not.
TEST(GovernedTest, AFreezeThatWasAnsweredHoldsAfterACrashAtAnyPoint) {
  for (uint64_t stop = 1;; ++stop) {
    env::FaultyFiles files(env::real_files());
    TestVault vault(files);
    ASSERT_TRUE(vault.create());
    const auto granted = vault.call(grant_call(vault.import_ticket(), 1)).grant();
    const auto leaves = [&] {
      return vault.call(release_call(vault.ticket(), {}, {{granted.first(), granted.u()}}, 2, true))
          .has_release();
    };
    ASSERT_TRUE(leaves());
    files.stop_at(stop);
    v1::FreezeRequest request;
    request.set_scope("principal:clerk");
    const bool answered = vault.server().freeze("officer", request).has_value();
    EXPECT_FALSE(leaves()) << "frozen in memory, or the log has failed: nothing leaves";
    const bool stopped = files.operations() >= stop;
    ASSERT_TRUE(files.crash(stop % 3 * 7));
    ASSERT_TRUE(vault.open());
    if (answered) {
      EXPECT_FALSE(leaves()) << "stop " << stop;
    }
    if (!stopped) break;
    ASSERT_LT(stop, 100u);
  }
}

// Calls, freezes, thaws and restarts in any order: who is cut off gets nothing, and nobody more
// than the limits.
TEST(GovernedTest, RandomCallsAndCutsNeverLetAnythingSlip) {
  const uint64_t seed = 17;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  TestVault vault;
  vault.founding().policy.mutable_limits()->mutable_vault()->mutable_records()->set_hour(60);
  ASSERT_TRUE(vault.create());
  const auto granted = vault.call(grant_call(vault.import_ticket(), 4096)).grant();
  std::vector<std::pair<uint64_t, uint64_t>> opened;  // t_ms, records
  bool frozen = false;
  for (int step = 0; step < 600; ++step) {
    vault.clock().advance_ms(random() % 60'000);
    const uint64_t dice = random() % 100;
    if (dice < 4) {
      v1::FreezeRequest request;
      constexpr const char* kScopes[] = {"principal:clerk", "role:clerk", "all", "purpose:service"};
      request.set_scope(kScopes[random() % 4]);
      ASSERT_TRUE(vault.server().freeze("officer", request));
      frozen = true;
    } else if (dice < 8 && frozen) {
      const auto status = vault.server().status("operator", {});
      for (const auto& freeze : status->frozen()) {
        v1::ThawRequest request;
        request.set_scope(freeze.scope());
        vault.approve(vault.server().thaw("officer", request)->request());
      }
      frozen = false;
    } else if (dice < 10) {
      ASSERT_TRUE(vault.open());
    } else {
      const uint64_t count = 1 + random() % 4;
      std::vector<std::pair<uint64_t, uint64_t>> items;
      for (uint64_t i = 0; i < count; ++i) {
        items.emplace_back(granted.first() + (random() % 1000) * 4 + i, granted.u());
      }
      const auto reply = vault.call(release_call(vault.ticket(), {}, items, 2, true));
      ASSERT_FALSE(frozen && reply.has_release()) << "step " << step;
      if (reply.has_release()) opened.emplace_back(vault.clock().wall_ms(), count);
      uint64_t hour = 0;
      for (auto it = opened.rbegin(); it != opened.rend(); ++it) {
        if (it->first + 3'600'000 <= vault.clock().wall_ms()) break;
        hour += it->second;
      }
      ASSERT_LE(hour, 60u) << "step " << step;
    }
  }
  EXPECT_GT(opened.size(), 20u);
}

}  // namespace
}  // namespace strongroom::keyserver
