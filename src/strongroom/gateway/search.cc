#include "strongroom/gateway/search.h"

#include <algorithm>
#include <optional>
#include <set>

#include "strongroom/index/idx_filter.h"

namespace strongroom::gateway {
namespace {

using index::IdxFilter;
using index::Posting;
using index::TermCipher;

// Fewer blocks than this for each candidate are read whole instead: a probe takes two or three.
constexpr size_t kBlocksPerProbe = 2;
// What reading a block costs, in singles.
constexpr uint64_t kBlockCharge = 4;
// Candidates of a probe are in a bit each, in no more than a megabyte.
constexpr uint64_t kProbeFilterWords = uint64_t{1} << 17;
// A list so many times as long as another is searched for each posting of that.
constexpr size_t kMuchLonger = 64;

constexpr const char* kTooBroadText =
    "too many records match the rarest of these terms; add a term to narrow the search";

std::string key_of(const ByteArray<index::kPostingKeySize>& key) {
  return std::string(as_text(key));
}

// A packed block that was probed.
struct Block {
  index::BlockExtent extent;
  std::vector<Posting> postings;  // All of them or, of a list used once, those near the candidates.
};

// One term in one lane while a query runs.
struct TermList {
  TermCipher cipher;
  std::optional<index::PackedHead> packed;   // If the term is packed here.
  std::optional<Posting> first;              // Single 0 otherwise.
  std::vector<std::optional<Block>> blocks;  // Packed blocks read so far.
  std::optional<std::vector<Posting>> all;   // Once it was read whole.
  size_t uses = 0;                           // In the plan.

