// Shamir's secret sharing of a 32-byte secret over GF(2^8), polynomial 11Bh (Shamir 1979), and
// shares a person can type.
//
//   share  version u8 = 1 | x u8 (1..n) | threshold u8 | set id 16 | y 32 | first 4 bytes of
//   SHA-256 over the rest text   "sr1-share-" and 22 groups of 4 Crockford base32 digits, joined by
//   "-"
//
// Any `threshold` shares of one set give the secret, fewer say nothing about it. The checksum finds
// slips of the pen, not forgery: whoever combines shares must hold a check value of the secret.
// Constant time in secret bytes: no branch and no table look-up depends on them (x and threshold
// are public).
#pragma once

#include <string_view>
#include <vector>

#include "strongroom/base/bytes.h"
#include "strongroom/base/result.h"
#include "strongroom/base/secret.h"

namespace strongroom::crypto {

struct Share {
  uint8_t x = 0;
  uint8_t threshold = 0;
  ByteArray<16> set{};  // Random per split: tells shares of different secrets apart.
  Secret<32> y;
};

inline constexpr size_t kShareTextMax = 512;  // What parse_share() reads at most, spaces included.

// `n` shares, x = 1..n.
//   kInvalidArgument  Not 1 <= threshold <= n.
Result<std::vector<Share>> split_secret(std::span<const uint8_t, 32> secret, uint8_t threshold,
                                        uint8_t n);

// The secret. More shares than the threshold are checked against each other.
//   kFailedPrecondition  Too few: Error::number more are needed.
//   kInvalidArgument     Shares of different sets.
//   kAlreadyExists       The same share twice.
//   kDataLoss            A share is damaged: impossible numbers, or surplus shares that do not fit
//   the others.
Result<Secret<32>> combine_shares(std::span<const Share> shares);

SecretBuffer share_to_text(const Share& share);
// Takes upper and lower case, spaces and line breaks anywhere, O for 0, I and L for 1.
//   kInvalidArgument  Not the text of a share of a version we know; Error::number is the offending
//   position, if any. Or its checksum does not match: mistyped or damaged.
Result<Share> parse_share(std::string_view text);

}  // namespace strongroom::crypto
