// What the log knows of its durable entries, and how it finds that out when it is opened.
#pragma once

#include <string>
#include <vector>

#include "strongroom/tlog/log_walk.h"
#include "strongroom/tlog/release_log.h"
#include "strongroom/tlog/tiles.h"

namespace strongroom::tlog {

struct QueuedTile {
  TileId id;
  std::string bytes;
};

// Not thread-safe.
struct LogState {
  RightEdge edge;
  TileBuilder tiles;
  std::vector<QueuedTile> queue;     // Full tiles for the next checkpoint to write.
  std::vector<Position> bundles_at;  // Where the first leaf of each bundle begins.
  uint64_t last_t_ms = 0;

  // Takes in a durable entry; tiles it makes full go to `sink`.
  Result<void> add(Bytes entry, const Hash& leaf, uint64_t t_ms, Position at, const TileSink& sink);
  // The same, and they are queued.
  void add(Bytes entry, const Hash& leaf, uint64_t t_ms, Position at);
};

struct RecoveredLog {
  LogState state;
  WalkEnd end;            // Where the next frame goes.
  Checkpoint checkpoint;  // Of size 0, and no note: a new log.
  std::string note;
  uint64_t stale_tiles = 0;  // Written again.
};

inline constexpr size_t kCheckpointFileMax = size_t{128} << 10;
inline constexpr char kCheckpointFile[] = "checkpoint";

// ReleaseLog::open() up to the first append. Errors as there.
Result<RecoveredLog> recover_log(const LogOptions& options, env::Files& files, BodyKeys& keys,
                                 const crypto::PublicKey& signer, TileFolder& folder,
                                 const std::function<Result<void>(const Entry&)>& replay);

}  // namespace strongroom::tlog
