// What each principal did last, and which uses of emergency purposes nobody has reviewed, as the
// log says.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "strongroom/base/ids.h"
#include "strongroom/policy/policy.h"
#include "strongroom/tlog/release_log.h"

namespace strongroom::keyserver {

inline constexpr size_t kUsesKept = 20;  // Of each principal.
// A principal with an emergency use that has waited for so long may not use one again.
inline constexpr uint64_t kReviewWithinMs = uint64_t{72} * 3'600'000;

struct Use {
  uint64_t leaf = 0;
  uint64_t t_ms = 0;
  tlog::EntryType type = tlog::EntryType::kRelease;
  std::string purpose;
  std::string case_reference;
  CollectionId collection;
  uint64_t amount = 0;
  template <class A>
  void archive(A& a) {
    a(leaf, t_ms, type, purpose, case_reference, collection, amount);
  }
};

// Not thread-safe.
class History {
 public:
  void add(std::string_view principal, Use use, bool emergency);
  const std::deque<Use>& of(std::string_view principal) const;  // Oldest first.
  uint64_t last_ms(std::string_view principal) const;           // 0: never.

  struct Emergency {
    std::string principal;
    Use use;
    template <class A>
    void archive(A& a) {
      a(principal, use);
    }
  };
  const std::map<uint64_t, Emergency>& unreviewed() const { return unreviewed_; }  // By leaf.
  bool review_overdue(std::string_view principal, uint64_t t_ms) const;
  void reviewed(uint64_t leaf) { unreviewed_.erase(leaf); }

  template <class A>
  void archive(A& a) {
    a(uses_, unreviewed_);
  }

 private:
  policy::NameMap<std::deque<Use>> uses_;
  std::map<uint64_t, Emergency> unreviewed_;
};

}  // namespace strongroom::keyserver
