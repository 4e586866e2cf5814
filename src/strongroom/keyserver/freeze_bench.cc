// From asking for a freeze to the last key that leaves for whom it cuts off, under full load, over
// 1,000 freezes; and until the freeze is durable. On the disk that TMPDIR is on.
//
//   build/release/src/strongroom/keyserver/freeze_bench [FREEZES] [CALLS A BATCH]
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>

#include "strongroom/keyserver/test_vault.h"

namespace strongroom::keyserver {
namespace {

using Clock = std::chrono::steady_clock;

double percentile(std::vector<double>& sorted, double p) {
  return sorted[static_cast<size_t>(p * static_cast<double>(sorted.size() - 1))];
}

void print(const char* what, std::vector<double> us) {
  std::sort(us.begin(), us.end());
  std::printf("%-34s p50 %8.0f us   p99 %8.0f us   max %8.0f us\n", what, percentile(us, 0.5),
              percentile(us, 0.99), us.back());
}

int run(size_t freezes, int calls) {
  TestVault vault(env::real_files(), true);
  for (auto& grant : *vault.founding().policy.mutable_roles(0)->mutable_grants()) {
    v1::Budget& budget = *grant.mutable_budget();
    budget.set_records_per_hour(uint64_t{1} << 40);
    budget.set_records_per_day(uint64_t{1} << 40);
  }
  for (size_t i = 0; i < freezes; ++i) {
    auto key = crypto::SigningKey::generate();
    v1::Principal& principal = vault.founding().principals.emplace_back();
    principal.set_name("target" + std::to_string(i));
    principal.set_role("clerk");
    principal.set_public_key(std::string(as_text(key.public_key())));
    vault.set_key(principal.name(), std::move(key));
  }
  SR_CHECK(vault.create().has_value(), "a vault");
  const auto granted = vault.call(grant_call(vault.import_ticket(), 4096)).grant();
  const auto others = vault.ticket({.records_max = 1'000'000'000});
  std::mt19937_64 random(1);

  // The event loop's thread: batches one after the other, and what the admin listener brings in,
  // between them and between a batch's sync and its keys. Another thread asks for a freeze at any
  // time.
  std::vector<double> last_key_us, durable_us;
  uint64_t answered = 0;
  const auto started = Clock::now();
  for (size_t i = 0; i < freezes; ++i) {
    const std::string name = "target" + std::to_string(i);
    const auto ticket = vault.ticket({.principal = name, .records_max = 1'000'000'000});
    std::atomic<int64_t> asked_ns{0};
    const auto delay = std::chrono::microseconds(500 + random() % 5000);
    std::thread asker([&] {
      std::this_thread::sleep_for(delay);
      asked_ns = Clock::now().time_since_epoch().count();
    });
    bool frozen = false;
    auto last_key = Clock::time_point();
    const auto look_at_the_door = [&] {
      if (frozen || asked_ns == 0) return;
      v1::FreezeRequest request;
      request.set_scope("principal:" + name);
      const auto done = vault.server().freeze("officer", request);
      SR_CHECK(done.has_value(), "frozen");
      const auto ns = Clock::now().time_since_epoch().count() - asked_ns;
      durable_us.push_back(static_cast<double>(ns) / 1000);
      frozen = true;
    };
    for (bool leaves = true; leaves || !frozen;) {
      look_at_the_door();
      v1::CallBatch batch;
      for (int c = 0; c < calls; ++c) {
        *batch.add_calls() =
            release_call(c % 2 == 0 ? ticket : others, {},
                         {{granted.first() + random() % 4096, granted.u()}}, 2, true);
      }
      const auto replies = vault.server().handle(std::move(batch), look_at_the_door);
      leaves = false;
      for (int c = 0; c < calls; ++c) {
        const bool released = replies.replies(c).has_release();
        answered += released ? 1 : 0;
        leaves = leaves || (c % 2 == 0 && released);
      }
      if (leaves) last_key = Clock::now();
      SR_CHECK(!leaves || !frozen, "a key left after the freeze");
    }
    asker.join();
    const auto ns = last_key.time_since_epoch().count() - asked_ns;
    last_key_us.push_back(std::max(0.0, static_cast<double>(ns) / 1000));
  }
  const double s = std::chrono::duration<double>(Clock::now() - started).count();
  std::printf("%zu freezes, batches of %d releases, %.0f releases/s\n", freezes, calls,
              static_cast<double>(answered) / s);
  print("asked for -> last key has left", last_key_us);
  print("asked for -> durable", durable_us);
  return 0;
}

}  // namespace
}  // namespace strongroom::keyserver

int main(int argc, char** argv) {
  return strongroom::keyserver::run(argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1000,
                                    argc > 2 ? std::atoi(argv[2]) : 32);
}
