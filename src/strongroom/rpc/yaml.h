// YAML files as protobuf messages: keys are the fields' names in the .proto, enums go by name,
// bytes in base64.
//
// Strict, since these files are policies and schemas: unknown and repeated keys, wrong types, keys
// without a value, anchors, aliases, tags and further documents are refused, with the line. At most
// 1 MiB and 32 levels. Scalars of string fields are taken literally (`NO` is the text NO).
#pragma once

#include <string>
#include <string_view>

#include "strongroom/base/result.h"

namespace google::protobuf {
class Message;
}

namespace strongroom::rpc {

struct YamlError {
  int line = 0;  // 1-based. 0: no place.
  int column = 0;
  std::string key;  // The key this is about, cut to 64 printable characters; may be empty.
};

// Replaces `message`, whose content is unspecified after an error. Error::number is the line.
//   kInvalidArgument
Result<void> parse_yaml(std::string_view text, google::protobuf::Message& message,
                        YamlError* where = nullptr);
// What parse_yaml() reads back. Fields at their default are left out.
std::string to_yaml(const google::protobuf::Message& message);

}  // namespace strongroom::rpc
