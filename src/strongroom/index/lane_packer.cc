#include "strongroom/index/lane_packer.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>

#include "strongroom/base/check.h"
#include "strongroom/crypto/derive.h"
#include "strongroom/index/postings.h"

namespace strongroom::index {
namespace {

constexpr size_t kTokenBatch = 256;
constexpr size_t kBuckets = Spool<char>::kBuckets;

// The order of memcmp, in two comparisons.
bool less16(const ByteArray<16>& a, const ByteArray<16>& b) {
  const uint64_t a0 = load_be64(a.data());
  const uint64_t b0 = load_be64(b.data());
  if (a0 != b0) return a0 < b0;
  return load_be64(a.data() + 8) < load_be64(b.data() + 8);
}

template <size_t N>
struct BlockRow {
  static constexpr size_t kSize = N;
  PostingKey key;
  ByteArray<N> value;
};
using LargeBlock = BlockRow<kPackedLargeSize>;
using MiddleBlock = BlockRow<kPackedSize>;
using TailBlock = BlockRow<kPackedTailSize>;

// Any row of the lane, to be sorted: large ones are not moved about.
struct RowView {
  PostingKey key;
  const uint8_t* value;
  size_t size;
};
template <class Row>
void append_views(std::span<const Row> rows, std::vector<RowView>& out) {
  for (const Row& row : rows) out.push_back({row.key, row.value.data(), row.value.size()});
}

// The postings of a bucket by term. Reused from bucket to bucket. Terms are hashes, so their first
// bytes serve as those of the table; most postings are of few terms, so there is little to sort.
class Terms {
 public:
  struct Term {
    TermHash h_w;
    uint32_t count = 0;
    uint32_t begun = 0;  // Of `count`, those of the first feeder.
    uint32_t end = 0;    // In `postings_`.
  };

  // The first `begun` of them are of the first feeder.
  template <class Entry>
  void group(uint8_t bucket, std::span<const Entry> entries, size_t begun) {
    terms_.clear();
    slots_.assign(kSlotsMin, 0);
    term_of_.resize(entries.size());
    for (size_t i = 0; i < entries.size(); ++i) {
      const uint32_t t = find(bucket, entries[i].term);
      term_of_[i] = t;
      ++terms_[t].count;
      if (i < begun) ++terms_[t].begun;
    }
    uint32_t at = 0;
    for (Term& term : terms_) {
      term.end = at;
      at += term.count;
    }
    postings_.resize(entries.size());
    for (size_t i = 0; i < entries.size(); ++i) {
      postings_[terms_[term_of_[i]].end++] = entries[i].posting();
    }
    for (Term& term : terms_) sort_postings(term);
    std::sort(terms_.begin(), terms_.end(),
              [](const Term& a, const Term& b) { return a.h_w < b.h_w; });
  }
  std::span<const Term> terms() const { return terms_; }       // Ascending.
  std::span<const Posting> postings(const Term& term) const {  // Ascending.
    return {&postings_[term.end - term.count], term.count};
  }

 private:
  static constexpr size_t kSlotsMin = 1024;

