// Files that are in memory, and what of them a power cut leaves. The log writes its tiles past
// env::Files: these lie in a scratch folder of the system's, and go with a power cut, as they may.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "strongroom/env/files.h"

namespace strongroom::sim {

// Not thread-safe. Files opened belong to it, and are dead after crash().
class MemoryFiles : public env::Files {
 public:
  MemoryFiles();
  ~MemoryFiles() override;
  // Every path is below it.
  const std::string& root() const { return root_; }
  // A copy of what is durable: appends that were synced, and whole writes.
  std::unique_ptr<MemoryFiles> after_power_cut() const;

  Result<std::unique_ptr<env::AppendFile>> open_append(const std::string& path, uint64_t offset,
                                                       uint64_t preallocate) override;
  Result<std::string> read(const std::string& path, uint64_t size_max) override;
  Result<std::string> read_range(const std::string& path, uint64_t offset, uint64_t size) override;
  Result<void> write_atomic(const std::string& path, Bytes bytes, uint32_t mode) override;
  Result<void> make_dirs(const std::string& path, uint32_t mode) override;
  Result<bool> exists(const std::string& path) override;
  Result<uint64_t> file_size(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& path) override;
  Result<void> remove(const std::string& path) override;
  Result<void> sync_dir(const std::string& path) override;

 private:
  struct Content {
    std::string bytes;
    size_t durable = 0;
  };
  class File;
  std::string name_of(const std::string& path) const;
  std::string root_;
  std::map<std::string, std::shared_ptr<Content>> files_;  // By path below the root.
};

}  // namespace strongroom::sim
