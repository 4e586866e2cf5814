// Erasures of all old records of a collection, as the log says: scheduled by several or by the
// collection's retention, cancelled by one, or carried out block by block once they are due.
// Spec: docs/spec/erasure.md
#pragma once

#include <map>
#include <string>

#include "strongroom/base/ids.h"
#include "strongroom/v1/log.pb.h"

namespace strongroom::keyserver {

inline constexpr size_t kDestructionsPendingMax = 64;
inline constexpr size_t kDestructionsKept = 100;  // That have ended.

struct Destruction {
  enum class End : uint8_t { kPending, kCancelled, kDone };
  CollectionId collection;
  uint64_t before_ms = 0;  // Blocks whose last record was granted before.
  uint64_t due_ms = 0;
  uint64_t delay_ms = 0;    // From the entry that scheduled it.
  uint64_t request = 0;     // 0: by the collection's retention.
  std::string author;       // Of the request.
  uint32_t next_block = 0;  // Those below are done.
  uint64_t erased = 0;
  uint64_t held = 0;  // As it ended.
  End end = End::kPending;
  uint64_t end_ms = 0;
  std::string cancelled_by;
  template <class A>
  void archive(A& a) {
    a(collection, before_ms, due_ms, delay_ms, request, author, next_block, erased, held, end,
      end_ms);
    a(cancelled_by);
  }
};

// Not thread-safe.
class Destructions {
 public:
  const Destruction* find(uint64_t id) const;  // nullptr: none, or forgotten.
  const std::map<uint64_t, Destruction>& all() const { return all_; }
  size_t pending() const { return pending_; }
  // Whether the retention of this collection is being carried out, or was cancelled since since_ms.
  bool retention_underway(CollectionId collection, uint64_t since_ms) const;

  // As the log says. False: it cannot be.
  bool schedule(uint64_t id, Destruction added);
  bool apply(const v1::DestructionItem& item, const std::string& author, uint64_t records,
             uint64_t t_ms);

  // The log's end may be lost, and with it who cancelled what: the delays begin anew.
  void restored(uint64_t t_ms);

  template <class A>
  void archive(A& a) {
    a(all_, pending_);
  }

 private:
  void forget();
  std::map<uint64_t, Destruction> all_;  // By the leaf of the entry that scheduled it.
  size_t pending_ = 0;
};

}  // namespace strongroom::keyserver
