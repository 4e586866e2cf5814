#include "strongroom/keyserver/alarm_book.h"

#include <algorithm>

#include "strongroom/watch/explain.h"

namespace strongroom::keyserver {

void AlarmBook::step(uint64_t leaf, uint64_t t_ms, std::span<const v1::LogItem> items) {
  if (const auto event = feed_.event(leaf, t_ms, items)) watcher_.step(*event, due_);
}

void AlarmBook::note(uint64_t leaf, uint64_t t_ms, std::span<const v1::LogItem> items) {
  due_.clear();  // Replayed: what an earlier entry set off was said, or belongs to a policy gone.
  step(leaf, t_ms, items);
}

bool AlarmBook::note_watch(uint64_t leaf, uint64_t t_ms, std::span<const v1::LogItem> items) {
  for (const v1::LogItem& item : items) {
    if (item.has_alarm()) {
      const v1::AlarmItem& alarm = item.alarm();
      std::erase_if(due_, [&](const v1::AlarmItem& due) {
        return due.rule() == alarm.rule() && due.measure() == alarm.measure() &&
               due.principal() == alarm.principal();
      });
      kept_.push_back({leaf, t_ms, alarm});
      if (kept_.size() > kAlarmsKept) {
        forgotten_to_ = kept_.front().leaf;
        kept_.pop_front();
      }
    } else if (item.has_refused()) {
      step(leaf, t_ms, {&item, 1});
    } else if (item.has_canaries()) {
      if (item.canaries().lost()) {
        std::erase_if(plantings_, [&](const Planting& planting) {
          return planting.item.digest() == item.canaries().digest();
        });
      } else {
        plantings_.push_back({leaf, item.canaries()});
      }
    } else {
      return false;
    }
  }
  return true;
}

v1::ListAlarmsResponse AlarmBook::list(const v1::ListAlarmsRequest& request,
                                       uint64_t log_size) const {
  v1::ListAlarmsResponse out;
  out.set_size(log_size);
  const uint32_t count = std::min(request.count() != 0 ? request.count() : 100, kAlarmsMax);
  auto from = std::upper_bound(kept_.begin(), kept_.end(), request.after(),
                               [](uint64_t leaf, const Kept& kept) { return leaf < kept.leaf; });
  if (request.newest() && kept_.size() > count) {
    from = std::max(from, kept_.end() - static_cast<ptrdiff_t>(count));
  }
  // Alarms of one entry go together, so that "after this leaf" skips none.
  for (uint64_t last = 0; from != kept_.end(); ++from) {
    if (static_cast<uint32_t>(out.alarms_size()) >= count && from->leaf != last) break;
    last = from->leaf;
    v1::Alarm& alarm = *out.add_alarms();
    alarm.set_leaf(from->leaf);
    alarm.set_t_ms(from->t_ms);
    *alarm.mutable_alarm() = from->alarm;
    alarm.set_text(watch::explain(from->alarm));
    alarm.set_consequence(watch::consequence(from->alarm));
  }
  if (!request.newest() && request.after() < forgotten_to_) out.set_forgotten(forgotten_to_);
  return out;
}

}  // namespace strongroom::keyserver
