#include "strongroom/tlog/tiles.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace strongroom::tlog {
namespace {

constexpr size_t kBundleBytesMax = size_t{kTileWidth} * (2 + 65535);
constexpr size_t kFoldersMax = 1024;

// Decimal without leading zeros, at most `max`.
std::optional<uint32_t> parse_small(std::string_view text, uint32_t least, uint32_t max) {
  if (text.empty() || text.size() > 3 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  uint32_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<uint32_t>(c - '0');
  }
  if (value < least || value > max) return std::nullopt;
  return value;
}

// Zero-padded groups of three digits, all but the last behind an 'x'.
std::string index_path(uint64_t n) {
  std::string digits = std::to_string(n);
  digits.insert(0, (3 - digits.size() % 3) % 3, '0');
  std::string path;
  for (size_t i = 0; i < digits.size(); i += 3) {
    const bool last = i + 3 == digits.size();
    path += (last ? "" : "x") + digits.substr(i, 3) + (last ? "" : "/");
  }
  return path;
}

std::optional<uint64_t> parse_index(std::string_view path) {
  // 2^64 has 20 digits, so seven groups; no tree has an index above 2^56.
  constexpr size_t kGroupsMax = 6;
  uint64_t n = 0;
  for (size_t group = 0; group < kGroupsMax; ++group) {
    const bool last = !path.starts_with('x');
    if (!last) path.remove_prefix(1);
    if (path.size() < 3) return std::nullopt;
    for (size_t i = 0; i < 3; ++i) {
      if (path[i] < '0' || path[i] > '9') return std::nullopt;
      n = n * 10 + static_cast<uint64_t>(path[i] - '0');
    }
    path.remove_prefix(3);
    if (last) return path.empty() ? std::optional(n) : std::nullopt;
    // A first group of zeros would be a second name of a smaller index.
    if (n == 0 || !path.starts_with('/')) return std::nullopt;
    path.remove_prefix(1);
  }
  return std::nullopt;
}

std::string level_path(int level) {
  return "tile/" + (level == kBundle ? std::string("entries") : std::to_string(level)) + "/";
}

uint32_t level_shift(int level) {
  return level == kBundle ? 0u : 8u * static_cast<uint32_t>(level);
}
uint64_t level_width(uint64_t size, int level) {
  const uint32_t shift = level_shift(level);
  return shift >= 64 ? 0 : size >> shift;
}

}  // namespace

std::string tile_path(const TileId& id) {
  std::string path = level_path(id.level) + index_path(id.n);
  if (id.width < kTileWidth) path += ".p/" + std::to_string(id.width);
  return path;
}

std::optional<TileId> parse_tile_path(std::string_view path) {
  constexpr std::string_view kRoot = "tile/";
  if (!path.starts_with(kRoot)) return std::nullopt;
  path.remove_prefix(kRoot.size());
  const size_t slash = path.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  TileId id;
  const std::string_view level = path.substr(0, slash);
  if (level == "entries") {
    id.level = kBundle;
  } else {
    const auto number = parse_small(level, 0, kTileLevelMax);
    if (!number) return std::nullopt;
    id.level = static_cast<int>(*number);
  }
  path.remove_prefix(slash + 1);
  if (const size_t partial = path.find(".p/"); partial != std::string_view::npos) {
    const auto width = parse_small(path.substr(partial + 3), 1, kTileWidth - 1);
    if (!width) return std::nullopt;
    id.width = *width;
    path = path.substr(0, partial);
  }
  const auto n = parse_index(path);
  if (!n) return std::nullopt;
  id.n = *n;
  return id;
}

uint64_t first_leaf_of(const TileId& id) {
  const uint32_t shift = level_shift(id.level) + kTileHeight;
  return shift >= 64 ? 0 : id.n << shift;
}

bool tree_has_tile(uint64_t size, const TileId& id) {
  const uint64_t width = level_width(size, id.level);
  const uint64_t full = width / kTileWidth;
  return id.n < full || (id.n == full && id.width <= width % kTileWidth);
}

