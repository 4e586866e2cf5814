// Sealed postings of one term in one lane.  Spec: docs/spec/index.md
//
//   single i  key    lane u24be | F(T,blk(40h,i))[0:13]
//             value  (pt xor F(T,blk(41h,i))[0:9]) | F(T, 42h | i u48le | pt)[0:7]
//             pt     idx u40le | u_lo u32le
//   head      key at blk(45h,0); pt is postings u40le | blocks u32le, sealed like single 0 with
//             46h for the pad and 47h for the tag
//   packed j  key    at blk(43h,j)
//             value  256, 1024, 4096 B = GCM(key F(T,blk(60h,0))|F(T,blk(61h,0)), nonce 0^4 | j
//             u64be,
//                    AD row key, content | zeros), content as in packed_block.h
//
// A term of a packed lane with fewer than 8 postings has singles and no head; with more, a head
// and packed blocks. Everything read back is authenticated here: an error is kDataLoss and means
// forged, moved or damaged.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "strongroom/base/ids.h"
#include "strongroom/base/result.h"
#include "strongroom/base/secret.h"

namespace strongroom::index {

struct Posting {
  RecordIndex idx;
  uint32_t u_lo = 0;
  auto operator<=>(const Posting&) const = default;
};

inline constexpr size_t kLaneSize = 3;  // At the front of each key of a lane, u24be.
inline constexpr size_t kPostingKeySize = 16;
inline constexpr size_t kSingleSize = 16;
// Of packed blocks. A long list is read in few large ones; what is left of it, or a short list,
// takes the smallest that holds it.
inline constexpr size_t kPackedLargeSize = 4096;
inline constexpr size_t kPackedSize = 1024;
inline constexpr size_t kPackedTailSize = 256;
// From here on a head and a block take less room than singles.
inline constexpr size_t kPackedMin = 8;
inline constexpr uint64_t kTermPostingsMax = uint64_t{1} << 31;  // In one lane.

using PostingKey = ByteArray<kPostingKeySize>;
// The front of a lane's keys, in postings and directory. Of the one behind the last lane: empty,
// the end of the table.
std::string lane_prefix(uint32_t lane);
// [from, to) of a lane's rows, in both.
std::pair<std::string, std::string> lane_range(LaneId lane);
using SingleValue = ByteArray<kSingleSize>;
struct SealedPosting {
  PostingKey key;
  SingleValue value;
};

struct PackedHead {
  uint64_t postings = 0;
  uint32_t blocks = 0;
  bool operator==(const PackedHead&) const = default;
};

// Of a packed block.
struct BlockExtent {
  Posting first, last;
  size_t count = 0;
};

class IdxFilter;

// One term in one lane. Each call expands the AES key anew, in the thread's context (about 80 ns):
// ask for many rows at once. Not thread-safe. Rekeying an object is cheaper than making another.
class TermCipher {
 public:
  TermCipher(LaneId lane, const TermToken& token) : lane_(lane), token_(token.clone()) {}
  void rekey(LaneId lane, const TermToken& token);

  PostingKey single_key(uint64_t i);
  PostingKey head_key();
  PostingKey packed_key(uint64_t j);
  // Of first, first + 1, ...; as many as `out` holds.
  void single_keys(uint64_t first, std::span<PostingKey> out);
  void packed_keys(uint64_t first, std::span<PostingKey> out);

  SingleValue seal_single(uint64_t i, const Posting& posting);
  // Keys and values of singles first, first + 1, ...; out is as long as `postings`.
  void seal_singles(uint64_t first, std::span<const Posting> postings,
                    std::span<SealedPosting> out);
  Result<Posting> open_single(uint64_t i, Bytes value);
  SingleValue seal_head(const PackedHead& head);
  Result<PackedHead> open_head(Bytes value);
  // As many of the postings, from the front, as a block holds: returns how many. They ascend, each
  // once; two of one record are in two blocks. `value` is replaced. One (T, j) is sealed once, or
  // again with the same postings: the nonce is j.
  size_t seal_packed(uint64_t j, std::span<const Posting> postings, std::string& value);
  // Appends, ascending, all of it, or those that `only` has. What it says is of the whole block.
  Result<BlockExtent> open_packed(uint64_t j, Bytes value, std::vector<Posting>& out,
                                  const IdxFilter* only = nullptr);

 private:
  std::span<const uint8_t, 32> token() const { return token_.read(SecretAccess{}); }
  std::span<const uint8_t, 32> packed_secret();
  void keys(uint8_t tweak, uint64_t first, std::span<PostingKey> out);

  LaneId lane_;
  TermToken token_;
  SealingKey packed_secret_;  // Derived on first use.
  bool packed_ready_ = false;
};

}  // namespace strongroom::index