  bool absent() const { return !packed && !first; }
  uint64_t blocks_count() const { return packed->blocks; }
  // What reading it whole costs at least.
  uint64_t estimate() const { return packed ? packed->postings : 1; }
  uint64_t known() const { return all ? all->size() : packed ? packed->postings : first ? 1 : 0; }
};

using PostingAt = std::span<const Posting>::iterator;

// The first of [at, end) that is not before `wanted`. What is near is found soon.
PostingAt gallop(PostingAt at, PostingAt end, const Posting& wanted) {
  std::ptrdiff_t step = 1;
  while (end - at > step && at[step] < wanted) {
    at += step;
    step *= 2;
  }
  return std::lower_bound(at, end - at > step ? at + step + 1 : end, wanted);
}

// What both hold, ascending as they are.
std::vector<Posting> both_of(std::span<const Posting> a, std::span<const Posting> b) {
  const auto [few, many] = a.size() < b.size() ? std::pair(a, b) : std::pair(b, a);
  std::vector<Posting> out;
  auto at = many.begin();
  for (const Posting& one : few) {
    at = gallop(at, many.end(), one);
    if (at == many.end()) break;
    if (*at == one) out.push_back(one);
  }
  return out;
}

std::vector<Posting> those_in(const IdxFilter& filter, std::span<const Posting> postings) {
  std::vector<Posting> out(postings.size() + 1);
  size_t kept = 0;
  for (const Posting& posting : postings) {
    out[kept] = posting;
    kept += filter.has(posting.idx);
  }
  out.resize(kept);
  return out;
}

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
        SR_ASSIGN(const auto head, lists[i].cipher.open_head(as_bytes(*values[2 * i])));
        // A block has a posting at least, so this bounds what a head can have us allocate.
        if (head.blocks == 0 || head.postings < head.blocks ||
            head.postings > index::kTermPostingsMax) {
          return damaged();
        }
        lists[i].packed = head;
        lists[i].blocks.resize(head.blocks);
      } else if (values[2 * i + 1]) {
        SR_ASSIGN(lists[i].first, lists[i].cipher.open_single(0, as_bytes(*values[2 * i + 1])));
      }
    }
    return {};
  }

  // Every posting of one list, ascending.
  Result<const std::vector<Posting>*> read_all(TermList& list) {
    if (list.all) return &*list.all;
    std::vector<Posting> out;
    if (list.absent()) {
    } else if (list.packed) {
      SR_TRY(charge(list.packed->postings));
      SR_TRY(read_packed(list, out));
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
      std::sort(out.begin(), out.end());
    }
    return &list.all.emplace(std::move(out));
  }

  // Keeps of `candidates` (ascending) what the list holds too.
  Result<void> intersect(TermList& list, std::vector<Posting>& candidates) {
    const bool unread = list.packed && !list.all;
    if (unread && candidates.size() * kBlocksPerProbe < list.blocks_count()) {
      return probe(list, candidates);
    }
    const bool small = IdxFilter::is_small(candidates, candidates.size() + list.known());
    if (unread && small && list.uses == 1) return sift(list, candidates);
    if (unread && stats_.scanned + list.packed->postings > limits_.scan_max) {
      return probe(list, candidates);
    }
    SR_ASSIGN(const auto* all, read_all(list));
    if (small && all->size() / kMuchLonger <= candidates.size()) {
      candidates = both_of(candidates, those_in(IdxFilter(candidates), *all));
    } else {
      candidates = both_of(candidates, *all);
    }
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

  // intersect() by all blocks, none of which is kept.
  Result<void> sift(TermList& list, std::vector<Posting>& candidates) {
    SR_TRY(charge(list.blocks_count() * kBlockCharge));
    const IdxFilter filter(candidates);
    std::vector<Posting> near;
    SR_TRY(read_packed(list, near, &filter));
    candidates = both_of(candidates, near);
    return {};
  }

  // intersect() by the few blocks that could hold any. All candidates at once, a guess each round:
  // a term's records are spread evenly, more or less, so interpolation finds the block in two or
  // three.
  Result<void> probe(TermList& list, std::vector<Posting>& candidates) {
    struct Range {  // The block is one of [low, high), whose postings are of [low_idx, high_idx].
      const Posting* candidate;
      uint64_t low, high;
      uint64_t low_idx, high_idx;
      uint64_t guess() const {
        if (candidate->idx.value <= low_idx) return low;
        if (candidate->idx.value >= high_idx) return high - 1;
        const double share = static_cast<double>(candidate->idx.value - low_idx) /
                             static_cast<double>(high_idx - low_idx);
        return std::min(high - 1,
                        low + static_cast<uint64_t>(share * static_cast<double>(high - low)));
      }
    };
    const uint64_t last = list.blocks_count() - 1;
    std::optional<IdxFilter> near;
    if (list.uses == 1 && IdxFilter::is_small(candidates, kProbeFilterWords)) {
      near.emplace(candidates);
    }
    const IdxFilter* const only = near ? &*near : nullptr;
    SR_TRY(read_some(list, {0, last}, only));
    const uint64_t low_idx = list.blocks[0]->extent.first.idx.value;
    const uint64_t high_idx = list.blocks[last]->extent.last.idx.value;
    std::vector<Range> open;
    for (const Posting& candidate : candidates) {
      open.push_back({&candidate, 0, last + 1, low_idx, high_idx});
    }
    std::vector<Posting> both;
    std::vector<uint64_t> wanted;
    while (!open.empty()) {
      wanted.clear();
      for (const Range& range : open) wanted.push_back(range.guess());
      SR_TRY(read_some(list, wanted, only));
      std::vector<Range> left;
      for (Range range : open) {
        const uint64_t at = range.guess();
        const auto& [extent, postings] = *list.blocks[at];
        if (*range.candidate < extent.first) {
          range.high = at;
          range.high_idx = extent.first.idx.value;
        } else if (extent.last < *range.candidate) {
          range.low = at + 1;
          range.low_idx = extent.last.idx.value;
        } else {
          if (std::binary_search(postings.begin(), postings.end(), *range.candidate)) {
            both.push_back(*range.candidate);
          }
          continue;
        }
        if (range.low < range.high) left.push_back(range);
      }
      open = std::move(left);
    }
    std::sort(both.begin(), both.end());
    candidates = std::move(both);
    return {};
  }

  // All postings of a packed list, or those that `only` has.
  Result<void> read_packed(TermList& list, std::vector<Posting>& out,
                           const IdxFilter* only = nullptr) {
    constexpr uint64_t kBatch = 64;
    uint64_t postings = 0;
    std::optional<Posting> last;
    std::vector<std::string> keys;
    std::vector<std::optional<std::string>> values;
    if (only == nullptr) out.reserve(list.packed->postings);
    for (uint64_t from = 0; from < list.blocks_count(); from += kBatch) {
      const uint64_t to = std::min(from + kBatch, list.blocks_count());
      keys.clear();
      for (uint64_t j = from; j < to; ++j) keys.push_back(key_of(list.cipher.packed_key(j)));
      SR_TRY(fetch(keys, values));
      for (uint64_t j = from; j < to; ++j) {
        const auto& value = values[j - from];
        if (!value) return damaged();
        SR_ASSIGN(const auto block, list.cipher.open_packed(j, as_bytes(*value), out, only));
        // Each block ascends, and so must they.
        if (last && block.first <= *last) return damaged();
        last = block.last;
        postings += block.count;
      }
    }
    if (postings != list.packed->postings) return damaged();
    return {};
  }

  Result<void> fetch(std::vector<std::string>& keys,
                     std::vector<std::optional<std::string>>& values) {
    ++stats_.store_reads;
    return store_.get(store::Table::kPostings, keys, values);
  }

  // Those of `numbers` that have not been read; of their postings what `only` has, if there is one.
  Result<void> read_some(TermList& list, std::vector<uint64_t> numbers, const IdxFilter* only) {
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    std::erase_if(numbers, [&](uint64_t j) { return list.blocks[j].has_value(); });
    if (numbers.empty()) return {};
    SR_TRY(charge(numbers.size() * kBlockCharge));
    std::vector<std::string> keys;
    for (const uint64_t j : numbers) keys.push_back(key_of(list.cipher.packed_key(j)));
    std::vector<std::optional<std::string>> values;
    SR_TRY(fetch(keys, values));
    for (size_t i = 0; i < keys.size(); ++i) {
      if (!values[i]) return damaged();
      auto& block = list.blocks[numbers[i]].emplace();
      SR_ASSIGN(block.extent,
                list.cipher.open_packed(numbers[i], as_bytes(*values[i]), block.postings, only));
    }
    return {};
  }

  store::Store& store_;
  const SearchLimits& limits_;
  SearchStats& stats_;
};

