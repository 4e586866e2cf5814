// Log entries as people and programs read them.
#pragma once

#include <string>

#include "strongroom/v1/admin.pb.h"

namespace strongroom::app {

// "3 records opened, by clerk for investigation A-2026-117". Several things of one entry, as those
// that `init` founds, are all named: "policy version 1; principal ...; principal ..., by init".
std::string describe_entry(const v1::LogEntryView& entry);
// One JSON object with the items in it.
std::string entry_json(const v1::LogEntryView& entry);

}  // namespace strongroom::app
