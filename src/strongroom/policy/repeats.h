// Which records a principal has opened and paid for lately: to open one again may cost no budget.
#pragma once

#include <deque>
#include <span>
#include <unordered_map>

#include "strongroom/base/ids.h"

namespace strongroom::policy {

// Time never goes back. Not thread-safe.
class Repeats {
 public:
  // 0: nothing is free, and nothing is kept.
  void set_window(uint64_t window_ms);
  // How many of these were paid for within the window, with all of these groups.
  uint64_t free(uint32_t principal, std::span<const RecordIndex> records, uint32_t groups,
                uint64_t t_ms) const;
  // One was opened: where it was not free, it was paid for now.
  void opened(uint32_t principal, RecordIndex record, uint32_t groups, uint64_t t_ms);
  size_t size() const { return paid_.size(); }

  template <class A>
  void archive(A& a) {
    a(paid_, by_time_);
  }

 private:
  struct Key {
    uint32_t principal = 0;
    uint64_t record = 0;
    auto operator<=>(const Key&) const = default;
    template <class A>
    void archive(A& a) {
      a(principal, record);
    }
  };
  struct KeyHash {
    size_t operator()(const Key& key) const;
  };
  struct Paid {
    uint64_t t_ms = 0;
    uint32_t groups = 0;
    template <class A>
    void archive(A& a) {
      a(t_ms, groups);
    }
  };
  bool is_free(const Key& key, uint32_t groups, uint64_t t_ms) const;

  uint64_t window_ms_ = 0;
  std::unordered_map<Key, Paid, KeyHash> paid_;
  std::deque<std::pair<uint64_t, Key>> by_time_;
};

}  // namespace strongroom::policy
