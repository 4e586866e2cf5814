// How many postings each term of an open lane has: a flat table, since a lane may hold millions of
// terms and a node for each would cost thrice the memory and a cache miss more.
#pragma once

#include <cstring>
#include <vector>

#include "strongroom/base/ids.h"

namespace strongroom::index {

// Open addressing, linear probing; terms are uniform, so their first bytes are the hash. Not
// thread-safe.
class TermCounters {
 public:
  TermCounters() : slots_(kSlotsMin) {}

  // Brings the term's slot on its way into the cache.
  void prefetch(const TermHash& term) const { __builtin_prefetch(&slots_[home(term)]); }
  // The term's count before this call, which adds one.
  uint32_t next(const TermHash& term) {
    Slot* slot = find(term);
    if (slot->count == 0) {
      if ((used_ + 1) * 4 > slots_.size() * 3) {
        grow();
        slot = find(term);
      }
      slot->term = term;
      ++used_;
    }
    return slot->count++;
  }

 private:
  static constexpr size_t kSlotsMin = 1024;
  struct Slot {
    TermHash term;
    uint32_t count = 0;  // 0: free.
  };

  size_t home(const TermHash& term) const {
    return std::hash<TermHash>{}(term) & (slots_.size() - 1);
  }
  Slot* find(const TermHash& term) {
    size_t at = home(term);
    while (slots_[at].count != 0 && slots_[at].term != term) at = (at + 1) & (slots_.size() - 1);
    return &slots_[at];
  }
  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.count != 0) *find(slot.term) = slot;
    }
  }

  std::vector<Slot> slots_;
  size_t used_ = 0;
};

}  // namespace strongroom::index
