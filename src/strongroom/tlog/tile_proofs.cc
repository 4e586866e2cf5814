#include "strongroom/tlog/tile_proofs.h"

#include <algorithm>
#include <map>

namespace strongroom::tlog {
namespace {

// The complete subtrees of a tree of `size` leaves, each tile read once.
class TileHashes {
 public:
  TileHashes(const TileReader& read, uint64_t size) : read_(read), size_(size) {}

  Result<Hash> subtree(int level, uint64_t n) {
    const int tile_level = level / kTileHeight;
    const uint64_t width = uint64_t{1} << (level % kTileHeight);  // In hashes of the tile's bottom.
    const uint64_t first = n * width;
    SR_ASSIGN(const std::string* tile, tile_of(tile_level, first / kTileWidth));
    std::vector<Hash> hashes(width);
    const uint64_t at = first % kTileWidth * sizeof(Hash);
    if (at + width * sizeof(Hash) > tile->size()) return wrong_tile();
    std::copy_n(tile->data() + at, width * sizeof(Hash), reinterpret_cast<char*>(hashes.data()));
    return merkle_root(hashes);
  }

 private:
  static Error wrong_tile() {
    return make_error(ErrorCode::kDataLoss,
                      "A tile of the log is missing or has the wrong size. Use another copy of the "
                      "log, or verify this one.");
  }

  Result<const std::string*> tile_of(int level, uint64_t n) {
    const auto known = tiles_.find({level, n});
    if (known != tiles_.end()) return &known->second;
    const uint64_t hashes = (size_ >> (level * kTileHeight)) - n * kTileWidth;
    const auto width = static_cast<uint32_t>(std::min<uint64_t>(hashes, kTileWidth));
    auto bytes = read_tile(read_, {level, n, width}, width * sizeof(Hash));
    if (!bytes && bytes.error().code != ErrorCode::kNotFound) return bytes.error();
    if (!bytes || bytes->size() != width * sizeof(Hash)) return wrong_tile();
    return &(tiles_[{level, n}] = std::move(*bytes));
  }

  const TileReader& read_;
  const uint64_t size_;
  std::map<std::pair<int, uint64_t>, std::string> tiles_;
};

}  // namespace

Result<std::string> read_tile(const TileReader& read, const TileId& id, size_t partial_size) {
  auto bytes = read(tile_path(id));
  const bool gone = !bytes && bytes.error().code == ErrorCode::kNotFound;
  if (gone && id.width < kTileWidth) {
    bytes = read(tile_path({id.level, id.n}));
    if (bytes && bytes->size() >= partial_size) bytes->resize(partial_size);
  }
  return bytes;
}

Result<std::vector<Hash>> prove_inclusion(const TileReader& read, uint64_t leaf, uint64_t size) {
  TileHashes hashes(read, size);
  return inclusion_proof(leaf, size,
                         [&](int level, uint64_t n) { return hashes.subtree(level, n); });
}

Result<std::vector<Hash>> prove_consistency(const TileReader& read, uint64_t old_size,
                                            uint64_t size) {
  TileHashes hashes(read, size);
  return consistency_proof(old_size, size,
                           [&](int level, uint64_t n) { return hashes.subtree(level, n); });
}

}  // namespace strongroom::tlog
