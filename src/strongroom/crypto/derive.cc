#include "strongroom/crypto/derive.h"

#include <algorithm>

#include "strongroom/base/check.h"
#include "strongroom/crypto/hash.h"

namespace strongroom::crypto {
namespace {

Prf lane_prf(const LaneRoot& root, std::string_view label) {
  Digest key = hmac_sha256(root.read(SecretAccess{}), {as_bytes(label)});
  Prf prf(key);
  explicit_bzero(key.data(), key.size());
  return prf;
}

}  // namespace

RecordKey derive_group_key(const WriteSecret& s, GroupId group) {
  RecordKey key;
  prf_pair(s.read(SecretAccess{}), blk(0x30, group.value), blk(0x31, group.value),
           key.write(SecretAccess{}));
  return key;
}

LaneTokens::LaneTokens(const LaneRoot& root)
    : first_(lane_prf(root, "sr1.lane0")), second_(lane_prf(root, "sr1.lane1")) {}

TermToken LaneTokens::token(const TermHash& h_w) {
  TermToken token;
  tokens({&h_w, 1}, {&token, 1});
  return token;
}

void LaneTokens::tokens(std::span<const TermHash> h, std::span<TermToken> out) {
  SR_CHECK(h.size() == out.size(), "a token for each term");
  static constexpr size_t kChunk = 64;
  Block blocks[kChunk];
  const auto fill = [&](std::span<const TermHash> terms, Prf& prf, size_t half,
                        std::span<TermToken> to) {
    for (size_t i = 0; i < terms.size(); ++i) blocks[i] = terms[i].bytes;
    prf(std::span<Block>(blocks, terms.size()));
    for (size_t i = 0; i < terms.size(); ++i) {
      memcpy(to[i].write(SecretAccess{}).data() + 16 * half, blocks[i].data(), 16);
    }
    explicit_bzero(blocks, terms.size() * sizeof(Block));
  };
  for (size_t at = 0; at < h.size(); at += kChunk) {
    const size_t count = std::min(kChunk, h.size() - at);
    fill(h.subspan(at, count), first_, 0, out.subspan(at, count));
    fill(h.subspan(at, count), second_, 1, out.subspan(at, count));
  }
}

SealingKey derive_sealing_key(std::span<const uint8_t, 32> root, std::string_view label,
                              uint64_t number) {
  SR_CHECK(label.find('\0') == std::string_view::npos, "a label holds no zero byte");
  ByteArray<9> suffix{};
  store_be<uint64_t>(suffix.data() + 1, number);
  Digest digest = hmac_sha256(root, {as_bytes(label), suffix});
  SealingKey key{std::span<const uint8_t, 32>(digest)};
  explicit_bzero(digest.data(), digest.size());
  return key;
}

}  // namespace strongroom::crypto
