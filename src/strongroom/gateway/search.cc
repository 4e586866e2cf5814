#include "strongroom/gateway/search.h"

#include <algorithm>
#include <optional>

#include "strongroom/index/lanes.h"

namespace strongroom::gateway {
namespace {

using index::Posting;
using index::TermCipher;

constexpr const char* kTooBroadText =
    "too many records match the rarest of these terms; add a term to narrow the search";

std::string key_of(const ByteArray<index::kPostingKeySize>& key) {
  return std::string(as_text(key));
}

// One term in one lane while a query runs.
struct TermList {
  TermCipher cipher;
  std::optional<uint64_t> packed;  // Postings by the head, if the term is packed here.
  std::optional<Posting> first;    // Single 0 otherwise.
  std::vector<std::optional<std::vector<Posting>>> blocks;  // Packed blocks read so far.

  bool absent() const { return !packed && !first; }
  uint64_t blocks_count() const {
    return (*packed + index::kPackedPostings - 1) / index::kPackedPostings;
  }
  // What reading it whole costs at least.
  uint64_t estimate() const { return packed ? *packed : 1; }
};

class LaneReader {
 public:
  LaneReader(store::Store& store, const SearchLimits& limits, SearchStats& stats)
      : store_(store), limits_(limits), stats_(stats) {}

  // Reads heads and first singles of all lists with one batch.
  Result<void> open(std::span<TermList> lists) {
    std::vector<std::string> keys;
    keys.reserve(lists.size() * 2);
    for (auto& list : lists) {
      keys.push_back(key_of(list.cipher.head_key()));
      keys.push_back(key_of(list.cipher.single_key(0)));
    }
    std::vector<std::optional<std::string>> values;
    SR_TRY(fetch(keys, values));
    for (size_t i = 0; i < lists.size(); ++i) {
      if (values[2 * i]) {
        SR_ASSIGN(const uint64_t count, lists[i].cipher.open_head(as_bytes(*values[2 * i])));
        if (count == 0 || count > index::kLanePostingsMax) return damaged();
        lists[i].packed = count;
        lists[i].blocks.resize(lists[i].blocks_count());
      } else if (values[2 * i + 1]) {
        SR_ASSIGN(lists[i].first, lists[i].cipher.open_single(0, as_bytes(*values[2 * i + 1])));
      }
    }
    return {};
  }

  // Every posting of one list, ascending.
  Result<void> read_all(TermList& list, std::vector<Posting>& out) {
    if (list.packed) {
      SR_TRY(charge(*list.packed));
      for (uint64_t j = 0; j < list.blocks_count(); j += 64) {
        SR_TRY(read_blocks(list, j, std::min<uint64_t>(j + 64, list.blocks_count())));
      }
      for (const auto& block : list.blocks) out.insert(out.end(), block->begin(), block->end());
      if (out.size() != *list.packed) return damaged();
    } else {
      out.push_back(*list.first);
      uint64_t next = 1;
      for (uint64_t batch = 1;; batch = std::min<uint64_t>(batch * 4, 64)) {
        std::vector<std::string> keys;
        for (uint64_t i = 0; i < batch; ++i)
          keys.push_back(key_of(list.cipher.single_key(next + i)));
        std::vector<std::optional<std::string>> values;
        SR_TRY(fetch(keys, values));
        bool end = false;
        for (uint64_t i = 0; i < batch && !end; ++i) {
          if (!values[i]) {
            end = true;
            break;
          }
          SR_ASSIGN(const Posting posting, list.cipher.open_single(next + i, as_bytes(*values[i])));
          out.push_back(posting);
        }
        SR_TRY(charge(batch));
        if (end) break;
        next += batch;
      }
    }
    std::sort(out.begin(), out.end());
    return {};
  }

