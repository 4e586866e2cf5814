// What the log knows of its durable entries, and how it finds that out when it is opened.
#pragma once

#include <atomic>
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

  // All but the queue.
  template <class A>
  void archive(A& a) {
    a(edge, tiles, bundles_at, last_t_ms);
  }
};

// Where a reader of the log stands: it has read everything before, and nothing of what is behind.
struct LogPoint {
  LogState state;  // The queue empty.
  Position at;     // Of the next frame.
  uint64_t leaf() const { return state.edge.size(); }
  template <class A>
  void archive(A& a) {
    a(state, at);
  }
};

// Checks a frame against what came before it, opens it into `out`, which keeps its capacity, and
// takes it into `state`; tiles it makes full go to `sink`.
//   kDataLoss  `number` is the leaf. What the sink fails with.
Result<void> take_frame(const Frame& frame, Position at, BodyKeys& keys, const TileSink& sink,
                        LogState& state, Entry* out);

// Reads on from `point` to before leaf `to`, which is durable, while others append behind that:
// for a thread of its own, with files and keys that it may use there. What it has read is checked
// as by ReleaseLog::open(), short of the tree's root, and in `point` when it ends well.
//   kDataLoss     `number` is the first leaf that cannot be trusted.
//   kUnavailable  `stop` was set.
Result<void> read_log(env::Files& files, const std::string& dir, BodyKeys& keys, uint64_t to,
                      const TileSink& sink, const std::function<Result<void>(const Entry&)>& replay,
                      const std::atomic<bool>& stop, LogPoint& point);

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
                                 const LogSigners& signers, TileFolder& folder,
                                 const std::function<Result<void>(const Entry&)>& replay,
                                 const LogPoint* from);

}  // namespace strongroom::tlog
