// The append file of the release log: frames of entries with their sealed bodies.
//
//   segment  = header | frame * | zeros (preallocated)            entries-%08u.log, numbered from 0
//   header   = "SRLOGSEG" | version u8 = 1 | 7 zeros | first leaf u64be | check 8             32 B
//   frame    = len u32be | leaf u64be | place u32be | entry 49 | nonce 12 | body + tag | check 8
//   check    = first 8 bytes of SHA-256 over everything before it, in the header or the frame
//
// `len` counts what follows it; 0 is the end of the data. `place` is how many frames of the same
// group commit come before: with it a reader knows that a damaged frame was never acknowledged
// (only frames of its own group lie behind it) from one that was.  Spec: docs/spec/log.md
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "strongroom/base/bytes.h"
#include "strongroom/base/result.h"
#include "strongroom/crypto/aead.h"
#include "strongroom/env/files.h"
#include "strongroom/tlog/release_log.h"

namespace strongroom::tlog {

inline constexpr uint8_t kSegmentVersion = 1;
inline constexpr size_t kSegmentHeaderSize = 32;
inline constexpr size_t kCheckSize = 8;
// Where the parts of a frame begin.
inline constexpr size_t kFrameLeafAt = 4;
inline constexpr size_t kFramePlaceAt = 12;
inline constexpr size_t kFrameEntryAt = 16;
inline constexpr size_t kFrameNonceAt = kFrameEntryAt + kEntrySize;
inline constexpr size_t kFrameBodyAt = kFrameNonceAt + crypto::kGcmNonceSize;
inline constexpr size_t kBodyMin = 32 + 4;
inline constexpr size_t kFrameMin = kFrameBodyAt + kBodyMin + crypto::kGcmTagSize + kCheckSize;
inline constexpr size_t kFrameMax = kFrameBodyAt + kBodyMax + crypto::kGcmTagSize + kCheckSize;

std::string segment_name(uint32_t number);  // "entries-00000000.log"
std::optional<uint32_t> parse_segment_name(std::string_view name);

void append_segment_header(std::string& out, uint64_t first_leaf);
// The first leaf. kDataLoss; kFailedPrecondition: whole, but of a version we do not know.
Result<uint64_t> parse_segment_header(Bytes header);

// Views into the bytes it was parsed from.
struct Frame {
  uint64_t leaf = 0;
  uint32_t place = 0;
  Bytes entry, nonce, sealed;
  size_t size = 0;  // Of the whole frame.
};

// Closes the frame that begins at `start` of `out` and has all but its length and its check.
void finish_frame(std::string& out, size_t start);
enum class FrameState { kWhole, kEnd, kDamaged };
// Reads the frame at the front of `bytes`; whatever is not all there is damaged.
FrameState parse_frame(Bytes bytes, Frame* frame);

// Bytes of a segment from front to back, a window at a time.
class SegmentReader {
 public:
  using Fetch = std::function<Result<std::string>(uint64_t offset, uint64_t size)>;
  SegmentReader(uint64_t file_size, Fetch fetch) : end_(file_size), fetch_(std::move(fetch)) {}
  static Result<SegmentReader> open(env::Files& files, const std::string& path);

  // At least `size` bytes from the current offset, or all there are. Valid until the next peek.
  Result<Bytes> peek(size_t size);
  void skip(size_t size) { offset_ += size; }
  void seek(uint64_t offset) { offset_ = offset; }
  uint64_t offset() const { return offset_; }
  bool at_end() const { return offset_ >= end_; }

 private:
  uint64_t end_;
  Fetch fetch_;
  uint64_t offset_ = 0;
  uint64_t window_at_ = 0;
  std::string window_;
};

// Where a segment's data ends, told from where it was damaged. From the reader's offset on, leaf
// `next` should stand. True: nothing there was ever acknowledged, so it may be cut. False:
// something was. A sync stands between two groups, so a frame behind shows its group to have begun
// after `next` only if `next` was durable by then.
Result<bool> is_torn_tail(SegmentReader& reader, uint64_t next);

}  // namespace strongroom::tlog
