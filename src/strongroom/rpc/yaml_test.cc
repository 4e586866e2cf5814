#include "strongroom/rpc/yaml.h"

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "strongroom/v1/admin.pb.h"
#include "strongroom/v1/keyservice.pb.h"
#include "strongroom/v1/vault.pb.h"

namespace strongroom::rpc {
namespace {

using google::protobuf::util::MessageDifferencer;

constexpr char kPolicy[] = R"(# who may do what
purposes:
  - name: investigation
    title: "Ermittlung: Fälle"
    case_required: true
roles:
  - name: clerk
    grants:
      - collection: person
        purposes: [investigation, service]
        actions: [FIND, GET]
        budget: {records_per_hour: 100, records_per_day: 18446744073709551615}
    powers: []
ticket_lifetime_s_max: 600
)";

TEST(YamlTest, ReadsAPolicyByFieldNames) {
  v1::Policy policy;
  YamlError where;
  ASSERT_TRUE(parse_yaml(kPolicy, policy, &where)) << where.line << where.key;
  EXPECT_EQ(policy.purposes(0).title(), "Ermittlung: Fälle");
  EXPECT_TRUE(policy.purposes(0).case_required());
  EXPECT_EQ(policy.roles(0).grants(0).actions(1), v1::GET);
  EXPECT_EQ(policy.roles(0).grants(0).purposes_size(), 2);
  EXPECT_EQ(policy.roles(0).grants(0).budget().records_per_day(), UINT64_MAX);
  EXPECT_EQ(policy.ticket_lifetime_s_max(), 600u);
}

TEST(YamlTest, WritesWhatItReads) {
  v1::Policy policy;
  ASSERT_TRUE(parse_yaml(kPolicy, policy));
  policy.mutable_purposes(0)->set_title("no");
  policy.add_purposes()->set_name("a \"quoted\"\n\ttext: # with \\ everything");
  policy.add_purposes();
  policy.add_roles()->mutable_grants()->Add()->mutable_budget();
  v1::Policy again;
  YamlError where;
  ASSERT_TRUE(parse_yaml(to_yaml(policy), again, &where)) << to_yaml(policy) << where.line;
  EXPECT_TRUE(MessageDifferencer::Equals(policy, again)) << to_yaml(policy);

  v1::FindResponse found;
  auto& record = *found.add_records();
  record.set_id("1");
  (*record.mutable_fields())["name"] = "王小明";
  (*record.mutable_fields())["dob"] = "1980-01-01";
  v1::FindResponse found_again;
  ASSERT_TRUE(parse_yaml(to_yaml(found), found_again));
  EXPECT_TRUE(MessageDifferencer::Equals(found, found_again));

  v1::Principal principal;
  principal.set_public_key(std::string("\x00\xff\x10", 3));
  v1::Principal principal_again;
  ASSERT_TRUE(parse_yaml(to_yaml(principal), principal_again));
  EXPECT_EQ(principal_again.public_key(), principal.public_key());
  EXPECT_EQ(to_yaml(v1::Policy()), "{}\n");
}

TEST(YamlTest, PlainWordsAreTextWhereTextBelongs) {
  v1::Field field;
  ASSERT_TRUE(parse_yaml("region: NO\nname: 12\ntitle: true\npath: \"\"", field));
  EXPECT_EQ(field.region(), "NO");
  EXPECT_EQ(field.name(), "12");
  EXPECT_EQ(field.title(), "true");
}

struct Bad {
  const char* text;
  int line;
  const char* key;
};

TEST(YamlTest, RefusesWithLineAndKey) {
  const Bad cases[] = {
      {"version: 1\nporpoises: []\n", 2, "porpoises"},
      {"version: 1\nroles: []\nversion: 2\n", 3, "version"},
      {"version: many\n", 1, "version"},
      {"version: \"1\"\n", 1, "version"},
      {"version: -1\n", 1, "version"},
      {"version: 4294967296\n", 1, "version"},
      {"version: 1.5\n", 1, "version"},
      {"version: [1]\n", 1, "version"},
      {"version:\n", 1, "version"},
      {"purposes:\n  - name: a\n    case_required: yes\n", 3, "case_required"},
      {"purposes: {name: a}\n", 1, "purposes"},
      {"purposes:\n  - just text\n", 2, "purposes"},
      {"roles:\n  - name: a\n    powers:\n      - MANAGE_EVERYTHING\n", 4, "powers"},
      {"roles:\n  - powers: [1]\n", 2, "powers"},
      {"purposes: &all []\n", 1, ""},
      {"purposes: *all\n", 1, ""},
      {"version: !!int 1\n", 1, ""},
      {"version: 1\n---\nversion: 2\n", 2, ""},
      {"version: 1\n  roles: x\n", 2, ""},
      {"? [a, b]\n: 1\n", 1, ""},
      {"- version\n", 1, ""},
      {"roles:\n  - name: \"\\NUL\"\n", 2, ""},  // Escapes that yaml-cpp makes into a stray byte.
      {"roles:\n  - name: \"\\0\"\n", 2, ""},
      {"roles:\n  - \"\\_\": x\n", 2, ""},
  };
  for (const Bad& bad : cases) {
    v1::Policy policy;
    YamlError where;
    const auto result = parse_yaml(bad.text, policy, &where);
    ASSERT_FALSE(result) << bad.text;
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(where.line, bad.line) << bad.text << result.error().text;
    EXPECT_EQ(result.error().number, bad.line) << bad.text;
    EXPECT_EQ(where.key, bad.key) << bad.text;
  }
}

TEST(YamlTest, RefusesWhatIsTooLargeTooDeepOrNotText) {
  v1::Policy policy;
  EXPECT_FALSE(parse_yaml("", policy));
  EXPECT_FALSE(parse_yaml("# nothing\n", policy));
  EXPECT_FALSE(parse_yaml(std::string((1u << 20) + 1, ' '), policy));
  EXPECT_FALSE(parse_yaml("purposes: " + std::string(40, '[') + std::string(40, ']'), policy));
  EXPECT_FALSE(parse_yaml(std::string(100'000, '['), policy));
  EXPECT_FALSE(parse_yaml("name: \xff", policy));
  EXPECT_FALSE(parse_yaml(std::string_view("version: 1\0", 11), policy));
  v1::Principal principal;
  EXPECT_FALSE(parse_yaml("public_key: \"not base64\"", principal));
}

TEST(YamlTest, RefusesTwoOfAOneof) {
  v1::Call call;
  EXPECT_TRUE(parse_yaml("publish_lane: {lane: 1}", call));
  YamlError where;
  EXPECT_FALSE(parse_yaml("publish_lane: {lane: 1}\nsync: {}", call, &where));
  EXPECT_EQ(where.line, 2);
}

}  // namespace
}  // namespace strongroom::rpc
