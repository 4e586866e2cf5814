#include "strongroom/index/postings.h"

#include <algorithm>
#include <bit>

#include "strongroom/base/check.h"
#include "strongroom/crypto/aead.h"
#include "strongroom/crypto/hash.h"
#include "strongroom/crypto/prf.h"
#include "strongroom/index/idx_filter.h"

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
constexpr size_t kPackedHead = 2 + kPostingSize;  // Count and first posting.
constexpr uint64_t kSinglesMax = uint64_t{1} << 48;
constexpr size_t kBatch = 32;

static_assert(kPostingSize + kTagSize == kSingleSize);
constexpr size_t kCodedSizeMax = 6 + 5;  // Of another posting: varints of 41 and of 32 bits.
static_assert(kPackedHead + (kPackedMin - 1) * kCodedSizeMax <= kTailPlainSize);

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

// Records of a bulk import that follow each other in a block of numbers share their version, and
// the next block has the next one: this says what u_lo a posting has if it is as usual.
uint32_t expected_u_lo(const Posting& last, RecordIndex idx) {
  return last.u_lo + (idx.block() - last.idx.block());
}

// varint of twice the step of idx, and one more where another varint says how u_lo differs from
// what is expected (zigzag of 32 bits). Returns the size, at most kCodedSizeMax.
size_t code_next(const Posting& last, const Posting& next, uint8_t* out) {
  SR_CHECK(last < next && next.idx.value <= RecordIndex::kMax, "postings ascend in a block");
  const uint64_t step = next.idx.value - last.idx.value;
  const uint32_t off = next.u_lo - expected_u_lo(last, next.idx);
  size_t size = store_varint(out, step * 2 + (off != 0));
  if (off != 0) size += store_varint(out + size, (off << 1) ^ (off >> 31 != 0 ? ~0u : 0u));
  return size;
}

// The posting behind `posting`, which it replaces. False: not what code_next() writes.
bool take_next(ByteReader& in, Posting& posting) {
  const uint64_t code = in.varint();
  if (!in.ok() || code / 2 > RecordIndex::kMax - posting.idx.value) return false;
  Posting next{{posting.idx.value + code / 2}, 0};
  next.u_lo = expected_u_lo(posting, next.idx);
  if (code % 2 != 0) {
    const uint64_t off = in.varint();
    if (!in.ok() || off == 0 || off > UINT32_MAX) return false;
    next.u_lo += static_cast<uint32_t>(off >> 1) ^ (off % 2 != 0 ? ~0u : 0u);
  }
  if (next <= posting) return false;
  posting = next;
  return true;
}

// A varint of up to eight bytes, of which eight can be read; moves `at` behind it. False: longer,
// or not in its shortest form. Without a branch on its length.
bool take_varint(const uint8_t*& at, uint64_t& out) {
  constexpr uint64_t kMore = 0x8080808080808080;
  const auto bytes = load_le<uint64_t>(at);
  const uint64_t last = ~bytes & kMore;  // The first of these bits is the last byte's.
  if (last == 0) return false;
  const int size = std::countr_zero(last) / 8 + 1;
  if (size > 1 && at[size - 1] == 0) return false;
  // Seven bits of each byte, then fourteen of each two, then twenty-eight of each four.
  uint64_t bits = bytes & (last ^ (last - 1)) & ~kMore;
  bits = (bits & 0x007f007f007f007f) | (bits & 0x7f007f007f007f00) >> 1;
  bits = (bits & 0x00003fff00003fff) | (bits & 0x3fff00003fff0000) >> 2;
  out = (bits & 0x000000000fffffff) | (bits & 0x0fffffff00000000) >> 4;
  at += size;
  return true;
}

// take_next() where at least kCodedSizeMax + 8 bytes can be read.
bool take_next(const uint8_t*& at, Posting& posting) {
  uint64_t code = 0, off = 0;
  if (!take_varint(at, code) || code / 2 > RecordIndex::kMax - posting.idx.value) return false;
  Posting next{{posting.idx.value + code / 2}, 0};
  next.u_lo = expected_u_lo(posting, next.idx);
  if (code % 2 != 0) {
    if (!take_varint(at, off) || off == 0 || off > UINT32_MAX) return false;
    next.u_lo += static_cast<uint32_t>(off >> 1) ^ (off % 2 != 0 ? ~0u : 0u);
  }
  if (next <= posting) return false;
  posting = next;
  return true;
}

// What a block's plaintext could hold: a posting takes at least a byte.
constexpr size_t kBlockPostingsMax = kLargePlainSize;
constexpr std::ptrdiff_t kReadAhead = kCodedSizeMax + 8;

// Whether these are eight steps of one byte each, with versions as expected. Where one begins is
// then known before the one before it was read, which is what takes the time.
bool are_short(uint64_t bytes) {
  constexpr uint64_t kEach = 0x0101010101010101;
  const bool even_and_below_128 = (bytes & kEach * 0x81) == 0;
  return even_and_below_128 && ((bytes + kEach * 0x7f) & kEach * 0x80) == kEach * 0x80;
}

