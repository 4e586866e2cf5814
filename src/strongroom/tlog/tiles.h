// The tiled form of the log: paths, the growing tiles, and the folder they are kept in.
// Source: c2sp.org/tlog-tiles.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "strongroom/env/files.h"
#include "strongroom/tlog/merkle.h"

namespace strongroom::tlog {

inline constexpr uint32_t kTileWidth = 256;
inline constexpr int kTileHeight = 8;
inline constexpr int kTileLevelMax = 63;
inline constexpr size_t kTilePathMax = 256;  // Bytes; the longest there is has fewer.
inline constexpr int kBundle = -1;           // The "level" of entry bundles.

struct TileId {
  int level = 0;  // kBundle, or 0..kTileLevelMax.
  uint64_t n = 0;
  uint32_t width = kTileWidth;  // 1..255: partial.
  bool operator==(const TileId&) const = default;
};

std::string tile_path(const TileId& id);  // "tile/0/x001/234.p/5", "tile/entries/000"
// Nothing for whatever tile_path would not have written.
std::optional<TileId> parse_tile_path(std::string_view path);
uint64_t first_leaf_of(const TileId& id);
// Whether a tree of `size` leaves has this tile, be it as the prefix of one that is wider by now.
bool tree_has_tile(uint64_t size, const TileId& id);
// The right edge of a tree of `size` leaves: its partial tiles and its partial bundle.
std::vector<TileId> partial_tiles(uint64_t size);

inline constexpr size_t kTileBytesMax = kTileWidth * sizeof(Hash);

using TileSink = std::function<Result<void>(const TileId& id, std::string_view bytes)>;

// Fills tiles and bundles leaf by leaf. Holds the right edge only. Not thread-safe.
class TileBuilder {
 public:
  // Hands every tile that this leaf makes full to `sink`. After an error of the sink the builder
  // must not be used further.
  Result<void> append(Bytes entry, const Hash& leaf, const TileSink& sink);
  // The partial tiles as they stand.
  Result<void> partials(const TileSink& sink) const;
  uint64_t size() const { return size_; }

  template <class A>
  void archive(A& a) {
    a(size_, entries_, levels_);
  }

 private:
  uint64_t size_ = 0;
  std::string entries_;                    // The current bundle.
  std::vector<std::vector<Hash>> levels_;  // The current tile of each level; never full.
};

// Tiles under a folder. They can all be made again from the log's segments, so nothing here is
// synced: after a crash a tile may be missing, short or stale. Not thread-safe.
class TileFolder {
 public:
  TileFolder(env::Files& files, std::string dir);
  Result<void> write(const TileId& id, std::string_view bytes);
  // Whether the file is there and holds exactly these bytes.
  bool matches(const TileId& id, std::string_view bytes) const;
  // kNotFound, kDataLoss (larger than any tile).
  Result<std::string> read(const TileId& id) const;
  // All partial forms of the tile. Failing to is no loss: they are only in the way.
  void remove_partials(int level, uint64_t n);

 private:
  env::Files& files_;
  std::string dir_;
  std::set<std::string> folders_;  // Known to exist.
};

}  // namespace strongroom::tlog
