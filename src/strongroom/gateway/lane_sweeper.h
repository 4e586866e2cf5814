// Removes rows of lanes that have no root any more: merged into others, or dropped.
//
// It goes by the key server's word alone. What is found in the store of a lane that the key server
// does not list is of no use to anyone; it is left for one deadline more, within which every search
// ends that was given tokens of the lane.
#pragma once

#include <map>
#include <set>

#include "strongroom/env/clock.h"
#include "strongroom/gateway/key_service.h"
#include "strongroom/store/store.h"

namespace strongroom::gateway {

// Blocks on store and key server: worker threads only. Not thread-safe. Borrows everything.
class LaneSweeper {
 public:
  LaneSweeper(store::Store& store, KeyService& keys, env::Clock& clock, uint64_t deadline_us)
      : store_(store), keys_(keys), clock_(clock), deadline_us_(deadline_us) {}
  // One look; how many lanes it removed. After an error it may be called again.
  Result<size_t> sweep();

 private:
  Result<void> find_lanes(store::Table table, std::set<uint32_t>& out);

  store::Store& store_;
  KeyService& keys_;
  env::Clock& clock_;
  uint64_t deadline_us_;
  std::map<uint32_t, uint64_t> first_seen_us_;  // Of lanes to remove.
};

}  // namespace strongroom::gateway
