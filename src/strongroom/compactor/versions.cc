#include "strongroom/compactor/versions.h"

#include <algorithm>

#include "strongroom/record/record.h"

namespace strongroom::compactor {
namespace {

Error damaged_record() {
  return make_error(ErrorCode::kDataLoss,
                    "A stored record is damaged, so that its lanes cannot be merged; they are "
                    "searched as before. Restore the store from a backup.");
}

Result<uint32_t> u_lo_of(std::string_view row) {
  const auto header = record::parse_row(as_bytes(row));
  if (!header) return damaged_record();
  return static_cast<uint32_t>(header->u.value);
}

}  // namespace

Result<const Versions::Block*> Versions::block(uint32_t number) {
  if (last_ != nullptr && number == last_number_) return last_;
  auto& slot = blocks_[number];
  if (slot == nullptr) {
    auto block = std::make_unique<Block>();
    const std::string from = record::row_key(collection_, RecordIndex::of(number, 0));
    const std::string to =
        record::row_key(collection_, RecordIndex::of(number, RecordIndex::kPerBlock - 1)) + '\0';
    Result<void> outcome;
    SR_TRY(store_.scan(store::Table::kRecords, from, to,
                       [&](std::string_view key, std::string_view value) {
                         CollectionId collection;
                         RecordIndex idx;
                         const auto u_lo = u_lo_of(value);
                         if (!u_lo || !record::parse_row_key(as_bytes(key), &collection, &idx)) {
                           outcome = damaged_record();
                           return false;
                         }
                         block->present.set(idx.offset());
                         block->u_lo[idx.offset()] = *u_lo;
                         return true;
                       }));
    SR_TRY(outcome);
    slot = std::move(block);
  }
  last_number_ = number;
  last_ = slot.get();
  return last_;
}

Result<bool> Versions::current(const index::Posting& posting) {
  SR_ASSIGN(const Block* rows, block(posting.idx.block()));
  const uint32_t at = posting.idx.offset();
  return rows->present.test(at) && rows->u_lo[at] == posting.u_lo;
}

Result<void> Versions::current(std::span<const index::Posting> postings, std::vector<bool>& out) {
  std::vector<std::string> keys;
  keys.reserve(postings.size());
  for (const index::Posting& p : postings) keys.push_back(record::row_key(collection_, p.idx));
  std::vector<std::string> sorted = keys;
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  std::vector<std::optional<std::string>> rows;
  SR_TRY(store_.get(store::Table::kRecords, sorted, rows));
  out.assign(postings.size(), false);
  for (size_t i = 0; i < postings.size(); ++i) {
    const auto at = std::lower_bound(sorted.begin(), sorted.end(), keys[i]) - sorted.begin();
    const auto& row = rows[static_cast<size_t>(at)];
    if (!row) continue;
    SR_ASSIGN(const uint32_t u_lo, u_lo_of(*row));
    out[i] = u_lo == postings[i].u_lo;
  }
  return {};
}

}  // namespace strongroom::compactor
