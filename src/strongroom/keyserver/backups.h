// Which copies of the key state are somewhere, as the log says: while one exists, whoever has the
// shares opens with it what was erased since. Spec: docs/spec/backup.md
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "strongroom/v1/log.pb.h"

namespace strongroom::keyserver {

inline constexpr size_t kKeyBackupsMax = 4096;  // Not destroyed, at once.

// 16 hex digits, lower case.
bool is_backup_id(std::string_view id);

// Not thread-safe.
class Backups {
 public:
  struct KeyBackup {
    std::string id;
    uint64_t t_ms = 0;
    size_t erased_before = 0;  // Records, of the log's.
    bool taken = false;
    template <class A>
    void archive(A& a) {
      a(id, t_ms, erased_before, taken);
    }
  };

  // Folds one in. False: it does not follow from what is known.
  bool note(const v1::BackupItem& item, uint64_t t_ms, size_t erased);
  void restored(const v1::RestoredItem& item, uint64_t t_ms);

  const std::vector<KeyBackup>& key_backups() const { return key_backups_; }  // Oldest first.
  const KeyBackup* find(std::string_view id) const;
  uint64_t taken_ms() const { return taken_ms_; }  // As of when the last whole one is; 0: never.
  uint64_t restored_ms() const { return restored_ms_; }
  uint64_t restored_from_ms() const { return restored_from_ms_; }
  bool log_end_lost() const { return log_end_lost_; }

  template <class A>
  void archive(A& a) {
    a(key_backups_, taken_ms_, restored_ms_, restored_from_ms_, log_end_lost_);
  }

 private:
  std::vector<KeyBackup> key_backups_;
  uint64_t taken_ms_ = 0;
  uint64_t restored_ms_ = 0;
  uint64_t restored_from_ms_ = 0;
  bool log_end_lost_ = false;
};

}  // namespace strongroom::keyserver
