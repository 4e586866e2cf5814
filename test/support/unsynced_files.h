// The machine's files without their syncs: for tests in which no power goes, and which would
// otherwise mostly wait for the disk.
#pragma once

#include <memory>
#include <utility>

#include "strongroom/env/files.h"

namespace strongroom::test {

class UnsyncedFiles : public env::Files {
 public:
  // Static lifetime.
  static UnsyncedFiles& instance() {
    static UnsyncedFiles files;
    return files;
  }

  Result<std::unique_ptr<env::AppendFile>> open_append(const std::string& path, uint64_t offset,
                                                       uint64_t preallocate) override {
    SR_ASSIGN(auto file, real_.open_append(path, offset, preallocate));
    return std::unique_ptr<env::AppendFile>(std::make_unique<File>(std::move(file)));
  }
  Result<std::string> read(const std::string& path, uint64_t size_max) override {
    return real_.read(path, size_max);
  }
  Result<std::string> read_range(const std::string& path, uint64_t offset, uint64_t size) override {
    return real_.read_range(path, offset, size);
  }
  Result<void> write_atomic(const std::string& path, Bytes bytes, uint32_t mode) override {
    return real_.write_atomic(path, bytes, mode);
  }
  Result<void> make_dirs(const std::string& path, uint32_t mode) override {
    return real_.make_dirs(path, mode);
  }
  Result<bool> exists(const std::string& path) override { return real_.exists(path); }
  Result<uint64_t> file_size(const std::string& path) override { return real_.file_size(path); }
  Result<std::vector<std::string>> list(const std::string& path) override {
    return real_.list(path);
  }
  Result<void> remove(const std::string& path) override { return real_.remove(path); }
  Result<void> sync_dir(const std::string&) override { return {}; }

 private:
  class File : public env::AppendFile {
   public:
    explicit File(std::unique_ptr<env::AppendFile> inner) : inner_(std::move(inner)) {}
    Result<void> append(Bytes bytes) override { return inner_->append(bytes); }
    Result<void> reserve(uint64_t bytes) override { return inner_->reserve(bytes); }
    Result<void> sync() override { return {}; }
    uint64_t size() const override { return inner_->size(); }

   private:
    std::unique_ptr<env::AppendFile> inner_;
  };

  env::Files& real_ = env::real_files();
};

}  // namespace strongroom::test
