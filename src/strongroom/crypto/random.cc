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

}  // namespace strongroom::crypto
