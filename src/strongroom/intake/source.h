// The raw bytes of a file or pipe, in order, with a digest of everything before any recent offset.
//
// The digest is a chain, since a plain SHA-256 cannot be asked for in the middle without hashing
// all of it again:
//   H_0 = 32 zero bytes; H_{n+1} = SHA-256(H_n | 64 KiB chunk n)
//   digest(offset) = SHA-256("SR1 source" | offset u64be | H_{offset / 65536} | the offset % 65536
//   bytes behind that)
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "strongroom/base/bytes.h"
#include "strongroom/base/result.h"
#include "strongroom/crypto/hash.h"

namespace strongroom::intake {

// Keeps only the bytes behind the last release(), so memory is what its reader needs. Not
// thread-safe.
class ByteSource {
 public:
  static constexpr size_t kChunk = 65536;
  // Fills the buffer as far as it can; 0 at the end. Bytes it returned need not fill the buffer.
  using Pull = std::function<Result<size_t>(MutableBytes)>;

  // Opens a file for reading; "-" is standard input. kNotFound; kUnavailable.
  static Result<std::unique_ptr<ByteSource>> open(const std::string& path);
  static Result<std::unique_ptr<ByteSource>> from_text(std::string text);
  static Result<std::unique_ptr<ByteSource>> from_pull(Pull pull);

  // The first 64 KiB, or all there is: what tells one source from another.
  Bytes head() const { return as_bytes(head_); }
  // The next bytes, at most a chunk; empty at the end. Valid until they are released.
  Result<Bytes> read();
  // Where the next read() begins.
  uint64_t offset() const { return cursor_; }
  // Bytes before `offset` will not be asked for again.
  void release(uint64_t offset);
  // Of the bytes before `offset`, which has been read and not been released. Costs one chunk's
  // hash.
  crypto::Digest digest_at(uint64_t offset) const;
  // Goes on reading at `to`, provided the bytes before it have this digest. `from`, not released,
  // is where `visit` begins to see what is passed over. kFailedPrecondition: another source, or it
  // has been changed.
  Result<void> skip(uint64_t from, uint64_t to, Bytes digest,
                    const std::function<void(Bytes)>& visit);

 private:
  struct Chunk {
    std::unique_ptr<uint8_t[]> bytes;
    size_t size = 0;
  };

  explicit ByteSource(Pull pull) : pull_(std::move(pull)) { chain_.fill(0); }
  // Takes in one more chunk. False at the end.
  Result<bool> pull_chunk();
  uint64_t window_end() const;

  Pull pull_;
  std::deque<Chunk> window_;  // All full but the last of the source.
  std::unique_ptr<uint8_t[]> spare_;
  uint64_t window_begin_ = 0;  // A multiple of kChunk.
  crypto::Digest chain_;       // H of everything before the window.
  uint64_t cursor_ = 0;
  bool ended_ = false;
  std::string head_;
};

}  // namespace strongroom::intake
