#include "strongroom/tlog/log_walk.h"

#include <optional>
#include <set>

namespace strongroom::tlog {

Error log_mismatch(uint64_t leaf) {
  return make_error(
      ErrorCode::kDataLoss,
      "The release log does not match its last checkpoint: it was truncated or edited. Restore "
      "keyserver/log from its second copy or a backup; do not delete anything. The number is that "
      "of the first entry that cannot be trusted.",
      static_cast<int64_t>(leaf));
}

Result<uint32_t> count_segments(env::Files& files, const std::string& dir) {
  SR_ASSIGN(const auto names, files.list(dir));
  std::set<uint32_t> numbers;
  for (const std::string& name : names) {
    if (const auto number = parse_segment_name(name)) numbers.insert(*number);
  }
  if (!numbers.empty() && *numbers.rbegin() != numbers.size() - 1) {
    return make_error(ErrorCode::kDataLoss,
                      "A file of the release log is missing between others. Restore keyserver/log "
                      "from its second copy or a backup; do not delete anything.");
  }
  return static_cast<uint32_t>(numbers.size());
}

Result<WalkEnd> walk_log(env::Files& files, const std::string& dir, uint32_t segments,
                         Position from, uint64_t first, const FrameVisitor& visit) {
  WalkEnd end{from, first, from.offset > 0};
  std::optional<uint32_t> next_place;  // What a frame of the group before would have. Unknown: any.
  for (uint32_t segment = from.segment; segment < segments; ++segment) {
    SR_ASSIGN(SegmentReader reader, SegmentReader::open(files, dir + "/" + segment_name(segment)));
    end.at = {segment, segment == from.segment ? from.offset : 0};
    end.has_header = end.at.offset > 0;
    reader.seek(end.at.offset);
    // Opened as the log's next segment only after all before it was durable.
    const bool last = segment + 1 == segments;
    bool whole = true;
    if (!end.has_header) {
      SR_ASSIGN(const Bytes header, reader.peek(kSegmentHeaderSize));
      const auto first_leaf = parse_segment_header(header);
      if (!first_leaf && first_leaf.error().code != ErrorCode::kDataLoss) return first_leaf.error();
      whole = first_leaf.has_value();
      if (whole && *first_leaf != end.next) return log_mismatch(end.next);
      if (whole) reader.skip(kSegmentHeaderSize);
      end.has_header = whole;
      end.at.offset = reader.offset();
      next_place = 0;
    }
    while (whole) {
      SR_ASSIGN(Bytes bytes, reader.peek(4));
      if (bytes.size() >= 4) {
        const size_t size = size_t{load_be<uint32_t>(bytes.data())} + 4;
        if (size <= kFrameMax) {
          SR_ASSIGN(bytes, reader.peek(size));
        }
      }
      Frame frame;
      const FrameState state = parse_frame(bytes, &frame);
      if (state != FrameState::kWhole) {
        whole = state == FrameState::kEnd;
        break;
      }
      // Whole but another's: nothing a crash leaves behind.
      if (frame.leaf != end.next ||
          (frame.place != 0 && frame.place != next_place.value_or(frame.place))) {
        return log_mismatch(end.next);
      }
      SR_ASSIGN(const bool go_on, visit(frame, end.at));
      if (!go_on) return end;
      next_place = frame.place + 1;
      ++end.next;
      reader.skip(frame.size);
      end.at.offset = reader.offset();
    }
    SR_ASSIGN(const bool torn, is_torn_tail(reader, end.next));
    if (!torn || (!last && !whole)) return log_mismatch(end.next);
  }
  return end;
}

}  // namespace strongroom::tlog
