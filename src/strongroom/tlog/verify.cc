#include "strongroom/tlog/entry.h"
#include "strongroom/tlog/release_log.h"
#include "strongroom/tlog/tile_proofs.h"

namespace strongroom::tlog {
namespace {

// As often as somebody wants to see a number move.
constexpr uint64_t kProgressEvery = 65536;

Error wrong_tile(uint64_t leaf) {
  return make_error(
      ErrorCode::kDataLoss,
      "The log does not verify: a tile or an entry bundle is missing or is not the one "
      "the checkpoint stands for. Compare with another copy of the log; the number is "
      "that of the first entry in question.",
      static_cast<int64_t>(leaf));
}

class Verifier {
 public:
  Verifier(const TileReader& read, VerifyReport* report) : read_(read), report_(*report) {}

  Result<void> bundle(const TileId& id) {
    // Every entry of this log has one size, and so has a bundle.
    constexpr size_t kLine = 2 + kEntrySize;
    SR_ASSIGN(const std::string bytes, read(id, id.width * kLine));
    if (bytes.size() != id.width * kLine) return wrong_tile(first_leaf_of(id));
    ByteReader reader(as_bytes(bytes));
    for (uint32_t i = 0; i < id.width; ++i) {
      const uint64_t size = reader.be(2);
      const Bytes entry = reader.take(kEntrySize);
      const auto head = parse_entry(entry);
      if (size != kEntrySize || !head || head->t_ms < report_.last_t_ms) {
        return wrong_tile(tiles_.size());
      }
      if (tiles_.size() == 0) report_.first_t_ms = head->t_ms;
      report_.last_t_ms = head->t_ms;
      ++report_.by_type[head->type];
      const Hash leaf = leaf_hash(entry);
      edge_.append(leaf);
      SR_TRY(tiles_.append(entry, leaf, compare_));
    }
    report_.entries = tiles_.size();
    return {};
  }

  Result<void> finish() {
    SR_TRY(tiles_.partials(compare_));
    if (edge_.root() != report_.checkpoint.root) return wrong_tile(0);
    return {};
  }

 private:
  Result<std::string> read(const TileId& id, size_t partial_size) {
    auto bytes = read_tile(read_, id, partial_size);
    if (!bytes && bytes.error().code == ErrorCode::kNotFound) return wrong_tile(first_leaf_of(id));
    return bytes;
  }

  Result<void> compare(const TileId& id, std::string_view computed) {
    if (id.level == kBundle) return {};  // It is what this was computed from.
    SR_ASSIGN(const std::string bytes, read(id, computed.size()));
    if (bytes == computed) return {};
    size_t at = 0;
    while (at < bytes.size() && at < computed.size() && bytes[at] == computed[at]) ++at;
    // At level 0 the first wrong hash names its leaf.
    return wrong_tile(first_leaf_of(id) + (id.level == 0 ? at / sizeof(Hash) : 0));
  }

  const TileReader& read_;
  VerifyReport& report_;
  RightEdge edge_;
  TileBuilder tiles_;
  const TileSink compare_ = [this](const TileId& id, std::string_view bytes) {
    return compare(id, bytes);
  };
};

}  // namespace

Result<VerifyReport> verify_log(const TileReader& read, const NoteKey& pinned,
                                const std::function<void(uint64_t done, uint64_t size)>& progress) {
  VerifyReport report;
  SR_ASSIGN(const std::string note, read("checkpoint"));
  // Behind the checkpoint: a change that is under way is in both, or in neither.
  SR_ASSIGN(const LogKeys keys, read_log_keys(read, pinned));
  SR_ASSIGN(report.checkpoint, verify_checkpoint(note, keys));
  const uint64_t size = report.checkpoint.size;
  Verifier verifier(read, &report);
  for (uint64_t n = 0; n < size / kTileWidth; ++n) {
    SR_TRY(verifier.bundle({kBundle, n}));
    if (progress && report.entries % kProgressEvery == 0) progress(report.entries, size);
  }
  if (size % kTileWidth != 0) {
    SR_TRY(verifier.bundle({kBundle, size / kTileWidth, static_cast<uint32_t>(size % kTileWidth)}));
  }
  SR_TRY(verifier.finish());
  if (progress) progress(size, size);
  return report;
}

}  // namespace strongroom::tlog
