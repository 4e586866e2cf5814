#include "strongroom/env/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "strongroom/base/check.h"
#include "strongroom/env/fd.h"

namespace strongroom::env {
namespace {

Error error_of(int number) {
  switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return make_error(ErrorCode::kNoSpace, "The disk or its quota is full: make room.");
    case ENOENT:
    case ENOTDIR:
      return make_error(ErrorCode::kNotFound, "No such file or folder.");
    case EACCES:
    case EPERM:
    case EROFS:
      return make_error(ErrorCode::kFailedPrecondition,
                        "The system does not let this process use a file: correct its owner, its "
                        "mode or the mount.");
    case ELOOP:
      return make_error(ErrorCode::kFailedPrecondition,
                        "A symbolic link stands where a file of ours should: remove it.");
    case EMFILE:
    case ENFILE:
      return make_error(ErrorCode::kUnavailable,
                        "Too many files are open: raise the limit (ulimit -n) and retry.");
    default:
      return make_error(ErrorCode::kUnavailable,
                        "A file could not be used (its errno is given): check the disk and the "
                        "kernel's log.",
                        number);
  }
}

Error last_error() {
  return error_of(errno);
}

Fd open_fd(const std::string& path, int flags, mode_t mode = 0) {
  int fd;
  do {
    fd = open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  return Fd(fd);
}

Result<void> write_all(int fd, Bytes bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return last_error();
    bytes = bytes.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return {};
}

// Reads up to out.size() bytes, from `offset` or from where the descriptor stands; fewer only at
// the end.
Result<size_t> read_all(int fd, MutableBytes out, int64_t offset = -1) {
  size_t done = 0;
  while (done < out.size()) {
    uint8_t* const to = out.data() + done;
    const ssize_t n = offset < 0
                          ? ::read(fd, to, out.size() - done)
                          : pread(fd, to, out.size() - done, offset + static_cast<int64_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return last_error();
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
}

MutableBytes bytes_of(std::string& s) {
  return {reinterpret_cast<uint8_t*>(s.data()), s.size()};
}

Result<void> sync_folder(const std::string& path) {
  const Fd fd = open_fd(path, O_RDONLY | O_DIRECTORY);
  if (!fd.ok() || fsync(fd.get()) != 0) return last_error();
  return {};
}

// Writes whole blocks past the page cache: a sync has then no dirty page to find, hand over and
// wait for, which is a third of what it costs the processor. Only into blocks that were written
// before, since their place on the disk is settled. The bytes that share the last block with what
// comes next are kept and written again, as they are; the page cache would do the same.
class DirectWriter {
 public:
  static constexpr size_t kBlock = 4096;

  // `fd` is open with O_DIRECT; `tail` is what the file holds between the last block's start and
  // its end.
  DirectWriter(Fd fd, Bytes tail) : fd_(std::move(fd)), tail_size_(tail.size()) {
    reserve(kBlock);
    std::copy(tail.begin(), tail.end(), buffer_.get());
  }

  // Behind `size` bytes. The bytes up to the end of the last block become zeros.
  Result<void> append(Bytes bytes, uint64_t size) {
    const size_t used = tail_size_ + bytes.size();
    const size_t padded = std::max(kBlock, (used + kBlock - 1) / kBlock * kBlock);
    reserve(padded);
    uint8_t* const out = buffer_.get();
    std::copy(bytes.begin(), bytes.end(), out + tail_size_);
    std::fill(out + used, out + padded, uint8_t{0});
    SR_TRY(write_all(fd_.get(), {out, padded}, size - tail_size_));
    const size_t kept = used % kBlock;
    std::copy(out + used - kept, out + used, out);
    tail_size_ = kept;
    return {};
  }

 private:
  struct Free {
    void operator()(uint8_t* p) const { std::free(p); }
  };

  // Keeps the tail.
  void reserve(size_t capacity) {
    if (capacity <= capacity_) return;
    std::unique_ptr<uint8_t[], Free> larger(
        static_cast<uint8_t*>(std::aligned_alloc(kBlock, capacity)));
    SR_CHECK(larger != nullptr, "out of memory");
    if (buffer_) std::copy(buffer_.get(), buffer_.get() + tail_size_, larger.get());
    buffer_ = std::move(larger);
    capacity_ = capacity;
  }

  Fd fd_;
  size_t tail_size_;
  size_t capacity_ = 0;
  std::unique_ptr<uint8_t[], Free> buffer_;
};

class RealAppendFile : public AppendFile {
 public:
  RealAppendFile(Fd fd, uint64_t offset, uint64_t preallocate)
      : fd_(std::move(fd)), size_(offset), filled_(offset), step_(preallocate) {}

  // For a file that is filled ahead. Where the file system has no such thing (tmpfs), or its blocks
  // are larger, all goes on through the page cache.
  Result<void> write_directly(const std::string& path) {
    if (step_ == 0 || step_ % DirectWriter::kBlock != 0) return {};
    Fd direct = open_fd(path, O_RDWR | O_NOFOLLOW | O_DIRECT);
    if (!direct.ok()) return {};
    std::array<uint8_t, DirectWriter::kBlock> tail;
    const size_t tail_size = size_ % tail.size();
    SR_ASSIGN(const size_t got, read_all(fd_.get(), {tail.data(), tail_size},
                                         static_cast<int64_t>(size_ - tail_size)));
    if (got != tail_size) return last_error();
    direct_.emplace(std::move(direct), Bytes(tail.data(), tail_size));
    // Nothing, where nothing was: says whether blocks of this size are taken.
    if (!direct_->append({}, size_)) direct_.reset();
    return {};
  }

  // Zeros up to the first multiple of the step behind `end`, synced: what is written into them
  // later changes no metadata.
  Result<void> fill(uint64_t end) {
    static constexpr std::array<uint8_t, 65536> kZeros{};
    if (step_ == 0 || end <= filled_) return {};
    const uint64_t target = (end / step_ + 1) * step_;
    while (filled_ < target) {
      const size_t n = std::min<uint64_t>(kZeros.size(), target - filled_);
      SR_TRY(write_all(fd_.get(), {kZeros.data(), n}, filled_));
      filled_ += n;
    }
    return sync_fd();
  }

  Result<void> reserve(uint64_t bytes) override {
    if (failed_) return refused();
    return fill(size_ + bytes);
  }

  Result<void> append(Bytes bytes) override {
    if (failed_) return refused();
    SR_TRY(fill(size_ + bytes.size()));
    if (direct_) {
      SR_TRY(direct_->append(bytes, size_));
    } else {
      SR_TRY(write_all(fd_.get(), bytes, size_));
    }
    size_ += bytes.size();
    return {};
  }

  Result<void> sync() override {
    if (failed_) return refused();
    return sync_fd();
  }

  uint64_t size() const override { return size_; }

 private:
  Result<void> sync_fd() {
    if (fdatasync(fd_.get()) == 0) return {};
    // The kernel may have dropped the dirty pages and would answer the next sync with success.
    failed_ = true;
    return last_error();
  }
  static Error refused() {
    return make_error(ErrorCode::kUnavailable,
                      "An earlier sync of this file failed: what is on disk is unknown. Check the "
                      "disk, then start again.");
  }

  Fd fd_;
  std::optional<DirectWriter> direct_;
  uint64_t size_;
  uint64_t filled_;  // Written so far, zeros included.
  uint64_t step_;
  bool failed_ = false;
};

class RealFiles : public Files {
 public:
  Result<std::unique_ptr<AppendFile>> open_append(const std::string& path, uint64_t offset,
                                                  uint64_t preallocate) override {
    constexpr int kFlags = O_RDWR | O_NOFOLLOW;
    bool created = false;
    Fd existing = open_fd(path, kFlags);
    if (!existing.ok() && errno != ENOENT) return last_error();
    if (!existing.ok()) created = true;
    Fd fd = created ? open_fd(path, kFlags | O_CREAT, 0600) : std::move(existing);
    if (!fd.ok()) return last_error();
    struct stat info;
    if (fstat(fd.get(), &info) != 0) return last_error();
    const auto size = static_cast<uint64_t>(info.st_size);
    if (!S_ISREG(info.st_mode)) {
      return make_error(ErrorCode::kFailedPrecondition,
                        "Something that is no file stands where a file of ours should: remove it.");
    }
    if (size < offset) {
      return make_error(ErrorCode::kDataLoss,
                        "A file is shorter than what was written to it: restore it from a backup.");
    }
    if (size > offset) {
      if (ftruncate(fd.get(), static_cast<off_t>(offset)) != 0) return last_error();
      if (fsync(fd.get()) != 0) return last_error();
    }
    auto file = std::make_unique<RealAppendFile>(std::move(fd), offset, preallocate);
    SR_TRY(file->fill(offset + 1));
    SR_TRY(file->write_directly(path));
    if (created) SR_TRY(sync_folder(folder_of(path)));
    return std::unique_ptr<AppendFile>(std::move(file));
  }

  Result<std::string> read(const std::string& path, uint64_t size_max) override {
    const Fd fd = open_fd(path, O_RDONLY);
    struct stat info;
    if (!fd.ok() || fstat(fd.get(), &info) != 0) return last_error();
    const auto too_large = [] {
      return make_error(ErrorCode::kInvalidArgument, "A file is larger than it may be.");
    };
    // A pipe has no size: it is read in steps.
    constexpr size_t kStep = 65536;
    const bool regular = S_ISREG(info.st_mode);
    if (regular && static_cast<uint64_t>(info.st_size) > size_max) return too_large();
    // At least a step: what /proc holds says it is empty.
    size_t step = std::max<size_t>(regular ? static_cast<size_t>(info.st_size) + 1 : 0, kStep);
    std::string out;
    for (;;) {
      const size_t before = out.size();
      out.resize(before + step);
      SR_ASSIGN(const size_t n, read_all(fd.get(), bytes_of(out).subspan(before)));
      out.resize(before + n);
      if (out.size() > size_max) return too_large();
      if (n < step) return out;
      step = kStep;
    }
  }

  Result<std::string> read_range(const std::string& path, uint64_t offset, uint64_t size) override {
    const Fd fd = open_fd(path, O_RDONLY);
    struct stat info;
    if (!fd.ok() || fstat(fd.get(), &info) != 0) return last_error();
    const auto end = static_cast<uint64_t>(info.st_size);
    std::string out;
    if (offset >= end) return out;
    if (lseek(fd.get(), static_cast<off_t>(offset), SEEK_SET) < 0) return last_error();
    out.resize(std::min(size, end - offset));
    SR_ASSIGN(const size_t n, read_all(fd.get(), bytes_of(out)));
    out.resize(n);
    return out;
  }

  Result<void> write_atomic(const std::string& path, Bytes bytes, uint32_t mode) override {
    const std::string temporary = path + ".tmp";
    // One name, not a fresh one each time: what a crash leaves may be a state that erasure has
    // since destroyed, so it must not stay.
    std::lock_guard lock(writers_[std::hash<std::string>{}(path) % writers_.size()]);
    if (unlink(temporary.c_str()) != 0 && errno != ENOENT) return last_error();
    const Result<void> written = write_new(temporary, bytes, mode);
    if (!written) {
      unlink(temporary.c_str());
      return written;
    }
    if (rename(temporary.c_str(), path.c_str()) != 0) {
      const Error error = last_error();
      unlink(temporary.c_str());
      return error;
    }
    return sync_folder(folder_of(path));
  }

  Result<void> make_dirs(const std::string& path, uint32_t mode) override {
    if (::mkdir(path.c_str(), mode) == 0) return sync_folder(folder_of(path));
    if (errno == ENOENT && folder_of(path) != path) {
      SR_TRY(make_dirs(folder_of(path), mode));
      if (::mkdir(path.c_str(), mode) == 0) return sync_folder(folder_of(path));
    }
    struct stat info;
    if (errno == EEXIST && stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return {};
    return last_error();
  }

  Result<bool> exists(const std::string& path) override {
    struct stat info;
    if (stat(path.c_str(), &info) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return last_error();
  }

  Result<uint64_t> file_size(const std::string& path) override {
    struct stat info;
    if (stat(path.c_str(), &info) != 0) return last_error();
    return static_cast<uint64_t>(info.st_size);
  }

  Result<std::vector<std::string>> list(const std::string& path) override {
    std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir(path.c_str()), closedir);
    if (!folder) return last_error();
    std::vector<std::string> names;
    for (;;) {
      errno = 0;
      const dirent* entry = readdir(folder.get());
      if (entry == nullptr) break;
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    if (errno != 0) return last_error();
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<void> remove(const std::string& path) override {
    if (::remove(path.c_str()) != 0 && errno != ENOENT) return last_error();
    return {};
  }

  Result<void> sync_dir(const std::string& path) override { return sync_folder(path); }

 private:
  static Result<void> write_new(const std::string& path, Bytes bytes, uint32_t mode) {
    const Fd fd = open_fd(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (!fd.ok()) return last_error();
    SR_TRY(write_all(fd.get(), bytes, 0));
    if (fchmod(fd.get(), mode) != 0 || fsync(fd.get()) != 0) return last_error();
    return {};
  }

  std::array<std::mutex, 16> writers_;  // Of one path, one at a time.
};

}  // namespace

std::string folder_of(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Files& real_files() {
  static RealFiles files;
  return files;
}

}  // namespace strongroom::env
