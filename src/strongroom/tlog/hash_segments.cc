#include "strongroom/tlog/entry.h"
#include "strongroom/tlog/log_walk.h"

namespace strongroom::tlog {

Result<SegmentsTree> hash_segments(env::Files& files, const std::string& dir,
                                   std::span<const uint64_t> sizes, std::string* at) {
  SegmentsTree out;
  RightEdge edge;
  uint64_t last_ms = 0;
  const auto take_roots = [&] {
    while (out.roots.size() < sizes.size() && sizes[out.roots.size()] == edge.size()) {
      out.roots.push_back(edge.size() == 0 ? empty_root() : edge.root());
    }
  };
  *at = segment_name(0);
  SR_ASSIGN(const uint32_t segments, count_segments(files, dir));
  take_roots();
  SR_ASSIGN(const WalkEnd end, walk_log(files, dir, segments, {}, 0,
                                        [&](const Frame& frame, Position position) -> Result<bool> {
                                          *at = segment_name(position.segment);
                                          const auto head = parse_entry(frame.entry);
                                          if (!head || head->t_ms < last_ms)
                                            return log_mismatch(frame.leaf);
                                          last_ms = head->t_ms;
                                          edge.append(leaf_hash(frame.entry));
                                          take_roots();
                                          return true;
                                        }));
  out.entries = end.next;
  return out;
}

}  // namespace strongroom::tlog