  // Keeps of `candidates` (ascending) what the list holds too.
  Result<void> intersect(TermList& list, std::vector<Posting>& candidates) {
    const bool probe = list.packed && candidates.size() * 4 < list.blocks_count();
    if (!probe) {
      std::vector<Posting> all, both;
      SR_TRY(read_all(list, all));
      std::set_intersection(candidates.begin(), candidates.end(), all.begin(), all.end(),
                            std::back_inserter(both));
      candidates = std::move(both);
      return {};
    }
    std::vector<Posting> both;
    for (const Posting& candidate : candidates) {
      uint64_t low = 0,
               high = list.blocks_count();  // The block that would hold it is in [low, high).
      while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (!list.blocks[middle]) {
          SR_TRY(charge(1));  // A block by itself costs what a single does.
          SR_TRY(read_blocks(list, middle, middle + 1));
        }
        const auto& block = *list.blocks[middle];
        if (block.empty()) return damaged();
        if (candidate < block.front()) {
          high = middle;
        } else if (block.back() < candidate) {
          low = middle + 1;
        } else {
          if (std::binary_search(block.begin(), block.end(), candidate)) both.push_back(candidate);
          break;
        }
      }
    }
    candidates = std::move(both);
    return {};
  }

 private:
  static Error damaged() {
    return make_error(ErrorCode::kDataLoss,
                      "the index of this collection is damaged or was tampered with; nothing was "
                      "shown. Restore the "
                      "store from a backup");
  }

  Result<void> charge(uint64_t postings) {
    stats_.scanned += postings;
    if (stats_.scanned > limits_.scan_max) {
      return make_error(ErrorCode::kTooBroad, kTooBroadText, static_cast<int64_t>(stats_.scanned));
    }
    return {};
  }

  Result<void> fetch(std::vector<std::string>& keys,
                     std::vector<std::optional<std::string>>& values) {
    ++stats_.store_reads;
    return store_.get(store::Table::kPostings, keys, values);
  }

  Result<void> read_blocks(TermList& list, uint64_t from, uint64_t to) {
    std::vector<std::string> keys;
    std::vector<uint64_t> numbers;
    for (uint64_t j = from; j < to; ++j) {
      if (list.blocks[j]) continue;
      keys.push_back(key_of(list.cipher.packed_key(j)));
      numbers.push_back(j);
    }
    if (keys.empty()) return {};
    std::vector<std::optional<std::string>> values;
    SR_TRY(fetch(keys, values));
    for (size_t i = 0; i < keys.size(); ++i) {
      if (!values[i]) return damaged();
      auto& block = list.blocks[numbers[i]].emplace();
      SR_TRY(list.cipher.open_packed(numbers[i], as_bytes(*values[i]), block));
    }
    return {};
  }

  store::Store& store_;
  const SearchLimits& limits_;
  SearchStats& stats_;
};

}  // namespace

Result<std::vector<Posting>> search(store::Store& store, std::span<const LaneId> lanes,
                                    std::span<const TermToken> tokens, size_t terms,
                                    const SearchLimits& limits, SearchStats& stats) {
  SR_CHECK(tokens.size() == terms * lanes.size(), "a token for each term and lane");
  stats.postings.assign(terms, 0);
  LaneReader reader(store, limits, stats);
  std::vector<TermList> lists;
  lists.reserve(tokens.size());
  for (size_t l = 0; l < lanes.size(); ++l) {
    for (size_t t = 0; t < terms; ++t) {
      lists.push_back({TermCipher(lanes[l], tokens[t * lanes.size() + l]), {}, {}, {}});
    }
  }
  SR_TRY(reader.open(lists));

  std::vector<Posting> found;
  for (size_t l = 0; l < lanes.size(); ++l) {
    const auto in_lane = std::span(lists).subspan(l * terms, terms);
    std::vector<size_t> order(terms);
    bool empty = false;
    for (size_t t = 0; t < terms; ++t) {
      order[t] = t;
      empty = empty || in_lane[t].absent();
      if (!in_lane[t].absent()) stats.postings[t] += in_lane[t].estimate();
    }
    if (empty) continue;
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return in_lane[a].estimate() < in_lane[b].estimate(); });
    std::vector<Posting> candidates;
    auto& rarest = in_lane[order[0]];
    const uint64_t estimated = rarest.estimate();
    SR_TRY(reader.read_all(rarest, candidates));
    stats.postings[order[0]] += candidates.size() - estimated;
    for (size_t k = 1; k < terms && !candidates.empty(); ++k) {
      SR_TRY(reader.intersect(in_lane[order[k]], candidates));
    }
    found.insert(found.end(), candidates.begin(), candidates.end());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace strongroom::gateway
