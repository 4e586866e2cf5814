#include "strongroom/gateway/record_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "strongroom/crypto/random.h"

namespace strongroom::gateway {
namespace {

using testing::HasSubstr;
using testing::Not;

class RecordBuilderTest : public testing::Test {
 protected:
  RecordBuilderTest() {
    crypto::init();
    v1::SyncReply sync;
    auto& collection = *sync.add_collections();
    collection.set_id(4);
    collection.set_name("person");
    for (const auto& [id, name] : {std::pair{1, "identity"}, {2, "contact"}}) {
      auto& group = *collection.add_groups();
      group.set_id(static_cast<uint32_t>(id));
      group.set_name(name);
    }
    const auto field = [&](uint32_t id, const char* name, v1::FieldType type,
                           const char* group) -> v1::Field& {
      auto& out = *collection.add_fields();
      out.set_id(id);
      out.set_name(name);
      out.set_type(type);
      out.set_group(group);
      return out;
    };
    auto& name = field(1, "name", v1::NAME, "identity");
    name.set_required(true);
    name.add_index(v1::EXACT);
    name.set_mask(v1::FIRST1);
    auto& number = field(2, "number", v1::NATIONAL_ID, "identity");
    number.set_unique(true);
    number.set_mask(v1::REGION6);
    auto& phone = field(3, "phone", v1::PHONE, "contact");
    phone.set_region("CN");
    phone.add_index(v1::EXACT);
    auto& code = field(4, "code", v1::CODE, "contact");
    code.set_unique(true);
    code.add_index(v1::EXACT);
    code.set_max_bytes(8);
    for (uint32_t i = 0; i < 16; ++i) {
      field(10 + i, ("long" + std::to_string(i)).c_str(), v1::TEXT, "contact")
          .set_max_bytes(1 << 20);
    }
    catalog_ = std::make_unique<Catalog>(sync);
    builder_ = std::make_unique<RecordBuilder>(catalog_->collection(CollectionId{4}), key_);
  }

  // Values by column: name, number, phone, code.
  bool build(std::vector<std::string_view> values) {
    return builder_->build({0, 1, 2, 3}, values, out_, problem_);
  }
  std::string value_of(GroupId group, FieldId field) const {
    for (const auto& g : out_.groups) {
      if (g.group != group) continue;
      for (const auto& v : g.values) {
        if (v.field == field) return std::string(v.value);
      }
    }
    return "";
  }

