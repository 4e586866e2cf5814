// Strong types for the numbers that must not be mixed up.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "strongroom/base/bytes.h"

namespace strongroom {

template <class Rep, class Tag>
struct Id {
  Rep value = 0;
  auto operator<=>(const Id&) const = default;
};

using CollectionId = Id<uint32_t, struct CollectionIdTag>;
using FieldId = Id<uint16_t, struct FieldIdTag>;
using GroupId = Id<uint8_t, struct GroupIdTag>;
using LaneId = Id<uint32_t, struct LaneIdTag>;  // 24 bits. Never reused.
using Version =
    Id<uint64_t, struct VersionTag>;  // u: 48 bits, from one global counter, never reused.
using LeafIndex = Id<uint64_t, struct LeafIndexTag>;

inline constexpr uint32_t kCollectionMax = 65535;
inline constexpr uint32_t kRenewalsMax = 65535;  // Of one collection's terms.
inline constexpr uint32_t kLaneMax = (1u << 24) - 1;
inline constexpr uint64_t kVersionMax = (uint64_t{1} << 48) - 1;

// Under which number a collection's unique rows and their root stand: its own until its terms are
// renewed for the first time.
inline CollectionId term_space(CollectionId collection, uint32_t renewals) {
  return {renewals << 16 | collection.value};
}

// idx: 40 bits = block (28) | offset (12).
struct RecordIndex {
  static constexpr uint32_t kPerBlock = 4096;
  static constexpr uint64_t kMax = (uint64_t{1} << 40) - 1;
  uint64_t value = 0;
  uint32_t block() const { return static_cast<uint32_t>(value >> 12); }
  uint32_t offset() const { return static_cast<uint32_t>(value & 4095); }
  static RecordIndex of(uint32_t block, uint32_t offset) {
    return {(uint64_t{block} << 12) | offset};
  }
  auto operator<=>(const RecordIndex&) const = default;
};

struct RecordVersion {
  RecordIndex idx;
  Version u;
  auto operator<=>(const RecordVersion&) const = default;
};

// h_w: a term under K_q. The gateway makes it, the key server turns it into tokens, the store never
// sees it.
struct TermHash {
  ByteArray<16> bytes{};
  bool operator==(const TermHash&) const = default;
  // The order of the bytes, by two words: imports sort many.
  auto operator<=>(const TermHash& other) const {
    const auto first = load_be64(bytes.data()) <=> load_be64(other.bytes.data());
    return first != 0 ? first : load_be64(bytes.data() + 8) <=> load_be64(other.bytes.data() + 8);
  }
};

}  // namespace strongroom

template <class Rep, class Tag>
struct std::hash<strongroom::Id<Rep, Tag>> {
  size_t operator()(const strongroom::Id<Rep, Tag>& id) const noexcept {
    return std::hash<Rep>{}(id.value);
  }
};
template <>
struct std::hash<strongroom::RecordIndex> {
  size_t operator()(const strongroom::RecordIndex& idx) const noexcept {
    return std::hash<uint64_t>{}(idx.value);
  }
};
template <>
struct std::hash<strongroom::TermHash> {
  // Uniform already: the first eight bytes are the hash.
  size_t operator()(const strongroom::TermHash& h) const noexcept {
    return strongroom::load_le<uint64_t>(h.bytes.data());
  }
};
