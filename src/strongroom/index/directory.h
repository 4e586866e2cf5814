// Directory rows, so that the lane of a crashed writer can still be merged.
// Spec: docs/spec/directory.md
//
//   key    lane u24be | number u40be, counted from 0 in each lane
//   value  ver u8 | nonce 12 | GCM(key H(R_l,"sr1.dir"), AD "SR1D" | row key, plaintext)
//   plaintext
//     of a write            00h or 02h | idx u40le | u_lo u32le | n u16le | n x h_w |
//                           zeros, up to a multiple of 8 h_w, of 32 behind 02h
//     of a lane's terms     03h | n u16le | n x (h_w | varint | varint), ascending over the lane,
//                           zeros, up to a multiple of 256
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "strongroom/base/ids.h"
#include "strongroom/base/result.h"
#include "strongroom/base/secret.h"
#include "strongroom/index/postings.h"

namespace strongroom::index {

inline constexpr size_t kDirectoryKeySize = 8;
inline constexpr size_t kTermsPerWriteMax = 4096;
// What one write shows: postings and directory terms come in multiples of this. Of names and texts
// the number of terms tells something, so they take the wide one.
enum class WritePadding : uint8_t { kNarrow = 8, kWide = 32 };

struct SealedRow {
  std::string key;
  std::string value;
};

struct TermCount {
  TermHash h_w;
  uint32_t count;       // Of its postings.
  uint32_t blocks = 0;  // They are in so many packed blocks behind a head; 0: singles.
  bool operator==(const TermCount&) const = default;
};

// Writes the rows of one lane, numbered in order. Not thread-safe.
class DirectoryWriter {
 public:
  using TermCount = index::TermCount;
  static constexpr size_t kTermsPerRow = 192;

  DirectoryWriter(LaneId lane, const LaneRoot& root);
  SealedRow write_row(const Posting& posting, std::span<const TermHash> terms,
                      WritePadding padding);              // 0..kTermsPerWriteMax
  SealedRow terms_row(std::span<const TermCount> terms);  // 1..kTermsPerRow

 private:
  SealedRow seal(Bytes plaintext);

  LaneId lane_;
  SealingKey key_;
  uint64_t number_ = 0;
};

struct DirectoryRow {
  std::optional<Posting> write;  // Of a write: terms have count 1 each.
  std::vector<TermCount> terms;
};
// One row at a time; for many of one lane, DirectoryReader.
Result<DirectoryRow> open_directory_row(LaneId lane, const LaneRoot& root, Bytes key, Bytes value);

// Opens the rows of one lane.  kDataLoss: forged, moved or damaged. Thread-safe.
class DirectoryReader {
 public:
  DirectoryReader(LaneId lane, const LaneRoot& root);
  Result<DirectoryRow> open(Bytes key, Bytes value) const;

 private:
  LaneId lane_;
  SealingKey key_;
};

}  // namespace strongroom::index
