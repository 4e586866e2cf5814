// Opens some of an entry's items to whoever is shown it, and keeps the others closed.
// Spec: docs/spec/log.md
//
//   opening = ver u8 | n u32be | n x (00h | c_j 32   or   01h | salt_j 32 | len u32be | item)
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "strongroom/tlog/entry.h"

namespace strongroom::tlog {

inline constexpr size_t kOpeningBytesMax = size_t{160} << 10;

// Items from `first` on are shown.
std::string open_items(const Entry& entry, size_t first);
// The items shown, with their places, if they are what the entry commits to.
//   kDataLoss  They are not, or this is no opening.
Result<std::vector<std::pair<uint32_t, std::string>>> check_opening(Bytes opening,
                                                                    const EntryHead& head);

}  // namespace strongroom::tlog
