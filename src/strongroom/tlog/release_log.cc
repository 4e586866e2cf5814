#include "strongroom/tlog/release_log.h"

#include <algorithm>

#include "strongroom/crypto/random.h"
#include "strongroom/tlog/entry.h"
#include "strongroom/tlog/log_state.h"

namespace strongroom::tlog {
namespace {

Error log_unavailable() {
  return make_error(
      ErrorCode::kLogUnavailable,
      "The release log could not be written, so nothing leaves. What is on its disk is "
      "now unknown: stop the key server, look at the disk, and start it again.");
}

Error no_space() {
  return make_error(ErrorCode::kNoSpace,
                    "The disk of the release log is full, so nothing leaves; freezes are still "
                    "recorded. Free some space: it goes on by itself.");
}

struct Staged {
  ByteArray<kEntrySize> entry;
  Hash leaf;
  uint64_t t_ms;
  size_t at;  // In the group's bytes.
};

}  // namespace

struct ReleaseLog::Impl {
  Impl(const LogOptions& log_options, env::Files& log_files, BodyKeys& body_keys,
       const LogSigners& log_signers)
      : options(log_options),
        files(log_files),
        keys(body_keys),
        signers(log_signers),
        folder(log_files, log_options.dir) {}

  const LogOptions options;
  env::Files& files;
  BodyKeys& keys;
  const LogSigners& signers;
  TileFolder folder;

  LogState state;
  Checkpoint checkpoint;
  std::string note;
  uint64_t stale_tiles = 0;

  std::unique_ptr<env::AppendFile> file;  // None: `segment` is still to be begun.
  uint32_t segment = 0;
  std::vector<Staged> staged;
  std::string group;
  bool failed = false;
  bool full = false;

  uint64_t next_leaf() const { return state.edge.size() + staged.size(); }
  std::string segment_path() const { return options.dir + "/" + segment_name(segment); }

  // The group, behind a header where a segment begins. `start` is where its first frame lies.
  Result<void> write_group(uint64_t* start) {
    // What is kept free lies in this segment: while the disk is full, it goes on.
    if (file && file->size() >= options.segment_bytes && !full) {
      file = nullptr;
      ++segment;
    }
    if (!file) {
      SR_ASSIGN(file, files.open_append(segment_path(), 0, options.preallocate_bytes));
      std::string header;
      append_segment_header(header, state.edge.size());
      SR_TRY(file->append(as_bytes(header)));
    }
    *start = file->size();
    SR_TRY(file->append(as_bytes(group)));
    SR_TRY(file->sync());
    keep_space();
    return {};
  }

  // Any other failure shows when it matters: in the next write.
  void keep_space() {
    if (!file) return;
    const auto kept = file->reserve(std::min(kFreezeReserve, options.preallocate_bytes));
    full = !kept && kept.error().code == ErrorCode::kNoSpace;
  }

