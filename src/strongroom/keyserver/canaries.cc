#include "strongroom/keyserver/canaries.h"

#include <algorithm>

#include "strongroom/crypto/hash.h"

namespace strongroom::keyserver {

ByteArray<32> digest_of(const CanaryPlanting& planting) {
  std::string text;
  append(text, planting.salt);
  for (const RecordIndex idx : planting.records) append_be(text, idx.value, 8);
  return crypto::sha256(as_bytes(text));
}

void Canaries::add(CanaryPlanting planting) {
  for (const RecordIndex idx : planting.records) collection_of_.emplace(idx, planting.collection);
  plantings_.push_back(std::move(planting));
}

uint64_t Canaries::count(std::span<const RecordIndex> records) const {
  if (collection_of_.empty()) return 0;
  return static_cast<uint64_t>(std::count_if(records.begin(), records.end(),
                                             [&](RecordIndex idx) { return contains(idx); }));
}

uint64_t Canaries::of(CollectionId collection) const {
  return static_cast<uint64_t>(
      std::count_if(collection_of_.begin(), collection_of_.end(),
                    [&](const auto& item) { return item.second == collection; }));
}

}  // namespace strongroom::keyserver
