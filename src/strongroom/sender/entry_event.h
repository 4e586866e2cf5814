// An entry of the release log as others' tools read it: OCSF 1.3 events in JSON.
//
//   release, token, grant, erasure   Datastore Activity (6005): Read, Query, Write, Delete
//   policy, approval, freeze         Entity Management (3004): Update
//   start                            Application Lifecycle (6002): Start
//   watch                            Detection Finding (2004) for each alarm; what was refused,
//   6005 that failed
//
// Who, for what purpose and case, how many, when and under which leaf; no record number, no term.
// Source: https://schema.ocsf.io/1.3.0
#pragma once

#include <string>
#include <vector>

#include "strongroom/base/result.h"
#include "strongroom/sender/event.h"
#include "strongroom/v1/admin.pb.h"

namespace strongroom::sender {

// Lines without their ends; none for an entry that is of no interest outside (a lane, planted
// canaries).
//   kDataLoss  Not an entry that this version understands; the number is its leaf.
Result<std::vector<std::string>> entry_events(const v1::LogEntryView& entry, const Origin& origin);

}  // namespace strongroom::sender
