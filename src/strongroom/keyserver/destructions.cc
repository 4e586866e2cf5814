#include "strongroom/keyserver/destructions.h"

#include <algorithm>
#include <utility>

namespace strongroom::keyserver {

using End = Destruction::End;

const Destruction* Destructions::find(uint64_t id) const {
  const auto it = all_.find(id);
  return it == all_.end() ? nullptr : &it->second;
}

bool Destructions::retention_underway(CollectionId collection, uint64_t since_ms) const {
  return std::ranges::any_of(all_, [&](const auto& item) {
    const Destruction& known = item.second;
    return known.collection == collection && known.request == 0 &&
           (known.end == End::kPending ||
            (known.end == End::kCancelled && known.end_ms >= since_ms));
  });
}

bool Destructions::schedule(uint64_t id, Destruction added) {
  if (all_.contains(id)) return false;
  all_.insert_or_assign(id, std::move(added));
  ++pending_;
  return true;
}

bool Destructions::apply(const v1::DestructionItem& item, const std::string& author,
                         uint64_t records, uint64_t t_ms) {
  const auto it = all_.find(item.id());
  if (it == all_.end() || it->second.end != End::kPending) return false;
  Destruction& known = it->second;
  switch (item.step()) {
    case v1::DestructionItem::ERASED:
      // The delay is a promise of the log too.
      if (t_ms < known.due_ms || item.block() < known.next_block || records == 0) return false;
      known.next_block = item.block() + 1;
      known.erased += records;
      return true;
    case v1::DestructionItem::CANCELLED:
      known.end = End::kCancelled;
      known.cancelled_by = author;
      break;
    case v1::DestructionItem::DONE:
      known.end = End::kDone;
      known.held = item.held();
      break;
    default:
      return false;
  }
  known.end_ms = t_ms;
  --pending_;
  forget();
  return true;
}

void Destructions::restored(uint64_t t_ms) {
  for (auto& [id, known] : all_) {
    if (known.end == End::kPending) known.due_ms = std::max(known.due_ms, t_ms + known.delay_ms);
  }
}

void Destructions::forget() {
  while (all_.size() - pending_ > kDestructionsKept) {
    all_.erase(std::ranges::find_if(
        all_, [](const auto& item) { return item.second.end != End::kPending; }));
  }
}

}  // namespace strongroom::keyserver
