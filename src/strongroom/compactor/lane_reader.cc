#include "strongroom/compactor/lane_reader.h"

#include <algorithm>

#include "strongroom/index/lanes.h"
#include "strongroom/index/radix_sort.h"

namespace strongroom::compactor {
namespace {

using index::Posting;
using index::PostingKey;
using index::TermCipher;
using index::TermCount;

constexpr size_t kLaneSize = 3;
constexpr size_t kWritesAtOnce = 1024;
constexpr size_t kTermsAtOnce = 256;
constexpr uint64_t kPaceStep = 1024;

Error damaged() {
  return make_error(ErrorCode::kDataLoss,
                    "A lane of the index is damaged or lacks rows, so that it cannot be merged; it "
                    "is searched as before. Restore the store from a backup.");
}

uint64_t blocks_of(uint64_t postings) {
  return (postings + index::kPackedPostings - 1) / index::kPackedPostings;
}

}  // namespace

std::string lane_prefix(uint32_t lane) {
  std::string out;
  append_be(out, lane, kLaneSize);
  return out;
}

std::pair<std::string, std::string> lane_range(LaneId lane) {
  return {lane_prefix(lane.value),
          lane.value == kLaneMax ? std::string() : lane_prefix(lane.value + 1)};
}

// A row that must be there.
struct LaneReader::Expected {
  static constexpr uint32_t kHead = 0xffffffff;
  static constexpr uint32_t kBlock = 0x80000000;  // | number of the block.

