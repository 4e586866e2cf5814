#include "strongroom/drill/snapshot.h"

#include <algorithm>
#include <functional>
#include <unordered_map>

#include "strongroom/store/rocks_dump.h"

namespace strongroom::drill {
namespace {

using store::Table;

// Public formats: docs/spec/record.md, index.md, directory.md.
constexpr size_t kRowKeyBytes = 9;
constexpr size_t kRowHeadBytes = 8;
constexpr size_t kLaneBytes = 3;
constexpr size_t kSingleBytes = 16;
constexpr size_t kTailBytes = 256;
constexpr size_t kBlockBytes = 1024;
constexpr size_t kDirectoryWriteBytes = 1 + 12 + 12 + 16;  // A write's directory row but its terms.
constexpr size_t kTermBytes = 16;

uint64_t number(std::string_view bytes) {
  uint64_t out = 0;
  for (const char byte : bytes) out = out << 8 | static_cast<uint8_t>(byte);
  return out;
}

Label mix(Label label, uint64_t more) {
  uint64_t x = (label ^ more) + 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return (x ^ (x >> 31)) >> 1;  // Never kNoLabel.
}

// A row as far as the order of writes is concerned.
struct Written {
  uint64_t sequence;
  Table table;
  uint8_t key_byte;
  uint8_t value_byte;
  uint32_t terms;   // Directory: how many terms there is room for.
  uint64_t record;  // Records: idx.
  uint64_t u;
};

struct ParsedRow {
  uint64_t u;
  std::vector<uint32_t> sizes;
};
bool parse_row(std::string_view row, ParsedRow& out) {
  if (row.size() < kRowHeadBytes) return false;
  const auto groups = static_cast<size_t>(static_cast<uint8_t>(row[1]));
  if (row.size() < kRowHeadBytes + 4 * groups) return false;
  out.u = number(row.substr(2, 6));
  out.sizes.clear();
  for (size_t g = 0; g < groups; ++g) {
    out.sizes.push_back(static_cast<uint32_t>(number(row.substr(kRowHeadBytes + 4 * g + 1, 3))));
  }
  return true;
}

// Rows of one ingested file share a sequence number, and compaction forgets numbers as 0: only what
// has one of its own tells when it was written.
void keep_single_writes(std::vector<Written>& written) {
  std::unordered_map<uint64_t, uint32_t> rows;
  for (const Written& row : written) ++rows[row.sequence];
  std::erase_if(written,
                [&](const Written& row) { return row.sequence == 0 || rows[row.sequence] > 1; });
  std::sort(written.begin(), written.end(),
            [](const Written& a, const Written& b) { return a.sequence < b.sequence; });
}

// A gateway writes postings of several records, then their directory rows, then the records: in the
// same order each time. So the sizes of directory rows cut the postings into writes, and the n-th
// write belongs to the n-th record; where there are twice as many, each second one says that the
// version before is superseded.
class WriteOrder {
 public:
  explicit WriteOrder(Snapshot& snapshot) : snapshot_(snapshot) {
    for (size_t i = 0; i < snapshot.records.size(); ++i) at_[snapshot.records[i].idx] = i;
  }
  void follow(const std::vector<Written>& written) {
    for (size_t i = 0; i < written.size();) {
      std::vector<const Written*> postings, directory, records;
      for (; i < written.size() && written[i].table != Table::kRecords; ++i) {
        if (written[i].table == Table::kPostings) postings.push_back(&written[i]);
        if (written[i].table == Table::kDirectory) directory.push_back(&written[i]);
      }
      for (; i < written.size() && written[i].table == Table::kRecords; ++i) {
        records.push_back(&written[i]);
      }
      link(postings, directory, records);
    }
  }

