#include "strongroom/tlog/entry.h"
#include "strongroom/tlog/log_walk.h"
#include "strongroom/tlog/tiles.h"

namespace strongroom::tlog {
namespace {

// A partial tile may have become a full one.
bool is_there(const TileFolder& folder, const TileId& id, std::string_view bytes) {
  if (folder.matches(id, bytes)) return true;
  if (id.width == kTileWidth) return false;
  const auto full = folder.read({id.level, id.n});
  return full && std::string_view(*full).starts_with(bytes);
}

}  // namespace

Result<SegmentsTree> hash_segments(env::Files& files, const std::string& dir, uint64_t size,
                                   std::string* at) {
  SegmentsTree out;
  RightEdge edge;
  TileBuilder tiles;
  const TileFolder folder(files, dir);
  const TileSink compare = [&](const TileId& id, std::string_view bytes) -> Result<void> {
    if (!is_there(folder, id, bytes)) out.stale.push_back(tile_path(id));
    return {};
  };
  uint64_t last_ms = 0;
  *at = segment_name(0);
  SR_ASSIGN(const uint32_t segments, count_segments(files, dir));
  const auto visit = [&](const Frame& frame, Position position) -> Result<bool> {
    *at = segment_name(position.segment);
    const auto head = parse_entry(frame.entry);
    if (!head || head->t_ms < last_ms) return log_mismatch(frame.leaf);
    last_ms = head->t_ms;
    const Hash leaf = leaf_hash(frame.entry);
    edge.append(leaf);
    SR_TRY(tiles.append(frame.entry, leaf, compare));
    return edge.size() < size;
  };
  // No further: what lies behind may be being written.
  if (size != 0) SR_TRY(walk_log(files, dir, segments, {}, 0, visit));
  if (edge.size() != size) return log_mismatch(edge.size());
  SR_TRY(tiles.partials(compare));
  out.root = size == 0 ? empty_root() : edge.root();
  return out;
}

}  // namespace strongroom::tlog
