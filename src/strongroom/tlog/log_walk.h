// Walks the frames of a log's segments in order: what opening, rebuilding tiles and reading share.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "strongroom/env/files.h"
#include "strongroom/tlog/merkle.h"
#include "strongroom/tlog/position.h"
#include "strongroom/tlog/segment.h"

namespace strongroom::tlog {

// Where the data ends: the next frame goes there.
struct WalkEnd {
  Position at;
  uint64_t next = 0;
  bool has_header = false;  // False: this segment is still to be begun, with its header.
};

// Sees a frame whose check, number and place fit. False ends the walk.
using FrameVisitor = std::function<Result<bool>(const Frame& frame, Position at)>;

// From leaf `first`, whose frame begins at `from` (offset 0: at the segment's header), to the end
// of segment `segments` - 1. What was torn and never acknowledged at the very end is not shown;
// WalkEnd lies before it. Changes nothing on disk.
//   kDataLoss  Damaged, edited or missing; `number` is the leaf.
Result<WalkEnd> walk_log(env::Files& files, const std::string& dir, uint32_t segments,
                         Position from, uint64_t first, const FrameVisitor& visit);

// The tree of the first `size` entries in the segments, without a key, and which tiles of it are
// missing or hold something else. `at`: the segment that was read last, so the damaged one.
//   kDataLoss  As walk_log(), or there are not so many.
struct SegmentsTree {
  Hash root{};
  std::vector<std::string> stale;  // By their tlog-tiles paths.
};
Result<SegmentsTree> hash_segments(env::Files& files, const std::string& dir, uint64_t size,
                                   std::string* at);

// How many segments a log's folder holds. kDataLoss: one between them is missing.
Result<uint32_t> count_segments(env::Files& files, const std::string& dir);

// What a log says that does not fit.
Error log_mismatch(uint64_t leaf);

}  // namespace strongroom::tlog
