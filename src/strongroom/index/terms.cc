#include "strongroom/index/terms.h"

#include <algorithm>

#include "strongroom/index/normalise.h"

namespace strongroom::index {

TermHash TermHasher::operator()(CollectionId collection, FieldId field, Kind kind,
                                std::string_view normalised) {
  static constexpr char kLabel[] = "sr1.kw";  // With its zero byte.
  ByteArray<sizeof(kLabel) + 8> head;
  memcpy(head.data(), kLabel, sizeof(kLabel));
  uint8_t* at = head.data() + sizeof(kLabel);
  store_le<uint32_t>(at, collection.value);
  store_le<uint16_t>(at + 4, field.value);
  at[6] = static_cast<uint8_t>(kind);
  at[7] = kNormVersion;
  const crypto::Digest digest = hmac_({head, as_bytes(normalised)});
  TermHash h_w;
  std::copy_n(digest.begin(), h_w.bytes.size(), h_w.bytes.begin());
  return h_w;
}

}  // namespace strongroom::index
