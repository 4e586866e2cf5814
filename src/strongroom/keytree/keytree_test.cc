#include "strongroom/keytree/keytree.h"

#include <gtest/gtest.h>

#include <bitset>
#include <random>

#include "strongroom/crypto/derive.h"
#include "strongroom/crypto/prf.h"
#include "test/support/test_leaf.h"
#include "test/vectors/vector_file.h"

namespace strongroom::keytree {
namespace {

using test::model_value;
using test::test_leaf;

constexpr SecretAccess kRead{};
constexpr CollectionId kCollection{7};
constexpr Version kU{1000};
constexpr uint32_t kBlock = 3;
constexpr uint32_t kOffset = 0xabc;

BlockSeed model_seed() {
  ByteArray<32> bytes;
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i);
  return BlockSeed{std::span<const uint8_t, 32>(bytes)};
}

KeyTree model_tree() {
  KeyTree tree;
  EXPECT_TRUE(tree.add_block(kBlock, kCollection, model_seed()));
  return tree;
}

template <class S>
std::string hex(const S& secret) {
  return to_hex(secret.read(kRead));
}

// S of one record by a walk of the test's own, in the order the design writes it. "" if there is
// none.
std::string secret_of(const KeyTree& tree, uint32_t offset, Version u = kU) {
  WriteSecret secret;
  const auto result = tree.write_secrets(test_leaf(), kBlock, offset, u, {&secret, 1});
  return result ? hex(secret) : "";
}

std::string naive_secret(uint32_t offset) {
  ByteArray<32> node;
  const BlockSeed seed = model_seed();
  memcpy(node.data(), seed.read(kRead).data(), node.size());
  const auto step = [&](uint8_t t, uint64_t v) {
    crypto::prf_pair(node, crypto::blk(t, v), crypto::blk(static_cast<uint8_t>(t + 1), v), node);
  };
  for (int level = 11; level >= 0; --level) step((offset >> level) & 1 ? 0x12 : 0x10, 0);
  if (offset == kOffset) {
    EXPECT_EQ(to_hex(node), model_value("L"));
  }
  step(0x20, kU.value);
  return to_hex(node);
}

std::vector<Node> copy(const std::vector<Node>& nodes) {
  std::vector<Node> out;
  out.reserve(nodes.size());
  for (const Node& node : nodes) out.push_back({node.depth, node.prefix, node.bytes.clone()});
  return out;
}

TEST(KeyTreeTest, SecretsAndKeysAreTheModels) {
  const KeyTree tree = model_tree();
  EXPECT_EQ(secret_of(tree, kOffset), model_value("S"));
  EXPECT_EQ(naive_secret(kOffset), model_value("S"));
  std::vector<RecordKey> keys;
  const GroupId groups[] = {{2}, {3}};
  ASSERT_TRUE(tree.record_keys(test_leaf(), {RecordIndex::of(kBlock, kOffset), kU}, groups, keys));
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_EQ(hex(keys[0]), model_value("K"));
  EXPECT_NE(hex(keys[1]), model_value("K"));
}

TEST(KeyTreeTest, PunctureOfTheNeighbourLeavesTheModelsLeaf) {
  KeyTree tree = model_tree();
  tree.puncture(RecordIndex::of(kBlock, kOffset ^ 1));
  const auto* nodes = tree.nodes(kBlock);
  ASSERT_NE(nodes, nullptr);
  ASSERT_EQ(nodes->size(), 12u);
  int leaves = 0;
  for (const Node& node : *nodes) {
    if (node.depth != kLevels) continue;
    ++leaves;
    EXPECT_EQ(node.prefix, kOffset);
    EXPECT_EQ(hex(node.bytes), model_value("L"));
  }
  EXPECT_EQ(leaves, 1);
}

TEST(KeyTreeTest, WholeBlockEqualsRootToLeafWalks) {
  const KeyTree tree = model_tree();
  std::vector<WriteSecret> all(RecordIndex::kPerBlock);
  ASSERT_TRUE(tree.write_secrets(test_leaf(), kBlock, 0, kU, all));
  for (uint32_t offset = 0; offset < all.size(); ++offset) {
    ASSERT_EQ(hex(all[offset]), naive_secret(offset)) << offset;
  }
}

TEST(KeyTreeTest, AnyRangeEqualsItsPartOfTheBlock) {
  const KeyTree tree = model_tree();
  std::vector<WriteSecret> all(RecordIndex::kPerBlock);
  ASSERT_TRUE(tree.write_secrets(test_leaf(), kBlock, 0, kU, all));
  const std::pair<uint32_t, uint32_t> ranges[] = {{0, 1},       {4095, 1},  {2047, 2}, {1, 4095},
                                                  {1000, 1048}, {2048, 17}, {5, 3}};
  for (const auto& [first, count] : ranges) {
    std::vector<WriteSecret> part(count);
    ASSERT_TRUE(tree.write_secrets(test_leaf(), kBlock, first, kU, part));
    for (uint32_t i = 0; i < count; ++i) ASSERT_EQ(hex(part[i]), hex(all[first + i]));
  }
}

TEST(KeyTreeTest, EachVersionHasItsOwnSecret) {
  const KeyTree tree = model_tree();
  EXPECT_NE(secret_of(tree, kOffset, {1}), secret_of(tree, kOffset, {2}));
  EXPECT_NE(secret_of(tree, kOffset, {kVersionMax}), "");
}

TEST(KeyTreeTest, RandomPuncturesTakeExactlyWhatWasPunctured) {
  std::vector<WriteSecret> before(RecordIndex::kPerBlock);
  ASSERT_TRUE(model_tree().write_secrets(test_leaf(), kBlock, 0, kU, before));
  for (const uint32_t seed : {1u, 2u, 3u}) {
    std::mt19937 random(seed);
    KeyTree tree = model_tree();
    std::bitset<RecordIndex::kPerBlock> erased;
    const int rounds = seed == 3 ? 3000 : 150;
    for (int i = 0; i < rounds; ++i) {
      // Runs and repeats among them: neighbours empty whole subtrees.
      const uint32_t offset =
          i % 3 == 0 ? static_cast<uint32_t>(i) : static_cast<uint32_t>(random() % 4096);
      tree.puncture(RecordIndex::of(kBlock, offset));
      erased.set(offset);
    }
    // Restored from its nodes, it is the same tree.
    KeyTree restored;
    ASSERT_TRUE(restored.restore_block(kBlock, kCollection, copy(*tree.nodes(kBlock))));
    for (uint32_t offset = 0; offset < RecordIndex::kPerBlock; ++offset) {
      ASSERT_EQ(tree.alive(RecordIndex::of(kBlock, offset)), !erased[offset]) << offset;
      const std::string expected = erased[offset] ? "" : hex(before[offset]);
      ASSERT_EQ(secret_of(tree, offset), expected) << offset;
      ASSERT_EQ(secret_of(restored, offset), expected) << offset;
    }
  }
}

TEST(KeyTreeTest, RangeOverAnErasedRecordGivesNothing) {
  KeyTree tree = model_tree();
  tree.puncture(RecordIndex::of(kBlock, 100));
  std::vector<WriteSecret> out(10);
  const auto over = tree.write_secrets(test_leaf(), kBlock, 95, kU, out);
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code, ErrorCode::kNotFound);
  for (const WriteSecret& secret : out) EXPECT_EQ(hex(secret), std::string(64, '0'));
  EXPECT_FALSE(tree.write_secrets(test_leaf(), kBlock, 91, kU, out));
  EXPECT_FALSE(tree.write_secrets(test_leaf(), kBlock, 100, kU, out));
  EXPECT_TRUE(tree.write_secrets(test_leaf(), kBlock, 90, kU, out));
  EXPECT_TRUE(tree.write_secrets(test_leaf(), kBlock, 101, kU, out));
}

