#include "strongroom/rpc/codec.h"

#include <google/protobuf/util/json_util.h>

#include <climits>

namespace strongroom::rpc {

Result<void> decode_message(bool json, std::string_view body, google::protobuf::Message& message) {
  if (body.size() > INT_MAX) {
    return make_error(ErrorCode::kInvalidArgument, "the message is too large");
  }
  if (!json) {
    if (message.ParseFromArray(body.data(), static_cast<int>(body.size()))) return {};
    return make_error(
        ErrorCode::kInvalidArgument,
        "the body is not this call's protobuf message; check the versions of both ends");
  }
  // Its own error text repeats the input, so it stops here. An empty body is the empty message to
  // curl users.
  const google::protobuf::util::JsonParseOptions options;
  if (google::protobuf::util::JsonStringToMessage(
          body.empty() ? google::protobuf::StringPiece("{}")
                       : google::protobuf::StringPiece(body.data(), body.size()),
          &message, options)
          .ok()) {
    return {};
  }
  return make_error(
      ErrorCode::kInvalidArgument,
      "the body is not this call's message in JSON; check field names, types and base64 values");
}

Result<std::string> encode_message(bool json, const google::protobuf::Message& message) {
  std::string out;
  if (json) {
    const google::protobuf::util::JsonPrintOptions options;
    if (google::protobuf::util::MessageToJsonString(message, &out, options).ok()) return out;
  } else if (message.SerializeToString(&out)) {
    return out;
  }
  return make_error(ErrorCode::kInternal, "the reply could not be encoded; please report this");
}

}  // namespace strongroom::rpc