std::vector<TileId> partial_tiles(uint64_t size) {
  std::vector<TileId> out;
  for (int level = kBundle; level <= kTileLevelMax; ++level) {
    const uint64_t width = level_width(size, level);
    if (width == 0) break;
    const auto partial = static_cast<uint32_t>(width % kTileWidth);
    if (partial != 0) out.push_back({level, width / kTileWidth, partial});
  }
  return out;
}

Result<void> TileBuilder::append(Bytes entry, const Hash& leaf, const TileSink& sink) {
  append_be(entries_, entry.size(), 2);
  strongroom::append(entries_, entry);
  ++size_;
  if (size_ % kTileWidth == 0) {
    SR_TRY(sink({kBundle, size_ / kTileWidth - 1}, entries_));
    entries_.clear();
  }
  Hash hash = leaf;
  for (size_t level = 0;; ++level) {
    if (level == levels_.size()) levels_.emplace_back().reserve(kTileWidth);
    auto& tile = levels_[level];
    tile.push_back(hash);
    if (tile.size() < kTileWidth) return {};
    const uint64_t n = level_width(size_, static_cast<int>(level)) / kTileWidth - 1;
    SR_TRY(sink({static_cast<int>(level), n},
                {reinterpret_cast<const char*>(tile.data()), tile.size() * sizeof(Hash)}));
    hash = merkle_root(tile);
    tile.clear();
  }
}

Result<void> TileBuilder::partials(const TileSink& sink) const {
  for (const TileId& id : partial_tiles(size_)) {
    if (id.level == kBundle) {
      SR_TRY(sink(id, entries_));
    } else {
      const auto& tile = levels_[static_cast<size_t>(id.level)];
      SR_TRY(sink(id, {reinterpret_cast<const char*>(tile.data()), tile.size() * sizeof(Hash)}));
    }
  }
  return {};
}

TileFolder::TileFolder(env::Files& files, std::string dir)
    : files_(files), dir_(std::move(dir) + "/") {}

// Not through env::Files: every write there is synced, or syncs the folder it creates a name in,
// at eight times the cost of a tile, and the thread that writes tiles is the one that releases.
Result<void> TileFolder::write(const TileId& id, std::string_view bytes) {
  const std::string path = dir_ + tile_path(id);
  const std::string folder = path.substr(0, path.rfind('/'));
  if (!folders_.contains(folder)) {
    SR_TRY(files_.make_dirs(folder));
    if (folders_.size() >= kFoldersMax) folders_.clear();
    folders_.insert(folder);
  }
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  bool ok = fd >= 0;
  while (ok && !bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    ok = written > 0;
    if (ok) bytes.remove_prefix(static_cast<size_t>(written));
  }
  const bool full = !ok && (errno == ENOSPC || errno == EDQUOT);
  if (fd >= 0 && ::close(fd) != 0) ok = false;
  if (ok) return {};
  return make_error(full ? ErrorCode::kNoSpace : ErrorCode::kUnavailable,
                    "A tile of the release log cannot be written: look at the disk that holds the "
                    "log. Releases go on; the checkpoint waits.");
}

bool TileFolder::matches(const TileId& id, std::string_view bytes) const {
  const auto there = files_.read(dir_ + tile_path(id), bytes.size());
  return there && *there == bytes;
}

Result<std::string> TileFolder::read(const TileId& id) const {
  auto bytes =
      files_.read(dir_ + tile_path(id), id.level == kBundle ? kBundleBytesMax : kTileBytesMax);
  if (!bytes && bytes.error().code == ErrorCode::kInvalidArgument) {
    return make_error(ErrorCode::kDataLoss,
                      "A tile of the release log is larger than a tile can be.");
  }
  return bytes;
}

void TileFolder::remove_partials(int level, uint64_t n) {
  const std::string folder = dir_ + tile_path({level, n}) + ".p";
  const auto names = files_.list(folder);
  if (!names) return;
  bool ok = true;
  for (const std::string& name : *names) ok = files_.remove(folder + "/" + name) && ok;
  if (ok) (void)files_.remove(folder).has_value();
  folders_.erase(folder);
}

}  // namespace strongroom::tlog
