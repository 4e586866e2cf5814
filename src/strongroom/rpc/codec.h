// Protobuf messages as bodies: binary, or the JSON mapping with unknown fields refused.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <string_view>

#include "strongroom/base/result.h"

namespace strongroom::rpc {

inline constexpr char kJsonType[] = "application/json";
inline constexpr char kProtoType[] = "application/proto";

//   kInvalidArgument  Not such a message. The text never repeats what was sent.
Result<void> decode_message(bool json, std::string_view body, google::protobuf::Message& message);
//   kInternal  A string of ours is not UTF-8, or the message passes 2 GiB.
Result<std::string> encode_message(bool json, const google::protobuf::Message& message);

}  // namespace strongroom::rpc
