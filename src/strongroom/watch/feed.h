// Entries of the release log as events: so that what is watched live, replayed at a start, and
// tried out with other thresholds is one and the same.
#pragma once

#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "strongroom/v1/log.pb.h"
#include "strongroom/watch/watcher.h"

namespace strongroom::watch {

// Not thread-safe.
class Feed {
 public:
  // What this entry says was done. Views into `items` and into this feed, until its next call.
  // Nothing: it is none of what is watched.
  std::optional<Event> event(uint64_t leaf, uint64_t t_ms, std::span<const v1::LogItem> items);

  template <class A>
  void archive(A& a) {
    a(records_of_);
  }

 private:
  std::unordered_map<uint32_t, uint64_t> records_of_;  // Ever granted, by collection.
  std::vector<RecordIndex> records_;
  std::vector<Term> terms_;
};

}  // namespace strongroom::watch