 private:
  using Rows = std::vector<const Written*>;
  void link(const Rows& postings, const Rows& directory, const Rows& records) {
    size_t terms = 0;
    for (const Written* row : directory) terms += row->terms;
    if (records.empty() || terms != postings.size()) return;
    for (const Written* row : directory) ++snapshot_.postings_per_write[row->terms];
    const size_t each = directory.size() / records.size();
    // None: they came as sorted files, whose rows share a number.
    if (each == 0 || each * records.size() != directory.size() || each > 2) return;
    size_t at = 0;
    for (size_t r = 0; r < records.size(); ++r) {
      const uint32_t own = directory[r * each]->terms;
      const auto found = at_.find(records[r]->record);
      if (found != at_.end()) {
        SeenRecord& record = snapshot_.records[found->second];
        if (record.u == records[r]->u) {
          record.postings = own;
          for (size_t p = 0; p < std::min<size_t>(own, kPostingsLooked); ++p) {
            record.key_bytes[p] = postings[at + p]->key_byte;
            record.value_bytes[p] = postings[at + p]->value_byte;
          }
        }
      }
      for (size_t w = 0; w < each; ++w) at += directory[r * each + w]->terms;
    }
  }

  Snapshot& snapshot_;
  std::unordered_map<uint64_t, size_t> at_;
};

uint64_t count_repeated(std::vector<std::string>& rows) {
  std::sort(rows.begin(), rows.end());
  uint64_t repeated = 0;
  for (size_t i = 1; i < rows.size(); ++i) repeated += rows[i] == rows[i - 1] ? 1 : 0;
  return repeated;
}

Labelling labelling(std::string name, const Snapshot& snapshot,
                    const std::function<Label(const SeenRecord&, size_t)>& label) {
  Labelling out{std::move(name), {}};
  out.labels.reserve(snapshot.records.size());
  for (size_t i = 0; i < snapshot.records.size(); ++i) {
    out.labels.push_back(label(snapshot.records[i], i));
  }
  return out;
}

Label label_sizes(const SeenRecord& record) {
  Label label = 0;
  for (const uint32_t size : record.sizes) label = mix(label, size);
  return label;
}

}  // namespace

Result<Snapshot> read_snapshot(const std::string& folder) {
  Snapshot out;
  std::map<uint32_t, std::map<uint64_t, SeenRecord>> collections;
  std::vector<Written> written;
  struct Posting {
    uint32_t lane;
    uint64_t sequence;
    uint8_t key_byte, value_byte;
  };
  std::vector<Posting> postings;
  std::vector<std::string> labels, values;
  std::string before;  // The last key, of the table at hand.
  Table before_table = Table::kRecords;
  const auto visit = [&](const store::StoredVersion& row) {
    const bool newest = row.table != before_table || row.key != before;
    before_table = row.table;
    before = row.key;
    if (!newest) ++out.old_versions;
    Written trace{row.sequence, row.table, 0, 0, 0, 0, 0};
    switch (row.table) {
      case Table::kRecords: {
        ParsedRow parsed;
        if (row.key.size() != kRowKeyBytes || row.erased || !parse_row(row.value, parsed)) return;
        trace.record = number(row.key.substr(4));
        trace.u = parsed.u;
        auto& record =
            collections[static_cast<uint32_t>(number(row.key.substr(0, 4)))][trace.record];
        if (record.versions++ == 0) {
          record.idx = trace.record;
          record.u = parsed.u;
          record.sequence = row.sequence;
          record.sizes = std::move(parsed.sizes);
        }
        break;
      }
      case Table::kPostings: {
        if (row.key.size() <= kLaneBytes || row.value.empty() || !newest) return;
        const auto lane = static_cast<uint32_t>(number(row.key.substr(0, kLaneBytes)));
        const bool single = row.value.size() == kSingleBytes;
        SeenLane& seen = out.lanes[lane];
        ++(single                            ? seen.singles
           : row.value.size() == kTailBytes  ? seen.tails
           : row.value.size() == kBlockBytes ? seen.blocks
                                             : seen.large);
        trace.key_byte = static_cast<uint8_t>(row.key[kLaneBytes]);
        trace.value_byte = static_cast<uint8_t>(row.value[0]);
        if (single) {
          postings.push_back({lane, row.sequence, trace.key_byte, trace.value_byte});
          labels.emplace_back(row.key.substr(kLaneBytes));
          values.emplace_back(row.value);
        }
        break;
      }
      case Table::kDirectory: {
        if (row.key.size() <= kLaneBytes || row.erased || !newest) return;
        ++out.lanes[static_cast<uint32_t>(number(row.key.substr(0, kLaneBytes)))].directory;
        if (row.value.size() >= kDirectoryWriteBytes) {
          trace.terms =
              static_cast<uint32_t>((row.value.size() - kDirectoryWriteBytes) / kTermBytes);
        }
        break;
      }
      case Table::kUnique:
        out.unique_rows += newest && !row.erased ? 1 : 0;
        return;
      case Table::kMeta:
        out.meta_rows += newest && !row.erased ? 1 : 0;
        return;
    }
    written.push_back(trace);
  };
  SR_TRY(store::dump_rocks_store(folder, visit));

  const auto largest = std::max_element(
      collections.begin(), collections.end(),
      [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
  if (largest != collections.end()) {
    for (auto& [idx, record] : largest->second) {
      ++out.size_classes[record.sizes];
      out.records.push_back(std::move(record));
    }
  }
  out.postings_repeated = count_repeated(labels) + count_repeated(values);
  keep_single_writes(written);
  WriteOrder(out).follow(written);
  std::unordered_map<uint64_t, uint32_t> of_sequence;
  for (const Posting& posting : postings) ++of_sequence[posting.sequence];
  for (const Posting& posting : postings) {
    if (of_sequence[posting.sequence] < 2) continue;
    out.lanes[posting.lane].ingested = true;
    out.bulk_postings.emplace_back(posting.key_byte, posting.value_byte);
  }
  return out;
}

std::vector<Labelling> label_records(const Snapshot& snapshot) {
  std::vector<Labelling> out;
  const auto add = [&](std::string name, const auto& label) {
    out.push_back(labelling(std::move(name), snapshot, label));
  };
  add("size classes", [](const SeenRecord& r, size_t) { return label_sizes(r); });
  if (!snapshot.records.empty()) {
    for (size_t g = 0; g < snapshot.records.front().sizes.size(); ++g) {
      add("size of group " + std::to_string(g), [g](const SeenRecord& r, size_t) {
        return g < r.sizes.size() ? Label{r.sizes[g]} : kNoLabel;
      });
    }
  }
  add("postings written beside",
      [](const SeenRecord& r, size_t) { return r.postings == 0 ? kNoLabel : Label{r.postings}; });
  add("versions in the copy", [](const SeenRecord& r, size_t) { return Label{r.versions}; });
  add("version number u", [](const SeenRecord& r, size_t) { return Label{r.u}; });
  add("block of record numbers", [](const SeenRecord& r, size_t) { return Label{r.idx >> 12}; });
  add("low byte of the record number", [](const SeenRecord& r, size_t) { return r.idx & 0xff; });
  // Online writes: the p-th posting beside a record belongs to it, and perhaps always to one field.
  for (size_t p = 0; p < kPostingsLooked; ++p) {
    const auto of_write = [p](const SeenRecord& r, uint8_t byte) {
      return p < r.postings ? Label{byte} : kNoLabel;
    };
    add("label of posting " + std::to_string(p) + " beside",
        [&](const SeenRecord& r, size_t) { return of_write(r, r.key_bytes[p]); });
    add("value of posting " + std::to_string(p) + " beside",
        [&](const SeenRecord& r, size_t) { return of_write(r, r.value_bytes[p]); });
  }
  // Bulk: nothing links a posting to its record, so they are dealt out in the order they lie.
  const auto& bulk = snapshot.bulk_postings;
  const auto dealt = [&](size_t i) { return bulk[i * bulk.size() / snapshot.records.size()]; };
  if (!bulk.empty()) {
    add("labels of bulk postings, in order",
        [&](const SeenRecord&, size_t i) { return Label{dealt(i).first}; });
    add("values of bulk postings, in order",
        [&](const SeenRecord&, size_t i) { return Label{dealt(i).second}; });
  }
  return out;
}

std::vector<Label> label_comparable(const Snapshot& snapshot) {
  return labelling("", snapshot,
                   [](const SeenRecord& r, size_t) {
                     return mix(mix(label_sizes(r), r.postings), r.versions);
                   })
      .labels;
}

}  // namespace strongroom::drill