  TermKey key_ = crypto::random_secret<TermKey>();
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<RecordBuilder> builder_;
  BuiltRecord out_;
  BuildProblem problem_;
};

TEST_F(RecordBuilderTest, EveryValueStandsInItsGroupAndMaskedWhereItHasAMask) {
  ASSERT_TRUE(build({"王小明", "11010519491231002X", "138 0013 8000", "AB-1"})) << problem_.reason;
  ASSERT_EQ(out_.groups.size(), 3u);
  EXPECT_EQ(value_of(GroupId{1}, FieldId{1}), "王小明");
  EXPECT_EQ(value_of(GroupId{1}, FieldId{2}), "11010519491231002X");
  EXPECT_EQ(value_of(GroupId{2}, FieldId{3}), "+8613800138000") << "in its stored form";
  EXPECT_EQ(value_of(GroupId{2}, FieldId{4}), "AB-1");
  EXPECT_EQ(value_of(kMaskedGroup, FieldId{1}), "王**");
  EXPECT_EQ(value_of(kMaskedGroup, FieldId{2}), "110105************");
  EXPECT_EQ(value_of(kMaskedGroup, FieldId{3}), "") << "it has no mask";
}

TEST_F(RecordBuilderTest, TermsAreOfIndexedFieldsAloneAndSpellingDoesNotMatter) {
  ASSERT_TRUE(build({"Wang Xiaoming", "11010519491231002X", "13800138000", "AB-1"}));
  EXPECT_EQ(out_.terms.size(), 3u) << "name, phone, code: number is unique but not indexed";
  EXPECT_TRUE(std::is_sorted(out_.terms.begin(), out_.terms.end()));
  const auto terms = out_.terms;
  const auto unique = out_.unique;
  ASSERT_TRUE(build({"WANG  xiaoming", "11010519491231002x", "+86 138-0013-8000", "ab-1"}));
  EXPECT_EQ(out_.terms, terms);
  EXPECT_EQ(out_.unique, unique);
  EXPECT_EQ(out_.has_unique, (std::vector<bool>{true, true}));
  ASSERT_TRUE(build({"Wang Xiaoming", "", "", ""}));
  EXPECT_EQ(out_.terms.size(), 1u);
  EXPECT_EQ(out_.has_unique, (std::vector<bool>{false, false}));
}

TEST_F(RecordBuilderTest, NothingOfARowIsLeftInTheNextOne) {
  ASSERT_TRUE(build({"Wang", "11010519491231002X", "13800138000", "AB-1"}));
  ASSERT_TRUE(build({"Li", "", "", ""}));
  EXPECT_EQ(value_of(GroupId{1}, FieldId{1}), "Li");
  EXPECT_EQ(value_of(GroupId{1}, FieldId{2}), "");
  EXPECT_EQ(value_of(kMaskedGroup, FieldId{2}), "");
  EXPECT_TRUE(std::all_of(out_.groups.begin(), out_.groups.end(),
                          [](const auto& g) { return g.group != GroupId{2} || g.values.empty(); }));
}

TEST_F(RecordBuilderTest, ContentTellsEveryDifferenceOfWhatIsStored) {
  std::set<std::string> contents;
  for (const auto& row :
       std::vector<std::vector<std::string_view>>{{"Wang", "", "", ""},
                                                  {"Wang", "", "", "AB"},
                                                  {"WangA", "", "", "B"},
                                                  {"Wang", "11010519491231002X", "", ""},
                                                  {"Wang", "", "13800138000", ""},
                                                  {"wang", "", "", ""}}) {
    ASSERT_TRUE(build(row));
    EXPECT_TRUE(contents.insert(out_.content).second);
  }
  ASSERT_TRUE(build({"Wang", "", "+8613800138000", ""}));
  EXPECT_TRUE(contents.contains(out_.content)) << "the same once it is stored";
}

TEST_F(RecordBuilderTest, ARequiredFieldMustBeThereAndNotBlank) {
  EXPECT_FALSE(build({"", "", "13800138000", ""}));
  EXPECT_EQ(problem_.field->name, "name");
  EXPECT_THAT(problem_.reason, HasSubstr("required"));
  EXPECT_FALSE(build({"  \t", "", "", ""}));
  EXPECT_EQ(problem_.field->name, "name");
  const std::string_view phone[] = {"13800138000"};
  EXPECT_FALSE(builder_->build({2}, phone, out_, problem_)) << "no column for it at all";
}

TEST_F(RecordBuilderTest, WhatIsRefusedNamesItsFieldAndNeverAValue) {
  const std::string latin1 = "Zo\xeb";
  const std::string long_code = "ABCDEFGHI";
  for (const auto& [values, field] :
       std::vector<std::pair<std::vector<std::string_view>, std::string>>{
           {{latin1, "", "", ""}, "name"},
           {{"Wang\xe7\x8e", "", "", ""}, "name"},
           {{"Wang", "110105194912310029", "", ""}, "number"},
           {{"Wang", "11010119800230001X", "", ""}, "number"},
           {{"Wang", "", "12", ""}, "phone"},
           {{"Wang", "", "call me", ""}, "phone"},
           {{"Wang", "", "", "A B"}, "code"},
           {{"Wang", "", "", long_code}, "code"}}) {
    problem_ = {};
    EXPECT_FALSE(build(values)) << field;
    ASSERT_NE(problem_.field, nullptr);
    EXPECT_EQ(problem_.field->name, field);
    EXPECT_STRNE(problem_.reason, "");
    for (const auto value : values) {
      if (value.size() < 3) continue;
      EXPECT_THAT(std::string(problem_.reason), Not(HasSubstr(std::string(value))));
    }
  }
  ASSERT_TRUE(build({"Wang", "", "", "ABCDEFGH"})) << "as long as the field allows";
}

TEST_F(RecordBuilderTest, ARecordThatCannotBeSealedIsRefused) {
  const std::string one(1 << 20, 'x');
  for (const size_t longs : {13, 16}) {
    Columns columns{0};
    std::vector<std::string_view> values{"Wang"};
    for (size_t i = 0; i < longs; ++i) {
      columns.push_back(4 + i);
      values.push_back(one);
    }
    const bool built = builder_->build(columns, values, out_, problem_);
    EXPECT_EQ(built, longs == 13);
    if (!built) {
      EXPECT_THAT(problem_.reason, HasSubstr("too long"));
      continue;
    }
    std::string sealed;
    EXPECT_TRUE(record::seal(CollectionId{4}, {RecordIndex{1}, Version{1}},
                             crypto::random_secret<WriteSecret>(), out_.groups, sealed));
  }
}

}  // namespace
}  // namespace strongroom::gateway
