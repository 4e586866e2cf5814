// Copying files with their SHA-256 on the way.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "strongroom/base/result.h"
#include "strongroom/crypto/hash.h"

namespace strongroom::backup {

// A file open for reading: what is read stays what it was, though its name may go. Move-only.
class SourceFile {
 public:
  //   kNotFound, kFailedPrecondition (not readable, or no plain file), kUnavailable
  static Result<SourceFile> open(const std::string& path);
  SourceFile(SourceFile&& other) noexcept;
  SourceFile& operator=(SourceFile&&) = delete;
  ~SourceFile();

  uint64_t size() const { return size_; }
  // Of device, inode and time of the last change: as long as it is the same, so are the bytes.
  uint64_t fingerprint() const { return fingerprint_; }
  int fd() const { return fd_; }

 private:
  SourceFile() = default;
  int fd_ = -1;
  uint64_t size_ = 0;
  uint64_t fingerprint_ = 0;
};

using BytesDone = std::function<void(uint64_t)>;  // Bytes since the last call.

// SHA-256 of the first `bytes`.
//   kDataLoss     There are not so many.
//   kUnavailable  The disk does not give them.
Result<crypto::Digest> hash_file(const SourceFile& from, uint64_t bytes, const BytesDone& done);
// The same, and writes them to `to`, mode 0600, synced; what was there is replaced. After an error
// `to` is gone.
//   kNoSpace
Result<crypto::Digest> copy_file(const SourceFile& from, uint64_t bytes, const std::string& to,
                                 const BytesDone& done);
Result<void> rename_file(const std::string& from, const std::string& to);

}  // namespace strongroom::backup
