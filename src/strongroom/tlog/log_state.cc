#include "strongroom/tlog/log_state.h"

#include <algorithm>

#include "strongroom/tlog/entry.h"

namespace strongroom::tlog {
namespace {

Error no_checkpoint() {
  return make_error(
      ErrorCode::kDataLoss,
      "The release log has entries but no checkpoint: the file was lost or taken away. "
      "Restore keyserver/log from its second copy or a backup; do not delete anything.",
      0);
}

Error log_is_gone() {
  return make_error(ErrorCode::kDataLoss,
                    "The release log is gone or empty, though this vault had one. Restore "
                    "keyserver/log from its second copy or a backup before anything is released.",
                    0);
}

// One opening of a log. Every entry passes through here once, in order.
class Recovery {
 public:
  Recovery(const LogOptions& options, env::Files& files, BodyKeys& keys, TileFolder& folder)
      : options_(options), files_(files), keys_(keys), folder_(folder) {}

  Result<RecoveredLog> run(const LogSigners& signers,
                           const std::function<Result<void>(const Entry&)>& replay,
                           const LogPoint* from) {
    SR_ASSIGN(const bool there, files_.exists(options_.dir));
    if (there) {
      SR_ASSIGN(segments_, count_segments(files_, options_.dir));
    }
    SR_TRY(read_checkpoint(signers));
    Position begin;
    if (from != nullptr) {
      SR_TRY(check_before(*from));
      out_.state = from->state;
      begin = from->at;
    }
    const FrameVisitor visit = [&](const Frame& frame, Position at) -> Result<bool> {
      if (out_.note.empty()) return no_checkpoint();
      SR_TRY(take(frame, at, replay));
      return true;
    };
    SR_ASSIGN(out_.end,
              walk_log(files_, options_.dir, segments_, begin, out_.state.edge.size(), visit));
    if (out_.end.next < out_.checkpoint.size) return log_mismatch(out_.end.next);
    if (out_.end.next == 0 && options_.must_exist) return log_is_gone();
    if (out_.stale_tiles > 0) SR_TRY(rewrite_tiles());
    return std::move(out_);
  }

 private:
  // One of its signers does: the last checkpoint may be from before a change of the key.
  Result<Checkpoint> verify(const LogSigners& signers) const {
    std::vector<crypto::PublicKey> others;
    if (options_.signed_by) others.push_back(*options_.signed_by);
    for (const crypto::SigningKey& signer : signers) others.push_back(signer.public_key());
    const crypto::PublicKey newest = others.back();
    others.pop_back();
    for (const crypto::PublicKey& other : others) {
      auto checkpoint = verify_checkpoint(out_.note, options_.origin, other);
      if (checkpoint) return checkpoint;
    }
    return verify_checkpoint(out_.note, options_.origin, newest);
  }

  Result<void> read_checkpoint(const LogSigners& signers) {
    auto note = files_.read(options_.dir + "/" + kCheckpointFile, kCheckpointFileMax);
    if (!note && note.error().code == ErrorCode::kNotFound) return {};
    if (!note && note.error().code != ErrorCode::kInvalidArgument) return note.error();
    // A file too large to be one goes the way of any other that is none.
    out_.note = note ? std::move(note).value() : "too large";
    auto checkpoint = verify(signers);
    if (!checkpoint && checkpoint.error().code == ErrorCode::kInvalidArgument) {
      return make_error(ErrorCode::kDataLoss,
                        "The release log's checkpoint is of another log: files of two vaults were "
                        "mixed. Restore keyserver/log of this vault; do not delete anything.");
    }
    if (!checkpoint) return checkpoint.error();
    out_.checkpoint = std::move(checkpoint).value();
    return {};
  }

  // What is before the point was read by whoever made it. That it is still there shows cheaply;
  // that it is still the same shows when it is read again.
  Result<void> check_before(const LogPoint& from) {
    const Error unfit =
        make_error(ErrorCode::kFailedPrecondition,
                   "What was written down of the release log is not of this log as it is now.");
    if (from.leaf() > out_.checkpoint.size || from.at.segment >= segments_) return unfit;
    uint64_t first = 0;
    for (uint32_t segment = 0; segment <= from.at.segment; ++segment) {
      SR_ASSIGN(
          const std::string header,
          files_.read_range(options_.dir + "/" + segment_name(segment), 0, kSegmentHeaderSize));
      const auto next = parse_segment_header(as_bytes(header));
      if (!next || *next < first || *next > from.leaf() || (segment == 0 && *next != 0)) {
        return unfit;
      }
      first = *next;
    }
    if (from.leaf() < out_.checkpoint.size) return {};
    return from.state.edge.root() == out_.checkpoint.root ? Result<void>() : unfit;
  }

