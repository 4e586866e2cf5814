// What the primitives cost: the figures the design's plans rest on.
#include <benchmark/benchmark.h>

#include "strongroom/crypto/aead.h"
#include "strongroom/crypto/derive.h"
#include "strongroom/crypto/hash.h"
#include "strongroom/crypto/prf.h"
#include "strongroom/crypto/random.h"
#include "strongroom/crypto/shamir.h"
#include "strongroom/crypto/sign.h"

namespace strongroom::crypto {
namespace {

void prf_pair_fresh_key(benchmark::State& state) {
  ByteArray<32> key{1};
  for (auto _ : state) prf_pair(key, blk(0x10, 0), blk(0x11, 0), key);
  benchmark::DoNotOptimize(key);
}
BENCHMARK(prf_pair_fresh_key);

void prf_four_fresh_key(benchmark::State& state) {
  ByteArray<32> key{1};
  Block blocks[4] = {};
  for (auto _ : state) {
    prf_blocks(key, blocks);
    key[0] = blocks[3][0];
  }
}
BENCHMARK(prf_four_fresh_key);

void prf_block_fixed_key(benchmark::State& state) {
  Prf prf(ByteArray<32>{1});
  Block block{};
  for (auto _ : state) block = prf(block);
  benchmark::DoNotOptimize(block);
}
BENCHMARK(prf_block_fixed_key);

void prf_many_blocks(benchmark::State& state) {
  Prf prf(ByteArray<32>{1});
  std::vector<Block> blocks(256);
  for (auto _ : state) prf(std::span<Block>(blocks));
  state.SetItemsProcessed(state.iterations() * 256);
}
BENCHMARK(prf_many_blocks);

void gcm_seal_fresh_key(benchmark::State& state) {
  ByteArray<32> key{1};
  const ByteArray<12> nonce{};
  const ByteArray<20> ad{};
  const std::string plaintext(static_cast<size_t>(state.range(0)), 'x');
  std::string out;
  for (auto _ : state) {
    ++key[0];
    out.clear();
    gcm_seal(key, nonce, ad, as_bytes(plaintext), out);
  }
}
BENCHMARK(gcm_seal_fresh_key)->Arg(64)->Arg(300)->Arg(1024);

void gcm_open_fresh_key(benchmark::State& state) {
  const ByteArray<32> key{1};
  const ByteArray<12> nonce{};
  std::string sealed;
  gcm_seal(key, nonce, {}, as_bytes(std::string(300, 'x')), sealed);
  std::vector<uint8_t> plaintext(300);
  for (auto _ : state) {
    benchmark::DoNotOptimize(gcm_open(key, nonce, {}, as_bytes(sealed), plaintext).has_value());
  }
}
BENCHMARK(gcm_open_fresh_key);

void hmac_cached_key(benchmark::State& state) {
  Hmac hmac(ByteArray<32>{1});
  Digest data{};
  for (auto _ : state) data = hmac({data});
  benchmark::DoNotOptimize(data);
}
BENCHMARK(hmac_cached_key);

void hmac_fresh_key(benchmark::State& state) {
  Digest data{};
  for (auto _ : state) data = hmac_sha256(data, {data});
  benchmark::DoNotOptimize(data);
}
BENCHMARK(hmac_fresh_key);

void sha256_merkle_node(benchmark::State& state) {
  const ByteArray<1> one{1};
  Digest data{};
  for (auto _ : state) data = sha256({one, data, data});
  benchmark::DoNotOptimize(data);
}
BENCHMARK(sha256_merkle_node);

void lane_token(benchmark::State& state) {
  LaneTokens tokens(LaneRoot{});
  TermHash h{};
  for (auto _ : state) h.bytes[0] = tokens.token(h).read(SecretAccess{})[0];
  benchmark::DoNotOptimize(h);
}
BENCHMARK(lane_token);

void nonce(benchmark::State& state) {
  ByteArray<12> bytes;
  for (auto _ : state) random_nonce(bytes);
  benchmark::DoNotOptimize(bytes);
}
BENCHMARK(nonce);

void ed25519_sign(benchmark::State& state) {
  const auto key = SigningKey::generate();
  for (auto _ : state) benchmark::DoNotOptimize(key.sign(as_bytes("message")));
}
BENCHMARK(ed25519_sign);

void ed25519_verify(benchmark::State& state) {
  const auto key = SigningKey::generate();
  const auto signature = key.sign(as_bytes("message"));
  for (auto _ : state) {
    benchmark::DoNotOptimize(verify(key.public_key(), as_bytes("message"), signature));
  }
}
BENCHMARK(ed25519_verify);

void shamir_combine_3_of_5(benchmark::State& state) {
  const auto shares = split_secret(ByteArray<32>{1}, 3, 5);
  for (auto _ : state) {
    benchmark::DoNotOptimize(combine_shares(std::span(*shares).first(3)).has_value());
  }
}
BENCHMARK(shamir_combine_3_of_5);

}  // namespace
}  // namespace strongroom::crypto

BENCHMARK_MAIN();
