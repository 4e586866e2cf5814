// The derivations that two roles share: what a writer or reader does with the secret it was given.
// (The GGM tree above S is keytree/, the only one to hold seeds.)  Source: the design, "Keys and
// seals (exact)".
#pragma once

#include "strongroom/base/ids.h"
#include "strongroom/base/secret.h"
#include "strongroom/crypto/prf.h"

namespace strongroom::crypto {

// K_{idx,u,g} = F(S,blk(30h,g)) | F(S,blk(31h,g))
RecordKey derive_group_key(const WriteSecret& s, GroupId group);

// T = F(H(R_l,"sr1.lane0"),h_w) | F(H(R_l,"sr1.lane1"),h_w). Holds the two lane keys ready. Not
// thread-safe.
class LaneTokens {
 public:
  explicit LaneTokens(const LaneRoot& root);
  TermToken token(const TermHash& h_w);
  // Many at once: out must be h.size() long.
  void tokens(std::span<const TermHash> h, std::span<TermToken> out);

 private:
  Prf first_;
  Prf second_;
};

// A labelled subkey H(root, label | 00h | number u64be): for wrapping keys of state, log bodies and
// the gateway's own metadata. A label holds no zero byte, so that no two (label, number) meet.
SealingKey derive_sealing_key(std::span<const uint8_t, 32> root, std::string_view label,
                              uint64_t number = 0);

}  // namespace strongroom::crypto
