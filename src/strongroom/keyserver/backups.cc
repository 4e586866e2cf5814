#include "strongroom/keyserver/backups.h"

#include <algorithm>

namespace strongroom::keyserver {

bool is_backup_id(std::string_view id) {
  return id.size() == 16 && std::all_of(id.begin(), id.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

const Backups::KeyBackup* Backups::find(std::string_view id) const {
  const auto it = std::find_if(key_backups_.begin(), key_backups_.end(),
                               [&](const KeyBackup& backup) { return backup.id == id; });
  return it == key_backups_.end() ? nullptr : &*it;
}

bool Backups::note(const v1::BackupItem& item, uint64_t t_ms, size_t erased) {
  const auto it = std::find_if(key_backups_.begin(), key_backups_.end(),
                               [&](const KeyBackup& backup) { return backup.id == item.id(); });
  const bool known = it != key_backups_.end();
  switch (item.step()) {
    case v1::BackupItem::KEYS:
      if (known || !is_backup_id(item.id())) return false;
      key_backups_.push_back({item.id(), t_ms, erased});
      return true;
    case v1::BackupItem::TAKEN:
      if (!known) return false;
      it->taken = true;
      taken_ms_ = it->t_ms;
      return true;
    case v1::BackupItem::DESTROYED:
      if (!known) return false;
      key_backups_.erase(it);
      return true;
    default:
      return false;
  }
}

void Backups::restored(const v1::RestoredItem& item, uint64_t t_ms) {
  restored_ms_ = t_ms;
  restored_from_ms_ = item.taken_ms();
  log_end_lost_ = !item.origin().empty();
}

}  // namespace strongroom::keyserver
