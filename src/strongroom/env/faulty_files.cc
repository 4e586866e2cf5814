#include "strongroom/env/faulty_files.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

namespace strongroom::env {
namespace {

constexpr uint64_t kNever = ~uint64_t{0};
constexpr uint64_t kRemovedSizeMax = uint64_t{64} << 20;

// Fires once, at the nth call.
struct Fault {
  uint64_t left = 0;  // 0: not set.
  ErrorCode code = ErrorCode::kUnavailable;
  bool fires() { return left > 0 && --left == 0; }
};

Error injected(ErrorCode code) {
  return make_error(code, "A fault injected by a test.");
}

}  // namespace

struct FaultyFiles::State {
  struct Open {
    std::unique_ptr<AppendFile> file;
    uint64_t size = 0;  // What was appended with success.
    uint64_t synced = 0;
    uint64_t reserved = 0;  // Of the space that is left, for this file alone.
    uint64_t preallocate = 0;
    bool broken = false;
  };

  explicit State(Files& files) : base(files) {}

  std::mutex mutex;
  Files& base;
  Fault append, sync, write;
  uint64_t kept = 0;
  bool applied = false;
  uint64_t space = kNever;
  uint64_t stop = kNever;
  uint64_t operations = 0;
  uint64_t generation = 0;
  std::map<std::string, std::shared_ptr<Open>> open;
  std::map<std::string, std::string> removed;  // Until their folder is synced.

  Result<void> begin() {
    if (++operations >= stop) return injected(ErrorCode::kUnavailable);
    return {};
  }
  void forget_removed(const std::string& folder) {
    std::erase_if(removed, [&](const auto& r) { return folder_of(r.first) == folder; });
  }
};

namespace {

class FaultyAppendFile : public AppendFile {
 public:
  FaultyAppendFile(std::shared_ptr<FaultyFiles::State> state,
                   std::shared_ptr<FaultyFiles::State::Open> open)
      : state_(std::move(state)), open_(std::move(open)), generation_(state_->generation) {}

  Result<void> append(Bytes bytes) override {
    std::lock_guard lock(state_->mutex);
    SR_TRY(usable());
    if (state_->append.fires()) {
      const uint64_t kept = std::min<uint64_t>(state_->kept, bytes.size());
      SR_TRY(open_->file->append(bytes.first(kept)));
      open_->broken = kept > 0;  // The file below has moved on: what follows would be misplaced.
      return injected(state_->append.code);
    }
    const uint64_t kept = std::min<uint64_t>(open_->reserved, bytes.size());
    SR_TRY(take(bytes.size() - kept));
    open_->reserved -= kept;
    SR_TRY(open_->file->append(bytes));
    open_->size += bytes.size();
    return {};
  }

  // Changes nothing on the disk below, so it is no operation.
  Result<void> reserve(uint64_t bytes) override {
    std::lock_guard lock(state_->mutex);
    if (bytes <= open_->reserved) return {};
    SR_TRY(take(bytes - open_->reserved));
    open_->reserved = bytes;
    return {};
  }

  Result<void> sync() override {
    std::lock_guard lock(state_->mutex);
    SR_TRY(usable());
    if (state_->sync.fires()) {
      open_->broken = true;
      return injected(state_->sync.code);
    }
    SR_TRY(open_->file->sync());
    open_->synced = open_->size;
    return {};
  }

  uint64_t size() const override {
    std::lock_guard lock(state_->mutex);
    return open_->size;
  }

 private:
  Result<void> take(uint64_t bytes) {
    if (state_->space == kNever) return {};
    if (bytes > state_->space) return injected(ErrorCode::kNoSpace);
    state_->space -= bytes;
    return {};
  }
  Result<void> usable() {
    if (generation_ != state_->generation || open_->broken || !open_->file) {
      return injected(ErrorCode::kUnavailable);
    }
    return state_->begin();
  }

