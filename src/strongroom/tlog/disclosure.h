// Some items of an entry shown to somebody who may not see the others: each with its salt and its
// inclusion path in the entry's MTH. Formats: docs/spec/log.md, "Entries".
#pragma once

#include <string>
#include <vector>

#include "strongroom/tlog/entry.h"
#include "strongroom/tlog/merkle.h"

namespace strongroom::tlog {

struct Disclosure {
  uint32_t place = 0;  // j
  std::string item;
  Hash salt{};
  std::vector<Hash> path;  // From c_j's leaf up.
};

// The public bytes of an entry that was read from the log.
ByteArray<kEntrySize> public_bytes(const Entry& entry);
// One for each place, in that order. Places are below the entry's number of items.
std::vector<Disclosure> disclose(const Entry& entry, std::span<const uint32_t> places);
// Whether the entry commits to this item at this place.
bool verify_disclosure(const EntryHead& head, const Disclosure& disclosure);

}  // namespace strongroom::tlog
