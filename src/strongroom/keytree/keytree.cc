#include "strongroom/keytree/keytree.h"

#include <algorithm>
#include <iterator>

#include "strongroom/crypto/derive.h"
#include "strongroom/crypto/prf.h"

namespace strongroom::keytree {
namespace {

using crypto::blk;
using NodeBytes = std::span<const uint8_t, 32>;

constexpr uint32_t kBlockMax = (1u << 28) - 1;

// Offsets under a node: [first_of, first_of + width_of).
uint32_t width_of(int depth) {
  return 1u << (kLevels - depth);
}
uint32_t first_of(const Node& node) {
  return node.prefix * width_of(node.depth);
}
uint32_t end_of(const Node& node) {
  return first_of(node) + width_of(node.depth);
}

void child(NodeBytes node, uint32_t c, std::span<uint8_t, 32> out) {
  crypto::prf_pair(node, blk(static_cast<uint8_t>(0x10 + 2 * c), 0),
                   blk(static_cast<uint8_t>(0x11 + 2 * c), 0), out);
}

// Both children under one key set-up, which is most of the cost.
void children(NodeBytes node, Secret<64>& out) {
  const auto bytes = out.write(SecretAccess{});
  auto* blocks = reinterpret_cast<crypto::Block*>(bytes.data());
  for (size_t i = 0; i < 4; ++i) blocks[i] = blk(static_cast<uint8_t>(0x10 + i), 0);
  crypto::prf_blocks(node, {blocks, 4});
}

void write_secret(NodeBytes leaf, Version u, WriteSecret& out) {
  crypto::prf_pair(leaf, blk(0x20, u.value), blk(0x21, u.value), out.write(SecretAccess{}));
}

// The part of `node`'s subtree in [first, end), depth first: each inner node is expanded once.
// out[0] is `first`'s.
struct Walk {
  uint32_t first;
  uint32_t end;
  Version u;
  std::span<WriteSecret> out;

