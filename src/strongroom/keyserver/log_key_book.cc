#include "strongroom/keyserver/log_key_book.h"

#include <algorithm>

namespace strongroom::keyserver {

bool LogKeyBook::apply(const v1::LogKeyItem& item, uint64_t leaf, uint64_t t_ms) {
  switch (item.step()) {
    case v1::LogKeyItem::ASKED:
      if (changing()) return false;
      asked_ = true;
      break;
    case v1::LogKeyItem::CHANGED: {
      LogKeyChanged changed{leaf, t_ms};
      if (!asked_ || leaf == 0 || item.key().size() != changed.key.size()) return false;
      std::ranges::copy(item.key(), changed.key.begin());
      changes_.push_back(std::move(changed));
      asked_ = false;
      break;
    }
    case v1::LogKeyItem::ENDED:
      if (!changing() || item.note().empty()) return false;
      changes_.back().note = item.note();
      break;
    default:
      return false;
  }
  leaf_ = leaf;
  return true;
}

void LogKeyBook::restored(uint64_t size) {
  std::erase_if(changes_, [size](const LogKeyChanged& changed) { return changed.leaf >= size; });
  asked_ = false;
}

}  // namespace strongroom::keyserver
