#include "strongroom/gateway/erased_rows.h"

#include <algorithm>

#include "strongroom/gateway/online_writer.h"
#include "strongroom/record/record.h"

namespace strongroom::gateway {
namespace {

Error not_now() {
  Error error = make_error(ErrorCode::kUnavailable,
                           "rows of erased records are still to go, and an import that was cut off "
                           "needs one of them; nothing was lost. Try again, or run that import "
                           "again");
  error.retry_after_ms = 1000;
  return error;
}

}  // namespace

void ErasedRows::open() {
  const std::lock_guard hold(mutex_);
  open_ = true;
}

void ErasedRows::keep(RecordIndex record) {
  const std::lock_guard hold(mutex_);
  kept_.insert(record);
}

void ErasedRows::release(RecordIndex record) {
  const std::lock_guard hold(mutex_);
  kept_.erase(record);
}

Result<void> ErasedRows::catch_up(uint64_t known) {
  if (!behind(known)) return {};
  const std::lock_guard hold(mutex_);
  if (!open_) return not_now();
  return behind(known) ? follow(done_.load()) : Result<void>();
}

Result<void> ErasedRows::recheck(uint64_t known) {
  const std::lock_guard hold(mutex_);
  // What is not followed yet will find these rows anyway.
  return behind(known + 1) ? Result<void>() : follow(known);
}

Result<void> ErasedRows::remove(CollectionId collection, std::span<const RecordIndex> records) {
  const std::lock_guard hold(mutex_);
  if (!open_) return not_now();
  std::vector<std::string> keys;
  for (const RecordIndex idx : records) {
    if (!kept_.contains(idx)) keys.push_back(record::row_key(collection, idx));
  }
  return remove_rows(std::move(keys));
}

Result<void> ErasedRows::follow(uint64_t from) {
  bool all = true;
  for (uint64_t at = from;;) {
    v1::Call call;
    call.mutable_erasures()->set_from(at);
    SR_ASSIGN(const v1::Reply reply, keys_.call_blocking(std::move(call)));
    const auto& listed = reply.erasures();
    std::vector<std::string> keys;
    for (const auto& erased : listed.erased()) {
      const RecordIndex idx{erased.idx()};
      if (idx.value > RecordIndex::kMax) return malformed_reply();
      if (kept_.contains(idx)) {
        all = false;
      } else {
        keys.push_back(record::row_key(CollectionId{erased.collection()}, idx));
      }
    }
    at += static_cast<uint64_t>(listed.erased_size());
    SR_TRY(remove_rows(std::move(keys)));
    if (!all) return not_now();
    if (at > done_.load()) done_ = at;
    if (listed.erased().empty() || at >= listed.erasures()) return {};
  }
}

Result<void> ErasedRows::remove_rows(std::vector<std::string> keys) {
  std::sort(keys.begin(), keys.end());
  std::vector<std::optional<std::string>> values;
  SR_TRY(store_.get(store::Table::kRecords, keys, values));
  std::vector<store::KeyRef> there;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (values[i]) there.push_back({store::Table::kRecords, std::move(keys[i])});
  }
  return there.empty() ? Result<void>() : store_.erase(there, store::Durability::kSynced);
}

}  // namespace strongroom::gateway
