// The log's entries with their bodies, in order, as far as the key server hands them out.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "strongroom/app/client.h"

namespace strongroom::app {

// Every entry from leaf `first` to the last there is when it gets there, with progress on a
// terminal. `visit`'s error ends it.
Result<void> read_log(AdminClient& admin, uint64_t first,
                      const std::function<Result<void>(const v1::LogEntryView&)>& visit);

// "2026-11-22", "2026-11-22 15:03", "2026-11-22T15:03:11Z": milliseconds since 1970, UTC.
std::optional<uint64_t> parse_time(const std::string& text);

}  // namespace strongroom::app
