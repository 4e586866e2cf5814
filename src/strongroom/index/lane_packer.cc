#include <algorithm>

#include "strongroom/base/check.h"
#include "strongroom/index/lanes.h"
#include "strongroom/index/radix_sort.h"

namespace strongroom::index {
namespace {

constexpr size_t kLaneSize = 3;  // Of a key: the same in all rows of a lane.
constexpr size_t kTokenBatch = 256;

uint64_t load_be64(const uint8_t* in) {
  uint64_t value;
  memcpy(&value, in, sizeof(value));
  return __builtin_bswap64(value);
}

// The order of memcmp, in two comparisons.
bool less16(const ByteArray<16>& a, const ByteArray<16>& b) {
  const uint64_t a0 = load_be64(a.data());
  const uint64_t b0 = load_be64(b.data());
  if (a0 != b0) return a0 < b0;
  return load_be64(a.data() + 8) < load_be64(b.data() + 8);
}

// A block is too large to move about while sorting: its key, and where its value is.
struct BlockRow {
  PostingKey key;
  size_t number;
};

template <class Row>
void sort_rows(std::vector<Row>& rows) {
  radix_sort(
      std::span<Row>(rows), 0, 8, [](const Row& row, size_t n) { return row.key[kLaneSize + n]; },
      [](const Row& a, const Row& b) { return less16(a.key, b.key); });
}

}  // namespace

struct LanePacker::Sealed {
  std::vector<SealedPosting> small;  // Singles and heads.
  std::vector<BlockRow> blocks;
  std::string block_values;  // kPackedSize each.

  std::string_view block_value(const BlockRow& row) const {
    return std::string_view(block_values).substr(row.number * kPackedSize, kPackedSize);
  }
};

LanePacker::LanePacker(LaneId lane, LaneRoot root) : lane_(lane), root_(std::move(root)) {
  static_assert(sizeof(Entry) == 28);
  SR_CHECK(lane.value <= kLaneMax, "a lane number has 24 bits");
}

void LanePacker::add(const TermHash& term, const Posting& posting) {
  SR_CHECK(posting.idx.value <= RecordIndex::kMax, "a record index has 40 bits");
  entries_.push_back({term, static_cast<uint32_t>(posting.idx.value), posting.u_lo,
                      static_cast<uint8_t>(posting.idx.value >> 32)});
}

template <class Visit>
void LanePacker::for_each_term(const Visit& visit) const {
  for (size_t from = 0; from < entries_.size();) {
    size_t to = from + 1;
    while (to < entries_.size() && entries_[to].term == entries_[from].term) ++to;
    visit(std::span<const Entry>(entries_).subspan(from, to - from));
    from = to;
  }
}

void LanePacker::sort_entries() {
  radix_sort(
      std::span<Entry>(entries_), 0, 8,
      [](const Entry& entry, size_t n) { return entry.term.bytes[n]; },
      [](const Entry& a, const Entry& b) {
        if (less16(a.term.bytes, b.term.bytes)) return true;
        if (less16(b.term.bytes, a.term.bytes)) return false;
        return a.posting() < b.posting();
      });
}

void LanePacker::seal_all(Sealed& sealed) const {
  size_t small = 0;
  size_t blocks = 0;
  for_each_term([&](std::span<const Entry> term) {
    const bool packed = term.size() >= kPackedMin;
    small += packed ? 1 : term.size();
    blocks += packed ? (term.size() + kPackedPostings - 1) / kPackedPostings : 0;
  });
  sealed.small.reserve(small);
  sealed.blocks.reserve(blocks);
  sealed.block_values.reserve(blocks * kPackedSize);

  crypto::LaneTokens lane_tokens(root_);
  TermCipher cipher(lane_, TermToken());
  std::vector<Posting> postings;
  std::vector<PostingKey> keys;
  const auto seal_term = [&](const TermToken& token, std::span<const Entry> term) {
    cipher.rekey(lane_, token);
    postings.clear();
    for (const Entry& entry : term) postings.push_back(entry.posting());
    if (term.size() < kPackedMin) {
      const size_t at = sealed.small.size();
      sealed.small.resize(at + term.size());
      cipher.seal_singles(0, postings, std::span<SealedPosting>(sealed.small).subspan(at));
      return;
    }
    sealed.small.push_back({cipher.head_key(), cipher.seal_head(term.size())});
    keys.resize((term.size() + kPackedPostings - 1) / kPackedPostings);
    cipher.packed_keys(0, keys);
    for (size_t j = 0; j < keys.size(); ++j) {
      const size_t from = j * kPackedPostings;
      const size_t count = std::min(kPackedPostings, postings.size() - from);
      sealed.blocks.push_back({keys[j], sealed.blocks.size()});
      sealed.block_values +=
          cipher.seal_packed(j, std::span<const Posting>(postings).subspan(from, count));
    }
  };

  std::vector<TermHash> hashes;
  std::vector<std::span<const Entry>> terms;
  std::vector<TermToken> tokens(kTokenBatch);
  const auto seal_batch = [&] {
    lane_tokens.tokens(hashes, std::span<TermToken>(tokens).first(hashes.size()));
    for (size_t t = 0; t < terms.size(); ++t) seal_term(tokens[t], terms[t]);
    hashes.clear();
    terms.clear();
  };
  for_each_term([&](std::span<const Entry> term) {
    hashes.push_back(term.front().term);
    terms.push_back(term);
    if (terms.size() == kTokenBatch) seal_batch();
  });
  seal_batch();
}

Result<void> LanePacker::emit_postings(const Emit& posting_row) const {
  Sealed sealed;
  seal_all(sealed);
  sort_rows(sealed.small);
  sort_rows(sealed.blocks);
  auto block = sealed.blocks.begin();
  const auto emit_blocks_before = [&](const PostingKey* key) -> Result<void> {
    for (; block != sealed.blocks.end() && (key == nullptr || less16(block->key, *key)); ++block) {
      SR_TRY(posting_row(as_text(block->key), sealed.block_value(*block)));
    }
    return {};
  };
  for (const SealedPosting& row : sealed.small) {
    SR_TRY(emit_blocks_before(&row.key));
    SR_TRY(posting_row(as_text(row.key), as_text(row.value)));
  }
  return emit_blocks_before(nullptr);
}

Result<void> LanePacker::emit_directory(const Emit& directory_row) const {
  DirectoryWriter directory(lane_, root_);
  std::vector<TermCount> terms;
  Result<void> outcome;
  const auto emit_row = [&] {
    const SealedRow row = directory.terms_row(terms);
    terms.clear();
    outcome = directory_row(row.key, row.value);
  };
  for_each_term([&](std::span<const Entry> term) {
    if (!outcome) return;
    terms.push_back({term.front().term, static_cast<uint32_t>(term.size())});
    if (terms.size() == DirectoryWriter::kTermsPerRow) emit_row();
  });
  if (outcome && !terms.empty()) emit_row();
  return outcome;
}

Result<void> LanePacker::finish(const Emit& posting_row, const Emit& directory_row) {
  SR_CHECK(!finished_, "a lane is finished once");
  finished_ = true;
  sort_entries();
  Result<void> outcome = emit_postings(posting_row);
  if (outcome) outcome = emit_directory(directory_row);
  root_.wipe();
  entries_ = {};
  return outcome;
}

}  // namespace strongroom::index
