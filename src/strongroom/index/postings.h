// Sealed postings of one term in one lane.
//
//   single i   key lane u24be | F(T,blk(40h,i))[0:13]   value (pt xor F(T,blk(41h,i))[0:9]) | tag
//              pt = idx u40le | u_lo u32le              tag = F(T, 42h | i u48le | pt)[0:7]
//   head       key at blk(45h,0), the number of postings (u72le) sealed like single 0 with tags 46h (pad) and 47h (tag)
//   packed j   key at blk(43h,j)                        value 1024 B = GCM(key F(T,blk(60h,0))|F(T,blk(61h,0)), nonce 0^4|j u64be,
//              AD row key, count u16le | up to 111 x 9 | zeros)
//
// A term of a packed lane with fewer than 24 postings has singles and no head; with more, a head and packed blocks.
// Everything read back is authenticated here: an error is kDataLoss and means forged, moved or damaged.
#pragma once

#include <string>
#include <vector>

#include "strongroom/base/ids.h"
#include "strongroom/base/result.h"
#include "strongroom/base/secret.h"
#include "strongroom/crypto/prf.h"

namespace strongroom::index {

struct Posting {
  RecordIndex idx;
  uint32_t u_lo = 0;
  auto operator<=>(const Posting&) const = default;
};

inline constexpr size_t kPostingKeySize = 16;
inline constexpr size_t kSingleSize = 16;
inline constexpr size_t kPackedSize = 1024;
inline constexpr size_t kPackedPostings = 111;
inline constexpr size_t kPackedMin = 24;

// One term in one lane, its key schedule ready. Not thread-safe. Rekeying an object is cheaper than making another.
class TermCipher {
 public:
  TermCipher(LaneId lane, const TermToken& token);
  void rekey(LaneId lane, const TermToken& token);

  ByteArray<kPostingKeySize> single_key(uint64_t i);
  ByteArray<kPostingKeySize> head_key();
  ByteArray<kPostingKeySize> packed_key(uint64_t j);

  ByteArray<kSingleSize> seal_single(uint64_t i, const Posting& posting);
  Result<Posting> open_single(uint64_t i, Bytes value);
  ByteArray<kSingleSize> seal_head(uint64_t count);
  Result<uint64_t> open_head(Bytes value);
  std::string seal_packed(uint64_t j, std::span<const Posting> postings);  // 1..kPackedPostings
  Result<void> open_packed(uint64_t j, Bytes value, std::vector<Posting>& out);  // Appends.

 private:
  LaneId lane_;
  TermToken token_;
  crypto::Prf prf_;
};

}  // namespace strongroom::index
