// Posting values from a malicious store; and block plaintext behind the seal, as a holder of the
// token could make it.
#include <algorithm>

#include "strongroom/crypto/aead.h"
#include "strongroom/crypto/prf.h"
#include "strongroom/index/idx_filter.h"
#include "strongroom/index/postings.h"

using namespace strongroom;  // NOLINT(google-build-using-namespace): one function
using namespace strongroom::index;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const TermToken kToken;
  static TermCipher cipher(LaneId{1}, kToken);
  const Bytes input(data, size);
  std::vector<Posting> out;
  if (cipher.open_single(0, input) || cipher.open_head(input) ||
      cipher.open_packed(0, input, out)) {
    __builtin_trap();  // The chance of a forgery is 2^-56.
  }
  if (!out.empty()) __builtin_trap();

  ByteArray<32> secret;
  crypto::prf_pair(kToken.read(SecretAccess{}), crypto::blk(0x60, 0), crypto::blk(0x61, 0), secret);
  const size_t tag = crypto::kGcmTagSize;
  const size_t block = size <= kPackedTailSize - tag ? kPackedTailSize
                       : size <= kPackedSize - tag   ? kPackedSize
                                                     : kPackedLargeSize;
  std::string plain(block - crypto::kGcmTagSize, '\0');
  memcpy(plain.data(), data, std::min(size, plain.size()));
  std::string value;
  crypto::gcm_seal(secret, ByteArray<12>{}, cipher.packed_key(0), as_bytes(plain), value);
  out.clear();
  const auto opened = cipher.open_packed(0, as_bytes(value), out);
  if (!opened && !out.empty()) __builtin_trap();
  if (!opened) return 0;
  if (out.size() != opened->count || out.front() != opened->first || out.back() != opened->last ||
      !std::is_sorted(out.begin(), out.end())) {
    __builtin_trap();
  }
  // Of all, those that a filter has. What is passed over is not looked at, so it may be damaged.
  std::vector<Posting> wanted(out.begin() + static_cast<std::ptrdiff_t>(size % out.size()),
                              out.end());
  if (wanted.size() > 3) wanted.resize(3);
  if (!IdxFilter::is_small(wanted, 1 << 16)) return 0;
  const IdxFilter filter(wanted);
  std::vector<Posting> some;
  if (!cipher.open_packed(0, as_bytes(value), some, &filter)) __builtin_trap();
  std::erase_if(out, [&](const Posting& posting) { return !filter.has(posting.idx); });
  if (some != out) __builtin_trap();
  return 0;
}
