#include "strongroom/policy/repeats.h"

namespace strongroom::policy {

size_t Repeats::KeyHash::operator()(const Key& key) const {
  const uint64_t h = (key.record ^ (uint64_t{key.principal} << 40)) * 0x9e3779b97f4a7c15u;
  return static_cast<size_t>(h ^ (h >> 29));
}

void Repeats::set_window(uint64_t window_ms) {
  window_ms_ = window_ms;
  if (window_ms_ != 0) return;
  paid_.clear();
  by_time_.clear();
}

bool Repeats::is_free(const Key& key, uint32_t groups, uint64_t t_ms) const {
  const auto it = paid_.find(key);
  // A group not paid for is new, however often the others were seen.
  return it != paid_.end() && t_ms < it->second.t_ms + window_ms_ &&
         (groups & ~it->second.groups) == 0;
}

uint64_t Repeats::free(uint32_t principal, std::span<const RecordIndex> records, uint32_t groups,
                       uint64_t t_ms) const {
  if (paid_.empty()) return 0;
  uint64_t count = 0;
  for (const RecordIndex record : records) {
    count += is_free({principal, record.value}, groups, t_ms) ? 1 : 0;
  }
  return count;
}

void Repeats::opened(uint32_t principal, RecordIndex record, uint32_t groups, uint64_t t_ms) {
  if (window_ms_ == 0) return;
  while (!by_time_.empty() && by_time_.front().first + window_ms_ <= t_ms) {
    const auto it = paid_.find(by_time_.front().second);
    if (it != paid_.end() && it->second.t_ms == by_time_.front().first) paid_.erase(it);
    by_time_.pop_front();
  }
  const Key key{principal, record.value};
  if (is_free(key, groups, t_ms)) return;  // Repeats do not prolong what was paid for.
  Paid& paid = paid_.try_emplace(key, Paid{t_ms, 0}).first->second;
  // Groups paid for earlier count no longer than they would have.
  paid = {t_ms, groups};
  by_time_.emplace_back(t_ms, key);
}

}  // namespace strongroom::policy
