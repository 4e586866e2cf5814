#include "strongroom/gateway/catalog.h"

#include <gtest/gtest.h>

#include "strongroom/index/normalise.h"

namespace strongroom::gateway {
namespace {

v1::SyncReply sync_reply() {
  v1::SyncReply sync;
  sync.set_revision(7);
  sync.set_vault("0123456789abcdef");
  auto& collection = *sync.add_collections();
  collection.set_id(4);
  collection.set_name("person");
  for (const auto& [id, name] : {std::pair{9, "contact"}, {2, "identity"}}) {
    auto& group = *collection.add_groups();
    group.set_id(static_cast<uint32_t>(id));
    group.set_name(name);
    if (id == 2) group.set_min_bytes(64);
  }
  const auto field = [&](uint32_t id, const char* name, const char* group) -> v1::Field& {
    auto& out = *collection.add_fields();
    out.set_id(id);
    out.set_name(name);
    out.set_type(v1::TEXT);
    out.set_group(group);
    return out;
  };
  field(8, "phone", "contact").set_unique(true);
  field(3, "name", "identity").set_mask(v1::FIRST1);
  auto& number = field(5, "number", "identity");
  number.set_unique(true);
  number.add_index(v1::EXACT);
  number.set_max_bytes(18);
  auto& parcel = *sync.add_collections();
  parcel.set_id(5);
  parcel.set_name("parcel");
  auto& clerk = *sync.mutable_policy()->add_roles();
  clerk.set_name("clerk");
  auto& grant = *clerk.add_grants();
  grant.set_collection("person");
  grant.add_purposes("service");
  grant.add_groups("contact");
  grant.add_groups("masked");
  grant.add_groups("gone");
  auto& other = *clerk.add_grants();
  other.set_collection("person");
  other.add_purposes("investigation");
  other.add_groups("identity");
  auto& ann = *sync.add_principals();
  ann.set_name("ann");
  ann.set_role("clerk");
  return sync;
}

TEST(CatalogTest, FieldsAscendByIdAndGroupsByNumber) {
  const Catalog catalog(sync_reply());
  EXPECT_EQ(catalog.revision(), 7u);
  const auto person = catalog.collection(CollectionId{4});
  ASSERT_NE(person, nullptr);
  ASSERT_EQ(person->fields.size(), 3u);
  EXPECT_EQ(person->fields[0].name, "name");
  EXPECT_EQ(person->fields[1].name, "number");
  EXPECT_EQ(person->fields[2].name, "phone");
  EXPECT_EQ(person->unique_fields, (std::vector<size_t>{1, 2}));
  EXPECT_EQ(person->groups,
            (std::vector<Collection::Group>{{kMaskedGroup}, {GroupId{2}, 64}, {GroupId{9}}}));
  EXPECT_EQ(person->find("number"), std::optional<size_t>(1));
  EXPECT_EQ(person->find("Number"), std::nullopt);
  EXPECT_TRUE(person->fields[1].index.exact);
  EXPECT_EQ(person->fields[1].max_bytes, 18u);
  EXPECT_EQ(person->fields[0].max_bytes, 4096u) << "where the schema says nothing";
  EXPECT_FALSE(person->fields[2].index.exact);
}

TEST(CatalogTest, WithoutAMaskThereIsNoMaskedGroup) {
  auto sync = sync_reply();
  sync.mutable_collections(0)->mutable_fields(1)->clear_mask();
  const Catalog catalog(sync);
  EXPECT_EQ(catalog.collection(CollectionId{4})->groups,
            (std::vector<Collection::Group>{{GroupId{2}, 64}, {GroupId{9}}}));
}

TEST(CatalogTest, AnUnknownCollectionIsNoCollection) {
  EXPECT_EQ(Catalog(sync_reply()).collection(CollectionId{6}), nullptr);
}

TEST(CatalogTest, GroupsAreThoseOfRolePurposeAndCollection) {
  const Catalog catalog(sync_reply());
  EXPECT_EQ(catalog.groups_for("ann", "service", CollectionId{4}), 1u | 1u << 9);
  EXPECT_EQ(catalog.groups_for("ann", "investigation", CollectionId{4}), 1u << 2);
  EXPECT_EQ(catalog.groups_for("ann", "import", CollectionId{4}), 0u);
  EXPECT_EQ(catalog.groups_for("ann", "service", CollectionId{5}), 0u);
  EXPECT_EQ(catalog.groups_for("bob", "service", CollectionId{4}), 0u);
  EXPECT_EQ(catalog.groups_for("ann", "service", CollectionId{6}), 0u);
}

// By Python's hmac: docs/spec/renewal.md.
TEST(TermKeyTest, TheKeyOfRenewedTermsIsMadeOfBothHalves) {
  TermKey term_key;
  ByteArray<32> salt;
  for (size_t i = 0; i < salt.size(); ++i) {
    term_key.write(SecretAccess{})[i] = static_cast<uint8_t>(0x20 + i);
    salt[i] = static_cast<uint8_t>(0x40 + i);
  }
  v1::SyncReply sync;
  auto& definition = *sync.add_collections();
  definition.set_id(7);
  EXPECT_EQ(
      to_hex(
          term_key_of(term_key, *Catalog(sync).collection(CollectionId{7})).read(SecretAccess{})),
      to_hex(term_key.read(SecretAccess{})));
  definition.set_terms(1);
  auto& terms = *sync.add_terms();
  terms.set_collection(7);
  terms.set_salt(std::string(as_text(salt)));
  const Catalog catalog(sync);
  const auto collection = catalog.collection(CollectionId{7});
  EXPECT_EQ(to_hex(term_key_of(term_key, *collection).read(SecretAccess{})),
            "90db5f1db32d54043b487a674415977e2ff42d20fb1ba5bd3f9d0654f587d6ab");
  EXPECT_EQ(collection->space(), CollectionId{0x10007});
}

TEST(MaskTest, Last4ShowsNothingOfAShortValue) {
  EXPECT_EQ(masked(v1::LAST4, "+8613800138000"), "**********8000");
  EXPECT_EQ(masked(v1::LAST4, "12345"), "*2345");
  EXPECT_EQ(masked(v1::LAST4, "1234"), "****");
  EXPECT_EQ(masked(v1::LAST4, "1"), "*");
  EXPECT_EQ(masked(v1::LAST4, ""), "");
}

TEST(MaskTest, First1ShowsNothingOfASingleCharacter) {
  EXPECT_EQ(masked(v1::FIRST1, "Wang"), "W***");
  EXPECT_EQ(masked(v1::FIRST1, "W"), "*");
}

TEST(MaskTest, CharactersAreCountedNotBytes) {
  EXPECT_EQ(masked(v1::FIRST1, "王小明"), "王**");
  EXPECT_EQ(masked(v1::FIRST1, "王"), "*");
  EXPECT_EQ(masked(v1::LAST4, "北京市朝阳区"), "**市朝阳区");
  EXPECT_EQ(masked(v1::REGION6, "北京市朝阳区建国路"), "北京市朝阳区***");
  EXPECT_EQ(masked(v1::LAST4, "😀😀"), "**");
}

TEST(MaskTest, YearAndRegionShowNothingOfWhatIsTooShort) {
  EXPECT_EQ(masked(v1::YEAR, "1980-02-29"), "1980-**-**");
  EXPECT_EQ(masked(v1::YEAR, "198"), "***");
  EXPECT_EQ(masked(v1::REGION6, "11010119800229001X"), "110101************");
  EXPECT_EQ(masked(v1::REGION6, "110101"), "******");
}

// The schema lets any mask stand on any field: whatever comes out is text that can be sent.
TEST(MaskTest, EveryMaskOfEveryTextIsValidUtf8) {
  for (const char* text : {"", "a", "ab", "王", "王小", "王小明大", "é1é2é3é4", "😀a😀b😀c😀d😀e"}) {
    for (const v1::Mask mask : {v1::LAST4, v1::FIRST1, v1::YEAR, v1::REGION6}) {
      EXPECT_TRUE(index::valid_utf8(masked(mask, text))) << v1::Mask_Name(mask) << " " << text;
    }
  }
}

}  // namespace
}  // namespace strongroom::gateway
