#include "strongroom/index/postings.h"

#include <algorithm>

#include "strongroom/base/check.h"
#include "strongroom/crypto/aead.h"
#include "strongroom/crypto/hash.h"
#include "strongroom/crypto/prf.h"
#include "strongroom/index/packed_block.h"

namespace strongroom::index {
namespace {

using crypto::blk;
using crypto::Block;

constexpr uint8_t kSingleKey = 0x40;
constexpr uint8_t kSinglePad = 0x41;
constexpr uint8_t kSingleTag = 0x42;
constexpr uint8_t kPackedKey = 0x43;
constexpr uint8_t kHeadKey = 0x45;
constexpr uint8_t kHeadPad = 0x46;
constexpr uint8_t kHeadTag = 0x47;
constexpr uint8_t kPackedSecret0 = 0x60;
constexpr uint8_t kPackedSecret1 = 0x61;

constexpr size_t kPostingSize = 9;
constexpr size_t kTagSize = 7;
constexpr size_t kLargePlainSize = kPackedLargeSize - crypto::kGcmTagSize;
constexpr size_t kMiddlePlainSize = kPackedSize - crypto::kGcmTagSize;
constexpr size_t kTailPlainSize = kPackedTailSize - crypto::kGcmTagSize;
// What is no longer than this takes no more room in blocks of kPackedSize.
constexpr size_t kLargeContentMin = 3 * kMiddlePlainSize + 1;
constexpr uint64_t kSinglesMax = uint64_t{1} << 48;
constexpr size_t kBatch = 32;

static_assert(kPostingSize + kTagSize == kSingleSize);

using Plain = ByteArray<kPostingSize>;

Error damaged_postings() {
  return make_error(
      ErrorCode::kDataLoss,
      "an index row is damaged, forged or from another place; restore the store from a "
      "backup");
}

Plain plain_of(const Posting& posting) {
  SR_CHECK(posting.idx.value <= RecordIndex::kMax, "a record index has 40 bits");
  Plain plain;
  store_le<uint64_t>(plain.data(), posting.idx.value, 5);
  store_le<uint32_t>(plain.data() + 5, posting.u_lo);
  return plain;
}

Posting posting_of(const uint8_t* plain) {
  return {{load_le<uint64_t>(plain, 5)}, load_le<uint32_t>(plain + 5)};
}

Block tag_block(uint8_t tweak, uint64_t i, const Plain& plain) {
  SR_CHECK(i < kSinglesMax, "a term has fewer than 2^48 postings in a lane");
  Block block;
  block[0] = tweak;
  store_le<uint64_t>(block.data() + 1, i, 6);
  std::copy(plain.begin(), plain.end(), block.begin() + 7);
  return block;
}

SingleValue value_of(const Plain& plain, const Block& pad, const Block& tag) {
  SingleValue value;
  for (size_t b = 0; b < kPostingSize; ++b) value[b] = plain[b] ^ pad[b];
  std::copy_n(tag.begin(), kTagSize, value.begin() + kPostingSize);
  return value;
}

PostingKey key_of(LaneId lane, const Block& label) {
  PostingKey key;
  store_be<uint32_t>(key.data(), lane.value, kLaneSize);
  std::copy_n(label.begin(), kPostingKeySize - kLaneSize, key.begin() + kLaneSize);
  return key;
}

SingleValue seal_small(std::span<const uint8_t, 32> token, uint8_t pad_tweak, uint8_t tag_tweak,
                       uint64_t i, const Plain& plain) {
  Block blocks[2] = {blk(pad_tweak, i), tag_block(tag_tweak, i, plain)};
  crypto::prf_blocks(token, blocks);
  return value_of(plain, blocks[0], blocks[1]);
}

Result<Plain> open_small(std::span<const uint8_t, 32> token, uint8_t pad_tweak, uint8_t tag_tweak,
                         uint64_t i, Bytes value) {
  if (value.size() != kSingleSize) return damaged_postings();
  Block pad[1] = {blk(pad_tweak, i)};
  crypto::prf_blocks(token, pad);
  Plain plain;
  for (size_t b = 0; b < kPostingSize; ++b) plain[b] = value[b] ^ pad[0][b];
  Block tag[1] = {tag_block(tag_tweak, i, plain)};
  crypto::prf_blocks(token, tag);
  if (!crypto::equal_ct(Bytes(tag[0]).first(kTagSize), value.subspan(kPostingSize)))
    return damaged_postings();
  return plain;
}

ByteArray<crypto::kGcmNonceSize> packed_nonce(uint64_t j) {
  ByteArray<crypto::kGcmNonceSize> nonce{};
  store_be<uint64_t>(nonce.data() + 4, j);
  return nonce;
}

}  // namespace

std::string lane_prefix(uint32_t lane) {
  std::string out;
  if (lane <= kLaneMax) append_be(out, lane, kLaneSize);
  return out;
}

std::pair<std::string, std::string> lane_range(LaneId lane) {
  return {lane_prefix(lane.value), lane_prefix(lane.value + 1)};
}

void TermCipher::rekey(LaneId lane, const TermToken& token) {
  lane_ = lane;
  token_ = token.clone();
  packed_secret_.wipe();
  packed_ready_ = false;
}

void TermCipher::keys(uint8_t tweak, uint64_t first, std::span<PostingKey> out) {
  Block blocks[kBatch];
  for (size_t at = 0; at < out.size(); at += kBatch) {
    const size_t count = std::min(kBatch, out.size() - at);
    for (size_t k = 0; k < count; ++k) blocks[k] = blk(tweak, first + at + k);
    crypto::prf_blocks(token(), std::span<Block>(blocks, count));
    for (size_t k = 0; k < count; ++k) out[at + k] = key_of(lane_, blocks[k]);
  }
}

void TermCipher::single_keys(uint64_t first, std::span<PostingKey> out) {
  keys(kSingleKey, first, out);
}

void TermCipher::packed_keys(uint64_t first, std::span<PostingKey> out) {
  keys(kPackedKey, first, out);
}

PostingKey TermCipher::single_key(uint64_t i) {
  PostingKey key;
  keys(kSingleKey, i, {&key, 1});
  return key;
}

PostingKey TermCipher::packed_key(uint64_t j) {
  PostingKey key;
  keys(kPackedKey, j, {&key, 1});
  return key;
}

PostingKey TermCipher::head_key() {
  PostingKey key;
  keys(kHeadKey, 0, {&key, 1});
  return key;
}

SingleValue TermCipher::seal_single(uint64_t i, const Posting& posting) {
  return seal_small(token(), kSinglePad, kSingleTag, i, plain_of(posting));
}

void TermCipher::seal_singles(uint64_t first, std::span<const Posting> postings,
                              std::span<SealedPosting> out) {
  SR_CHECK(postings.size() == out.size(), "a row for each posting");
  Block blocks[3 * kBatch];
  Plain plains[kBatch];
  for (size_t at = 0; at < postings.size(); at += kBatch) {
    const size_t count = std::min(kBatch, postings.size() - at);
    for (size_t k = 0; k < count; ++k) {
      const uint64_t i = first + at + k;
      plains[k] = plain_of(postings[at + k]);
      blocks[3 * k] = blk(kSingleKey, i);
      blocks[3 * k + 1] = blk(kSinglePad, i);
      blocks[3 * k + 2] = tag_block(kSingleTag, i, plains[k]);
    }
    crypto::prf_blocks(token(), std::span<Block>(blocks, 3 * count));
    for (size_t k = 0; k < count; ++k) {
      out[at + k].key = key_of(lane_, blocks[3 * k]);
      out[at + k].value = value_of(plains[k], blocks[3 * k + 1], blocks[3 * k + 2]);
    }
  }
}

Result<Posting> TermCipher::open_single(uint64_t i, Bytes value) {
  SR_ASSIGN(const Plain plain, open_small(token(), kSinglePad, kSingleTag, i, value));
  return posting_of(plain.data());
}

SingleValue TermCipher::seal_head(const PackedHead& head) {
  return seal_small(token(), kHeadPad, kHeadTag, 0, plain_of({{head.postings}, head.blocks}));
}

Result<PackedHead> TermCipher::open_head(Bytes value) {
  SR_ASSIGN(const Plain plain, open_small(token(), kHeadPad, kHeadTag, 0, value));
  const Posting both = posting_of(plain.data());
  return PackedHead{both.idx.value, both.u_lo};
}

std::span<const uint8_t, 32> TermCipher::packed_secret() {
  if (!packed_ready_) {
    crypto::prf_pair(token(), blk(kPackedSecret0, 0), blk(kPackedSecret1, 0),
                     packed_secret_.write(SecretAccess{}));
    packed_ready_ = true;
  }
  return packed_secret_.read(SecretAccess{});
}

size_t TermCipher::seal_packed(uint64_t j, std::span<const Posting> postings, std::string& value) {
  ByteArray<kLargePlainSize + kContentSlack> plain;
  BlockContent content = code_block(postings, kLargePlainSize, plain);
  size_t size = kLargePlainSize;
  if (content.size < kLargeContentMin) {
    if (content.size > kMiddlePlainSize) content = code_block(postings, kMiddlePlainSize, plain);
    size = content.size > kTailPlainSize ? kMiddlePlainSize : kTailPlainSize;
  }
  value.clear();
  value.reserve(size + crypto::kGcmTagSize);
  crypto::gcm_seal(packed_secret(), packed_nonce(j), packed_key(j), Bytes(plain).first(size),
                   value);
  return content.count;
}

Result<BlockExtent> TermCipher::open_packed(uint64_t j, Bytes value, std::vector<Posting>& out,
                                            const IdxFilter* only) {
  if (value.size() != kPackedLargeSize && value.size() != kPackedSize &&
      value.size() != kPackedTailSize) {
    return damaged_postings();
  }
  ByteArray<kLargePlainSize + kContentSlack> buffer;
  const MutableBytes plain = MutableBytes(buffer).first(value.size() - crypto::kGcmTagSize);
  SR_TRY(crypto::gcm_open(packed_secret(), packed_nonce(j), packed_key(j), value, plain));
  BlockExtent extent;
  size_t content = 0;
  const size_t before = out.size();
  if (!decode_block(plain, only, out, extent, content)) return damaged_postings();
  const Bytes padding = plain.subspan(content);
  const bool too_large = (value.size() == kPackedSize && content <= kTailPlainSize) ||
                         (value.size() == kPackedLargeSize && content < kLargeContentMin);
  if (too_large || std::any_of(padding.begin(), padding.end(), [](uint8_t b) { return b != 0; })) {
    out.resize(before);
    return damaged_postings();
  }
  return extent;
}

}  // namespace strongroom::index
