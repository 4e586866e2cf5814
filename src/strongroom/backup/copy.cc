#include "strongroom/backup/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>
#include <vector>

namespace strongroom::backup {
namespace {

constexpr size_t kChunk = size_t{1} << 20;
// So much is given to the disk at once, which is then busy while the next is read and hashed.
constexpr uint64_t kWriteBehind = uint64_t{8} << 20;

Error last_error() {
  switch (errno) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return make_error(ErrorCode::kNoSpace,
                        "the disk that is written to is full. What was copied stays, and nothing "
                        "that was there is lost: make room and run it again, it goes on from "
                        "there");
    case ENOENT:
    case ENOTDIR:
      return make_error(ErrorCode::kNotFound, "there is no such file or folder");
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP:
      return make_error(ErrorCode::kFailedPrecondition,
                        "this user may not use a file: run it as the user of `strongroom serve`, "
                        "and look at owner and mode of the folders");
    default:
      return make_error(ErrorCode::kUnavailable,
                        "a disk does not read or write a file (the number is its errno); look at "
                        "the kernel's log",
                        errno);
  }
}

Result<void> write_all(int fd, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return last_error();
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return {};
}

// to < 0: only reads.
Result<crypto::Digest> pass(const SourceFile& from, uint64_t bytes, int to, const BytesDone& done) {
  crypto::Sha256 hash;
  std::vector<uint8_t> buffer(kChunk);
  uint64_t begun = 0;  // Up to here the disk has it, or is about to.
  for (uint64_t at = 0; at < bytes;) {
    const size_t want = static_cast<size_t>(std::min<uint64_t>(kChunk, bytes - at));
    const ssize_t n = pread(from.fd(), buffer.data(), want, static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return last_error();
    if (n == 0) {
      return make_error(ErrorCode::kDataLoss, "a file is shorter than it should be");
    }
    const Bytes chunk(buffer.data(), static_cast<size_t>(n));
    hash.update(chunk);
    if (to >= 0) SR_TRY(write_all(to, chunk));
    at += static_cast<uint64_t>(n);
    // Only begun, and only here: the fsync at the end waits, and tells what went wrong.
    if (to >= 0 && at - begun >= kWriteBehind) {
      sync_file_range(to, static_cast<off_t>(begun), static_cast<off_t>(at - begun),
                      SYNC_FILE_RANGE_WRITE);
      begun = at;
    }
    if (done) done(static_cast<uint64_t>(n));
  }
  return hash.finish();
}

}  // namespace

Result<SourceFile> SourceFile::open(const std::string& path) {
  SourceFile file;
  file.fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  struct stat info {};
  if (file.fd_ < 0 || fstat(file.fd_, &info) != 0) return last_error();
  if (!S_ISREG(info.st_mode)) {
    return make_error(ErrorCode::kFailedPrecondition, "what should be a plain file is none");
  }
  posix_fadvise(file.fd_, 0, 0, POSIX_FADV_SEQUENTIAL);
  file.size_ = static_cast<uint64_t>(info.st_size);
  std::string of;
  append_be(of, static_cast<uint64_t>(info.st_dev));
  append_be(of, static_cast<uint64_t>(info.st_ino));
  append_be(of, static_cast<uint64_t>(info.st_mtim.tv_sec));
  append_be(of, static_cast<uint64_t>(info.st_mtim.tv_nsec));
  file.fingerprint_ = load_be<uint64_t>(crypto::sha256(as_bytes(of)).data());
  return file;
}

SourceFile::SourceFile(SourceFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), size_(other.size_), fingerprint_(other.fingerprint_) {}

SourceFile::~SourceFile() {
  if (fd_ >= 0) close(fd_);
}

Result<crypto::Digest> hash_file(const SourceFile& from, uint64_t bytes, const BytesDone& done) {
  return pass(from, bytes, -1, done);
}

Result<crypto::Digest> copy_file(const SourceFile& from, uint64_t bytes, const std::string& to,
                                 const BytesDone& done) {
  unlink(to.c_str());
  const int fd = open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return last_error();
  auto copied = pass(from, bytes, fd, done);
  if (copied && fsync(fd) != 0) copied = last_error();
  if (close(fd) != 0 && copied) copied = last_error();
  if (!copied) unlink(to.c_str());
  return copied;
}

Result<void> rename_file(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) != 0) return last_error();
  return {};
}

}  // namespace strongroom::backup
