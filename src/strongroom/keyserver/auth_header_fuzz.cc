#include "strongroom/keyserver/admin_auth.h"

using namespace strongroom;
using namespace strongroom::keyserver;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view header = as_text({data, size});
  const auto parsed = parse_authorization(header);
  if (parsed) {
    // The one spelling of what it says, but for leading zeros of the time.
    const std::string again = "v1 " + parsed->principal + " " + std::to_string(parsed->t_ms) + " " +
                              to_base64(parsed->nonce) + " " + to_base64(parsed->signature);
    SR_CHECK(parse_authorization(again).has_value(), "own spelling parses");
    SR_CHECK(again.size() <= header.size(), "no longer than what was read");
  }
  policy::Engine engine;
  AdminAuth auth({}, engine, 0);
  SR_CHECK(!auth.authenticate("/", ByteArray<32>{}, header, 0), "nobody is registered");
  return 0;
}
