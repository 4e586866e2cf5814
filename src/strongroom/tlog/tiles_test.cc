#include "strongroom/tlog/tiles.h"

#include <gtest/gtest.h>

#include <map>

namespace strongroom::tlog {
namespace {

TEST(TilePathTest, PathsAreThoseOfTheSpecification) {
  const std::pair<TileId, const char*> paths[] = {
      {{0, 0}, "tile/0/000"},
      {{0, 999, 1}, "tile/0/999.p/1"},
      {{1, 1000, 255}, "tile/1/x001/000.p/255"},
      {{63, 1234067}, "tile/63/x001/x234/067"},
      {{kBundle, 1234067, 17}, "tile/entries/x001/x234/067.p/17"},
  };
  for (const auto& [id, path] : paths) {
    EXPECT_EQ(tile_path(id), path);
    ASSERT_TRUE(parse_tile_path(path)) << path;
    EXPECT_EQ(*parse_tile_path(path), id) << path;
  }
}

TEST(TilePathTest, EverythingElseIsRefused) {
  for (const char* path : {"",
                           "tile",
                           "tile/",
                           "tile/0",
                           "tile/0/",
                           "/tile/0/000",
                           "tile/0/0",
                           "tile/0/00",
                           "tile/0/0000",
                           "tile/00/000",
                           "tile/64/000",
                           "tile/-1/000",
                           "tile/a/000",
                           "tile/0/00a",
                           "tile/0/x000/000",
                           "tile/0/x001/",
                           "tile/0/x001/00",
                           "tile/0/001/000",
                           "tile/0/x001000",
                           "tile/0/000/",
                           "tile/0/000.p",
                           "tile/0/000.p/",
                           "tile/0/000.p/0",
                           "tile/0/000.p/256",
                           "tile/0/000.p/01",
                           "tile/0/000.p/1/",
                           "tile/0/000.p/1.p/1",
                           "tile/0/../0/000",
                           "checkpoint",
                           "tile/entries/../../checkpoint",
                           "tile/data/000",
                           "tile/0/x999/x999/x999/x999/x999/x999/999"}) {
    EXPECT_FALSE(parse_tile_path(path)) << path;
  }
}

TEST(TileIdTest, TreeOf70000HasTheTilesTheSpecificationNames) {
  EXPECT_TRUE(tree_has_tile(70000, {0, 272}));
  EXPECT_FALSE(tree_has_tile(70000, {0, 273}));
  EXPECT_TRUE(tree_has_tile(70000, {1, 0}));
  EXPECT_FALSE(tree_has_tile(70000, {2, 0}));
  EXPECT_EQ(partial_tiles(70000),
            (std::vector<TileId>{{kBundle, 273, 112}, {0, 273, 112}, {1, 1, 17}, {2, 0, 1}}));
  EXPECT_EQ(partial_tiles(256), (std::vector<TileId>{{1, 0, 1}}));
  EXPECT_TRUE(partial_tiles(0).empty());
  EXPECT_EQ(first_leaf_of({1, 1}), 65536u);
}

// MTH(D[(n*256+i) * 256**l : (n*256+i+1) * 256**l]) for each tile, straight from the definition.
TEST(TileBuilderTest, TilesAreWhatTheDefinitionSays) {
  constexpr uint64_t kSize = 66'000;
  std::vector<Hash> leaves;
  std::map<std::string, std::string> tiles;
  const TileSink sink = [&](const TileId& id, std::string_view bytes) {
    EXPECT_TRUE(tiles.emplace(tile_path(id), bytes).second) << "written twice";
    return Result<void>();
  };
  TileBuilder builder;
  for (uint64_t i = 0; i < kSize; ++i) {
    const std::string entry = "entry " + std::to_string(i);
    leaves.push_back(leaf_hash(as_bytes(entry)));
    ASSERT_TRUE(builder.append(as_bytes(entry), leaves.back(), sink));
  }
  ASSERT_TRUE(builder.partials(sink));
  size_t expected = 0;
  for (int level = 0; level <= 2; ++level) {
    const uint64_t span = uint64_t{1} << (8 * level);
    std::string bytes;
    for (uint64_t i = 0; i < kSize / span; ++i) {
      append(bytes, merkle_root(std::span(leaves).subspan(i * span, span)));
      const bool last = i + 1 == kSize / span;
      if (bytes.size() < kTileBytesMax && !last) continue;
      const TileId id{level, i / kTileWidth, static_cast<uint32_t>(bytes.size() / sizeof(Hash))};
      EXPECT_EQ(tiles[tile_path(id)], bytes) << tile_path(id);
      bytes.clear();
      ++expected;
    }
  }
  const std::string& bundle = tiles["tile/entries/000"];
  EXPECT_EQ(bundle.substr(0, 9), std::string("\x00\x07", 2) + "entry 0");
  const std::string& last = tiles["tile/entries/257.p/208"];
  EXPECT_EQ(last.substr(last.size() - 13), std::string("\x00\x0B", 2) + "entry 65999");
  EXPECT_EQ(tiles.size(), expected + 258);
}

}  // namespace
}  // namespace strongroom::tlog
