// Which requests a ticket has answered: a set that only grows, until its ticket expires.
//
// Open addressing in one array: at a service's pace this is touched for every search and release,
// and a node for each answer would miss the cache each time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "strongroom/base/bytes.h"
#include "strongroom/base/ids.h"

namespace strongroom::keyserver {

// 64 bits of a request id under a random key, so that no one can choose ids that crowd one place.
// Two ids that meet in it refuse each other, they never admit.
class RequestKeys {
 public:
  RequestKeys();
  uint64_t of(Bytes request_id) const;
  template <class A>
  void archive(A& a) {
    a(words_);
  }

 private:
  std::array<uint64_t, 2> words_;
};
// Of one record under a request.
uint64_t record_key(uint64_t request, RecordIndex idx);

struct Answer {
  uint64_t key = 0;      // 0: free.
  uint64_t hash = 0;     // Start of the request's hash; 0 for a record.
  uint64_t records = 0;  // Released under the request.
  template <class A>
  void archive(A& a) {
    a(key, hash, records);
  }
};

// Not thread-safe.
class Answers {
 public:
  const Answer* find(uint64_t key) const;  // nullptr: none. Valid until the next add().
  Answer& add(uint64_t key);               // Or the one that is there.
  size_t size() const { return size_; }

  template <class A>
  void archive(A& a) {
    std::vector<Answer> all = sorted();
    a(all);
    if constexpr (A::kReading) {
      for (const Answer& answer : all) {
        if (answer.key == 0 || find(answer.key) != nullptr) return a.fail();
        add(answer.key) = answer;
      }
    }
  }

 private:
  size_t place_of(uint64_t key) const;
  void grow();
  std::vector<Answer> sorted() const;  // By key.
  std::vector<Answer> slots_;          // Empty, or a power of two of them, at most two thirds used.
  size_t size_ = 0;
};

}  // namespace strongroom::keyserver
