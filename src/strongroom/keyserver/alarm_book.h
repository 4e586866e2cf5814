// Alarms: what watching the log sets off, from the moment it is due until whoever asks has read it.
//
// It follows the log and nothing else: each entry is stepped through the watcher, live or replayed.
// An alarm that came of an entry is an entry of its own, right behind it in the same group; when a
// crash has cut the group between them, the alarm is due again after the replay.
#pragma once

#include <deque>
#include <span>
#include <vector>

#include "strongroom/base/result.h"
#include "strongroom/v1/log.pb.h"
#include "strongroom/v1/watch.pb.h"
#include "strongroom/watch/feed.h"
#include "strongroom/watch/watcher.h"

namespace strongroom::keyserver {

inline constexpr size_t kAlarmsKept = 10'000;  // In memory; the log has all.
inline constexpr uint32_t kAlarmsMax = 1000;   // In an answer.

// Not thread-safe.
class AlarmBook {
 public:
  void set_rules(const watch::Rules& rules) { watcher_.set_rules(rules); }
  const watch::Watcher& watcher() const { return watcher_; }

  // Folds in an entry that is not of the watch.
  void note(uint64_t leaf, uint64_t t_ms, std::span<const v1::LogItem> items);
  // Folds in a watch entry. False: it holds what this version cannot have written.
  bool note_watch(uint64_t leaf, uint64_t t_ms, std::span<const v1::LogItem> items);
  // What the last entry set off and no alarm entry has said yet.
  std::vector<v1::AlarmItem> take_due() { return std::exchange(due_, {}); }
  bool has_due() const { return !due_.empty(); }

  // Answers from what is kept.
  v1::ListAlarmsResponse list(const v1::ListAlarmsRequest& request, uint64_t log_size) const;

  struct Planting {
    uint64_t leaf = 0;
    v1::CanariesItem item;
    template <class A>
    void archive(A& a) {
      a(leaf, item);
    }
  };
  // All that the log names and does not call lost.
  const std::vector<Planting>& plantings() const { return plantings_; }

  // All but the rules.
  template <class A>
  void archive(A& a) {
    a(feed_, watcher_, due_, kept_, forgotten_to_, plantings_);
  }

 private:
  void step(uint64_t leaf, uint64_t t_ms, std::span<const v1::LogItem> items);
  watch::Feed feed_;
  watch::Watcher watcher_;
  std::vector<v1::AlarmItem> due_;
  struct Kept {
    uint64_t leaf = 0;
    uint64_t t_ms = 0;
    v1::AlarmItem alarm;
    template <class A>
    void archive(A& a) {
      a(leaf, t_ms, alarm);
    }
  };
  std::deque<Kept> kept_;
  uint64_t forgotten_to_ = 0;  // Leaf of the last alarm that is not kept any more; 0: none.
  std::vector<Planting> plantings_;
};

}  // namespace strongroom::keyserver
