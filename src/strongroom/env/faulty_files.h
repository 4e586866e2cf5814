// Files that fail on purpose, for tests: full disks, failed syncs, short writes, crashes.
#pragma once

#include <memory>

#include "strongroom/env/files.h"

namespace strongroom::env {

// Wraps `base`, which must outlive it. Thread-safe, and so are the files it opens. Counts start at
// 1, from the call that sets them; crash() clears every fault.
//
// A crash drops what was appended and not synced, and brings back what was removed from a folder
// not synced since; zeros preallocated stay, as on a disk. To try a crash at every point of a
// sequence: run it with stop_at(1), stop_at(2) ... until operations() is below the stop; each time
// crash(), open again through the same object and look.
class FaultyFiles : public Files {
 public:
  explicit FaultyFiles(Files& base);
  ~FaultyFiles() override;

  void fail_append(uint64_t nth, ErrorCode code);
  // The nth append writes `kept` bytes of what it was given, then fails, and so does the file
  // after.
  void cut_append(uint64_t nth, uint64_t kept, ErrorCode code = ErrorCode::kUnavailable);
  // A failed sync leaves the bytes unsynced for good: no later sync of that file succeeds.
  void fail_sync(uint64_t nth, ErrorCode code);
  // write_atomic fails before the rename; with `applied` after it, when the new content is there.
  void fail_write_atomic(uint64_t nth, ErrorCode code, bool applied = false);
  // kNoSpace for what goes beyond `bytes` more in appends and atomic writes.
  void set_space(uint64_t bytes);
  // From the nth operation that changes anything (it included) nothing works: kUnavailable.
  void stop_at(uint64_t nth);
  // How many operations that change anything were asked for since the last stop_at or crash.
  uint64_t operations() const;
  // As after the power went: files opened before are dead, those opened next are sound.
  // `torn` bytes of each file's unsynced appends survive.
  Result<void> crash(uint64_t torn = 0);

  Result<std::unique_ptr<AppendFile>> open_append(const std::string& path, uint64_t offset,
                                                  uint64_t preallocate) override;
  Result<std::string> read(const std::string& path, uint64_t size_max) override;
  Result<std::string> read_range(const std::string& path, uint64_t offset, uint64_t size) override;
  Result<void> write_atomic(const std::string& path, Bytes bytes, uint32_t mode = 0600) override;
  Result<void> make_dirs(const std::string& path, uint32_t mode = 0700) override;
  Result<bool> exists(const std::string& path) override;
  Result<uint64_t> file_size(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& path) override;
  Result<void> remove(const std::string& path) override;
  Result<void> sync_dir(const std::string& path) override;

  struct State;  // Shared with the files opened.

 private:
  std::shared_ptr<State> state_;
};

}  // namespace strongroom::env