  std::shared_ptr<FaultyFiles::State> state_;
  std::shared_ptr<FaultyFiles::State::Open> open_;
  uint64_t generation_;
};

}  // namespace

FaultyFiles::FaultyFiles(Files& base) : state_(std::make_shared<State>(base)) {}
FaultyFiles::~FaultyFiles() = default;

void FaultyFiles::fail_append(uint64_t nth, ErrorCode code) {
  cut_append(nth, 0, code);
}

void FaultyFiles::cut_append(uint64_t nth, uint64_t kept, ErrorCode code) {
  std::lock_guard lock(state_->mutex);
  state_->append = {nth, code};
  state_->kept = kept;
}

void FaultyFiles::fail_sync(uint64_t nth, ErrorCode code) {
  std::lock_guard lock(state_->mutex);
  state_->sync = {nth, code};
}

void FaultyFiles::fail_write_atomic(uint64_t nth, ErrorCode code, bool applied) {
  std::lock_guard lock(state_->mutex);
  state_->write = {nth, code};
  state_->applied = applied;
}

void FaultyFiles::set_space(uint64_t bytes) {
  std::lock_guard lock(state_->mutex);
  state_->space = bytes;
}

void FaultyFiles::stop_at(uint64_t nth) {
  std::lock_guard lock(state_->mutex);
  state_->stop = nth;
  state_->operations = 0;
}

uint64_t FaultyFiles::operations() const {
  std::lock_guard lock(state_->mutex);
  return state_->operations;
}

Result<void> FaultyFiles::crash(uint64_t torn) {
  std::lock_guard lock(state_->mutex);
  State& s = *state_;
  s.append = s.sync = s.write = {};
  s.space = s.stop = kNever;
  s.operations = 0;
  ++s.generation;
  for (auto& [path, open] : s.open) {
    const uint64_t end = std::min(open->file->size(), open->synced + torn);
    open->file = nullptr;
    SR_ASSIGN(const bool there, s.base.exists(path));
    if (!there) continue;
    // Opening cuts; with the same preallocation it leaves the same kind of zeros behind.
    SR_ASSIGN(auto cut, s.base.open_append(path, end, open->preallocate));
    SR_TRY(cut->sync());
  }
  s.open.clear();
  for (const auto& [path, content] : s.removed) {
    SR_TRY(s.base.write_atomic(path, as_bytes(content)));
  }
  s.removed.clear();
  return {};
}

Result<std::unique_ptr<AppendFile>> FaultyFiles::open_append(const std::string& path,
                                                             uint64_t offset,
                                                             uint64_t preallocate) {
  std::lock_guard lock(state_->mutex);
  SR_TRY(state_->begin());
  SR_ASSIGN(auto file, state_->base.open_append(path, offset, preallocate));
  auto open = std::make_shared<State::Open>();
  open->file = std::move(file);
  open->size = offset;
  // Opening again makes nothing durable that was not.
  const auto before = state_->open.find(path);
  open->synced = before == state_->open.end() ? offset : std::min(offset, before->second->synced);
  open->preallocate = preallocate;
  state_->open[path] = open;
  state_->forget_removed(folder_of(path));  // Opening may create, which syncs the folder.
  return std::unique_ptr<AppendFile>(std::make_unique<FaultyAppendFile>(state_, std::move(open)));
}

Result<std::string> FaultyFiles::read(const std::string& path, uint64_t size_max) {
  return state_->base.read(path, size_max);
}

Result<std::string> FaultyFiles::read_range(const std::string& path, uint64_t offset,
                                            uint64_t size) {
  return state_->base.read_range(path, offset, size);
}

Result<void> FaultyFiles::write_atomic(const std::string& path, Bytes bytes, uint32_t mode) {
  std::lock_guard lock(state_->mutex);
  SR_TRY(state_->begin());
  const bool fails = state_->write.fires();
  if (fails && !state_->applied) return injected(state_->write.code);
  if (bytes.size() > state_->space) return injected(ErrorCode::kNoSpace);
  SR_TRY(state_->base.write_atomic(path, bytes, mode));
  if (state_->space != kNever) state_->space -= bytes.size();
  state_->forget_removed(folder_of(path));
  if (fails) return injected(state_->write.code);
  return {};
}

Result<void> FaultyFiles::make_dirs(const std::string& path, uint32_t mode) {
  std::lock_guard lock(state_->mutex);
  SR_TRY(state_->begin());
  return state_->base.make_dirs(path, mode);
}

Result<bool> FaultyFiles::exists(const std::string& path) {
  return state_->base.exists(path);
}

Result<uint64_t> FaultyFiles::file_size(const std::string& path) {
  return state_->base.file_size(path);
}

Result<std::vector<std::string>> FaultyFiles::list(const std::string& path) {
  return state_->base.list(path);
}

Result<void> FaultyFiles::remove(const std::string& path) {
  std::lock_guard lock(state_->mutex);
  SR_TRY(state_->begin());
  auto content = state_->base.read(path, kRemovedSizeMax);
  SR_TRY(state_->base.remove(path));
  state_->open.erase(path);
  if (content) state_->removed[path] = std::move(content).value();
  return {};
}

Result<void> FaultyFiles::sync_dir(const std::string& path) {
  std::lock_guard lock(state_->mutex);
  SR_TRY(state_->begin());
  SR_TRY(state_->base.sync_dir(path));
  state_->forget_removed(path);
  return {};
}

}  // namespace strongroom::env
