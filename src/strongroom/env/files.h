// Files, injected, so that a test can lie about fsync, cut a write short or fill the disk.
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
  // Writes all of `bytes` behind what was written before. kNoSpace, kUnavailable (EIO): an unknown part was written.
  virtual Result<void> append(Bytes bytes) = 0;
  // fdatasync. After an error the file must not be synced again: what is on disk is unknown.
  virtual Result<void> sync() = 0;
  // Where the next append goes.
  virtual uint64_t size() const = 0;
};

// Thread-safe. Paths are the caller's; errors name none.
class Files {
 public:
  virtual ~Files() = default;
  // Opens or creates (mode 0600) and positions at `offset`, cutting what lies behind it. Zero-fills ahead of the end in
  // steps of `preallocate` bytes (0: no), so that a sync need not write metadata: readers must know where data ends.
  virtual Result<std::unique_ptr<AppendFile>> open_append(const std::string& path, uint64_t offset,
                                                          uint64_t preallocate) = 0;
  // kNotFound; kInvalidArgument if larger than `size_max`.
  virtual Result<std::string> read(const std::string& path, uint64_t size_max) = 0;
  virtual Result<std::string> read_range(const std::string& path, uint64_t offset, uint64_t size) = 0;
  // All or nothing, durable when it returns: temporary file in the same folder, fsync, rename, fsync of the folder.
  virtual Result<void> write_atomic(const std::string& path, Bytes bytes, uint32_t mode = 0600) = 0;
  virtual Result<void> make_dirs(const std::string& path, uint32_t mode = 0700) = 0;  // And parents. Existing is fine.
  virtual Result<bool> exists(const std::string& path) = 0;
  virtual Result<uint64_t> file_size(const std::string& path) = 0;
  virtual Result<std::vector<std::string>> list(const std::string& path) = 0;  // Names, sorted.
  virtual Result<void> remove(const std::string& path) = 0;                    // Absent is fine.
  virtual Result<void> sync_dir(const std::string& path) = 0;
};

// The machine's. Static lifetime.
Files& real_files();

}  // namespace strongroom::env
