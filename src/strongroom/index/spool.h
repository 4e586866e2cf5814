// Items of one size in 256 buckets, in memory up to a limit and beyond it in a file: the external
// half of a bucket sort. The file is sealed under a key that only this object has, and goes with
// it.
#pragma once

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "strongroom/base/result.h"
#include "strongroom/base/secret.h"
#include "strongroom/env/files.h"

namespace strongroom::index {

// Pieces of bytes, written once each. Reading is thread-safe, beside writing it is not. The file is
// made by the first write and removed by the destructor; what a crash leaves of it nobody can read.
class SpoolFile {
 public:
  struct Piece {
    uint64_t number = 0;
    uint64_t offset = 0;
    uint64_t size = 0;
  };

  SpoolFile(env::Files& files, std::string path);
  ~SpoolFile();
  SpoolFile(const SpoolFile&) = delete;
  SpoolFile& operator=(const SpoolFile&) = delete;

  //   kNoSpace, kUnavailable  As the disk has it.
  Result<Piece> write(Bytes plain);
  // `plain` is as long as what was written.  kDataLoss  The file was changed.
  Result<void> read(const Piece& piece, MutableBytes plain) const;

 private:
  env::Files& files_;
  std::string path_;
  SealingKey key_;  // Random, never stored.
  std::unique_ptr<env::AppendFile> file_;
  uint64_t pieces_ = 0;
};

// Not thread-safe, but for take() of different buckets.
template <class Item>
class Spool {
  static_assert(std::is_trivially_copyable_v<Item>);

 public:
  static constexpr size_t kBuckets = 256;

  // No file: all in memory, whatever the limit.
  Spool(std::unique_ptr<SpoolFile> file, size_t bytes_max)
      : file_(std::move(file)), bytes_max_(bytes_max) {}

  void reserve(size_t items) {
    for (auto& bucket : buckets_) bucket.reserve(items / kBuckets);
  }
  void add(uint8_t bucket, const Item& item) {
    buckets_[bucket].push_back(item);
    ++held_;
    ++size_;
  }
  size_t size() const { return size_; }  // Items added.

  // Writes what is in memory to the file, if that is above the limit. To be called now and then:
  // the limit is kept as closely as that.
  Result<void> keep_within_limit() { return held_bytes() < bytes_max_ ? Result<void>() : spill(); }
  size_t held_bytes() const { return held_ * sizeof(Item); }  // In memory.
  // Writes what is in memory to the file, if there is one.
  Result<void> spill() {
    if (file_ == nullptr) return {};
    for (size_t b = 0; b < kBuckets; ++b) {
      auto& bucket = buckets_[b];
      if (bucket.empty()) continue;
      SR_ASSIGN(const SpoolFile::Piece piece,
                file_->write({reinterpret_cast<const uint8_t*>(bucket.data()),
                              bucket.size() * sizeof(Item)}));
      pieces_[b].push_back(piece);
      bucket.clear();
    }
    held_ = 0;
    return {};
  }

  // All items of a bucket, in the order they were added, appended to `out`; forgets them.
  Result<void> take(uint8_t bucket, std::vector<Item>& out) {
    size_t at = out.size();
    size_t items = at + buckets_[bucket].size();
    for (const auto& piece : pieces_[bucket]) items += piece.size / sizeof(Item);
    out.resize(items);
    for (const auto& piece : pieces_[bucket]) {
      SR_TRY(file_->read(piece, {reinterpret_cast<uint8_t*>(out.data() + at), piece.size}));
      at += piece.size / sizeof(Item);
    }
    std::copy(buckets_[bucket].begin(), buckets_[bucket].end(), out.begin() + at);
    buckets_[bucket] = {};
    pieces_[bucket] = {};
    return {};
  }

 private:
  std::unique_ptr<SpoolFile> file_;
  size_t bytes_max_;
  size_t held_ = 0;  // Items in memory.
  size_t size_ = 0;
  std::array<std::vector<Item>, kBuckets> buckets_;
  std::array<std::vector<SpoolFile::Piece>, kBuckets> pieces_;
};

}  // namespace strongroom::index
