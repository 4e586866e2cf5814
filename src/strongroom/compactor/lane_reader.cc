#include "strongroom/compactor/lane_reader.h"

#include <algorithm>

#include "strongroom/compactor/pace.h"

namespace strongroom::compactor {
namespace {

using index::kLaneSize;
using index::Posting;
using index::PostingKey;
using index::TermCipher;
using index::TermCount;

constexpr size_t kWritesAtOnce = 1024;

Error damaged_lane() {
  return make_error(ErrorCode::kDataLoss,
                    "A lane of the index is damaged or lacks rows, so that it cannot be merged; it "
                    "is searched as before. Restore the store from a backup.");
}

}  // namespace

// A row that must be there.
struct LaneReader::Expected {
  static constexpr uint32_t kHead = 0xffffffff;
  static constexpr uint32_t kBlock = 0x80000000;  // | number of the block.

  PostingKey key;
  TermCount term;
  uint32_t what;  // kHead, a block, or the number of a single.
};

LaneReader::LaneReader(store::Store& store, LaneId lane, const LaneRoot& root, Pace& pace,
                       index::PackerMemory memory)
    : store_(store),
      lane_(lane),
      directory_(lane, root),
      tokens_(root),
      pace_(pace),
      memory_(std::move(memory)) {
  std::tie(from_, to_) = index::lane_range(lane);
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
          outcome = damaged_lane();  // A gap means a lost row.
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
  std::unique_ptr<index::SpoolFile> file;
  if (!memory_.folder.empty()) {
    file = std::make_unique<index::SpoolFile>(
        env::real_files(), memory_.folder + "/lane-" + std::to_string(lane_.value) + "-rows.spool");
  }
  index::Spool<Expected> expected(std::move(file), memory_.bytes_max / 2);
  uint64_t promised = 0;
  TermHash last{};
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
      for (const TermCount& term : writes[i].second) {
        SR_TRY(visit(term.h_w, writes[i].first));
      }
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
    if (expected.size() > 0 && row.terms.front().h_w <= last) return damaged_lane();
    last = row.terms.back().h_w;
    for (const TermCount& term : row.terms) promised += term.count;
    return expect_rows(row.terms, expected);
  }));
  SR_TRY(flush());
  if (expected.size() == 0) return {};
  SR_ASSIGN(const uint64_t read, read_packed(expected, versions, visit));
  return read == promised ? Result<void>() : damaged_lane();
}

Result<void> LaneReader::expect_rows(std::span<const TermCount> terms,
                                     index::Spool<Expected>& out) {
  TermCipher cipher(lane_, TermToken());
  std::vector<TermHash> hashes;
  std::vector<TermToken> tokens(terms.size());
  std::vector<PostingKey> keys;
  for (const TermCount& term : terms) hashes.push_back(term.h_w);
  tokens_.tokens(hashes, tokens);
  const auto add = [&](const PostingKey& key, const TermCount& term, uint32_t what) {
    out.add(key[kLaneSize], {key, term, what});
  };
  for (size_t t = 0; t < terms.size(); ++t) {
    const TermCount& term = terms[t];
    cipher.rekey(lane_, tokens[t]);
    const bool packed = term.blocks != 0;
    keys.resize(packed ? term.blocks : term.count);
    if (packed) {
      add(cipher.head_key(), term, Expected::kHead);
      cipher.packed_keys(0, keys);
    } else {
      cipher.single_keys(0, keys);
    }
    for (uint32_t k = 0; k < keys.size(); ++k) {
      add(keys[k], term, packed ? Expected::kBlock | k : k);
    }
  }
  return out.keep_within_limit();
}

Result<uint64_t> LaneReader::read_packed(index::Spool<Expected>& expected, Versions& versions,
                                         const Visit& visit) {
  std::vector<Expected> rows;  // Of labels with one first byte, ascending.
  auto next = rows.cbegin();
  size_t buckets = 0;  // Taken so far.
  const auto take_bucket = [&]() -> Result<void> {
    if (next != rows.cend()) return damaged_lane();  // The store has fewer.
    rows.clear();
    SR_TRY(expected.take(static_cast<uint8_t>(buckets++), rows));
    std::sort(rows.begin(), rows.end(),
              [](const Expected& a, const Expected& b) { return a.key < b.key; });
    next = rows.cbegin();
    return {};
  };
  TermCipher cipher(lane_, TermToken());
  TermToken token;
  std::vector<Posting> postings;
  uint64_t all = 0;
  uint64_t unpaced = 0;
  const auto take = [&](std::string_view key, std::string_view value) -> Result<void> {
    // Nothing missing, nothing more.
    if (key.size() != index::kPostingKeySize) return damaged_lane();
    while (buckets <= static_cast<uint8_t>(key[kLaneSize])) SR_TRY(take_bucket());
    if (next == rows.cend() || key != as_text(next->key)) return damaged_lane();
    const Expected& row = *next++;
    const TermCount& term = row.term;
    token = tokens_.token(term.h_w);
    cipher.rekey(lane_, token);
    postings.clear();
    if (row.what == Expected::kHead) {
      SR_ASSIGN(const index::PackedHead head, cipher.open_head(as_bytes(value)));
      if (head != index::PackedHead{term.count, term.blocks}) return damaged_lane();
    } else if ((row.what & Expected::kBlock) != 0) {
      const uint64_t j = row.what & ~Expected::kBlock;
      SR_TRY(cipher.open_packed(j, as_bytes(value), postings));
    } else {
      SR_ASSIGN(const Posting posting, cipher.open_single(row.what, as_bytes(value)));
      postings.push_back(posting);
    }
    for (const Posting& posting : postings) {
      SR_ASSIGN(const bool current, versions.current(posting));
      if (current) SR_TRY(visit(term.h_w, posting));
    }
    all += postings.size();
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
  while (buckets < index::Spool<Expected>::kBuckets) SR_TRY(take_bucket());
  return next == rows.cend() ? Result<uint64_t>(all) : damaged_lane();
}

}  // namespace strongroom::compactor
