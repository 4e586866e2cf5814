#include "strongroom/gateway/held_rows.h"

#include <gtest/gtest.h>

#include <set>

#include "strongroom/crypto/derive.h"
#include "strongroom/crypto/random.h"

namespace strongroom::gateway {
namespace {

const CollectionId kHeldIn{7};

PreparedRow row(const std::string& name, const std::string& masked, uint8_t term) {
  PreparedRow out;
  out.built.groups.resize(3);
  out.built.groups[0].group = kMaskedGroup;
  out.built.groups[1].group = GroupId{1};
  out.built.groups[2].group = GroupId{2};
  if (!masked.empty()) out.built.groups[0].values.push_back({FieldId{1}, masked});
  if (!name.empty()) out.built.groups[1].values.push_back({FieldId{1}, name});
  out.built.terms.resize(2);
  out.built.terms[0].bytes.fill(term);
  out.built.terms[1].bytes.fill(static_cast<uint8_t>(term + 100));
  out.held = HeldRows::values_of(out.built.groups);
  return out;
}

TEST(HeldRowsTest, WhatWasHeldIsSealedOnceWhole) {
  HeldRows held;
  std::vector<PreparedRow> rows;
  std::vector<std::vector<TermHash>> terms;
  const std::vector<std::string> names = {"", "Wang", std::string(300, 'x')};
  for (uint8_t i = 0; i < 3; ++i) {
    rows.push_back(row(names[i], i == 0 ? "" : "W**", i));
    auto& last = rows.back();
    last.unique_keys.emplace_back(UniqueKey{i});
    last.unique_tokens.push_back(crypto::random_secret<TermToken>());
    last.checks.push_back(ByteArray<16>{i});
    last.unique_keys.emplace_back(std::nullopt);
    last.unique_tokens.emplace_back();
    last.checks.emplace_back();
    terms.push_back(last.built.terms);
    held.add(last);
  }
  EXPECT_EQ(held.size(), 3u);
  EXPECT_EQ(held.terms(), 6u);
  EXPECT_GE(held.bytes(), 300u);
  held.shuffle();
  std::set<std::string> seen;
  for (size_t i = 0; i < 3; ++i) {
    const auto secret = crypto::random_secret<WriteSecret>();
    const RecordVersion version{RecordIndex{40 + i}, Version{9}};
    const auto write = held.seal(i, kHeldIn, version, secret);
    ASSERT_TRUE(write) << write.error().text;
    const auto header = record::parse_row(as_bytes(write->row));
    ASSERT_TRUE(header);
    const auto key = crypto::derive_group_key(secret, GroupId{1});
    auto opened = record::open_group(kHeldIn, version.idx, *header, GroupId{1}, key);
    ASSERT_TRUE(opened);
    const std::string name = opened->empty() ? "" : opened->front().value.take(SecretAccess{});
    EXPECT_TRUE(seen.insert(name).second);
    const auto which =
        static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin());
    ASSERT_LT(which, 3u);
    EXPECT_EQ(write->terms, terms[which]);
    ASSERT_EQ(write->unique.size(), 1u);
    const auto unique =
        index::open_unique(as_bytes(write->unique[0].key), rows[which].unique_tokens[0],
                           as_bytes(write->unique[0].value));
    ASSERT_TRUE(unique);
    EXPECT_EQ(unique->version, version);
    EXPECT_EQ(unique->check, rows[which].checks[0]);
  }
  held.clear();
  EXPECT_TRUE(held.empty());
  EXPECT_EQ(held.bytes(), 0u);
}

TEST(HeldRowsTest, TheOrderIsDrawnAnewForEachChunk) {
  const auto drawn = [] {
    HeldRows held;
    for (uint8_t i = 0; i < 100; ++i) {
      PreparedRow one = row("n", "", i);
      held.add(one);
    }
    held.shuffle();
    std::vector<uint8_t> order;
    for (size_t i = 0; i < 100; ++i) {
      const auto write =
          held.seal(i, kHeldIn, {RecordIndex{i}, Version{1}}, crypto::random_secret<WriteSecret>());
      order.push_back(write->terms[0].bytes[0]);
    }
    return order;
  };
  const auto one = drawn();
  const auto two = drawn();
  EXPECT_NE(one, two);
  EXPECT_EQ(std::set<uint8_t>(one.begin(), one.end()).size(), 100u);
}

}  // namespace
}  // namespace strongroom::gateway
