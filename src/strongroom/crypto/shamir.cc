#include "strongroom/crypto/shamir.h"

#include "strongroom/crypto/hash.h"
#include "strongroom/crypto/random.h"

namespace strongroom::crypto {
namespace {

uint8_t gf_mul(uint8_t a, uint8_t b) {
  unsigned x = a;
  unsigned y = b;
  unsigned product = 0;
  for (int bit = 0; bit < 8; ++bit) {
    product ^= x & (0u - (y & 1));
    x = (x << 1) ^ (0x11bu & (0u - (x >> 7)));
    y >>= 1;
  }
  return static_cast<uint8_t>(product);
}

uint8_t gf_inverse(uint8_t a) {  // a^254: squarings and products of a fixed pattern.
  uint8_t result = 1;
  uint8_t square = a;
  for (int bit = 1; bit < 8; ++bit) {
    square = gf_mul(square, square);
    result = gf_mul(result, square);
  }
  return result;
}

// The value at `at` of the polynomial through `shares`, whose x are distinct.
Secret<32> interpolate(std::span<const Share> shares, uint8_t at) {
  Secret<32> out;
  const auto sum = out.write(SecretAccess{});
  for (const Share& share : shares) {
    uint8_t weight = 1;
    for (const Share& other : shares) {
      if (other.x == share.x) continue;
      weight = gf_mul(weight, static_cast<uint8_t>(at ^ other.x));
      weight = gf_mul(weight, gf_inverse(static_cast<uint8_t>(share.x ^ other.x)));
    }
    const auto y = share.y.read(SecretAccess{});
    for (size_t i = 0; i < sum.size(); ++i) {
      sum[i] = static_cast<uint8_t>(sum[i] ^ gf_mul(weight, y[i]));
    }
  }
  return out;
}

constexpr uint8_t kShareVersion = 1;
constexpr size_t kBodySize = 1 + 1 + 1 + 16 + 32;
constexpr size_t kChecksumSize = 4;
constexpr size_t kShareSize = kBodySize + kChecksumSize;  // 440 bits: 88 digits, none to spare.
constexpr size_t kDigits = kShareSize * 8 / 5;
constexpr std::string_view kPrefix = "sr1share";
using ShareBytes = Secret<kShareSize>;

// Crockford's digits are runs of ASCII: these tables are of ranges, and every digit is held against
// all of them.
struct Run {
  char first;
  char last;
  int value;
};
constexpr Run kRuns[] = {{'0', '9', 0},  {'a', 'h', 10}, {'j', 'k', 18},
                         {'m', 'n', 20}, {'p', 't', 22}, {'v', 'z', 27}};
constexpr Run kLookalikes[] = {{'o', 'o', 0}, {'i', 'i', 1}, {'l', 'l', 1}};

int within(int value, int first, int last) {  // -1 if first <= value <= last, else 0.
  return ((first - 1 - value) & (value - last - 1)) >> 31;
}

char digit_of(int value) {
  int c = 0;
  for (const Run& run : kRuns) {
    const int end = run.value + run.last - run.first;
    c |= within(value, run.value, end) & (run.first + value - run.value);
  }
  return static_cast<char>(c);
}

int lower(int c) {
  return c + (within(c, 'A', 'Z') & ('a' - 'A'));
}

int value_of(int c) {  // -1: no digit.
  int value = 0;
  for (const Run& run : kRuns) {
    value |= within(c, run.first, run.last) & (c - run.first + run.value + 1);
  }
  for (const Run& run : kLookalikes) value |= within(c, run.first, run.last) & (run.value + 1);
  return value - 1;
}

bool is_separator(char c) {
  return c == '-' || c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

Digest checksum(const ShareBytes& bytes) {
  return sha256(bytes.read(SecretAccess{}).first(kBodySize));
}

}  // namespace

Result<std::vector<Share>> split_secret(std::span<const uint8_t, 32> secret, uint8_t threshold,
                                        uint8_t n) {
  if (threshold == 0 || threshold > n) {
    return make_error(ErrorCode::kInvalidArgument,
                      "the threshold must be at least 1 and at most the number of shares");
  }
  SecretBuffer coefficients(size_t{32} * (threshold - 1u));  // Of x^1 and up, 32 bytes each.
  random_bytes(coefficients.write(SecretAccess{}));
  const Bytes higher = coefficients.read(SecretAccess{});
  ByteArray<16> set;
  random_bytes(set);
  std::vector<Share> shares(n);
  for (unsigned k = 0; k < n; ++k) {
    Share& share = shares[k];
    share.x = static_cast<uint8_t>(k + 1);
    share.threshold = threshold;
    share.set = set;
    const auto y = share.y.write(SecretAccess{});
    for (size_t i = 0; i < y.size(); ++i) {  // Horner's rule, from the highest power down.
      uint8_t value = 0;
      for (size_t power = threshold - 1u; power > 0; --power) {
        value = gf_mul(static_cast<uint8_t>(value ^ higher[32 * (power - 1) + i]), share.x);
      }
      y[i] = static_cast<uint8_t>(value ^ secret[i]);
    }
  }
  return shares;
}

Result<Secret<32>> combine_shares(std::span<const Share> shares) {
  if (shares.empty()) {
    return make_error(ErrorCode::kFailedPrecondition, "no share was given; give a first one", 1);
  }
  const Share& first = shares.front();
  for (size_t i = 0; i < shares.size(); ++i) {
    const Share& share = shares[i];
    if (share.x == 0 || share.threshold == 0) {
      return make_error(ErrorCode::kDataLoss,
                        "a share is damaged; ask its holder to read it again");
    }
    if (share.set != first.set || share.threshold != first.threshold) {
      return make_error(ErrorCode::kInvalidArgument,
                        "the shares belong to different sets; use shares made together");
    }
    for (size_t k = 0; k < i; ++k) {
      if (shares[k].x == share.x) {
        return make_error(ErrorCode::kAlreadyExists,
                          "the same share was given twice; give a different one", share.x);
      }
    }
  }
  if (shares.size() < first.threshold) {
    return make_error(ErrorCode::kFailedPrecondition, "more shares are needed; ask another holder",
                      static_cast<int64_t>(first.threshold - shares.size()));
  }
  const auto enough = shares.first(first.threshold);
  for (const Share& surplus : shares.subspan(enough.size())) {
    const Secret<32> expected = interpolate(enough, surplus.x);
    if (!equal_ct(expected.read(SecretAccess{}), surplus.y.read(SecretAccess{}))) {
      return make_error(ErrorCode::kDataLoss,
                        "one of the shares does not fit the others; try again with other shares");
    }
  }
  return interpolate(enough, 0);
}

SecretBuffer share_to_text(const Share& share) {
  ShareBytes bytes;
  const auto out = bytes.write(SecretAccess{});
  out[0] = kShareVersion;
  out[1] = share.x;
  out[2] = share.threshold;
  memcpy(out.data() + 3, share.set.data(), share.set.size());
  memcpy(out.data() + 19, share.y.read(SecretAccess{}).data(), 32);
  memcpy(out.data() + kBodySize, checksum(bytes).data(), kChecksumSize);

  static constexpr std::string_view kTextPrefix = "sr1-share";
  SecretBuffer text(kTextPrefix.size() + kDigits / 4 * 5);
  char* to = reinterpret_cast<char*>(text.write(SecretAccess{}).data());
  memcpy(to, kTextPrefix.data(), kTextPrefix.size());
  to += kTextPrefix.size();
  for (size_t digit = 0; digit < kDigits; ++digit) {
    if (digit % 4 == 0) *to++ = '-';
    const size_t bit = digit * 5;
    const unsigned next = bit / 8 + 1 < kShareSize ? out[bit / 8 + 1] : 0;
    const unsigned window = (unsigned{out[bit / 8]} << 8) | next;
    *to++ = digit_of(static_cast<int>((window >> (11 - bit % 8)) & 31));
  }
  return text;
}

Result<Share> parse_share(std::string_view text) {
  if (text.size() > kShareTextMax) {
    return make_error(ErrorCode::kInvalidArgument, "this text is too long to be a share");
  }
  ShareBytes bytes;
  const auto out = bytes.write(SecretAccess{});
  size_t seen = 0;  // Symbols, the prefix included.
  for (size_t at = 0; at < text.size(); ++at) {
    if (is_separator(text[at])) continue;
    const int value = value_of(lower(static_cast<unsigned char>(text[at])));
    const auto position = static_cast<int64_t>(at + 1);
    if (value < 0) {
      return make_error(ErrorCode::kInvalidArgument,
                        "a character of the share is none that shares use; see the position",
                        position);
    }
    if (seen < kPrefix.size()) {
      if (value != value_of(kPrefix[seen])) {
        return make_error(ErrorCode::kInvalidArgument,
                          "this is not a share: one begins with sr1-share-", position);
      }
    } else if (seen - kPrefix.size() < kDigits) {
      const size_t bit = (seen - kPrefix.size()) * 5;
      const unsigned window = static_cast<unsigned>(value) << (11 - bit % 8);
      out[bit / 8] = static_cast<uint8_t>(out[bit / 8] | (window >> 8));
      if (bit / 8 + 1 < kShareSize) {
        out[bit / 8 + 1] = static_cast<uint8_t>(out[bit / 8 + 1] | (window & 255));
      }
    }
    ++seen;
  }
  if (seen != kPrefix.size() + kDigits) {
    return make_error(ErrorCode::kInvalidArgument,
                      "a share has 22 groups of 4 characters behind sr1-share-; some are missing "
                      "or too many");
  }
  if (!equal_ct(Bytes(checksum(bytes)).first(kChecksumSize), out.subspan(kBodySize))) {
    return make_error(ErrorCode::kInvalidArgument,
                      "the share is mistyped; read it again: a character is wrong, or two are "
                      "swapped");
  }
  Share share;
  share.x = out[1];
  share.threshold = out[2];
  if (out[0] != kShareVersion || share.x == 0 || share.threshold == 0) {
    return make_error(ErrorCode::kInvalidArgument,
                      "the share is of a version this program does not know; update the program");
  }
  memcpy(share.set.data(), out.data() + 3, share.set.size());
  memcpy(share.y.write(SecretAccess{}).data(), out.data() + 19, 32);
  return share;
}

}  // namespace strongroom::crypto
