// Requests that several must sign, as a person reads them.
#pragma once

#include <string>
#include <vector>

#include "strongroom/app/client.h"
#include "strongroom/v1/approval.pb.h"

namespace strongroom::app {

// What to say of a change that was asked for and not yet done.
std::string waits_for_approval(
    uint64_t id, const char* so_far = "this widens access, so nothing is changed yet");

// A request as it is signed, and how it stands.
struct ReadRequest {
  v1::ApprovalRequest request;
  std::string bytes;
  v1::RequestView view;
};
// kInvalidArgument  It holds what could not be shown: it should not be signed.
Result<ReadRequest> read_request(const Credential& credential, const v1::RequestView& view);

// In a few words: "policy version 3", "principal alice, clerk", "thaw all".
std::string summary_of(const v1::ApprovalRequest& request);
// All of it, line by line: nothing that is signed is left out. `current` is the policy in force.
std::vector<std::string> lines_of(const v1::ApprovalRequest& request, const v1::Policy& current);
const char* state_of(const v1::RequestView& view);

}  // namespace strongroom::app
