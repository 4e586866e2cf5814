// Legal holds: records that cannot be erased for now, as the log says.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include "strongroom/base/ids.h"
#include "strongroom/base/result.h"
#include "strongroom/v1/log.pb.h"

namespace strongroom::keyserver {

inline constexpr size_t kHoldReferenceMax = 64;
inline constexpr size_t kHoldsMax = 1000;              // At a time.
inline constexpr size_t kHoldRecordsMax = 1000;        // Of one request.
inline constexpr size_t kHeldRecordsMax = 10'000'000;  // In all.

struct Hold {
  std::string reason;
  std::string author;
  uint64_t t_ms = 0;  // When it was placed.
  uint64_t leaf = 0;  // Of its last change.
  std::set<RecordIndex> records;
  template <class A>
  void archive(A& a) {
    a(reason, author, t_ms, leaf, records);
  }
};

// Why such a record is not erased; `place` is its in the request.
Error under_hold(int64_t place);

// Not thread-safe. A record may be under several holds.
class Holds {
 public:
  // Folds in what was logged; false: a hold is lifted that there is not.
  bool apply(const v1::HoldItem& item, const std::string& author, uint64_t leaf, uint64_t t_ms);
  const Hold* find(std::string_view reference) const;
  bool held(RecordIndex idx) const { return counts_.contains(idx); }
  size_t records() const { return counts_.size(); }
  std::unordered_map<uint32_t, uint64_t> records_by_block() const;
  const std::map<std::string, Hold, std::less<>>& all() const { return holds_; }

  template <class A>
  void archive(A& a) {
    a(holds_, counts_);
  }

 private:
  std::map<std::string, Hold, std::less<>> holds_;    // By reference.
  std::unordered_map<RecordIndex, uint32_t> counts_;  // How many holds each record is under.
};

}  // namespace strongroom::keyserver
