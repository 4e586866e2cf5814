// Which records are canaries: in the key state alone, so that no one learns it from log, store or
// gateway.
#pragma once

#include <map>
#include <span>
#include <unordered_map>
#include <vector>

#include "strongroom/base/ids.h"
#include "strongroom/base/secret.h"

namespace strongroom::keyserver {

inline constexpr size_t kCanariesPlantedMax = 4096;  // In one planting.

// What one call planted. The log has its digest, and nothing else of it.
struct CanaryPlanting {
  CollectionId collection;
  ByteArray<32> salt{};
  std::vector<RecordIndex> records;  // Ascending.
};
// SHA-256(salt | idx u64be ...)
ByteArray<32> digest_of(const CanaryPlanting& planting);

// Not thread-safe.
class Canaries {
 public:
  void add(CanaryPlanting planting);
  const std::vector<CanaryPlanting>& plantings() const { return plantings_; }
  bool contains(RecordIndex idx) const { return collection_of_.contains(idx); }
  // How many of these are.
  uint64_t count(std::span<const RecordIndex> records) const;
  const std::unordered_map<RecordIndex, CollectionId>& all() const { return collection_of_; }
  uint64_t of(CollectionId collection) const;

 private:
  std::vector<CanaryPlanting> plantings_;
  std::unordered_map<RecordIndex, CollectionId> collection_of_;
};

}  // namespace strongroom::keyserver
