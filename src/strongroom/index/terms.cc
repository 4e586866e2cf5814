#include "strongroom/index/terms.h"

#include <string.h>

#include <algorithm>
#include <functional>

#include "strongroom/index/normalise.h"

namespace strongroom::index {

namespace {

constexpr size_t kKnown = 4096;  // 256 KiB: the processor's cache is worth more than more of them.

}  // namespace

struct TermHasher::Known {
  static constexpr size_t kBytesMax = 40;
  char term[kBytesMax];  // Collection, field, kind, then the normal form.
  uint8_t size = 0;
  TermHash hash{};
};

TermHasher::TermHasher(const TermKey& key) : hmac_(key.read(SecretAccess{})) {}

TermHasher::~TermHasher() {
  for (Known& one : known_) explicit_bzero(one.term, sizeof(one.term));
}

TermHash TermHasher::operator()(CollectionId collection, FieldId field, Kind kind,
                                std::string_view normalised) {
  constexpr size_t kHead = 7;
  if (kind < Kind::kPrefix || normalised.size() > Known::kBytesMax - kHead) {
    return hash(collection, field, kind, normalised);
  }
  if (known_.empty()) known_.resize(kKnown);
  char term[Known::kBytesMax];
  memcpy(term, &collection.value, 4);
  memcpy(term + 4, &field.value, 2);
  term[6] = static_cast<char>(kind);
  memcpy(term + kHead, normalised.data(), normalised.size());
  const std::string_view whole(term, kHead + normalised.size());
  Known& known = known_[std::hash<std::string_view>{}(whole) % kKnown];
  if (std::string_view(known.term, known.size) != whole) {
    known.hash = hash(collection, field, kind, normalised);
    memcpy(known.term, term, whole.size());
    known.size = static_cast<uint8_t>(whole.size());
  }
  return known.hash;
}

TermHash TermHasher::hash(CollectionId collection, FieldId field, Kind kind,
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
