#include "strongroom/policy/search_rights.h"

#include <gtest/gtest.h>

namespace strongroom::policy {
namespace {

// Group `open` (1) is opened, `closed` (2) is not.
v1::Collection collection() {
  v1::Collection out;
  out.set_id(1);
  out.set_name("person");
  for (const auto& [id, name] : {std::pair{1u, "open"}, {2u, "closed"}}) {
    auto& group = *out.add_groups();
    group.set_id(id);
    group.set_name(name);
  }
  const auto field = [&](uint32_t id, const char* name, const char* group, v1::FieldType type,
                         std::initializer_list<v1::IndexKind> kinds) -> v1::Field& {
    auto& added = *out.add_fields();
    added.set_id(id);
    added.set_name(name);
    added.set_group(group);
    added.set_type(type);
    for (const auto kind : kinds) added.add_index(kind);
    return added;
  };
  field(1, "name", "open", v1::NAME, {v1::EXACT, v1::PREFIX, v1::FUZZY}).add_prefixes(1);
  field(2, "number", "closed", v1::CODE, {v1::EXACT, v1::PREFIX}).add_prefixes(6);
  field(3, "dob", "closed", v1::DATE, {v1::EXACT, v1::RANGE});
  field(4, "note", "closed", v1::TEXT, {v1::WORDS});
  const auto composite = [&](uint32_t id, v1::CalendarUnit unit) {
    auto& added = *out.add_composites();
    added.set_id(id);
    added.add_parts()->set_field("name");
    added.add_parts()->set_field("dob");
    added.mutable_parts(1)->set_unit(unit);
  };
  composite(1, v1::YEAR_UNIT);
  composite(2, v1::CALENDAR_UNIT_UNSPECIFIED);
  return out;
}

Result<SearchRights> rights(std::vector<std::string> hidden, uint32_t groups = 1u << 1,
                            Problem* problem = nullptr) {
  v1::Grant grant;
  for (auto& name : hidden) grant.add_search_hidden(name);
  return SearchRights::of(grant, groups, collection(), "grant", problem);
}

struct Verdict {
  ErrorCode code;
  int64_t number = -1;
  bool operator==(const Verdict&) const = default;
};
Verdict verdict(const SearchRights& rights, const AskedTerm& asked) {
  const auto checked = rights.check(asked);
  if (checked) return {ErrorCode::kInternal};
  return {checked.error().code, checked.error().number};
}
const Verdict kAllowed{ErrorCode::kInternal};
const Verdict kUnknown{ErrorCode::kInvalidArgument};
Verdict denied(int64_t field) {
  return {ErrorCode::kSearchDenied, field};
}

TEST(SearchRightsTest, FieldsOfOpenedGroupsAreSearchedByAllTheirIndexes) {
  const auto open = rights({});
  for (const auto kind : {v1::EXACT, v1::PREFIX, v1::FUZZY}) {
    EXPECT_EQ(verdict(*open, {1, kind, 0}), kAllowed);
  }
}

TEST(SearchRightsTest, HiddenFieldsAreNotSearchedAtAll) {
  const auto open = rights({});
  EXPECT_EQ(verdict(*open, {2, v1::EXACT, 0}), denied(2));
  EXPECT_EQ(verdict(*open, {2, v1::PREFIX, 0}), denied(2));
  EXPECT_EQ(verdict(*open, {3, v1::RANGE, 0}), denied(3));
  EXPECT_EQ(verdict(*open, {4, v1::WORDS, 0}), denied(4));
  EXPECT_EQ(verdict(*open, {0, v1::INDEX_KIND_UNSPECIFIED, 1}), denied(3));
}

TEST(SearchRightsTest, TheMaskedViewOpensNoFieldToSearches) {
  const auto masked = rights({}, 1u << kMaskedGroup);
  EXPECT_EQ(verdict(*masked, {1, v1::EXACT, 0}), denied(1));
}

TEST(SearchRightsTest, AListedHiddenFieldIsSearchedByWholeValuesAlone) {
  const auto listed = rights({"number", "dob"});
  EXPECT_EQ(verdict(*listed, {2, v1::EXACT, 0}), kAllowed);
  EXPECT_EQ(verdict(*listed, {2, v1::PREFIX, 0}), denied(2));
  EXPECT_EQ(verdict(*listed, {3, v1::RANGE, 0}), denied(3));
}

TEST(SearchRightsTest, ACompositeTellsWhatItsPartsTell) {
  const auto listed = rights({"dob"});
  EXPECT_EQ(verdict(*listed, {0, v1::INDEX_KIND_UNSPECIFIED, 1}), denied(3));  // By its year.
  EXPECT_EQ(verdict(*listed, {0, v1::INDEX_KIND_UNSPECIFIED, 2}), kAllowed);
  const auto all = rights({}, 6);
  EXPECT_EQ(verdict(*all, {0, v1::INDEX_KIND_UNSPECIFIED, 1}), kAllowed);
}

TEST(SearchRightsTest, IndexesThatAreNotThereAreRefusedWhateverTheGrant) {
  const auto all = rights({}, 6);
  EXPECT_EQ(verdict(*all, {9, v1::EXACT, 0}), kUnknown);
  EXPECT_EQ(verdict(*all, {1, v1::RANGE, 0}), kUnknown);
  EXPECT_EQ(verdict(*all, {1, v1::INDEX_KIND_UNSPECIFIED, 0}), kUnknown);
  EXPECT_EQ(verdict(*all, {1, static_cast<v1::IndexKind>(33), 0}), kUnknown);
  EXPECT_EQ(verdict(*all, {1, static_cast<v1::IndexKind>(-1), 0}), kUnknown);
  EXPECT_EQ(verdict(*all, {1, v1::EXACT, 1}), kUnknown);  // Both at once.
  EXPECT_EQ(verdict(*all, {0, v1::INDEX_KIND_UNSPECIFIED, 3}), kUnknown);
}

TEST(SearchRightsTest, TheListNamesHiddenFieldsWithAnIndexExactOnceEach) {
  for (const std::vector<std::string>& list : std::vector<std::vector<std::string>>{
           {"nothing"}, {"note"}, {"name"}, {"number", "number"}}) {
    Problem problem;
    const auto made = rights(list, 1u << 1, &problem);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(problem.path, "grant.search_hidden[" + std::to_string(list.size() - 1) + "]");
  }
}

}  // namespace
}  // namespace strongroom::policy
