#include "strongroom/sim/memory_files.h"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "strongroom/base/check.h"

namespace strongroom::sim {

class MemoryFiles::File : public env::AppendFile {
 public:
  explicit File(std::shared_ptr<Content> content) : content_(std::move(content)) {}
  Result<void> append(Bytes bytes) override {
    strongroom::append(content_->bytes, bytes);
    return {};
  }
  Result<void> reserve(uint64_t) override { return {}; }
  Result<void> sync() override {
    content_->durable = content_->bytes.size();
    return {};
  }
  uint64_t size() const override { return content_->bytes.size(); }

 private:
  std::shared_ptr<Content> content_;
};

MemoryFiles::MemoryFiles() {
  std::string path = (std::filesystem::temp_directory_path() / "strongroom-sim.XXXXXX").string();
  SR_CHECK(mkdtemp(path.data()) != nullptr, "a scratch folder can be made");
  root_ = path;
}

MemoryFiles::~MemoryFiles() {
  std::error_code ignored;
  std::filesystem::remove_all(root_, ignored);
}

std::string MemoryFiles::name_of(const std::string& path) const {
  SR_CHECK(path.starts_with(root_), "a path below the root");
  return path.substr(root_.size());
}

std::unique_ptr<MemoryFiles> MemoryFiles::after_power_cut() const {
  auto out = std::make_unique<MemoryFiles>();
  for (const auto& [name, content] : files_) {
    auto copy = std::make_shared<Content>();
    copy->bytes = content->bytes.substr(0, content->durable);
    copy->durable = content->durable;
    const std::string path = out->root_ + name;
    SR_CHECK(env::real_files().make_dirs(path.substr(0, path.rfind('/')), 0700).has_value(),
             "a scratch folder can be made");
    out->files_.emplace(name, std::move(copy));
  }
  return out;
}

Result<std::unique_ptr<env::AppendFile>> MemoryFiles::open_append(const std::string& path,
                                                                  uint64_t offset, uint64_t) {
  auto& content = files_[name_of(path)];
  if (content == nullptr) content = std::make_shared<Content>();
  if (content->bytes.size() < offset) {
    return make_error(ErrorCode::kDataLoss, "the file is shorter than that");
  }
  content->bytes.resize(offset);
  content->durable = std::min<size_t>(content->durable, offset);
  return std::unique_ptr<env::AppendFile>(std::make_unique<File>(content));
}

Result<std::string> MemoryFiles::read(const std::string& path, uint64_t size_max) {
  const auto it = files_.find(name_of(path));
  if (it == files_.end()) return env::real_files().read(path, size_max);
  if (it->second->bytes.size() > size_max) {
    return make_error(ErrorCode::kInvalidArgument, "the file is larger than that");
  }
  return it->second->bytes;
}

Result<std::string> MemoryFiles::read_range(const std::string& path, uint64_t offset,
                                            uint64_t size) {
  const auto it = files_.find(name_of(path));
  if (it == files_.end()) return env::real_files().read_range(path, offset, size);
  const std::string& bytes = it->second->bytes;
  return offset >= bytes.size() ? std::string() : bytes.substr(offset, size);
}

Result<void> MemoryFiles::write_atomic(const std::string& path, Bytes bytes, uint32_t) {
  auto content = std::make_shared<Content>();
  content->bytes = std::string(as_text(bytes));
  content->durable = content->bytes.size();
  files_[name_of(path)] = std::move(content);
  return {};
}

Result<void> MemoryFiles::make_dirs(const std::string& path, uint32_t mode) {
  return env::real_files().make_dirs(path, mode);
}

Result<bool> MemoryFiles::exists(const std::string& path) {
  if (files_.contains(name_of(path))) return true;
  return env::real_files().exists(path);
}

Result<uint64_t> MemoryFiles::file_size(const std::string& path) {
  const auto it = files_.find(name_of(path));
  if (it == files_.end()) return env::real_files().file_size(path);
  return it->second->bytes.size();
}

Result<std::vector<std::string>> MemoryFiles::list(const std::string& path) {
  SR_ASSIGN(const auto real, env::real_files().list(path));
  std::set<std::string> names(real.begin(), real.end());
  const std::string prefix = name_of(path) + "/";
  for (const auto& [name, content] : files_) {
    if (name.starts_with(prefix)) {
      names.insert(name.substr(prefix.size(), name.find('/', prefix.size()) - prefix.size()));
    }
  }
  return std::vector<std::string>(names.begin(), names.end());
}

Result<void> MemoryFiles::remove(const std::string& path) {
  if (files_.erase(name_of(path)) != 0) return {};
  return env::real_files().remove(path);
}

Result<void> MemoryFiles::sync_dir(const std::string&) {
  return {};
}

}  // namespace strongroom::sim
