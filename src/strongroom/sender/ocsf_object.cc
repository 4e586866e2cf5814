#include "strongroom/sender/ocsf_object.h"

#include <google/protobuf/util/json_util.h>

#include "strongroom/base/check.h"

namespace strongroom::sender {

void add_metadata(OcsfObject& root, const Origin& origin, const std::string& uid) {
  auto metadata = root.object("metadata");
  metadata.text("version", "1.3.0").text("uid", uid);
  metadata.object("product")
      .text("name", "strongroom")
      .text("vendor_name", "strongroom")
      .text("version", origin.version);
}

std::string ocsf_line(const google::protobuf::Struct& event) {
  std::string out;
  SR_CHECK(google::protobuf::util::MessageToJsonString(event, &out).ok(), "an event is JSON");
  return out;
}

}  // namespace strongroom::sender
