// Files, injected, so that a test can lie about fsync, cut a write short or fill the disk.
//
// Every function: kNoSpace where the disk, a quota or the largest file size is reached,
// kFailedPrecondition where owner or mode forbid it, kUnavailable for EIO and anything else.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "strongroom/base/bytes.h"
#include "strongroom/base/result.h"

namespace strongroom::env {

// One file open for appending. Not thread-safe.
class AppendFile {
 public:
  virtual ~AppendFile() = default;
  // Writes all of `bytes` behind what was written before. After an error an unknown part was
  // written; size() has not moved, and an append that follows writes over that part.
  virtual Result<void> append(Bytes bytes) = 0;
  // Takes the space that the next `bytes` appended will need, so that a disk which fills up does
  // not stop them (but on a file system that writes each change to a new place). kNoSpace: there is
  // not so much; nothing was lost, and it may be asked again.
  virtual Result<void> reserve(uint64_t bytes) = 0;
  // fdatasync. After an error the file must not be synced again: what is on disk is unknown. This
  // object then refuses every append and sync.
  virtual Result<void> sync() = 0;
  // Where the next append goes.
  virtual uint64_t size() const = 0;
};

// Thread-safe. Paths are the caller's; errors name none.
class Files {
 public:
  virtual ~Files() = default;
  // Opens or creates (mode 0600, the name durable) and positions at `offset`, cutting what lies
  // behind it. Zero-fills ahead of the end in steps of `preallocate` bytes (0: no), so that a sync
  // need not write metadata: readers must know where data ends. kDataLoss if the file is shorter
  // than `offset`. A symbolic link is refused.
  virtual Result<std::unique_ptr<AppendFile>> open_append(const std::string& path, uint64_t offset,
                                                          uint64_t preallocate) = 0;
  // kNotFound; kInvalidArgument if larger than `size_max`.
  virtual Result<std::string> read(const std::string& path, uint64_t size_max) = 0;
  // Shorter, down to empty, where the file ends before offset + size. kNotFound.
  virtual Result<std::string> read_range(const std::string& path, uint64_t offset,
                                         uint64_t size) = 0;
  // All or nothing, durable when it returns: temporary file `path`.tmp, fsync, rename, fsync of the
  // folder. What a crash left of the temporary file is removed by the next call.
  virtual Result<void> write_atomic(const std::string& path, Bytes bytes, uint32_t mode = 0600) = 0;
  // And parents. Existing is fine.
  virtual Result<void> make_dirs(const std::string& path, uint32_t mode = 0700) = 0;
  virtual Result<bool> exists(const std::string& path) = 0;
  virtual Result<uint64_t> file_size(const std::string& path) = 0;             // kNotFound.
  virtual Result<std::vector<std::string>> list(const std::string& path) = 0;  // Names, sorted.
  // A file or an empty folder; absent is fine. Durable after sync_dir of the folder it was in.
  virtual Result<void> remove(const std::string& path) = 0;
  virtual Result<void> sync_dir(const std::string& path) = 0;
};

// The machine's. Static lifetime.
Files& real_files();

// The folder that a file or folder is in; "." where its path does not say.
std::string folder_of(const std::string& path);

}  // namespace strongroom::env
