#include "strongroom/gateway/lane_sweeper.h"

#include "strongroom/base/bytes.h"
#include "strongroom/base/ids.h"
#include "strongroom/index/postings.h"

namespace strongroom::gateway {

// From lane to lane, one row of each.
Result<void> LaneSweeper::find_lanes(store::Table table, std::set<uint32_t>& out) {
  for (uint32_t from = 0; from <= kLaneMax;) {
    uint32_t lane = kLaneMax + 1;
    SR_TRY(store_.scan(table, index::lane_prefix(from), {},
                       [&](std::string_view key, std::string_view) {
                         if (key.size() > index::kLaneSize) {
                           lane = load_be<uint32_t>(as_bytes(key).data(), index::kLaneSize);
                         }
                         return false;
                       }));
    if (lane <= kLaneMax) out.insert(lane);
    from = lane + 1;
  }
  return {};
}

Result<size_t> LaneSweeper::sweep() {
  v1::Call call;
  call.mutable_list_lanes();
  SR_ASSIGN(const v1::Reply reply, keys_.call_blocking(std::move(call)));
  const auto& list = reply.list_lanes();
  std::set<uint32_t> in_use;
  for (const auto& lane : list.lanes()) in_use.insert(lane.lane());
  std::set<uint32_t> stored;
  SR_TRY(find_lanes(store::Table::kPostings, stored));
  SR_TRY(find_lanes(store::Table::kDirectory, stored));

  const uint64_t now = clock_.monotonic_us();
  size_t removed = 0;
  for (const uint32_t lane : stored) {
    // One opened since the list was made is not below next_lane.
    if (lane >= list.next_lane() || in_use.contains(lane)) continue;
    const auto [seen, first_time] = first_seen_us_.try_emplace(lane, now);
    if (now - seen->second < deadline_us_) continue;
    const auto [from, to] = index::lane_range(LaneId{lane});
    SR_TRY(store_.erase_range(store::Table::kPostings, from, to));
    SR_TRY(store_.erase_range(store::Table::kDirectory, from, to));
    first_seen_us_.erase(seen);
    ++removed;
  }
  return removed;
}

}  // namespace strongroom::gateway