  Result<void> take(const Frame& frame, Position at,
                    const std::function<Result<void>(const Entry&)>& replay) {
    const TileSink sink = [this](const TileId& id, std::string_view bytes) -> Result<void> {
      if (tree_has_tile(out_.checkpoint.size, id)) {
        compare(id, bytes);
      } else {
        out_.state.queue.push_back({id, std::string(bytes)});
      }
      return {};
    };
    SR_TRY(take_frame(frame, at, keys_, sink, out_.state, &entry_));
    if (out_.state.edge.size() == out_.checkpoint.size) {
      const TileSink partial_sink = [this](const TileId& id, std::string_view bytes) {
        compare(id, bytes);
        return Result<void>();
      };
      SR_TRY(out_.state.tiles.partials(partial_sink));
      // The tiles may still tell where the edit is.
      if (out_.state.edge.root() != out_.checkpoint.root) return log_mismatch(first_stale_leaf_);
    }
    return replay(entry_);
  }

  void compare(const TileId& id, std::string_view bytes) {
    if (folder_.matches(id, bytes)) return;
    if (out_.stale_tiles++ == 0) first_stale_leaf_ = first_leaf_of(id);
  }

  // A second walk, since nothing on disk may change before the whole log is known to be sound.
  Result<void> rewrite_tiles() {
    RightEdge edge;
    TileBuilder tiles;
    const uint64_t size = out_.checkpoint.size;
    const TileSink sink = [this](const TileId& id, std::string_view bytes) -> Result<void> {
      if (folder_.matches(id, bytes)) return {};
      return folder_.write(id, bytes);
    };
    const FrameVisitor visit = [&](const Frame& frame, Position) -> Result<bool> {
      const Hash leaf = leaf_hash(frame.entry);
      edge.append(leaf);
      SR_TRY(tiles.append(frame.entry, leaf, sink));
      return tiles.size() < size;
    };
    SR_TRY(walk_log(files_, options_.dir, segments_, {}, 0, visit));
    if (edge.root() != out_.checkpoint.root) return log_mismatch(first_stale_leaf_);
    return tiles.partials(sink);
  }

  const LogOptions& options_;
  env::Files& files_;
  BodyKeys& keys_;
  TileFolder& folder_;
  uint32_t segments_ = 0;
  uint64_t first_stale_leaf_ = 0;
  Entry entry_;
  RecoveredLog out_;
};

}  // namespace

Result<void> LogState::add(Bytes entry, const Hash& leaf, uint64_t t_ms, Position at,
                           const TileSink& sink) {
  if (edge.size() % kTileWidth == 0) bundles_at.push_back(at);
  edge.append(leaf);
  last_t_ms = t_ms;
  return tiles.append(entry, leaf, sink);
}

void LogState::add(Bytes entry, const Hash& leaf, uint64_t t_ms, Position at) {
  const TileSink sink = [this](const TileId& id, std::string_view bytes) {
    queue.push_back({id, std::string(bytes)});
    return Result<void>();
  };
  SR_CHECK(add(entry, leaf, t_ms, at, sink), "a queue refused a tile");
}

Result<void> take_frame(const Frame& frame, Position at, BodyKeys& keys, const TileSink& sink,
                        LogState& state, Entry* out) {
  const auto head = parse_entry(frame.entry);
  if (!head || head->t_ms < state.last_t_ms) return log_mismatch(frame.leaf);
  SR_ASSIGN(const SealingKey* key, keys.key(month_of(head->t_ms)));
  if (auto opened = open_frame(*key, frame, *head, out); !opened) {
    Error error = opened.error();
    error.number = static_cast<int64_t>(frame.leaf);
    return error;
  }
  return state.add(frame.entry, leaf_hash(frame.entry), head->t_ms, at, sink);
}

Result<void> read_log(env::Files& files, const std::string& dir, BodyKeys& keys, uint64_t to,
                      const TileSink& sink, const std::function<Result<void>(const Entry&)>& replay,
                      const std::atomic<bool>& stop, LogPoint& point) {
  if (point.leaf() >= to) return {};
  SR_ASSIGN(const uint32_t segments, count_segments(files, dir));
  Entry entry;
  const FrameVisitor visit = [&](const Frame& frame, Position at) -> Result<bool> {
    if (stop) return make_error(ErrorCode::kUnavailable, "Reading the release log was broken off.");
    SR_TRY(take_frame(frame, at, keys, sink, point.state, &entry));
    point.at = {at.segment, at.offset + frame.size};
    SR_TRY(replay(entry));
    return point.leaf() < to;
  };
  SR_TRY(walk_log(files, dir, segments, point.at, point.leaf(), visit));
  if (point.leaf() < to) return log_mismatch(point.leaf());
  return {};
}

Result<RecoveredLog> recover_log(const LogOptions& options, env::Files& files, BodyKeys& keys,
                                 const LogSigners& signers, TileFolder& folder,
                                 const std::function<Result<void>(const Entry&)>& replay,
                                 const LogPoint* from) {
  return Recovery(options, files, keys, folder).run(signers, replay, from);
}

}  // namespace strongroom::tlog
