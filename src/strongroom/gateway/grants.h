// Secrets to write records with, from the key server: asked for, and its answer checked.
#pragma once

#include <vector>

#include "strongroom/base/ids.h"
#include "strongroom/base/result.h"
#include "strongroom/base/secret.h"
#include "strongroom/gateway/key_service.h"

namespace strongroom::gateway {

struct WriteGrant {
  std::vector<RecordVersion> versions;
  std::vector<WriteSecret> secrets;  // Of each.
  uint64_t erasures = 0;             // How many records had been erased by then.
  uint64_t revision = 0;             // Of collections and policy, then.
};

// New records, at most as many as were asked for, at least one.
Result<WriteGrant> ask_grant(KeyService& keys, v1::GrantCall ask);
// New versions of the records asked about, which ascend.
//   kNotFound  `number` is the place of one that was erased, or never granted.
Result<WriteGrant> ask_update_grant(KeyService& keys, v1::UpdateGrantCall ask);

enum class LaneUse { kOnline, kUpdate, kPacked, kRenewed };
struct OpenedLane {
  LaneId lane;
  LaneRoot root;
};
// A lane of the ticket's collection: to write into, where kUpdate under the action UPDATE; or one
// that nobody searches before it is published, where kRenewed with the terms that are to come.
Result<OpenedLane> ask_lane(KeyService& keys, const v1::SignedTicket& ticket, LaneUse use);

}  // namespace strongroom::gateway
