#include "strongroom/rpc/yaml.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <charconv>
#include <set>

#include "strongroom/base/bytes.h"
#include "strongroom/rpc/yaml_tree.h"

namespace strongroom::rpc {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr size_t kKeyShownMax = 64;

class Filler {
 public:
  explicit Filler(YamlError* where) : where_(where) {}

  Result<void> fill(const YamlNode& node, Message& message) {
    if (node.kind != YamlNode::Kind::kMap)
      return refuse(node, "a mapping (key: value) belongs here");
    const Reflection& reflection = *message.GetReflection();
    std::set<const FieldDescriptor*> seen;
    for (size_t i = 0; i + 1 < node.children.size(); i += 2) {
      const YamlNode& key = node.children[i];
      const YamlNode& value = node.children[i + 1];
      if (key.kind != YamlNode::Kind::kScalar) return refuse(key, "a key must be a plain word");
      key_ = key.text;
      const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(key.text);
      if (field == nullptr) return refuse(key, "there is no such key here");
      if (!seen.insert(field).second) return refuse(key, "this key is here twice");
      if (value.kind == YamlNode::Kind::kNull) {
        return refuse(key, "this key has no value; give one or remove the key");
      }
      const auto* group = field->real_containing_oneof();
      if (group != nullptr && reflection.HasOneof(message, group)) {
        return refuse(key, "this key excludes another one that is set already");
      }
      SR_TRY(set(value, message, *field));
    }
    return {};
  }

 private:
  Error refuse(const YamlNode& node, const char* text) {
    if (where_ != nullptr) {
      where_->line = node.line;
      where_->column = node.column;
      where_->key.clear();
      for (char c : key_.substr(0, kKeyShownMax)) {
        where_->key.push_back(c >= 0x20 && c <= 0x7e ? c : '?');
      }
    }
    return make_error(ErrorCode::kInvalidArgument, text, node.line);
  }

  Result<void> set(const YamlNode& value, Message& message, const FieldDescriptor& field) {
    if (field.is_map()) return set_map(value, message, field);
    if (!field.is_repeated()) return set_one(value, message, field);
    if (value.kind != YamlNode::Kind::kList) return refuse(value, "a list belongs here");
    const std::string key = key_;
    for (const YamlNode& item : value.children) {
      key_ = key;  // Items that are mappings have changed it.
      SR_TRY(set_one(item, message, field));
    }
    return {};
  }

  Result<void> set_map(const YamlNode& value, Message& message, const FieldDescriptor& field) {
    if (value.kind != YamlNode::Kind::kMap) {
      return refuse(value, "a mapping (key: value) belongs here");
    }
    const auto& entry = *field.message_type();
    std::set<std::string> seen;
    for (size_t i = 0; i + 1 < value.children.size(); i += 2) {
      const YamlNode& key = value.children[i];
      if (key.kind == YamlNode::Kind::kScalar && !seen.insert(key.text).second) {
        return refuse(key, "this key is here twice");
      }
      Message& added = *message.GetReflection()->AddMessage(&message, &field);
      SR_TRY(set_one(key, added, *entry.map_key()));
      SR_TRY(set_one(value.children[i + 1], added, *entry.map_value()));
    }
    return {};
  }

  template <class T>
  Result<T> number(const YamlNode& node) {
    T out{};
    const char* end = node.text.data() + node.text.size();
    const auto [stopped, failed] = std::from_chars(node.text.data(), end, out);
    // Quoted 64-bit numbers are how protobuf's JSON has them, and so `policy show --json`.
    if ((node.quoted && sizeof(T) < 8) || node.text.empty() || failed != std::errc{} ||
        stopped != end) {
      return refuse(node, "a number belongs here, within its range");
    }
    return out;
  }

  // Sets the field, or adds to it if it is repeated.
  Result<void> set_one(const YamlNode& node, Message& message, const FieldDescriptor& field) {
    const Reflection& to = *message.GetReflection();
    const bool add = field.is_repeated();
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      return fill(node,
                  *(add ? to.AddMessage(&message, &field) : to.MutableMessage(&message, &field)));
    }
    if (node.kind != YamlNode::Kind::kScalar) return refuse(node, "a single value belongs here");
    const auto put = [&](auto set_it, auto add_it, auto value) -> Result<void> {
      (to.*(add ? add_it : set_it))(&message, &field, std::move(value));
      return {};
    };
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32: {
        SR_ASSIGN(const int32_t value, number<int32_t>(node));
        return put(&Reflection::SetInt32, &Reflection::AddInt32, value);
      }
      case FieldDescriptor::CPPTYPE_INT64: {
        SR_ASSIGN(const int64_t value, number<int64_t>(node));
        return put(&Reflection::SetInt64, &Reflection::AddInt64, value);
      }
      case FieldDescriptor::CPPTYPE_UINT32: {
        SR_ASSIGN(const uint32_t value, number<uint32_t>(node));
        return put(&Reflection::SetUInt32, &Reflection::AddUInt32, value);
      }
      case FieldDescriptor::CPPTYPE_UINT64: {
        SR_ASSIGN(const uint64_t value, number<uint64_t>(node));
        return put(&Reflection::SetUInt64, &Reflection::AddUInt64, value);
      }
      case FieldDescriptor::CPPTYPE_DOUBLE: {
        SR_ASSIGN(const double value, number<double>(node));
        return put(&Reflection::SetDouble, &Reflection::AddDouble, value);
      }
      case FieldDescriptor::CPPTYPE_FLOAT: {
        SR_ASSIGN(const float value, number<float>(node));
        return put(&Reflection::SetFloat, &Reflection::AddFloat, value);
      }
      case FieldDescriptor::CPPTYPE_BOOL:
        if (node.quoted || (node.text != "true" && node.text != "false")) {
          return refuse(node, "true or false belongs here");
        }
        return put(&Reflection::SetBool, &Reflection::AddBool, node.text == "true");
      case FieldDescriptor::CPPTYPE_ENUM: {
        const auto* value = field.enum_type()->FindValueByName(node.text);
        if (value == nullptr) return refuse(node, "this is none of the names that may stand here");
        return put(&Reflection::SetEnum, &Reflection::AddEnum, value);
      }
      case FieldDescriptor::CPPTYPE_STRING: {
        std::string value = node.text;
        if (field.type() == FieldDescriptor::TYPE_BYTES && !from_base64(node.text, &value)) {
          return refuse(node, "base64 belongs here");
        }
        return put(&Reflection::SetString, &Reflection::AddString, std::move(value));
      }
      case FieldDescriptor::CPPTYPE_MESSAGE:
        break;
    }
    return refuse(node, "this key cannot be set in a file");
  }

  YamlError* where_;
  std::string key_;
};

}  // namespace

Result<void> parse_yaml(std::string_view text, Message& message, YamlError* where) {
  message.Clear();
  YamlPlace place;
  const auto tree = parse_yaml_tree(text, &place);
  if (where != nullptr) *where = {place.line, place.column, {}};
  if (!tree) return tree.error();
  return Filler(where).fill(*tree, message);
}

}  // namespace strongroom::rpc
