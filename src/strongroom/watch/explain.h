// An alarm in words, with its evidence: for the command line, the sinks, the log's readers.
#pragma once

#include <string>

#include "strongroom/v1/watch.pb.h"

namespace strongroom::watch {

// "clerk7 opened 164 records in an hour: more than 60, and more than 4 times the usual 12 ..."
std::string explain(const v1::AlarmItem& alarm);
// What came of it, and what to do: "clerk7 is frozen; ..."
std::string consequence(const v1::AlarmItem& alarm);

}  // namespace strongroom::watch
