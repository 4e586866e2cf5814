// Proofs out of tiles, wherever these lie: a folder, a web server, the key server.
#pragma once

#include <string_view>
#include <vector>

#include "strongroom/tlog/merkle.h"
#include "strongroom/tlog/tiles.h"

namespace strongroom::tlog {

// Reads a static file of a tiled log by its path: from a folder, or over the network.
using TileReader = std::function<Result<std::string>(std::string_view path)>;

// Nothing read is believed: a proof from wrong tiles does not verify.
//   kInvalidArgument  No such leaf or old size.
//   kDataLoss         A tile is missing or has the wrong size.
//   or that of `read`
Result<std::vector<Hash>> prove_inclusion(const TileReader& read, uint64_t leaf, uint64_t size);
Result<std::vector<Hash>> prove_consistency(const TileReader& read, uint64_t old_size,
                                            uint64_t size);

// The tile, or the front of the full one where the partial one was dropped since.
//   kNotFound, or that of `read`
Result<std::string> read_tile(const TileReader& read, const TileId& id, size_t partial_size);

}  // namespace strongroom::tlog
