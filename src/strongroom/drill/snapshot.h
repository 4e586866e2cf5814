// The thief of a store: what a copy of its folder shows without a key, and every way we could think
// of to make labels of it for a frequency attack.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "strongroom/base/result.h"
#include "strongroom/drill/frequency.h"

namespace strongroom::drill {

inline constexpr size_t kPostingsLooked = 8;  // The first so many of a write.

struct SeenRecord {
  uint64_t idx = 0;
  uint64_t u = 0;               // Of the newest version.
  uint64_t sequence = 0;        // RocksDB's, of the newest version.
  uint32_t versions = 0;        // How many of them the copy still has.
  std::vector<uint32_t> sizes;  // Of its sealed groups.
  // Of an online write: how many rows of the index were written beside it, and what the first of
  // them begin with. 0: came in bulk, or the order of writes is lost.
  uint32_t postings = 0;
  std::array<uint8_t, kPostingsLooked> key_bytes{};
  std::array<uint8_t, kPostingsLooked> value_bytes{};
};

struct SeenLane {
  uint64_t singles = 0;    // Rows of 16 bytes.
  uint64_t tails = 0;      // Rows of 256 bytes.
  uint64_t blocks = 0;     // Rows of 1 KiB.
  uint64_t large = 0;      // Rows of 4 KiB.
  uint64_t directory = 0;  // Rows.
  bool ingested = false;   // Came as a sorted file: a bulk import, or a merge.
};

struct Snapshot {
  std::vector<SeenRecord> records;  // Of the collection with most of them; ascending by idx.
  std::map<uint32_t, SeenLane> lanes;
  uint64_t unique_rows = 0;
  uint64_t meta_rows = 0;
  uint64_t old_versions = 0;       // Of rows, any table.
  uint64_t postings_repeated = 0;  // Of 16 bytes, whose label or value another one has too.
  std::map<uint32_t, uint64_t> postings_per_write;         // Rows of the index -> online writes.
  std::map<std::vector<uint32_t>, uint64_t> size_classes;  // Sizes of a record's groups -> records.
  // Of each lane that came in bulk: first bytes of labels and of values, in the order they lie.
  std::vector<std::pair<uint8_t, uint8_t>> bulk_postings;
};

// Reads a copy of the folder; changes nothing in it.
//   kDataLoss  The copy has no whole store: copy again.
Result<Snapshot> read_snapshot(const std::string& folder);

// One way to look at the records: a label for each. What they are made of is in the name.
struct Labelling {
  std::string name;
  std::vector<Label> labels;
};
std::vector<Labelling> label_records(const Snapshot& snapshot);
// Everything about a record that depends on what was written and could be compared with records of
// another vault: sizes, number of postings, number of versions.
std::vector<Label> label_comparable(const Snapshot& snapshot);

}  // namespace strongroom::drill