  // A record that was indexed anew comes from two lanes: once is enough.
  void sort_postings(Term& term) {
    const auto begin = postings_.begin() + (term.end - term.count);
    const auto middle = begin + term.begun;
    const auto end = postings_.begin() + term.end;
    if (std::is_sorted(begin, middle) && std::is_sorted(middle, end)) {
      if (middle != begin && middle != end && *middle < *(middle - 1)) {
        std::inplace_merge(begin, middle, end);
      }
    } else {
      std::sort(begin, end);
    }
    const auto repeats = static_cast<uint32_t>(end - std::unique(begin, end));
    term.end -= repeats;
    term.count -= repeats;
  }
  size_t home(const ByteArray<15>& rest) const {
    return load_le<uint64_t>(rest.data()) & (slots_.size() - 1);
  }
  uint32_t find(uint8_t bucket, const ByteArray<15>& rest) {
    for (size_t at = home(rest);; at = (at + 1) & (slots_.size() - 1)) {
      const uint32_t slot = slots_[at];
      if (slot == 0) {
        Term& added = terms_.emplace_back();
        added.h_w.bytes[0] = bucket;
        std::copy(rest.begin(), rest.end(), added.h_w.bytes.begin() + 1);
        slots_[at] = static_cast<uint32_t>(terms_.size());
        if (terms_.size() * 2 > slots_.size()) grow();
        return static_cast<uint32_t>(terms_.size() - 1);
      }
      if (memcmp(&terms_[slot - 1].h_w.bytes[1], rest.data(), rest.size()) == 0) return slot - 1;
    }
  }
  void grow() {
    slots_.assign(slots_.size() * 2, 0);
    for (size_t t = 0; t < terms_.size(); ++t) {
      ByteArray<15> rest;
      std::copy_n(&terms_[t].h_w.bytes[1], rest.size(), rest.begin());
      size_t at = home(rest);
      while (slots_[at] != 0) at = (at + 1) & (slots_.size() - 1);
      slots_[at] = static_cast<uint32_t>(t + 1);
    }
  }

  std::vector<Term> terms_;
  std::vector<uint32_t> slots_;  // Open addressing, linear probing: number of a term + 1, or 0.
  std::vector<uint32_t> term_of_;
  std::vector<Posting> postings_;
};

}  // namespace

// The lane's directory while its buckets are sealed by two threads, in any order. Thread-safe.
class LanePacker::DirectoryRows {
 public:
  DirectoryRows(LaneId lane, const LaneRoot& root, const Emit& emit)
      : writer_(lane, root), emit_(emit) {}

  // All terms of a bucket, ascending. Emits what can be by now.
  Result<void> add(size_t bucket, std::vector<TermCount> terms) {
    const std::lock_guard hold(mutex_);
    waiting_.emplace(bucket, std::move(terms));
    for (auto at = waiting_.find(next_); at != waiting_.end(); at = waiting_.find(++next_)) {
      for (const TermCount& term : at->second) {
        row_.push_back(term);
        if (row_.size() == DirectoryWriter::kTermsPerRow) SR_TRY(emit_row());
      }
      waiting_.erase(at);
    }
    return {};
  }
  Result<void> finish() { return row_.empty() ? Result<void>() : emit_row(); }

 private:
  Result<void> emit_row() {
    const SealedRow row = writer_.terms_row(row_);
    row_.clear();
    return emit_(row.key, row.value);
  }

  std::mutex mutex_;
  DirectoryWriter writer_;
  const Emit& emit_;
  std::map<size_t, std::vector<TermCount>> waiting_;  // By bucket.
  size_t next_ = 0;
  std::vector<TermCount> row_;
};

// One thread's part: terms in, sealed rows by label out.
class LanePacker::Sealer {
 public:
  // spool_file(name) makes the file of what does not fit into `bytes_max`.
  template <class SpoolFileOf>
  Sealer(LaneId lane, const LaneRoot& root, size_t bytes_max, const SpoolFileOf& spool_file)
      : lane_(lane),
        lane_tokens_(root),
        cipher_(lane, TermToken()),
        small_(spool_file("singles"), bytes_max / 2),
        tails_(spool_file("tails"), bytes_max / 8),
        middle_(spool_file("middle"), bytes_max / 8),
        large_(spool_file("large"), bytes_max / 4),
        tokens_(kTokenBatch) {}

