// Block seeds and the GGM tree over them. Key server only: no node of a tree ever leaves it.
//
//   child_c(s) = F(s,blk(10h+2c,0)) | F(s,blk(11h+2c,0)), 12 levels, most significant offset bit
//   first, give leaf L S_{idx,u}  = F(L,blk(20h,u)) | F(L,blk(21h,u));  K_{idx,u,g} =
//   F(S,blk(30h,g)) | F(S,blk(31h,g))
//
// A block holds either its seed or, once records were erased (punctured), the co-path nodes that
// still open the rest: the tree is the same. In memory: blocks sorted by number; erased blocks are
// absent, so the caller must remember which numbers it gave out.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "strongroom/base/durable_leaf.h"
#include "strongroom/base/ids.h"
#include "strongroom/base/result.h"
#include "strongroom/base/secret.h"

namespace strongroom::keytree {

inline constexpr int kLevels = 12;

// A subtree root: `depth` 0 is the seed; `prefix` is the top `depth` bits of the offset.
struct Node {
  uint8_t depth = 0;
  uint16_t prefix = 0;
  Secret<32> bytes;
};

// Not thread-safe.
class KeyTree {
 public:
  // A new block, or one read back from state.
  //   kAlreadyExists    The block is there. Nothing was replaced.
  //   kInvalidArgument  Block numbers have 28 bits.
  //   kDataLoss         These nodes are no subtrees of one block: none, overlapping, out of order,
  //   or too deep.
  Result<void> add_block(uint32_t block, CollectionId collection, BlockSeed seed);
  Result<void> restore_block(uint32_t block, CollectionId collection, std::vector<Node> nodes);

  bool has_block(uint32_t block) const { return blocks_.contains(block); }
  std::optional<CollectionId> collection_of(uint32_t block) const;
  size_t block_count() const { return blocks_.size(); }

  // S for offsets [first, first + count) of one block under u: one walk of the tree. `out` is count
  // long. All of them or, on an error, none.
  //   kNotFound         The block, or one of these records, is erased or never existed:
  //   indistinguishable on purpose. kInvalidArgument  The range leaves the block, is empty, or u
  //   has more than 48 bits.
  Result<void> write_secrets(const DurableLeaf& leaf, uint32_t block, uint32_t first, Version u,
                             std::span<WriteSecret> out) const;
  // K for one record and each of `groups`, appended to `out` in order. Errors as above.
  Result<void> record_keys(const DurableLeaf& leaf, RecordVersion version,
                           std::span<const GroupId> groups, std::vector<RecordKey>& out) const;
  // Whether a record can be opened at all. No key is derived.
  bool alive(RecordIndex idx) const;

  // How many records of a block can be opened; 0: it is erased, or never was.
  uint32_t alive_count(uint32_t block) const;

  // Replaces the block's nodes by the co-path of idx (12 nodes the first time). Idempotent.
  void puncture(RecordIndex idx);
  // Drops all of the block's nodes: retention, by whole seeds. Idempotent.
  void drop_block(uint32_t block);
  // The nodes that stand for a block, for state; null if it is erased. Borrowed until the next
  // change.
  const std::vector<Node>* nodes(uint32_t block) const;

 private:
  struct BlockState {
    CollectionId collection;
    std::vector<Node> nodes;  // Ascending by (prefix << (12 - depth)); disjoint.
  };
  const Node* covering(const BlockState& block, uint32_t offset) const;
  std::map<uint32_t, BlockState> blocks_;
};

}  // namespace strongroom::keytree
