#include "strongroom/tlog/merkle.h"

#include <gtest/gtest.h>

#include <bit>
#include <string>

namespace strongroom::tlog {
namespace {

// The tree of eight leaves that Certificate Transparency's implementations share: inputs, roots and
// proofs of google/certificate-transparency, merkletree/merkle_tree_test.cc (also in
// transparency-dev/merkle, testonly/).
const char* const kInputs[] = {"",
                               "00",
                               "10",
                               "2021",
                               "3031",
                               "40414243",
                               "5051525354555657",
                               "606162636465666768696a6b6c6d6e6f"};
const char* const kRoots[] = {"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                              "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
                              "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
                              "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
                              "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
                              "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
                              "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
                              "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};

struct ProofVector {
  uint64_t m;  // A leaf, or an old size.
  uint64_t n;
  std::vector<std::string> hashes;
};
const ProofVector kInclusion[] = {
    {0, 1, {}},
    {0,
     8,
     {"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"}},
    {5,
     8,
     {"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
      "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}},
    {2, 3, {"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"}},
    {1,
     5,
     {"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"}}};
const ProofVector kConsistency[] = {
    {1, 1, {}},
    {1,
     8,
     {"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"}},
    {6,
     8,
     {"0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
      "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}},
    {2,
     5,
     {"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"}}};

std::vector<Hash> well_known_leaves() {
  std::vector<Hash> leaves;
  for (const std::string hex : kInputs) {
    std::string input(hex.size() / 2, '\0');
    EXPECT_TRUE(from_hex(hex, {reinterpret_cast<uint8_t*>(input.data()), input.size()}));
    leaves.push_back(leaf_hash(as_bytes(input)));
  }
  return leaves;
}

std::vector<Hash> numbered_leaves(size_t count) {
  std::vector<Hash> leaves;
  for (size_t i = 0; i < count; ++i) leaves.push_back(leaf_hash(as_bytes(std::to_string(i))));
  return leaves;
}

// RFC 6962, section 2.1, word for word.
Hash reference_root(std::span<const Hash> leaves) {
  if (leaves.empty()) return empty_root();
  if (leaves.size() == 1) return leaves[0];
  size_t k = 1;
  while (k * 2 < leaves.size()) k *= 2;
  return node_hash(reference_root(leaves.first(k)), reference_root(leaves.subspan(k)));
}

SubtreeReader reader_of(const std::vector<Hash>& leaves) {
  return [&leaves](int level, uint64_t n) -> Result<Hash> {
    const size_t size = size_t{1} << level;
    EXPECT_LE((n + 1) * size, leaves.size()) << "not a complete subtree";
    return reference_root(std::span(leaves).subspan(n * size, size));
  };
}

std::vector<std::string> hex_of(const std::vector<Hash>& hashes) {
  std::vector<std::string> out;
  for (const Hash& hash : hashes) out.push_back(to_hex(hash));
  return out;
}

TEST(MerkleTest, RootsAreThoseOfCertificateTransparency) {
  const auto leaves = well_known_leaves();
  EXPECT_EQ(to_hex(empty_root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  RightEdge edge;
  EXPECT_EQ(edge.root(), empty_root());
  for (size_t size = 1; size <= leaves.size(); ++size) {
    edge.append(leaves[size - 1]);
    EXPECT_EQ(to_hex(edge.root()), kRoots[size - 1]);
    EXPECT_EQ(to_hex(merkle_root(std::span(leaves).first(size))), kRoots[size - 1]);
  }
}

TEST(MerkleTest, ProofsAreThoseOfCertificateTransparency) {
  const auto leaves = well_known_leaves();
  for (const ProofVector& v : kInclusion) {
    EXPECT_EQ(hex_of(*inclusion_proof(v.m, v.n, reader_of(leaves))), v.hashes) << v.m << " " << v.n;
  }
  for (const ProofVector& v : kConsistency) {
    EXPECT_EQ(hex_of(*consistency_proof(v.m, v.n, reader_of(leaves))), v.hashes)
        << v.m << " " << v.n;
  }
}

TEST(MerkleTest, EveryLeafOfEveryTreeIsProvenAndNothingElse) {
  const auto leaves = numbered_leaves(70);
  for (uint64_t size = 1; size <= leaves.size(); ++size) {
    const Hash root = reference_root(std::span(leaves).first(size));
    EXPECT_EQ(merkle_root(std::span(leaves).first(size)), root);
    for (uint64_t leaf = 0; leaf < size; ++leaf) {
      auto proof = *inclusion_proof(leaf, size, reader_of(leaves));
      ASSERT_TRUE(verify_inclusion(leaves[leaf], leaf, size, proof, root));
      EXPECT_FALSE(verify_inclusion(leaves[(leaf + 1) % 70], leaf, size, proof, root));
      EXPECT_FALSE(verify_inclusion(leaves[leaf], leaf, size, proof, empty_root()));
      // Where trees have one shape on a leaf's path, its proof holds for the size too: RFC 9162.
      for (uint64_t other = 0; other < size; ++other) {
        if (other != leaf) {
          EXPECT_FALSE(verify_inclusion(leaves[leaf], other, size, proof, root));
        }
      }
      proof.push_back(root);
      EXPECT_FALSE(verify_inclusion(leaves[leaf], leaf, size, proof, root));
    }
    EXPECT_FALSE(verify_inclusion(leaves[0], size, size, {}, root));
    EXPECT_FALSE(inclusion_proof(size, size, reader_of(leaves)));
  }
}

TEST(MerkleTest, EveryTreeIsProvenToContainEveryOlderOne) {
  const auto leaves = numbered_leaves(70);
  const auto root = [&](uint64_t size) { return reference_root(std::span(leaves).first(size)); };
  for (uint64_t size = 1; size <= leaves.size(); ++size) {
    EXPECT_TRUE(verify_consistency(0, empty_root(), size, root(size), {}));
    for (uint64_t old_size = 1; old_size <= size; ++old_size) {
      auto proof = *consistency_proof(old_size, size, reader_of(leaves));
      ASSERT_TRUE(verify_consistency(old_size, root(old_size), size, root(size), proof));
      EXPECT_FALSE(verify_consistency(old_size, root(old_size), size, empty_root(), proof));
      EXPECT_FALSE(verify_consistency(old_size, empty_root(), size, root(size), proof));
      EXPECT_FALSE(verify_consistency(size + 1, root(old_size), size, root(size), proof));
      for (Hash& hash : proof) {
        hash[5] ^= 1;
        EXPECT_FALSE(verify_consistency(old_size, root(old_size), size, root(size), proof));
        hash[5] ^= 1;
      }
      proof.push_back(root(1));
      EXPECT_FALSE(verify_consistency(old_size, root(old_size), size, root(size), proof));
    }
  }
  EXPECT_FALSE(consistency_proof(0, 5, reader_of(leaves)));
  EXPECT_FALSE(consistency_proof(6, 5, reader_of(leaves)));
}

TEST(MerkleTest, ReaderErrorsComeThrough) {
  const SubtreeReader broken = [](int, uint64_t) -> Result<Hash> {
    return make_error(ErrorCode::kUnavailable, "gone");
  };
  EXPECT_EQ(inclusion_proof(1, 5, broken).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(consistency_proof(3, 5, broken).error().code, ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace strongroom::tlog
