// The example schemas and policy say what the API definition knows, and fit the generators.
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <set>

#include "strongroom/synth/synth.h"
#include "strongroom/v1/policy.pb.h"
#include "strongroom/v1/schema.pb.h"

namespace strongroom::synth {
namespace {

std::string json_string(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + "\"";
}

std::string json_of(const YAML::Node& node) {
  std::string out;
  if (node.IsSequence()) {
    for (const auto& item : node) out += (out.empty() ? "" : ",") + json_of(item);
    return "[" + out + "]";
  }
  if (node.IsMap()) {
    for (const auto& item : node) {
      out +=
          (out.empty() ? "" : ",") + json_string(item.first.Scalar()) + ":" + json_of(item.second);
    }
    return "{" + out + "}";
  }
  const std::string& text = node.Scalar();
  return text == "true" || text == "false" ? text : json_string(text);
}

template <class Message>
Message load(const std::string& file) {
  Message message;
  const std::string json = json_of(YAML::LoadFile(STRONGROOM_SOURCE_DIR "/examples/" + file));
  // Unknown keys are errors unless one asks otherwise.
  const auto status = google::protobuf::util::JsonStringToMessage(json, &message);
  EXPECT_TRUE(status.ok()) << file << ": " << status.ToString();
  return message;
}

constexpr const char* kCollections[] = {"person", "incident", "parcel", "legislator"};

TEST(ExamplesTest, CollectionsAreConsistent) {
  std::set<uint32_t> collection_ids;
  for (const char* name : kCollections) {
    SCOPED_TRACE(name);
    const auto collection = load<v1::Collection>(std::string("collections/") + name + ".yaml");
    EXPECT_EQ(collection.name(), name);
    EXPECT_TRUE(collection_ids.insert(collection.id()).second);
    std::set<std::string> groups, used, fields;
    std::set<uint32_t> ids;
    for (const auto& group : collection.groups()) groups.insert(group.name());
    for (const auto& field : collection.fields()) {
      EXPECT_TRUE(ids.insert(field.id()).second) << field.name();
      EXPECT_TRUE(fields.insert(field.name()).second) << field.name();
      EXPECT_NE(field.type(), v1::FIELD_TYPE_UNSPECIFIED) << field.name();
      EXPECT_TRUE(groups.contains(field.group())) << field.name();
      EXPECT_EQ(field.type() == v1::PHONE, !field.region().empty()) << field.name();
      used.insert(field.group());
    }
    EXPECT_EQ(groups, used);
  }
}

TEST(ExamplesTest, GeneratorsMakeTheFieldsOfTheirCollection) {
  for (const char* name : {"person", "incident", "parcel"}) {
    const auto collection = load<v1::Collection>(std::string("collections/") + name + ".yaml");
    std::vector<std::string> fields;
    for (const auto& field : collection.fields()) fields.push_back(field.name());
    auto generator = make_generator(name, 1, 1);
    ASSERT_TRUE(generator);
    EXPECT_EQ((*generator)->columns(), fields);
  }
}

TEST(ExamplesTest, PolicyNamesOnlyWhatThereIs) {
  const auto policy = load<v1::Policy>("policies/example.yaml");
  std::set<std::string> purposes, roles;
  for (const auto& purpose : policy.purposes()) purposes.insert(purpose.name());
  for (const auto& role : policy.roles()) {
    roles.insert(role.name());
    for (const auto& grant : role.grants()) {
      const auto collection = load<v1::Collection>("collections/" + grant.collection() + ".yaml");
      std::set<std::string> groups{"masked"};
      for (const auto& group : collection.groups()) groups.insert(group.name());
      for (const auto& group : grant.groups()) EXPECT_TRUE(groups.contains(group)) << group;
      for (const auto& purpose : grant.purposes())
        EXPECT_TRUE(purposes.contains(purpose)) << purpose;
    }
  }
  EXPECT_EQ(roles, (std::set<std::string>{"clerk", "desk", "officer", "auditor", "operator",
                                          "approver", "privacy"}));
  EXPECT_TRUE(purposes.contains("investigation") && purposes.contains("service"));
}

}  // namespace
}  // namespace strongroom::synth