  Result<void> write_tiles(const std::vector<TileId>& written) {
    for (const QueuedTile& tile : state.queue) SR_TRY(folder.write(tile.id, tile.bytes));
    state.queue.clear();
    return state.tiles.partials([&](const TileId& id, std::string_view bytes) -> Result<void> {
      if (std::ranges::find(written, id) != written.end()) return {};
      return folder.write(id, bytes);
    });
  }
};

ReleaseLog::ReleaseLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ReleaseLog::~ReleaseLog() = default;

Result<std::unique_ptr<ReleaseLog>> ReleaseLog::open(
    const LogOptions& options, env::Files& files, BodyKeys& keys, const LogSigners& signers,
    const std::function<Result<void>(const Entry&)>& replay, const LogPoint* from) {
  if (!is_origin(options.origin)) {
    return make_error(ErrorCode::kInvalidArgument,
                      "The log's origin may hold no spaces and no plus sign: correct it.");
  }
  auto impl = std::make_unique<Impl>(options, files, keys, signers);
  SR_ASSIGN(RecoveredLog log,
            recover_log(options, files, keys, signers, impl->folder, replay, from));
  SR_TRY(files.make_dirs(options.dir));
  impl->state = std::move(log.state);
  impl->checkpoint = std::move(log.checkpoint);
  impl->checkpoint.origin = options.origin;
  impl->note = std::move(log.note);
  impl->stale_tiles = log.stale_tiles;
  impl->segment = log.end.at.segment;
  if (log.end.has_header) {
    SR_ASSIGN(impl->file, files.open_append(impl->segment_path(), log.end.at.offset,
                                            options.preallocate_bytes));
    impl->keep_space();
  }
  return std::unique_ptr<ReleaseLog>(new ReleaseLog(std::move(impl)));
}

Result<size_t> ReleaseLog::stage(EntryType type, std::span<const std::string> items,
                                 uint64_t t_ms) {
  Impl& log = *impl_;
  if (log.failed) return log_unavailable();
  if (log.full && type != EntryType::kFreeze) return no_space();
  const uint64_t t =
      std::max(t_ms, log.staged.empty() ? log.state.last_t_ms : log.staged.back().t_ms);
  if (items.empty() || items.size() > kItemsMax || body_size(items) > kBodyMax || t > kTimeMax) {
    return make_error(
        ErrorCode::kInvalidArgument,
        "A log entry needs 1 to 65,536 items of 8 MiB together, and a time before the "
        "year 10000: ask for less at once.",
        static_cast<int64_t>(items.size()));
  }
  SR_ASSIGN(const SealingKey* key, log.keys.key(month_of(t)));

  FrameSeal seal;
  seal.leaf = log.next_leaf();
  seal.place = static_cast<uint32_t>(log.staged.size());
  crypto::random_nonce(seal.rho);
  crypto::random_nonce(seal.nonce);
  EntryHead head;
  head.type = static_cast<uint8_t>(type);
  head.t_ms = t;
  head.n = static_cast<uint32_t>(items.size());
  head.items = commit_items(seal.rho, items);

  Staged staged;
  staged.entry = encode_entry(head);
  staged.leaf = leaf_hash(staged.entry);
  staged.t_ms = t;
  staged.at = log.group.size();
  append_frame(*key, seal, staged.entry, items, log.group);
  log.staged.push_back(staged);
  return log.staged.size() - 1;
}

Result<std::vector<DurableLeaf>> ReleaseLog::commit() {
  Impl& log = *impl_;
  if (log.failed) return log_unavailable();
  std::vector<DurableLeaf> leaves;
  if (log.staged.empty()) return leaves;
  uint64_t start = 0;
  if (!log.write_group(&start)) {
    log.failed = true;
    return log_unavailable();
  }
  // Durable from here on, and only now in the tree.
  leaves.reserve(log.staged.size());
  for (const Staged& staged : log.staged) {
    leaves.push_back(DurableLeaf({log.state.edge.size()}));
    log.state.add(staged.entry, staged.leaf, staged.t_ms, {log.segment, start + staged.at});
  }
  log.staged.clear();
  log.group.clear();
  return leaves;
}

bool ReleaseLog::failed() const {
  return impl_->failed;
}
bool ReleaseLog::full() const {
  return impl_->full;
}
void ReleaseLog::look_for_space() {
  if (impl_->full && !impl_->failed) impl_->keep_space();
}
uint64_t ReleaseLog::size() const {
  return impl_->state.edge.size();
}
Hash ReleaseLog::root() const {
  return impl_->state.edge.root();
}
Position ReleaseLog::end() const {
  return {impl_->segment, impl_->file ? impl_->file->size() : 0};
}
uint64_t ReleaseLog::last_t_ms() const {
  return impl_->state.last_t_ms;
}
std::string ReleaseLog::checkpoint_note() const {
  return impl_->note;
}
uint64_t ReleaseLog::checkpoint_size() const {
  return impl_->checkpoint.size;
}
uint64_t ReleaseLog::tiles_rewritten() const {
  return impl_->stale_tiles;
}

Result<void> ReleaseLog::write_checkpoint() {
  Impl& log = *impl_;
  if (log.failed) return log_unavailable();
  if (size() == log.checkpoint.size) return {};
  const auto old_partials = partial_tiles(log.checkpoint.size);
  SR_TRY(log.write_tiles(old_partials));
  Checkpoint next{log.options.origin, size(), root()};
  std::string note = sign_checkpoint(next, log.signers);
  SR_TRY(log.files.write_atomic(log.options.dir + "/" + kCheckpointFile, as_bytes(note)));
  log.checkpoint = std::move(next);
  log.note = std::move(note);
  // Kept until here: the tree of the checkpoint before is made of them.
  for (const TileId& id : old_partials) {
    if (tree_has_tile(size(), {id.level, id.n})) log.folder.remove_partials(id.level, id.n);
  }
  return {};
}

Result<std::vector<Entry>> ReleaseLog::read(uint64_t first, uint32_t count) const {
  const Impl& log = *impl_;
  if (first >= size()) {
    return make_error(ErrorCode::kInvalidArgument, "The log has no such entry yet.",
                      static_cast<int64_t>(size()));
  }
  const uint64_t last = first + std::min<uint64_t>(count, size() - first);
  std::vector<Entry> entries;
  if (first == last) return entries;
  const uint64_t bundle = first / kTileWidth;
  const auto visit = [&](const Frame& frame, Position) -> Result<bool> {
    if (frame.leaf < first) return true;
    const auto head = parse_entry(frame.entry);
    if (!head) return log_mismatch(frame.leaf);
    SR_ASSIGN(const SealingKey* key, log.keys.key(month_of(head->t_ms)));
    Entry entry;
    SR_TRY(open_frame(*key, frame, *head, &entry));
    entries.push_back(std::move(entry));
    return frame.leaf + 1 < last;
  };
  SR_TRY(walk_log(log.files, log.options.dir, log.segment + 1, log.state.bundles_at[bundle],
                  bundle * kTileWidth, visit));
  // They were all there when they were written.
  if (entries.size() != last - first) return log_mismatch(first + entries.size());
  return entries;
}

Result<std::vector<SegmentFile>> ReleaseLog::segments() const {
  const Impl& log = *impl_;
  std::vector<SegmentFile> out;
  for (uint32_t number = 0; number < log.segment; ++number) {
    const std::string name = segment_name(number);
    SR_ASSIGN(const uint64_t bytes, log.files.file_size(log.options.dir + "/" + name));
    out.push_back({name, bytes});
  }
  if (log.file) out.push_back({segment_name(log.segment), log.file->size()});
  return out;
}

Result<std::string> ReleaseLog::tile(std::string_view path) const {
  const Error not_found = make_error(ErrorCode::kNotFound, "The log has no such tile yet.");
  if (path == kCheckpointFile) {
    if (impl_->note.empty()) return not_found;
    return impl_->note;
  }
  if (path == kKeyChangesFile) {
    return impl_->files.read(impl_->options.dir + "/" + kKeyChangesFile, kKeyChangesBytesMax);
  }
  const auto id = parse_tile_path(path);
  if (!id) {
    return make_error(ErrorCode::kInvalidArgument,
                      "That is no path of a tiled log: see c2sp.org/tlog-tiles.");
  }
  if (!tree_has_tile(impl_->checkpoint.size, *id)) return not_found;
  return impl_->folder.read(*id);
}

}  // namespace strongroom::tlog
