#include "strongroom/tlog/merkle.h"

#include <algorithm>
#include <bit>

namespace strongroom::tlog {
namespace {

constexpr uint8_t kLeafPrefix[] = {0x00};
constexpr uint8_t kNodePrefix[] = {0x01};

// The largest power of two below `size`, which is at least 2.
uint64_t split_point(uint64_t size) {
  return std::bit_floor(size - 1);
}

// MTH(D[lo:hi]) from complete subtrees, where the range lies at the right edge or is one of them.
Result<Hash> range_hash(uint64_t lo, uint64_t hi, const SubtreeReader& read) {
  const uint64_t size = hi - lo;
  if (std::has_single_bit(size)) return read(std::countr_zero(size), lo / size);
  const uint64_t k = split_point(size);
  SR_ASSIGN(const Hash left, range_hash(lo, lo + k, read));
  SR_ASSIGN(const Hash right, range_hash(lo + k, hi, read));
  return node_hash(left, right);
}

Error bad_proof_request() {
  return make_error(ErrorCode::kInvalidArgument,
                    "No such proof: ask for a leaf or an old size within the tree.");
}

}  // namespace

Hash leaf_hash(Bytes entry) {
  return crypto::sha256({kLeafPrefix, entry});
}
Hash node_hash(const Hash& l, const Hash& r) {
  return crypto::sha256({kNodePrefix, l, r});
}
Hash empty_root() {
  return crypto::sha256(Bytes{});
}

// Level by level, the odd one of a level going up as it is: the same tree as RFC 6962's recursion,
// which splits at the largest power of two.
Hash merkle_root(std::span<const Hash> leaves) {
  if (leaves.empty()) return empty_root();
  if (leaves.size() == 1) return leaves[0];
  std::vector<Hash> level((leaves.size() + 1) / 2);
  std::span<const Hash> below = leaves;
  while (below.size() > 1) {
    const size_t pairs = below.size() / 2;
    for (size_t i = 0; i < pairs; ++i) level[i] = node_hash(below[2 * i], below[2 * i + 1]);
    const size_t odd = below.size() % 2;
    if (odd != 0) level[pairs] = below.back();
    below = std::span(level).first(pairs + odd);
  }
  return below[0];
}

void RightEdge::append(const Hash& leaf) {
  Hash hash = leaf;
  for (uint64_t rest = size_; (rest & 1) != 0; rest >>= 1) {
    hash = node_hash(complete_.back(), hash);
    complete_.pop_back();
  }
  complete_.push_back(hash);
  ++size_;
}

Hash RightEdge::root() const {
  if (complete_.empty()) return empty_root();
  Hash hash = complete_.back();
  for (size_t i = complete_.size() - 1; i-- > 0;) hash = node_hash(complete_[i], hash);
  return hash;
}

// RFC 6962, section 2.1.1: PATH(m, D[n]), from the leaf up.
Result<std::vector<Hash>> inclusion_proof(uint64_t leaf, uint64_t size, const SubtreeReader& read) {
  if (leaf >= size) return bad_proof_request();
  std::vector<Hash> proof;
  uint64_t lo = 0, hi = size;
  while (hi - lo > 1) {
    const uint64_t middle = lo + split_point(hi - lo);
    if (leaf < middle) {
      SR_ASSIGN(const Hash sibling, range_hash(middle, hi, read));
      proof.push_back(sibling);
      hi = middle;
    } else {
      SR_ASSIGN(const Hash sibling, range_hash(lo, middle, read));
      proof.push_back(sibling);
      lo = middle;
    }
  }
  std::reverse(proof.begin(), proof.end());
  return proof;
}

// RFC 6962, section 2.1.2: PROOF(m, D[n]), from the old edge up.
Result<std::vector<Hash>> consistency_proof(uint64_t old_size, uint64_t size,
                                            const SubtreeReader& read) {
  if (old_size == 0 || old_size > size) return bad_proof_request();
  std::vector<Hash> proof;
  uint64_t lo = 0, hi = size;
  bool is_old_tree = true;  // D[lo:old_size] is the whole old tree, whose root the verifier has.
  while (old_size != hi) {
    const uint64_t middle = lo + split_point(hi - lo);
    if (old_size <= middle) {
      SR_ASSIGN(const Hash sibling, range_hash(middle, hi, read));
      proof.push_back(sibling);
      hi = middle;
    } else {
      SR_ASSIGN(const Hash sibling, range_hash(lo, middle, read));
      proof.push_back(sibling);
      lo = middle;
      is_old_tree = false;
    }
  }
  if (!is_old_tree) {
    SR_ASSIGN(const Hash edge, range_hash(lo, hi, read));
    proof.push_back(edge);
  }
  std::reverse(proof.begin(), proof.end());
  return proof;
}

// RFC 9162, section 2.1.3.2.
bool verify_inclusion(const Hash& leaf, uint64_t index, uint64_t size, std::span<const Hash> proof,
                      const Hash& root) {
  if (index >= size) return false;
  uint64_t fn = index, sn = size - 1;
  Hash hash = leaf;
  for (const Hash& step : proof) {
    if (sn == 0) return false;
    if ((fn & 1) != 0 || fn == sn) {
      hash = node_hash(step, hash);
      while ((fn & 1) == 0 && fn != 0) fn >>= 1, sn >>= 1;
    } else {
      hash = node_hash(hash, step);
    }
    fn >>= 1, sn >>= 1;
  }
  return sn == 0 && hash == root;
}

// RFC 9162, section 2.1.4.2.
bool verify_consistency(uint64_t old_size, const Hash& old_root, uint64_t size, const Hash& root,
                        std::span<const Hash> proof) {
  if (old_size > size) return false;
  if (old_size == size) return proof.empty() && old_root == root;
  if (old_size == 0) return proof.empty() && old_root == empty_root();
  uint64_t fn = old_size - 1, sn = size - 1;
  while ((fn & 1) != 0) fn >>= 1, sn >>= 1;
  // An old tree that is complete is its own first step, which the prover leaves out.
  Hash from = old_root;
  if (!std::has_single_bit(old_size)) {
    if (proof.empty()) return false;
    from = proof[0];
    proof = proof.subspan(1);
  }
  Hash old_hash = from, hash = from;
  for (const Hash& step : proof) {
    if (sn == 0) return false;
    if ((fn & 1) != 0 || fn == sn) {
      old_hash = node_hash(step, old_hash);
      hash = node_hash(step, hash);
      while ((fn & 1) == 0 && fn != 0) fn >>= 1, sn >>= 1;
    } else {
      hash = node_hash(hash, step);
    }
    fn >>= 1, sn >>= 1;
  }
  return sn == 0 && old_hash == old_root && hash == root;
}

}  // namespace strongroom::tlog
