#include "strongroom/keyserver/holds.h"

namespace strongroom::keyserver {

Error under_hold(int64_t place) {
  return make_error(ErrorCode::kFailedPrecondition,
                    "This record is under a legal hold (the number is its place), so nothing was "
                    "erased. Ask whoever placed the hold.",
                    place);
}

bool Holds::apply(const v1::HoldItem& item, const std::string& author, uint64_t leaf,
                  uint64_t t_ms) {
  const auto known = holds_.find(item.reference());
  if (item.lift()) {
    if (known == holds_.end()) return false;
    for (const RecordIndex idx : known->second.records) {
      const auto count = counts_.find(idx);
      if (--count->second == 0) counts_.erase(count);
    }
    holds_.erase(known);
    return true;
  }
  Hold& hold = known != holds_.end() ? known->second : holds_[item.reference()];
  if (known == holds_.end()) {
    hold.reason = item.reason();
    hold.author = author;
    hold.t_ms = t_ms;
  }
  hold.leaf = leaf;
  for (const uint64_t idx : item.idx()) {
    if (hold.records.insert(RecordIndex{idx}).second) ++counts_[RecordIndex{idx}];
  }
  return true;
}

const Hold* Holds::find(std::string_view reference) const {
  const auto it = holds_.find(reference);
  return it == holds_.end() ? nullptr : &it->second;
}

std::unordered_map<uint32_t, uint64_t> Holds::records_by_block() const {
  std::unordered_map<uint32_t, uint64_t> out;
  for (const auto& [idx, holds] : counts_) ++out[idx.block()];
  return out;
}

}  // namespace strongroom::keyserver