// The postings behind `posting`, which becomes the last of them, until `left` is 0 or the content
// is not what code_next() writes. Appends those that keep(idx). Most steps are of one byte or two,
// with the version that is expected; a search reads hundreds of thousands, so these go without a
// branch that hangs on their size, or on keep(): nobody could predict it.
template <class Keep>
Posting* take_all(Bytes& in, Posting& posting, size_t& left, Posting* out, const Keep& keep) {
  const auto take = [&](const Posting& next) {
    posting = next;
    *out = next;
    out += keep(next.idx);
    --left;
  };
  while (left > 0) {
    const uint8_t* at = in.data();
    const uint8_t* const limit = at + in.size();
    while (left > 0 && limit - at >= 2) {
      if (left >= 8 && limit - at >= 8 && are_short(load_le<uint64_t>(at)) &&
          posting.idx.value < RecordIndex::kMax - 8 * 0x40) {
        for (int i = 0; i < 8; ++i) {
          const RecordIndex idx{posting.idx.value + *at++ / 2};
          take({idx, expected_u_lo(posting, idx)});
        }
        continue;
      }
      const uint64_t longer = at[0] >> 7;
      const bool in_two = at[1] != 0 && at[1] < 0x80;
      const uint64_t code = (at[0] & 0x7f) | (uint64_t{at[1]} << 7 & -longer);
      if ((longer != 0 && !in_two) || code % 2 != 0 || code == 0) break;
      const RecordIndex idx{posting.idx.value + code / 2};
      if (idx.value > RecordIndex::kMax) break;
      take({idx, expected_u_lo(posting, idx)});
      at += 1 + longer;
    }
    if (left == 0 || limit - at < kReadAhead) {
      in = in.last(static_cast<size_t>(limit - at));
      break;
    }
    Posting next = posting;
    if (!take_next(at, next)) return out;
    in = in.last(static_cast<size_t>(limit - at));
    take(next);
  }
  // The last few, of which no more than there is can be read.
  while (left > 0) {
    ByteReader reader(in);
    Posting next = posting;
    if (!take_next(reader, next)) break;
    in = in.last(reader.remaining());
    take(next);
  }
  return out;
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
  SR_CHECK(!postings.empty(), "a block has a posting");
  ByteArray<kLargePlainSize + kCodedSizeMax> plain;
  const Plain first = plain_of(postings[0]);
  std::copy(first.begin(), first.end(), plain.begin() + 2);
  struct {
    size_t count, end;
  } all{1, kPackedHead}, middle = all;  // What a large block holds, and one of the middle size.
  while (all.count < postings.size()) {
    const size_t size = code_next(postings[all.count - 1], postings[all.count], &plain[all.end]);
    if (all.end + size > kLargePlainSize) break;
    all = {all.count + 1, all.end + size};
    if (all.end <= kMiddlePlainSize) middle = all;
  }
  const bool large = all.end >= kLargeContentMin;
  const auto [count, end] = large ? all : middle;
  const size_t size = large                  ? kLargePlainSize
                      : end > kTailPlainSize ? kMiddlePlainSize
                                             : kTailPlainSize;
  std::fill(plain.begin() + end, plain.begin() + size, uint8_t{0});
  store_le<uint16_t>(plain.data(), static_cast<uint16_t>(count));
  value.clear();
  value.reserve(size + crypto::kGcmTagSize);
  crypto::gcm_seal(packed_secret(), packed_nonce(j), packed_key(j), Bytes(plain).first(size),
                   value);
  return count;
}

Result<BlockExtent> TermCipher::open_packed(uint64_t j, Bytes value, std::vector<Posting>& out,
                                            const IdxFilter* only) {
  if (value.size() != kPackedLargeSize && value.size() != kPackedSize &&
      value.size() != kPackedTailSize) {
    return damaged_postings();
  }
  ByteArray<kLargePlainSize> buffer;
  const MutableBytes plain = MutableBytes(buffer).first(value.size() - crypto::kGcmTagSize);
  SR_TRY(crypto::gcm_open(packed_secret(), packed_nonce(j), packed_key(j), value, plain));
  const size_t count = load_le<uint64_t>(plain.data(), 2);
  if (count == 0 || count > plain.size()) return damaged_postings();
  Posting posting = posting_of(plain.data() + 2);
  Bytes rest = plain.subspan(kPackedHead);
  // Left as it is: to make 64 KiB zeros would cost what decoding does.
  union Scratch {
    Scratch() {}
    Posting postings[kBlockPostingsMax + 1];
  } scratch;
  BlockExtent extent{posting, posting, count};
  size_t left = count - 1;
  Posting* end = scratch.postings;
  *end = posting;
  if (only == nullptr) {
    end = take_all(rest, posting, left, end + 1, [](RecordIndex) { return true; });
  } else {
    end = take_all(rest, posting, left, end + only->has(posting.idx),
                   [only](RecordIndex idx) { return only->has(idx); });
  }
  extent.last = posting;
  const size_t content = plain.size() - rest.size();
  const bool too_large = (value.size() == kPackedSize && content <= kTailPlainSize) ||
                         (value.size() == kPackedLargeSize && content < kLargeContentMin);
  if (left != 0 || too_large ||
      std::any_of(rest.begin(), rest.end(), [](uint8_t b) { return b != 0; })) {
    return damaged_postings();
  }
  out.insert(out.end(), scratch.postings, end);
  return extent;
}

}  // namespace strongroom::index
