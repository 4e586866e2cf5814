// An OCSF 1.3 event while it is put together. Source: https://schema.ocsf.io/1.3.0
#pragma once

#include <google/protobuf/struct.pb.h>

#include <string>

#include "strongroom/sender/event.h"

namespace strongroom::sender {

// Sets members of an object; numbers below 2^53, so that they stay whole in JSON.
class OcsfObject {
 public:
  explicit OcsfObject(google::protobuf::Struct& to) : to_(to) {}
  OcsfObject& text(const char* key, const std::string& value) {
    if (!value.empty()) (*to_.mutable_fields())[key].set_string_value(value);
    return *this;
  }
  OcsfObject& number(const char* key, uint64_t value) {
    (*to_.mutable_fields())[key].set_number_value(static_cast<double>(value));
    return *this;
  }
  OcsfObject& flag(const char* key, bool value) {
    (*to_.mutable_fields())[key].set_bool_value(value);
    return *this;
  }
  OcsfObject object(const char* key) {
    return OcsfObject(*(*to_.mutable_fields())[key].mutable_struct_value());
  }
  OcsfObject item(const char* key) {
    auto& list = *(*to_.mutable_fields())[key].mutable_list_value();
    return OcsfObject(*list.add_values()->mutable_struct_value());
  }

 private:
  google::protobuf::Struct& to_;
};

// `uid`: the same for the same event, whenever it is made.
void add_metadata(OcsfObject& root, const Origin& origin, const std::string& uid);
// As JSON, one line without its end.
std::string ocsf_line(const google::protobuf::Struct& event);

}  // namespace strongroom::sender
