#include "strongroom/crypto/random.h"

#include <pthread.h>
#include <sodium.h>

#include <atomic>

#include "strongroom/base/check.h"

namespace strongroom::crypto {
namespace {

// Counts forks: a child must not hand out the nonces that its parent has buffered.
std::atomic<unsigned> fork_count{0};

struct NonceBuffer {
  ByteArray<1536> bytes;
  size_t used = sizeof(bytes);
  unsigned forks = 0;
};

// Even among 0 to bound - 1: draws above the largest multiple of `bound` are drawn again.
uint32_t below(uint32_t bound) {
  const uint32_t skip = (0 - bound) % bound;  // 2^32 mod bound.
  for (;;) {
    ByteArray<4> drawn;
    random_nonce(drawn);
    const uint32_t value = load_le<uint32_t>(drawn.data());
    if (value >= skip) return value % bound;
  }
}

bool start() {
  SR_CHECK(sodium_init() >= 0, "libsodium cannot start");
  SR_CHECK(pthread_atfork(nullptr, nullptr, [] { fork_count.fetch_add(1); }) == 0,
           "no room for a fork handler");
  return true;
}

}  // namespace

void init() {
  [[maybe_unused]] static const bool kStarted = start();
}

void random_bytes(MutableBytes out) {
  init();
  if (!out.empty()) randombytes_buf(out.data(), out.size());
}

void random_nonce(MutableBytes out) {
  if (out.empty()) return;
  thread_local NonceBuffer buffer;
  if (out.size() > buffer.bytes.size()) return random_bytes(out);
  const unsigned forks = fork_count.load(std::memory_order_relaxed);
  if (buffer.bytes.size() - buffer.used < out.size() || buffer.forks != forks) {
    random_bytes(buffer.bytes);
    buffer.used = 0;
    buffer.forks = forks;
  }
  memcpy(out.data(), buffer.bytes.data() + buffer.used, out.size());
  buffer.used += out.size();
}

// Fisher and Yates' shuffle (Knuth, TAOCP 2, 3.4.2 P).
void random_order(std::span<uint32_t> order) {
  SR_CHECK(order.size() <= UINT32_MAX, "an order of at most 2^32 numbers");
  init();
  for (uint32_t i = 0; i < order.size(); ++i) {
    const uint32_t at = below(i + 1);
    order[i] = order[at];
    order[at] = i;
  }
}

}  // namespace strongroom::crypto
