// Log entries as people and programs read them.
#pragma once

#include <string>

#include "strongroom/v1/admin.pb.h"

namespace strongroom::app {

// "opened 3 records of collection 1 for clerk, investigation A-2026-117"
std::string describe_entry(const v1::LogEntryView& entry);
// One JSON object with the items in it.
std::string entry_json(const v1::LogEntryView& entry);

}  // namespace strongroom::app