  PostingKey key;
  uint32_t term;
  uint32_t what;  // kHead, a block, or the number of a single.
};

LaneReader::LaneReader(store::Store& store, LaneId lane, const LaneRoot& root, Pace& pace)
    : store_(store), lane_(lane), directory_(lane, root), tokens_(root), pace_(pace) {
  std::tie(from_, to_) = lane_range(lane);
}

Result<void> LaneReader::for_each_row(
    const std::function<Result<void>(index::DirectoryRow&&)>& visit) {
  uint64_t number = 0;
  Result<void> outcome;
  SR_TRY(store_.scan(
      store::Table::kDirectory, from_, to_, [&](std::string_view key, std::string_view value) {
        auto row = directory_.open(as_bytes(key), as_bytes(value));
        if (!row) {
          outcome = row.error();
        } else if (load_be<uint64_t>(as_bytes(key).data() + kLaneSize, 5) != number++) {
          outcome = damaged();  // A gap means a lost row.
        } else {
          outcome = visit(std::move(*row));
        }
        return outcome.has_value();
      }));
  return outcome;
}

Result<uint64_t> LaneReader::count() {
  uint64_t postings = 0;
  SR_TRY(for_each_row([&](index::DirectoryRow&& row) -> Result<void> {
    for (const TermCount& term : row.terms) postings += term.count;
    return {};
  }));
  return postings;
}

Result<void> LaneReader::read(Versions& versions, const Visit& visit) {
  std::vector<TermCount> packed;
  std::vector<std::pair<Posting, std::vector<TermCount>>> writes;
  std::vector<Posting> postings;
  std::vector<bool> current;
  const auto flush = [&]() -> Result<void> {
    postings.clear();
    uint64_t spent = 0;
    for (const auto& [posting, terms] : writes) postings.push_back(posting);
    SR_TRY(versions.current(postings, current));
    for (size_t i = 0; i < writes.size(); ++i) {
      spent += writes[i].second.size() + 1;
      if (!current[i]) continue;
      for (const TermCount& term : writes[i].second) visit(term.h_w, writes[i].first);
    }
    writes.clear();
    pace_.spend(spent);
    return {};
  };
  SR_TRY(for_each_row([&](index::DirectoryRow&& row) -> Result<void> {
    if (row.write) {
      writes.emplace_back(*row.write, std::move(row.terms));
      return writes.size() < kWritesAtOnce ? Result<void>() : flush();
    }
    // Over the rows too: of a term that is there twice, one would hide the other.
    if (!packed.empty() && row.terms.front().h_w <= packed.back().h_w) return damaged();
    packed.insert(packed.end(), row.terms.begin(), row.terms.end());
    return {};
  }));
  SR_TRY(flush());
  if (packed.empty()) return {};
  return read_packed(std::move(packed), versions, visit);
}

Result<void> LaneReader::expect_rows(std::span<const TermCount> terms, std::vector<Expected>& out) {
  size_t rows = 0;
  for (const TermCount& term : terms) {
    if (term.count > index::kLanePostingsMax) return damaged();
    rows += term.count < index::kPackedMin ? term.count : 1 + blocks_of(term.count);
  }
  out.reserve(rows);
  TermCipher cipher(lane_, TermToken());
  std::vector<TermHash> hashes;
  std::vector<TermToken> tokens(kTermsAtOnce);
  std::vector<PostingKey> keys;
  for (size_t from = 0; from < terms.size(); from += kTermsAtOnce) {
    const auto part = terms.subspan(from, std::min(kTermsAtOnce, terms.size() - from));
    hashes.clear();
    for (const TermCount& term : part) hashes.push_back(term.h_w);
    tokens_.tokens(hashes, std::span<TermToken>(tokens).first(part.size()));
    for (size_t t = 0; t < part.size(); ++t) {
      const auto term = static_cast<uint32_t>(from + t);
      cipher.rekey(lane_, tokens[t]);
      const bool packed = part[t].count >= index::kPackedMin;
      keys.resize(packed ? blocks_of(part[t].count) : part[t].count);
      if (packed) {
        out.push_back({cipher.head_key(), term, Expected::kHead});
        cipher.packed_keys(0, keys);
      } else {
        cipher.single_keys(0, keys);
      }
      for (uint32_t k = 0; k < keys.size(); ++k) {
        out.push_back({keys[k], term, packed ? Expected::kBlock | k : k});
      }
    }
  }
  return {};
}

Result<void> LaneReader::read_packed(std::vector<TermCount> terms, Versions& versions,
                                     const Visit& visit) {
  std::vector<Expected> expected;
  SR_TRY(expect_rows(terms, expected));
  index::radix_sort(
      std::span<Expected>(expected), 0, 8,
      [](const Expected& row, size_t n) { return row.key[kLaneSize + n]; },
      [](const Expected& a, const Expected& b) { return a.key < b.key; });

  auto next = expected.begin();
  TermCipher cipher(lane_, TermToken());
  TermToken token;
  std::vector<Posting> postings;
  uint64_t unpaced = 0;
  const auto take = [&](std::string_view key, std::string_view value) -> Result<void> {
    // Nothing missing, nothing more.
    if (next == expected.end() || key != as_text(next->key)) return damaged();
    const Expected& row = *next++;
    const TermCount& term = terms[row.term];
    token = tokens_.token(term.h_w);
    cipher.rekey(lane_, token);
    postings.clear();
    if (row.what == Expected::kHead) {
      SR_ASSIGN(const uint64_t count, cipher.open_head(as_bytes(value)));
      if (count != term.count) return damaged();
    } else if ((row.what & Expected::kBlock) != 0) {
      const uint64_t j = row.what & ~Expected::kBlock;
      SR_TRY(cipher.open_packed(j, as_bytes(value), postings));
      const uint64_t left = term.count - j * index::kPackedPostings;
      if (postings.size() != std::min<uint64_t>(left, index::kPackedPostings)) return damaged();
    } else {
      SR_ASSIGN(const Posting posting, cipher.open_single(row.what, as_bytes(value)));
      postings.push_back(posting);
    }
    for (const Posting& posting : postings) {
      SR_ASSIGN(const bool current, versions.current(posting));
      if (current) visit(term.h_w, posting);
    }
    unpaced += postings.size();
    if (unpaced >= kPaceStep) pace_.spend(std::exchange(unpaced, 0));
    return {};
  };
  Result<void> outcome;
  SR_TRY(store_.scan(store::Table::kPostings, from_, to_,
                     [&](std::string_view key, std::string_view value) {
                       outcome = take(key, value);
                       return outcome.has_value();
                     }));
  SR_TRY(outcome);
  if (next != expected.end()) return damaged();
  return {};
}

}  // namespace strongroom::compactor