  Result<void> seal(uint8_t bucket, std::array<Spool<Entry>, kFeeders>& from,
                    std::vector<TermCount>& directory) {
    std::vector<Entry> entries;
    SR_TRY(from[0].take(bucket, entries));
    const size_t begun = entries.size();
    SR_TRY(from[1].take(bucket, entries));
    terms_.group(bucket, std::span<const Entry>(entries), begun);
    entries = {};
    const auto all = terms_.terms();
    directory.reserve(all.size());
    std::vector<TermHash> hashes;
    for (size_t at = 0; at < all.size(); at += kTokenBatch) {
      const auto part = all.subspan(at, std::min(kTokenBatch, all.size() - at));
      hashes.clear();
      for (const auto& term : part) hashes.push_back(term.h_w);
      lane_tokens_.tokens(hashes, std::span<TermToken>(tokens_).first(part.size()));
      for (size_t t = 0; t < part.size(); ++t) {
        const uint32_t blocks = seal_term(tokens_[t], terms_.postings(part[t]));
        directory.push_back({part[t].h_w, part[t].count, blocks});
      }
      SR_TRY(small_.keep_within_limit());
      SR_TRY(tails_.keep_within_limit());
      SR_TRY(middle_.keep_within_limit());
      SR_TRY(large_.keep_within_limit());
    }
    return {};
  }

  // Rows of a first byte of the label; all rows of one take() are valid until the next.
  struct Rows {
    std::vector<SealedPosting> small;  // Singles and heads.
    std::vector<TailBlock> tails;
    std::vector<MiddleBlock> middle;
    std::vector<LargeBlock> large;

    void clear() {
      small.clear();
      tails.clear();
      middle.clear();
      large.clear();
    }
    // Ascending.
    void view(std::vector<RowView>& out) const {
      out.clear();
      append_views(std::span(small), out);
      append_views(std::span(tails), out);
      append_views(std::span(middle), out);
      append_views(std::span(large), out);
      std::sort(out.begin(), out.end(),
                [](const auto& a, const auto& b) { return less16(a.key, b.key); });
    }
  };
  // Appends.
  Result<void> take(uint8_t label, Rows& rows) {
    SR_TRY(small_.take(label, rows.small));
    SR_TRY(tails_.take(label, rows.tails));
    SR_TRY(middle_.take(label, rows.middle));
    return large_.take(label, rows.large);
  }

 private:
  // Returns how many blocks it took.
  uint32_t seal_term(const TermToken& token, std::span<const Posting> postings) {
    cipher_.rekey(lane_, token);
    if (postings.size() < kPackedMin) {
      singles_.resize(postings.size());
      cipher_.seal_singles(0, postings, singles_);
      for (const SealedPosting& row : singles_) small_.add(row.key[kLaneSize], row);
      return 0;
    }
    uint32_t blocks = 0;
    for (auto left = postings; !left.empty(); ++blocks) {
      if (blocks % keys_.size() == 0) cipher_.packed_keys(blocks, keys_);
      left = left.subspan(cipher_.seal_packed(blocks, left, value_));
      const PostingKey& key = keys_[blocks % keys_.size()];
      if (value_.size() == LargeBlock::kSize) {
        add_block(large_, key);
      } else if (value_.size() == MiddleBlock::kSize) {
        add_block(middle_, key);
      } else {
        add_block(tails_, key);
      }
    }
    const PostingKey head = cipher_.head_key();
    small_.add(head[kLaneSize], {head, cipher_.seal_head({postings.size(), blocks})});
    return blocks;
  }
  template <class Row>
  void add_block(Spool<Row>& to, const PostingKey& key) {
    Row row;
    row.key = key;
    std::copy(value_.begin(), value_.end(), row.value.begin());
    to.add(key[kLaneSize], row);
  }

