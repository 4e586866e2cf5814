// Which requests a ticket has answered: a set that only grows, until its ticket expires.
//
// Open addressing in one array: at a service's pace this is touched for every search and release,
// and a node for each answer would miss the cache each time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "strongroom/base/bytes.h"
#include "strongroom/base/ids.h"

namespace strongroom::keyserver {

// 64 bits of a request id under a key of this process, so that no one can choose ids that crowd one
// place. Two ids that meet in it refuse each other, they never admit.
uint64_t request_key(Bytes request_id);
// Of one record under a request.
uint64_t record_key(uint64_t request, RecordIndex idx);

struct Answer {
  uint64_t key = 0;      // 0: free.
  uint64_t hash = 0;     // Start of the request's hash; 0 for a record.
  uint64_t records = 0;  // Released under the request.
};

// Not thread-safe.
class Answers {
 public:
  const Answer* find(uint64_t key) const;  // nullptr: none. Valid until the next add().
  Answer& add(uint64_t key);               // Or the one that is there.
  size_t size() const { return size_; }

 private:
  size_t place_of(uint64_t key) const;
  void grow();
  std::vector<Answer> slots_;  // Empty, or a power of two of them, at most two thirds used.
  size_t size_ = 0;
};

}  // namespace strongroom::keyserver
