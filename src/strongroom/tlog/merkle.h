// RFC 6962 Merkle trees: hashing, the right edge of a growing tree, proofs.
#pragma once

#include <functional>
#include <vector>

#include "strongroom/base/bytes.h"
#include "strongroom/base/result.h"
#include "strongroom/crypto/hash.h"

namespace strongroom::tlog {

using Hash = crypto::Digest;

Hash leaf_hash(Bytes entry);                     // SHA-256(00h | entry)
Hash node_hash(const Hash& l, const Hash& r);    // SHA-256(01h | l | r)
Hash empty_root();                               // SHA-256()
Hash merkle_root(std::span<const Hash> leaves);  // MTH of leaf hashes

// The O(log n) hashes that a growing tree needs to know its root. Not thread-safe.
class RightEdge {
 public:
  void append(const Hash& leaf);
  uint64_t size() const { return size_; }
  Hash root() const;

  template <class A>
  void archive(A& a) {
    a(size_, complete_);
  }

 private:
  uint64_t size_ = 0;
  std::vector<Hash> complete_;  // Roots of the complete subtrees, largest first.
};

// Hash of the complete subtree [n * 2^level, (n+1) * 2^level) of a tree.
using SubtreeReader = std::function<Result<Hash>(int level, uint64_t n)>;
Result<std::vector<Hash>> inclusion_proof(uint64_t leaf, uint64_t size, const SubtreeReader& read);
Result<std::vector<Hash>> consistency_proof(uint64_t old_size, uint64_t size,
                                            const SubtreeReader& read);
bool verify_inclusion(const Hash& leaf, uint64_t index, uint64_t size, std::span<const Hash> proof,
                      const Hash& root);
bool verify_consistency(uint64_t old_size, const Hash& old_root, uint64_t size, const Hash& root,
                        std::span<const Hash> proof);

}  // namespace strongroom::tlog