  LaneId lane_;
  crypto::LaneTokens lane_tokens_;
  TermCipher cipher_;
  Spool<SealedPosting> small_;
  Spool<TailBlock> tails_;
  Spool<MiddleBlock> middle_;
  Spool<LargeBlock> large_;
  Terms terms_;
  std::vector<TermToken> tokens_;
  std::vector<SealedPosting> singles_;
  std::array<PostingKey, 4> keys_;  // Most terms have fewer blocks.
  std::string value_;
};

LanePacker::LanePacker(LaneId lane, LaneRoot root, PackerMemory memory)
    : lane_(lane),
      root_(std::move(root)),
      memory_(std::move(memory)),
      entries_{Spool<Entry>(spool_file("terms0"), memory_.bytes_max / 2),
               Spool<Entry>(spool_file("terms1"), memory_.bytes_max / 2)} {
  static_assert(sizeof(Entry) == 24);
  SR_CHECK(lane.value <= kLaneMax, "a lane number has 24 bits");
}

LanePacker::~LanePacker() = default;

std::unique_ptr<SpoolFile> LanePacker::spool_file(const char* name) const {
  if (memory_.folder.empty()) return nullptr;
  return std::make_unique<SpoolFile>(
      env::real_files(),
      memory_.folder + "/lane-" + std::to_string(lane_.value) + "-" + name + ".spool");
}

void LanePacker::reserve(size_t postings, size_t feeders) {
  const size_t each = std::min(postings, memory_.bytes_max / 2 / sizeof(Entry)) / feeders;
  for (size_t f = 0; f < feeders; ++f) entries_[f].reserve(each);
}

Result<void> LanePacker::keep_within_limit() {
  if (entries_[0].held_bytes() + entries_[1].held_bytes() < memory_.bytes_max / 2) return {};
  for (auto& entries : entries_) SR_TRY(entries.spill());
  return {};
}

void LanePacker::add(const TermHash& term, const Posting& posting, size_t feeder) {
  SR_CHECK(posting.idx.value <= RecordIndex::kMax, "a record index has 40 bits");
  Entry entry;
  std::copy_n(&term.bytes[1], entry.term.size(), entry.term.begin());
  store_le<uint64_t>(entry.idx, posting.idx.value, sizeof(entry.idx));
  entry.u_lo = posting.u_lo;
  entries_[feeder].add(term.bytes[0], entry);
}

Result<void> LanePacker::finish(const Emit& posting_row, const Emit& directory_row) {
  return finish({posting_row, posting_row}, directory_row,
                [](const std::function<void(size_t)>& work) {
                  work(0);
                  work(1);
                });
}

Result<void> LanePacker::finish(const std::array<Emit, 2>& postings, const Emit& directory_row,
                                const Both& both) {
  SR_CHECK(!finished_, "a lane is finished once");
  finished_ = true;
  DirectoryRows directory(lane_, root_, directory_row);
  const size_t each = memory_.bytes_max / 4;
  const auto files_of = [this](const char* sealer) {
    return [this, sealer](const std::string& name) { return spool_file((name + sealer).c_str()); };
  };
  std::array<Sealer, 2> sealers{Sealer(lane_, root_, each, files_of("0")),
                                Sealer(lane_, root_, each, files_of("1"))};
  root_.wipe();

  std::atomic<size_t> next = 0;
  std::atomic<bool> failed = false;
  std::array<Result<void>, 2> outcome;
  const auto seal = [&](size_t half) -> Result<void> {
    for (size_t bucket; !failed && (bucket = next++) < kBuckets;) {
      std::vector<TermCount> terms;
      SR_TRY(sealers[half].seal(static_cast<uint8_t>(bucket), entries_, terms));
      SR_TRY(directory.add(bucket, std::move(terms)));
    }
    return {};
  };
  both([&](size_t half) {
    outcome[half] = seal(half);
    if (!outcome[half]) failed = true;
  });
  for (const auto& done : outcome) SR_TRY(done);
  SR_TRY(directory.finish());

  const auto emit = [&](size_t half) -> Result<void> {
    Sealer::Rows rows;
    std::vector<RowView> views;
    for (size_t label = half * kBuckets / 2; label < (half + 1) * kBuckets / 2; ++label) {
      rows.clear();
      for (Sealer& sealer : sealers) SR_TRY(sealer.take(static_cast<uint8_t>(label), rows));
      rows.view(views);
      for (const RowView& row : views) {
        if (failed) return {};
        SR_TRY(postings[half](as_text(row.key), as_text(Bytes(row.value, row.size))));
      }
    }
    return {};
  };
  both([&](size_t half) {
    outcome[half] = emit(half);
    if (!outcome[half]) failed = true;
  });
  for (const auto& done : outcome) SR_TRY(done);
  return {};
}

}  // namespace strongroom::index
