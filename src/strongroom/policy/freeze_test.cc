#include "strongroom/policy/freeze.h"

#include <gtest/gtest.h>

namespace strongroom::policy {
namespace {

constexpr Party kAlice{"alice", "clerk", "service", "person", "gateway-1"};

TEST(ScopeTest, ReadsWhatItWrites) {
  for (const char* text : {"principal:alice", "role:clerk", "purpose:service", "collection:person",
                           "gateway:gateway-1", "all"}) {
    const auto scope = parse_scope(text);
    ASSERT_TRUE(scope) << text;
    EXPECT_EQ(to_text(*scope), text);
  }
  for (const char* text : {"", "alice", "principal:", "principal:Alice", "all:", "all ", "allx",
                           "role: clerk", "principal:a\nb", "vault:all"}) {
    EXPECT_FALSE(parse_scope(text)) << text;
  }
  EXPECT_FALSE(parse_scope("principal:" + std::string(65, 'a')));
}

TEST(FreezesTest, EachScopeCutsItsOwnAndNothingElse) {
  for (const char* text : {"principal:alice", "role:clerk", "purpose:service", "collection:person",
                           "gateway:gateway-1", "all"}) {
    Freezes freezes;
    EXPECT_TRUE(freezes.check(kAlice, false));
    const Scope scope = *parse_scope(text);
    freezes.add(scope, {});
    EXPECT_EQ(freezes.check(kAlice, false).error().code, ErrorCode::kPermissionDenied) << text;
    EXPECT_FALSE(freezes.check(kAlice, true)) << text;
    EXPECT_EQ(freezes.check({"bob", "nurse", "care", "patient", "gateway-2"}, false).has_value(),
              scope.kind != Scope::Kind::kAll)
        << text;
    freezes.remove(scope);
    EXPECT_TRUE(freezes.check(kAlice, false));
  }
}

TEST(FreezesTest, ANameFrozenInOneKindIsNotInAnother) {
  Freezes freezes;
  freezes.add(*parse_scope("role:alice"), {});
  freezes.add(*parse_scope("purpose:person"), {});
  EXPECT_TRUE(freezes.check(kAlice, false));
}

TEST(FreezesTest, ToMaskedLeavesTheMaskedView) {
  Freezes freezes;
  Freeze masked;
  masked.to_masked = true;
  freezes.add(*parse_scope("principal:alice"), masked);
  EXPECT_TRUE(freezes.check(kAlice, true));
  EXPECT_FALSE(freezes.check(kAlice, false));
  freezes.add(*parse_scope("all"), {});
  EXPECT_FALSE(freezes.check(kAlice, true)) << "the stricter one counts";
}

}  // namespace
}  // namespace strongroom::policy