// Most often they are in order already, or in the opposite one: hundreds of thousands of a common
// word.
template <class Before>
void sort_matches(std::vector<Match>& matches, const Before& before) {
  if (std::is_sorted(matches.begin(), matches.end(), before)) return;
  if (std::is_sorted(matches.rbegin(), matches.rend(), before)) {
    std::reverse(matches.begin(), matches.end());
  } else {
    std::sort(matches.begin(), matches.end(), before);
  }
}

// One match a posting, that of the best rank; ascending by posting.
void keep_best(std::vector<Match>& matches) {
  sort_matches(matches, [](const Match& a, const Match& b) {
    return a.posting != b.posting ? a.posting < b.posting : a.rank < b.rank;
  });
  matches.erase(std::unique(matches.begin(), matches.end(),
                            [](const Match& a, const Match& b) { return a.posting == b.posting; }),
                matches.end());
}

// One lane while a query runs: the plan's clauses over the lane's lists.
class LaneSearch {
 public:
  LaneSearch(LaneReader& reader, std::span<TermList> lists, const SearchPlan& plan,
             SearchStats& stats)
      : reader_(reader), lists_(lists), plan_(plan), stats_(stats) {}

  // Postings of the rarest clause by what the heads say; 0: nothing in this lane can match.
  uint64_t estimate() const {
    uint64_t least = UINT64_MAX;
    for (const auto& clause : plan_.clauses) {
      if (!clause.negated) least = std::min(least, estimate(clause));
    }
    return least;
  }

  // `excluded`: what all but the exclusions matched.
  Result<void> run(std::vector<Match>& out, std::vector<Posting>& excluded) {
    std::vector<size_t> order;
    for (size_t c = 0; c < plan_.clauses.size(); ++c) order.push_back(c);
    // The rarest first, exclusions last.
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      const auto& x = plan_.clauses[a];
      const auto& y = plan_.clauses[b];
      return x.negated != y.negated ? y.negated : estimate(x) < estimate(y);
    });
    std::vector<Match> matches;
    for (size_t k = 0; k < order.size(); ++k) {
      const auto& clause = plan_.clauses[order[k]];
      SR_TRY(k == 0 ? begin(clause, matches) : narrow(clause, matches, excluded));
      if (matches.empty()) return {};
    }
    out.insert(out.end(), matches.begin(), matches.end());
    return {};
  }

  // Adds what is known by now of each clause's postings.
  void note_postings() {
    for (size_t c = 0; c < plan_.clauses.size(); ++c) {
      std::set<uint16_t> terms;
      for (const auto& one : plan_.clauses[c].any_of) {
        terms.insert(one.all_of.begin(), one.all_of.end());
      }
      for (const uint16_t t : terms) stats_.postings[c] += lists_[t].known();
    }
  }

 private:
  using Clause = SearchPlan::Clause;
  using Alternative = SearchPlan::Alternative;

  bool possible(const Alternative& one) const {
    return std::none_of(one.all_of.begin(), one.all_of.end(),
                        [&](uint16_t t) { return lists_[t].absent(); });
  }
  uint64_t estimate(const Alternative& one) const {
    if (!possible(one)) return 0;
    uint64_t least = UINT64_MAX;
    for (const uint16_t t : one.all_of) least = std::min(least, lists_[t].estimate());
    return least;
  }
  uint64_t estimate(const Clause& clause) const {
    uint64_t sum = 0;
    for (const auto& one : clause.any_of) sum += estimate(one);
    return sum;
  }
  std::vector<uint16_t> rarest_first(const Alternative& one) const {
    auto terms = one.all_of;
    std::sort(terms.begin(), terms.end(),
              [&](uint16_t a, uint16_t b) { return lists_[a].estimate() < lists_[b].estimate(); });
    return terms;
  }

  Result<void> begin(const Clause& clause, std::vector<Match>& matches) {
    for (const auto& one : clause.any_of) {
      if (!possible(one)) continue;
      const auto terms = rarest_first(one);
      SR_ASSIGN(const auto* first, reader_.read_all(lists_[terms[0]]));
      std::vector<Posting> found = *first;
      for (size_t t = 1; t < terms.size() && !found.empty(); ++t) {
        SR_TRY(reader_.intersect(lists_[terms[t]], found));
      }
      for (const Posting& posting : found) matches.push_back({posting, one.rank});
    }
    keep_best(matches);
    return {};
  }

  // Keeps those of `matches` that the clause matches too, with the ranks added.
  Result<void> narrow(const Clause& clause, std::vector<Match>& matches,
                      std::vector<Posting>& excluded) {
    std::vector<Match> kept;
    std::vector<Posting> left;
    for (const Match& match : matches) left.push_back(match.posting);
    for (const auto& one : clause.any_of) {
      if (!possible(one)) continue;
      std::vector<Posting> found = left;
      for (const uint16_t t : rarest_first(one)) {
        if (found.empty()) break;
        SR_TRY(reader_.intersect(lists_[t], found));
      }
      for (const Posting& posting : found) kept.push_back({posting, one.rank});
    }
    keep_best(kept);
    std::vector<Match> out;
    auto at = kept.begin();
    for (const Match& match : matches) {
      while (at != kept.end() && at->posting < match.posting) ++at;
      const bool has = at != kept.end() && at->posting == match.posting;
      if (has && clause.negated) excluded.push_back(match.posting);
      if (has == clause.negated) continue;
      out.push_back({match.posting, match.rank + (has ? at->rank : 0)});
    }
    matches = std::move(out);
    return {};
  }

  LaneReader& reader_;
  std::span<TermList> lists_;
  const SearchPlan& plan_;
  SearchStats& stats_;
};

}  // namespace

