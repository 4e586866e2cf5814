// Unique rows from a malicious store; and any plaintext of the right size behind the seal.
#include "strongroom/index/unique.h"

using namespace strongroom;  // NOLINT(google-build-using-namespace): one function
using namespace strongroom::index;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const TermToken kToken;
  const auto key = unique_key(CollectionId{1}, kToken);
  if (open_unique(key, kToken, {data, size})) __builtin_trap();

  UniqueRow row;
  ByteReader in({data, size});
  row.version.idx.value = in.be(5);
  row.version.u.value = in.be(6);
  const Bytes check = in.take(row.check.size());
  if (!in.ok()) return 0;
  memcpy(row.check.data(), check.data(), check.size());
  const auto opened = open_unique(key, kToken, as_bytes(seal_unique(key, kToken, row)));
  if (!opened || opened->version != row.version || opened->check != row.check) __builtin_trap();
  return 0;
}