TEST(KeyTreeTest, PunctureIsIdempotentAndTheLastOneEmptiesTheBlock) {
  KeyTree tree = model_tree();
  tree.puncture(RecordIndex::of(kBlock, 5));
  tree.puncture(RecordIndex::of(kBlock, 5));
  tree.puncture(RecordIndex::of(99, 5));
  EXPECT_EQ(tree.nodes(kBlock)->size(), 12u);
  for (uint32_t offset = 0; offset < RecordIndex::kPerBlock; ++offset) {
    ASSERT_TRUE(tree.has_block(kBlock));
    tree.puncture(RecordIndex::of(kBlock, RecordIndex::kPerBlock - 1 - offset));
  }
  EXPECT_FALSE(tree.has_block(kBlock));
  EXPECT_EQ(tree.nodes(kBlock), nullptr);
}

TEST(KeyTreeTest, ErasedAndNeverThereLookTheSame) {
  KeyTree tree = model_tree();
  tree.puncture(RecordIndex::of(kBlock, 5));
  std::vector<RecordKey> keys;
  const GroupId group{1};
  const auto erased =
      tree.record_keys(test_leaf(), {RecordIndex::of(kBlock, 5), kU}, {&group, 1}, keys);
  const auto absent =
      tree.record_keys(test_leaf(), {RecordIndex::of(kBlock + 1, 5), kU}, {&group, 1}, keys);
  EXPECT_EQ(erased.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(absent.error().code, ErrorCode::kNotFound);
  EXPECT_STREQ(erased.error().text, absent.error().text);
  EXPECT_TRUE(keys.empty());
  EXPECT_FALSE(tree.alive({RecordIndex::kMax + 1}));
}

TEST(KeyTreeTest, BlocksAreNeverReplaced) {
  KeyTree tree = model_tree();
  EXPECT_EQ(tree.add_block(kBlock, {8}, BlockSeed{}).error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(secret_of(tree, kOffset), model_value("S"));
  EXPECT_EQ(tree.collection_of(kBlock), kCollection);
  EXPECT_EQ(tree.collection_of(kBlock + 1), std::nullopt);
  EXPECT_EQ(tree.add_block(1u << 28, {8}, BlockSeed{}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(tree.block_count(), 1u);
  tree.drop_block(kBlock);
  tree.drop_block(kBlock);
  EXPECT_FALSE(tree.has_block(kBlock));
}

TEST(KeyTreeTest, RestoreRefusesWhatIsNoSetOfSubtrees) {
  const auto refused = [](const std::vector<std::pair<uint8_t, uint16_t>>& shape) {
    std::vector<Node> nodes;
    nodes.reserve(shape.size());
    for (const auto& [depth, prefix] : shape) nodes.push_back({depth, prefix, {}});
    KeyTree tree;
    const auto result = tree.restore_block(kBlock, kCollection, std::move(nodes));
    return !result && result.error().code == ErrorCode::kDataLoss;
  };
  EXPECT_TRUE(refused({}));
  EXPECT_TRUE(refused({{13, 0}}));
  EXPECT_TRUE(refused({{0, 1}}));
  EXPECT_TRUE(refused({{12, 4096}}));
  EXPECT_TRUE(refused({{1, 0}, {1, 0}}));
  EXPECT_TRUE(refused({{1, 1}, {1, 0}}));
  EXPECT_TRUE(refused({{1, 0}, {2, 1}}));
  EXPECT_FALSE(refused({{1, 0}, {2, 3}}));
}

TEST(KeyTreeTest, RefusesRangesOutsideTheBlockAndLargeVersions) {
  const KeyTree tree = model_tree();
  std::vector<WriteSecret> out(2);
  const auto code = [&](uint32_t first, Version u, size_t count) {
    const auto result =
        tree.write_secrets(test_leaf(), kBlock, first, u, std::span(out).first(count));
    return result ? ErrorCode::kInternal : result.error().code;
  };
  EXPECT_EQ(code(4095, kU, 2), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(UINT32_MAX, kU, 2), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(0, kU, 0), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(0, {kVersionMax + 1}, 1), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace strongroom::keytree
