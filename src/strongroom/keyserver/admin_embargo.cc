// The end of an embargo before its day: asked by one, done by several.
#include <algorithm>

#include "strongroom/keyserver/key_server.h"
#include "strongroom/keyserver/refusals.h"

namespace strongroom::keyserver {

Result<v1::LiftEmbargoResponse> KeyServer::lift_embargo(const std::string& who,
                                                        const v1::LiftEmbargoRequest& request) {
  SR_TRY(require(who, {v1::REPORT_SUBJECTS}));
  const v1::EmbargoLift& lift = request.lift();
  if (lift.case_reference().empty() || lift.case_reference().size() > kCaseReferenceMax) {
    return invalid("Say which case: its reference, as it was given with --case.");
  }
  const auto& purposes = ledger_.engine().policy().purposes();
  if (std::ranges::find(purposes, lift.purpose(), &v1::Purpose::name) == purposes.end()) {
    return make_error(ErrorCode::kNotFound,
                      "The policy has no such purpose. `policy show` lists them.");
  }
  const EmbargoLifts& lifts = ledger_.embargo_lifts();
  const uint64_t known = lifts.below(lift.purpose(), lift.case_reference());
  if (known == 0 && lifts.size() >= kEmbargoLiftsMax) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "As many embargoes were lifted early as may be. This one ends on its day.");
  }
  v1::ApprovalRequest asked;
  *asked.mutable_embargo_lift() = lift;
  asked.set_base(known);
  v1::LiftEmbargoResponse out;
  SR_ASSIGN(const uint64_t id, propose(who, std::move(asked), request.reason()));
  out.set_request(id);
  return out;
}

}  // namespace strongroom::keyserver