  void operator()(NodeBytes node, int depth, uint32_t start) const {
    if (depth == kLevels) return write_secret(node, u, out[start - first]);
    const uint32_t middle = start + width_of(depth + 1);
    if (first < middle && middle < end) {
      Secret<64> both;
      children(node, both);
      const auto bytes = both.read(SecretAccess{});
      (*this)(bytes.first<32>(), depth + 1, start);
      (*this)(bytes.last<32>(), depth + 1, middle);
    } else {
      const uint32_t c = first < middle ? 0 : 1;
      Secret<32> one;
      child(node, c, one.write(SecretAccess{}));
      (*this)(one.read(SecretAccess{}), depth + 1, c == 0 ? start : middle);
    }
  }
};

Error not_found() {
  return make_error(ErrorCode::kNotFound, "the record was erased or never existed");
}

// The node that covers `offset` or, if that is erased, the next one behind.
std::vector<Node>::const_iterator node_from(const std::vector<Node>& nodes, uint32_t offset) {
  return std::partition_point(nodes.begin(), nodes.end(),
                              [&](const Node& node) { return end_of(node) <= offset; });
}

bool well_formed(const std::vector<Node>& nodes) {
  uint32_t end = 0;
  for (const Node& node : nodes) {
    if (node.depth > kLevels || node.prefix >= (1u << node.depth) || first_of(node) < end) {
      return false;
    }
    end = end_of(node);
  }
  return !nodes.empty();
}

}  // namespace

Result<void> KeyTree::add_block(uint32_t block, CollectionId collection, BlockSeed seed) {
  std::vector<Node> nodes(1);
  nodes[0].bytes = Secret<32>(seed.read(SecretAccess{}));
  return restore_block(block, collection, std::move(nodes));
}

Result<void> KeyTree::restore_block(uint32_t block, CollectionId collection,
                                    std::vector<Node> nodes) {
  if (block > kBlockMax) {
    return make_error(ErrorCode::kInvalidArgument, "a block number has at most 28 bits");
  }
  if (!well_formed(nodes)) {
    return make_error(ErrorCode::kDataLoss,
                      "the nodes of a block of keys are damaged; restore the key server's state");
  }
  if (!blocks_.try_emplace(block, BlockState{collection, std::move(nodes)}).second) {
    return make_error(ErrorCode::kAlreadyExists, "a block of this number is there already", block);
  }
  return {};
}

std::optional<CollectionId> KeyTree::collection_of(uint32_t block) const {
  const auto found = blocks_.find(block);
  if (found == blocks_.end()) return std::nullopt;
  return found->second.collection;
}

Result<void> KeyTree::write_secrets(const DurableLeaf&, uint32_t block, uint32_t first, Version u,
                                    std::span<WriteSecret> out) const {
  if (out.empty() || out.size() > RecordIndex::kPerBlock ||
      first > RecordIndex::kPerBlock - out.size() || u.value > kVersionMax) {
    return make_error(ErrorCode::kInvalidArgument,
                      "a write grant stays within one block and has a version of 48 bits");
  }
  const auto found = blocks_.find(block);
  if (found == blocks_.end()) return not_found();
  const uint32_t end = first + static_cast<uint32_t>(out.size());
  const auto& nodes = found->second.nodes;
  const auto from = node_from(nodes, first);
  // All of the range is covered, or nothing is derived.
  uint32_t covered = first;
  auto to = from;
  for (; to != nodes.end() && first_of(*to) <= covered && covered < end; ++to) {
    covered = end_of(*to);
  }
  if (covered < end) return not_found();
  const Walk walk{first, end, u, out};
  for (auto node = from; node != to; ++node) {
    walk(node->bytes.read(SecretAccess{}), node->depth, first_of(*node));
  }
  return {};
}

Result<void> KeyTree::record_keys(const DurableLeaf& leaf, RecordVersion version,
                                  std::span<const GroupId> groups,
                                  std::vector<RecordKey>& out) const {
  if (version.idx.value > RecordIndex::kMax) return not_found();
  WriteSecret secret;
  SR_TRY(write_secrets(leaf, version.idx.block(), version.idx.offset(), version.u, {&secret, 1}));
  out.reserve(out.size() + groups.size());
  for (const GroupId group : groups) out.push_back(crypto::derive_group_key(secret, group));
  return {};
}

const Node* KeyTree::covering(const BlockState& block, uint32_t offset) const {
  const auto node = node_from(block.nodes, offset);
  return node != block.nodes.end() && first_of(*node) <= offset ? &*node : nullptr;
}

bool KeyTree::alive(RecordIndex idx) const {
  if (idx.value > RecordIndex::kMax) return false;
  const auto found = blocks_.find(idx.block());
  return found != blocks_.end() && covering(found->second, idx.offset()) != nullptr;
}

uint32_t KeyTree::alive_count(uint32_t block) const {
  const auto found = blocks_.find(block);
  if (found == blocks_.end()) return 0;
  uint32_t count = 0;
  for (const Node& node : found->second.nodes) count += width_of(node.depth);
  return count;
}

void KeyTree::puncture(RecordIndex idx) {
  if (!alive(idx)) return;
  const auto found = blocks_.find(idx.block());
  std::vector<Node>& nodes = found->second.nodes;
  const size_t position = static_cast<size_t>(covering(found->second, idx.offset()) - nodes.data());
  const int depth = nodes[position].depth;

  // Down to the record, keeping each sibling. Those on the left come ascending, those on the right
  // descending.
  std::vector<Node> left, right;
  Secret<32> path = std::move(nodes[position].bytes);
  for (int level = depth; level < kLevels; ++level) {
    Secret<64> both;
    children(path.read(SecretAccess{}), both);
    const uint32_t prefix = idx.offset() >> (kLevels - level - 1);
    const uint32_t c = prefix & 1;
    const auto bytes = both.read(SecretAccess{});
    path = Secret<32>(NodeBytes(bytes.subspan(size_t{32} * c, 32)));
    (c == 1 ? left : right)
        .push_back({static_cast<uint8_t>(level + 1), static_cast<uint16_t>(prefix ^ 1),
                    Secret<32>(NodeBytes(bytes.subspan(size_t{32} * (1 - c), 32)))});
  }
  crypto::prf_forget();

  std::vector<Node> rest;
  rest.reserve(nodes.size() - 1 + left.size() + right.size());
  const auto hole = nodes.begin() + static_cast<ptrdiff_t>(position);
  std::move(nodes.begin(), hole, std::back_inserter(rest));
  std::move(left.begin(), left.end(), std::back_inserter(rest));
  std::move(right.rbegin(), right.rend(), std::back_inserter(rest));
  std::move(hole + 1, nodes.end(), std::back_inserter(rest));
  if (rest.empty()) {
    blocks_.erase(found);
  } else {
    nodes = std::move(rest);
  }
}

void KeyTree::drop_block(uint32_t block) {
  blocks_.erase(block);
  crypto::prf_forget();
}

const std::vector<Node>* KeyTree::nodes(uint32_t block) const {
  const auto found = blocks_.find(block);
  return found == blocks_.end() ? nullptr : &found->second.nodes;
}

}  // namespace strongroom::keytree
