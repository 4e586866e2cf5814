// Fresh randomness from the kernel, through libsodium. Never seeded, never replayed: tests inject
// keys, not randomness.
#pragma once

#include <span>

#include "strongroom/base/bytes.h"
#include "strongroom/base/secret.h"

namespace strongroom::crypto {

// Must run once before anything else in this folder; idempotent. Aborts if the library cannot
// start.
void init();
void random_bytes(MutableBytes out);
// Buffered per thread: for nonces, where a system call each would cost more than the seal.
void random_nonce(MutableBytes out);
// The numbers from 0 to order.size() - 1 in an order drawn evenly from all there are.
void random_order(std::span<uint32_t> order);
template <class S>
S random_secret() {
  S secret;
  random_bytes(secret.write(SecretAccess{}));
  return secret;
}

}  // namespace strongroom::crypto
