#include "strongroom/keyserver/state_records.h"

#include <algorithm>

namespace strongroom::keyserver {
namespace {

enum RecordType : uint8_t {
  kBlock = 1,
  kLane = 2,
  kLaneGone = 3,
  kUnique = 4,
  kMonth = 5,
  kLogSeedRecord = 6,
  kApplied = 7,
  kCanaries = 8,
  kErased = 9,
  kBlockErased = 10,
  kLogSeedGone = 11,
};
constexpr size_t kNodesMax = RecordIndex::kPerBlock / 2;
constexpr size_t kSmallestBuffer = 256;

Error unknown_record() {
  return make_error(ErrorCode::kDataLoss,
                    "The key state holds a record that this version does not know. Run the "
                    "version that wrote it, or restore it from a backup.");
}

Result<void> read_block(ByteReader& in, StateContents& contents) {
  const auto block = static_cast<uint32_t>(in.be(4));
  const CollectionId collection{static_cast<uint32_t>(in.be(4))};
  const uint64_t count = in.be(2);
  if (!in.ok() || count == 0 || count > kNodesMax || block >= 1u << 28) return unknown_record();
  std::vector<keytree::Node> nodes;
  nodes.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    const auto depth = static_cast<uint8_t>(in.be(1));
    const auto prefix = static_cast<uint16_t>(in.be(2));
    const Bytes node = in.take(32);
    if (!in.ok() || depth > keytree::kLevels || prefix >= 1u << depth) return unknown_record();
    nodes.push_back({depth, prefix, Secret<32>(node.first<32>())});
  }
  if (!contents.tree.restore_block(block, collection, std::move(nodes))) return unknown_record();
  if (!contents.blocks.emplace(block, collection).second) return unknown_record();
  return {};
}

Result<void> read_canaries(ByteReader& in, StateContents& contents) {
  CanaryPlanting planting;
  planting.collection = CollectionId{static_cast<uint32_t>(in.be(4))};
  const Bytes salt = in.take(planting.salt.size());
  const uint64_t count = in.be(2);
  if (!in.ok() || count == 0 || count > kCanariesPlantedMax || in.remaining() < count * 8) {
    return unknown_record();
  }
  std::copy(salt.begin(), salt.end(), planting.salt.begin());
  planting.records.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    const RecordIndex idx{in.be(8)};
    const bool ascends = planting.records.empty() || planting.records.back() < idx;
    if (idx.value > RecordIndex::kMax || !ascends || contents.canaries.contains(idx)) {
      return unknown_record();
    }
    planting.records.push_back(idx);
  }
  contents.canaries.add(std::move(planting));
  return {};
}

// Of a block that stands before it in the same file.
Result<void> read_erased(ByteReader& in, StateContents& contents) {
  const RecordIndex idx{in.be(8)};
  if (!in.ok() || !contents.tree.alive(idx)) return unknown_record();
  contents.tree.puncture(idx);
  return {};
}

Result<void> read_block_erased(ByteReader& in, StateContents& contents) {
  const auto block = static_cast<uint32_t>(in.be(4));
  const CollectionId collection{static_cast<uint32_t>(in.be(4))};
  const bool added =
      in.ok() && block < 1u << 28 && contents.blocks.emplace(block, collection).second;
  return added ? Result<void>() : unknown_record();
}

template <class Map, class Key>
Result<void> read_root(ByteReader& in, Map& map, Key key) {
  const Bytes root = in.take(32);
  if (!in.ok()) return unknown_record();
  using Root = typename Map::mapped_type;
  if (!map.emplace(key, Root(root.first<32>())).second) return unknown_record();
  return {};
}

}  // namespace

void SecretWriter::add(Bytes bytes) {
  if (bytes_.size() + bytes.size() > bytes_.capacity()) {
    std::string larger;
    larger.reserve(
        std::max({bytes_.capacity() * 2, bytes_.size() + bytes.size(), kSmallestBuffer}));
    larger.append(bytes_);
    wipe();
    bytes_ = std::move(larger);
  }
  append(bytes_, bytes);
}

void SecretWriter::wipe() {
  explicit_bzero(bytes_.data(), bytes_.size());
  bytes_.clear();
}

void write_block(SecretWriter& out, uint32_t block, CollectionId collection,
                 const std::vector<keytree::Node>& nodes) {
  out.be<uint8_t>(kBlock);
  out.be<uint32_t>(block);
  out.be<uint32_t>(collection.value);
  out.be<uint16_t>(static_cast<uint16_t>(nodes.size()));
  for (const keytree::Node& node : nodes) {
    out.be<uint8_t>(node.depth);
    out.be<uint16_t>(node.prefix);
    out.add(node.bytes.read(SecretAccess{}));
  }
}

void write_lane(SecretWriter& out, LaneId lane, const LaneRoot& root) {
  out.be<uint8_t>(kLane);
  out.be<uint32_t>(lane.value);
  out.add(root.read(SecretAccess{}));
}

void write_lane_gone(SecretWriter& out, LaneId lane) {
  out.be<uint8_t>(kLaneGone);
  out.be<uint32_t>(lane.value);
}

