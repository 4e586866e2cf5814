// Directory rows from a malicious store; and plaintext behind the seal, as another writer of the
// lane could make it.
#include "strongroom/crypto/aead.h"
#include "strongroom/crypto/hash.h"
#include "strongroom/index/directory.h"

using namespace strongroom;  // NOLINT(google-build-using-namespace): one function
using namespace strongroom::index;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const LaneRoot kRoot;
  static const DirectoryReader reader(LaneId{1}, kRoot);
  const Bytes input(data, size);
  const ByteArray<kDirectoryKeySize> key{0, 0, 1};
  if (reader.open(key, input)) __builtin_trap();
  if (size >= kDirectoryKeySize &&
      reader.open(input.first(kDirectoryKeySize), input.subspan(kDirectoryKeySize))) {
    __builtin_trap();
  }

  static const crypto::Digest secret =
      crypto::hmac_sha256(kRoot.read(SecretAccess{}), {as_bytes("sr1.dir")});
  std::string ad = "SR1D";
  append(ad, key);
  std::string value(1 + crypto::kGcmNonceSize, '\0');
  value[0] = 1;
  crypto::gcm_seal(secret, ByteArray<12>{}, as_bytes(ad), input, value);
  const auto row = reader.open(key, as_bytes(value));
  if (row && row->terms.size() > kTermsPerWriteMax) __builtin_trap();
  if (row && !row->write) {
    // One form only: what is read would be written so.
    const SealedRow again = DirectoryWriter(LaneId{1}, kRoot).terms_row(row->terms);
    const auto reread = reader.open(as_bytes(again.key), as_bytes(again.value));
    if (again.value.size() != value.size() || !reread || reread->terms != row->terms) {
      __builtin_trap();
    }
  }
  return 0;
}
