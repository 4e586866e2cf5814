// Of each record how often it was released, and by which entry last: where a subject report begins
// to read backwards (docs/spec/subject_report.md).
#pragma once

#include <array>
#include <unordered_map>

#include "strongroom/base/ids.h"

namespace strongroom::keyserver {

struct RecordReleases {
  uint32_t count = 0;
  uint64_t last = 0;  // The leaf of the last; 0: none.
};

// 8 bytes a record, in pages of 16: records of one import are asked for together. Not thread-safe.
class ReleaseChains {
 public:
  // Counted no further: a report then shows that counters stand still.
  static constexpr uint32_t kCountMax = (1u << 28) - 1;
  // A log of so many entries is 15 TB, and would take weeks to replay.
  static constexpr uint64_t kLeafMax = (uint64_t{1} << 36) - 1;

  RecordReleases of(RecordIndex idx) const;
  void add(RecordIndex idx, uint64_t leaf);

  template <class A>
  void archive(A& a) {
    a(pages_);
  }

 private:
  std::unordered_map<uint64_t, std::array<uint64_t, 16>> pages_;  // leaf << 28 | count
};

}  // namespace strongroom::keyserver
