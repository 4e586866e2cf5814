// Requests to sign, as a key server that lies may send them; and scopes and case patterns.
#include "strongroom/policy/approvals.h"
#include "strongroom/policy/conditions.h"
#include "strongroom/policy/freeze.h"
#include "strongroom/policy/policy.h"

using namespace strongroom;
using namespace strongroom::policy;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = as_text({data, size});
  ByteArray<16> vault{};
  const auto request = parse_approval_request(bytes, vault);
  if (request) {
    // What is shown says all of it: taken apart and put together again, it asks the same.
    v1::ApprovalRequest again;
    SR_CHECK(again.ParseFromString(request->SerializeAsString()), "own bytes parse");
    SR_CHECK(again.SerializeAsString() == request->SerializeAsString(), "and say the same");
    if (request->has_policy()) {
      SR_CHECK(diff_policies(request->policy(), request->policy()).lines.empty(), "no change");
      SR_CHECK(!diff_policies(request->policy(), request->policy()).widens, "none wider");
    }
  }
  const auto scope = parse_scope(bytes);
  if (scope) SR_CHECK(to_text(*scope) == bytes, "one spelling of a scope");
  const size_t half = bytes.size() / 2;
  if (is_case_pattern(bytes.substr(0, half))) {
    (void)matches_case(bytes.substr(0, half), bytes.substr(half));
  }
  return 0;
}