namespace {

// Of a record that was indexed anew the older lane holds some of the terms, and the newer one all:
// both find it, the better rank counts, and what one excludes is excluded.
void settle_lanes(std::vector<Match>& found, std::vector<Posting>& excluded) {
  keep_best(found);
  std::sort(excluded.begin(), excluded.end());
  std::erase_if(found, [&](const Match& match) {
    return std::binary_search(excluded.begin(), excluded.end(), match.posting);
  });
}

}  // namespace

bool before(const Match& a, const Match& b, bool newest_first) {
  if (a.rank != b.rank) return a.rank < b.rank;
  return newest_first ? b.posting < a.posting : a.posting < b.posting;
}

Result<std::vector<Match>> search(store::Store& store, std::span<const LaneId> lanes,
                                  std::span<const TermToken> tokens, size_t terms,
                                  const SearchPlan& plan, const SearchLimits& limits,
                                  SearchStats& stats) {
  SR_CHECK(tokens.size() == terms * lanes.size(), "a token for each term and lane");
  stats.postings.assign(plan.clauses.size(), 0);
  LaneReader reader(store, limits, stats);
  std::vector<size_t> uses(terms);
  for (const auto& clause : plan.clauses) {
    for (const auto& one : clause.any_of) {
      for (const uint16_t t : one.all_of) ++uses[t];
    }
  }
  std::vector<TermList> lists;
  lists.reserve(tokens.size());
  for (size_t l = 0; l < lanes.size(); ++l) {
    for (size_t t = 0; t < terms; ++t) {
      lists.push_back(
          {TermCipher(lanes[l], tokens[t * lanes.size() + l]), {}, {}, {}, {}, uses[t]});
    }
  }
  SR_TRY(reader.open(lists));

  std::vector<LaneSearch> searches;
  uint64_t estimate = 0;
  for (size_t l = 0; l < lanes.size(); ++l) {
    searches.emplace_back(reader, std::span(lists).subspan(l * terms, terms), plan, stats);
    estimate += searches.back().estimate();
  }
  // Known before anything is read: say it with the number there are.
  if (estimate > limits.scan_max) {
    stats.scanned = estimate;
    return make_error(ErrorCode::kTooBroad, kTooBroadText, static_cast<int64_t>(estimate));
  }
  std::vector<Match> found;
  std::vector<Posting> excluded;
  for (auto& in_lane : searches) {
    if (in_lane.estimate() > 0) SR_TRY(in_lane.run(found, excluded));
    in_lane.note_postings();
  }
  settle_lanes(found, excluded);
  sort_matches(found,
               [&](const Match& a, const Match& b) { return before(a, b, plan.newest_first); });
  return found;
}

}  // namespace strongroom::gateway
