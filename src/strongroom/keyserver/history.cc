#include "strongroom/keyserver/history.h"

#include <algorithm>

namespace strongroom::keyserver {

void History::add(std::string_view principal, Use use, bool emergency) {
  auto it = uses_.find(principal);
  if (it == uses_.end()) it = uses_.emplace(std::string(principal), std::deque<Use>()).first;
  if (emergency) unreviewed_.emplace(use.leaf, Emergency{std::string(principal), use});
  it->second.push_back(std::move(use));
  if (it->second.size() > kUsesKept) it->second.pop_front();
}

const std::deque<Use>& History::of(std::string_view principal) const {
  static const std::deque<Use> kNone;
  const auto it = uses_.find(principal);
  return it == uses_.end() ? kNone : it->second;
}

uint64_t History::last_ms(std::string_view principal) const {
  const auto& uses = of(principal);
  return uses.empty() ? 0 : uses.back().t_ms;
}

bool History::review_overdue(std::string_view principal, uint64_t t_ms) const {
  return std::any_of(unreviewed_.begin(), unreviewed_.end(), [&](const auto& item) {
    return item.second.principal == principal && item.second.use.t_ms + kReviewWithinMs <= t_ms;
  });
}

}  // namespace strongroom::keyserver
