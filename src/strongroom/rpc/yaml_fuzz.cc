// Whatever the text: no crash, and what is accepted is written so that it reads back the same.
#include <google/protobuf/util/message_differencer.h>

#include "strongroom/base/bytes.h"
#include "strongroom/base/check.h"
#include "strongroom/rpc/yaml.h"
#include "strongroom/v1/policy.pb.h"
#include "strongroom/v1/schema.pb.h"
#include "strongroom/v1/vault.pb.h"

namespace {

template <class Message>
void try_as(std::string_view text) {
  Message message;
  strongroom::rpc::YamlError where;
  if (!strongroom::rpc::parse_yaml(text, message, &where)) return;
  Message again;
  SR_CHECK(strongroom::rpc::parse_yaml(strongroom::rpc::to_yaml(message), again).has_value(),
           "what was written reads back");
  SR_CHECK(google::protobuf::util::MessageDifferencer::Equals(message, again), "and is the same");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = strongroom::as_text({data, size});
  try_as<strongroom::v1::Policy>(text);
  try_as<strongroom::v1::Collection>(text);
  try_as<strongroom::v1::FindResponse>(text);
  return 0;
}