void write_unique(SecretWriter& out, CollectionId collection, const LaneRoot& root) {
  out.be<uint8_t>(kUnique);
  out.be<uint32_t>(collection.value);
  out.add(root.read(SecretAccess{}));
}

void write_month(SecretWriter& out, uint32_t month, const SealingKey& key) {
  out.be<uint8_t>(kMonth);
  out.be<uint32_t>(month);
  out.add(key.read(SecretAccess{}));
}

void write_log_seed(SecretWriter& out, const LogSeed& seed) {
  out.be<uint8_t>(kLogSeedRecord);
  out.add(seed.read(SecretAccess{}));
}

void write_log_seed_gone(SecretWriter& out, const crypto::PublicKey& key) {
  out.be<uint8_t>(kLogSeedGone);
  out.add(key);
}

void write_canaries(SecretWriter& out, const CanaryPlanting& planting) {
  out.be<uint8_t>(kCanaries);
  out.be<uint32_t>(planting.collection.value);
  out.add(planting.salt);
  out.be<uint16_t>(static_cast<uint16_t>(planting.records.size()));
  for (const RecordIndex idx : planting.records) out.be<uint64_t>(idx.value);
}

void write_erased(SecretWriter& out, RecordIndex idx) {
  out.be<uint8_t>(kErased);
  out.be<uint64_t>(idx.value);
}

void write_block_erased(SecretWriter& out, uint32_t block, CollectionId collection) {
  out.be<uint8_t>(kBlockErased);
  out.be<uint32_t>(block);
  out.be<uint32_t>(collection.value);
}

void write_applied(SecretWriter& out, uint64_t leaf) {
  out.be<uint8_t>(kApplied);
  out.be<uint64_t>(leaf);
}

std::vector<SecretWriter> write_contents(const StateContents& contents, size_t bytes_max) {
  std::vector<SecretWriter> parts(1);
  SecretWriter record;
  const auto put = [&parts, &record, bytes_max] {
    if (parts.back().size() + record.size() > bytes_max) parts.emplace_back();
    parts.back().add(record.bytes());
    record.wipe();
  };
  for (const LogSeed& seed : contents.log_seeds) {
    write_log_seed(record, seed);
    put();
  }
  write_applied(record, contents.applied);
  put();
  for (const auto& [month, key] : contents.months) {
    write_month(record, month, key);
    put();
  }
  for (const auto& [block, collection] : contents.blocks) {
    if (const auto* nodes = contents.tree.nodes(block)) {
      write_block(record, block, collection, *nodes);
    } else {
      write_block_erased(record, block, collection);
    }
    put();
  }
  for (const auto& [lane, root] : contents.lanes) {
    write_lane(record, lane, root);
    put();
  }
  for (const auto& [collection, root] : contents.uniques) {
    write_unique(record, collection, root);
    put();
  }
  for (const CanaryPlanting& planting : contents.canaries.plantings()) {
    write_canaries(record, planting);
    put();
  }
  return parts;
}

Result<void> read_records(Bytes plaintext, StateContents& contents) {
  ByteReader in(plaintext);
  while (in.remaining() > 0) {
    switch (in.be(1)) {
      case kBlock:
        SR_TRY(read_block(in, contents));
        break;
      case kLane: {
        const LaneId lane{static_cast<uint32_t>(in.be(4))};
        if (lane.value > kLaneMax) return unknown_record();
        SR_TRY(read_root(in, contents.lanes, lane));
        break;
      }
      case kLaneGone:
        contents.lanes.erase(LaneId{static_cast<uint32_t>(in.be(4))});
        break;
      case kUnique: {
        const CollectionId collection{static_cast<uint32_t>(in.be(4))};
        SR_TRY(read_root(in, contents.uniques, collection));
        break;
      }
      case kMonth: {
        const auto month = static_cast<uint32_t>(in.be(4));
        SR_TRY(read_root(in, contents.months, month));
        break;
      }
      case kLogSeedRecord: {
        const Bytes seed = in.take(32);
        if (!in.ok() || contents.log_seeds.size() >= kLogSeedsMax) return unknown_record();
        contents.log_seeds.emplace_back(seed.first<32>());
        break;
      }
      case kLogSeedGone: {
        const Bytes key = in.take(32);
        const auto gone = std::ranges::find_if(contents.log_seeds, [&](const LogSeed& seed) {
          const auto held = crypto::SigningKey::from_seed(seed.read(SecretAccess{}));
          return std::ranges::equal(held.public_key(), key);
        });
        if (!in.ok() || gone == contents.log_seeds.end()) return unknown_record();
        contents.log_seeds.erase(gone);
        break;
      }
      case kApplied:
        contents.applied = in.be(8);
        break;
      case kCanaries:
        SR_TRY(read_canaries(in, contents));
        break;
      case kErased:
        SR_TRY(read_erased(in, contents));
        break;
      case kBlockErased:
        SR_TRY(read_block_erased(in, contents));
        break;
      default:
        return unknown_record();
    }
    if (!in.ok()) return unknown_record();
  }
  return {};
}

}  // namespace strongroom::keyserver
