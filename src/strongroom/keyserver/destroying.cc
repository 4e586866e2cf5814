// All old records of a collection: asked for by one, signed by several, or fallen due by the
// collection's retention. Scheduled, so that anybody of some standing can cancel it; then carried
// out between calls, a block at a time, so that nobody waits for it.
#include <algorithm>

#include "strongroom/base/durations.h"
#include "strongroom/keyserver/key_server.h"
#include "strongroom/keyserver/refusals.h"

namespace strongroom::keyserver {
namespace {

constexpr uint64_t kRetentionEveryMs = 60'000;  // Looked at.
constexpr uint64_t kNoticeMs = 3'600'000;       // That the server has run through, knowing of it.

}  // namespace

std::vector<RecordIndex> KeyServer::destroyed_in(uint32_t block, uint64_t before_ms) const {
  const BlockInfo& info = ledger_.blocks()[block];
  std::vector<RecordIndex> out;
  if (info.last_ms >= before_ms || ledger_.erasures().count_in(block) >= info.granted) return out;
  for (uint32_t offset = 0; offset < info.granted; ++offset) {
    const RecordIndex idx = RecordIndex::of(block, offset);
    if (!ledger_.erasures().contains(idx) && !ledger_.holds().held(idx)) out.push_back(idx);
  }
  return out;
}

// By the block: a registry has too many records to look at each while calls wait. What is held was
// not erased.
KeyServer::Destructible KeyServer::destructible(CollectionId collection, uint64_t before_ms,
                                                uint32_t from) const {
  const auto held_in = ledger_.holds().records_by_block();
  Destructible out;
  for (uint32_t block = from; block < ledger_.blocks().size(); ++block) {
    const BlockInfo& info = ledger_.blocks()[block];
    if (info.collection != collection || info.last_ms >= before_ms) continue;
    const auto held = held_in.find(block);
    const uint64_t kept = held == held_in.end() ? 0 : held->second;
    out.held += kept;
    out.records += info.granted - ledger_.erasures().count_in(block) - kept;
  }
  return out;
}

Result<v1::RequestDestructionResponse> KeyServer::request_destruction(
    const std::string& who, const v1::RequestDestructionRequest& request) {
  SR_TRY(require(who, {v1::MANAGE_COLLECTIONS}));
  const CollectionInfo* collection = ledger_.collection(request.collection());
  if (collection == nullptr) {
    return no_collection();
  }
  // Else records that nobody has yet, and that nobody who signs knows of, would go with it.
  if (request.before_ms() > now_ms()) {
    return make_error(ErrorCode::kInvalidArgument,
                      "Old records are those from before a time in the past.");
  }
  v1::ApprovalRequest asked;
  v1::DestructionPlan& plan = *asked.mutable_destruction();
  plan.set_collection(collection->definition.id());
  plan.set_before_ms(request.before_ms());
  plan.set_records(destructible(CollectionId{plan.collection()}, plan.before_ms(), 0).records);
  if (plan.records() == 0) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "There is nothing to erase: records go by the block of 4,096, once its "
                      "youngest is as old as that, and those under a hold stay.");
  }
  v1::RequestDestructionResponse out;
  out.set_records(plan.records());
  SR_ASSIGN(const uint64_t id, propose(who, std::move(asked), request.reason()));
  out.set_request(id);
  return out;
}

Result<v1::LogItem> KeyServer::scheduled(uint64_t request, CollectionId collection,
                                         uint64_t before_ms) const {
  if (ledger_.destructions().pending() >= kDestructionsPendingMax) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "As many erasures of old records wait as may. Cancel some, or wait.");
  }
  v1::LogItem item;
  v1::DestructionItem& destruction = *item.mutable_destruction();
  destruction.set_request(request);
  destruction.set_collection(collection.value);
  destruction.set_before_ms(before_ms);
  destruction.set_due_ms(now_ms_ + ledger_.engine().destruction_delay_ms());
  return item;
}

Result<v1::ListDestructionsResponse> KeyServer::list_destructions(
    const std::string& who, const v1::ListDestructionsRequest&) const {
  SR_TRY(require(
      who, {v1::MANAGE_COLLECTIONS, v1::APPROVE, v1::HOLD_RECORDS, v1::READ_LOG, v1::FREEZE}));
  v1::ListDestructionsResponse out;
  for (const auto& [id, known] : ledger_.destructions().all()) {
    v1::DestructionView& view = *out.add_destructions();
    view.set_id(id);
    view.set_collection(ledger_.collection(known.collection)->definition.name());
    view.set_before_ms(known.before_ms);
    view.set_due_ms(known.due_ms);
    view.set_request(known.request);
    view.set_author(known.author);
    view.set_erased(known.erased);
    view.set_held(known.held);
    view.set_cancelled_by(known.cancelled_by);
    switch (known.end) {
      case Destruction::End::kCancelled:
        view.set_state(v1::DestructionView::CANCELLED);
        break;
      case Destruction::End::kDone:
        view.set_state(v1::DestructionView::DONE);
        break;
      case Destruction::End::kPending: {
        const Destructible left = destructible(known.collection, known.before_ms, known.next_block);
        view.set_left(left.records);
        view.set_held(left.held);
        view.set_state(known.next_block == 0 ? v1::DestructionView::SCHEDULED
                                             : v1::DestructionView::RUNNING);
        break;
      }
    }
  }
  return out;
}

Result<v1::CancelDestructionResponse> KeyServer::cancel_destruction(
    const std::string& who, const v1::CancelDestructionRequest& request) {
  SR_TRY(require(who, {v1::MANAGE_COLLECTIONS, v1::APPROVE, v1::HOLD_RECORDS, v1::FREEZE}));
  SR_TRY(check_reason(request.reason()));
  const Destruction* known = ledger_.destructions().find(request.id());
  if (known == nullptr) {
    return make_error(ErrorCode::kNotFound,
                      "There is no such erasure of old records. `destruction list` shows them.");
  }
  if (known->end != Destruction::End::kPending) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "It has ended already: what it erased is gone for ever.");
  }
  v1::LogItem item;
  item.mutable_destruction()->set_step(v1::DestructionItem::CANCELLED);
  item.mutable_destruction()->set_id(request.id());
  item.mutable_destruction()->set_reason(request.reason());
  v1::CancelDestructionResponse out;
  SR_ASSIGN(const uint64_t leaf, log_change(who, std::move(item), tlog::EntryType::kErasure));
  out.set_leaf(leaf);
  return out;
}

// What has become too old for its collection is scheduled like what several have signed.
Result<void> KeyServer::schedule_retention(uint64_t now) {
  if (now < retention_looked_ms_ + kRetentionEveryMs) return {};
  retention_looked_ms_ = now;
  for (const auto& [number, info] : ledger_.collections()) {
    const uint64_t kept_ms = info.definition.retention_days() * kDayMs;
    const CollectionId collection{number};
    const uint64_t delay = ledger_.engine().destruction_delay_ms();
    if (kept_ms == 0 || kept_ms >= now ||
        ledger_.destructions().retention_underway(collection, now - std::min(now, delay)) ||
        destructible(collection, now - kept_ms, 0).records == 0) {
      continue;
    }
    const auto item = scheduled(0, collection, now - kept_ms);
    if (!item) return {};  // As many wait as may: another time.
    SR_TRY(stage(tlog::EntryType::kErasure, {&*item, 1}, now));
  }
  return {};
}

// At most one block. What it stages, destroyed_ says.
Result<void> KeyServer::stage_destruction(uint64_t now) {
  destroyed_.clear();
  SR_TRY(schedule_retention(now));
  // As for any erasure: a log that was put back may lack what cancelled it.
  if (!check_witnessed(now)) return {};
  for (const auto& [id, known] : ledger_.destructions().all()) {
    if (known.end != Destruction::End::kPending) continue;
    // Neither right after a start, when nobody could have cancelled it, nor at once because
    // somebody set the clock ahead.
    const uint64_t us = clock_.monotonic_us();
    const uint64_t seen_us = destructions_seen_us_.try_emplace(id, us).first->second;
    if (known.due_ms > now || us - seen_us < std::min(known.delay_ms, kNoticeMs) * 1000) continue;
    std::vector<v1::LogItem> items(1);
    v1::DestructionItem& step = *items[0].mutable_destruction();
    step.set_id(id);
    for (uint32_t block = known.next_block; block < ledger_.blocks().size(); ++block) {
      if (ledger_.blocks()[block].collection != known.collection) continue;
      destroyed_ = destroyed_in(block, known.before_ms);
      if (destroyed_.empty()) continue;
      step.set_step(v1::DestructionItem::ERASED);
      step.set_block(block);
      break;
    }
    if (destroyed_.empty()) {
      step.set_step(v1::DestructionItem::DONE);
      step.set_held(destructible(known.collection, known.before_ms, 0).held);
    }
    for (const RecordIndex idx : destroyed_) {
      v1::ErasureItem& item = *items.emplace_back().mutable_erasure();
      item.set_collection(known.collection.value);
      item.set_idx(idx.value);
    }
    const auto position = stage(tlog::EntryType::kErasure, items, now);
    if (!position) {
      destroyed_.clear();
      return position.error();
    }
    destroyed_position_ = *position;
    return {};
  }
  return {};
}

Result<void> KeyServer::finish_destruction(std::span<const DurableLeaf> leaves) {
  if (destroyed_.empty()) return {};
  for (const RecordIndex idx : destroyed_) state_->erase(leaves[destroyed_position_], idx);
  destroyed_.clear();
  erasures_applied_ = ledger_.erasures().in_order().size();
  return state_->commit(log_->size());
}

}  // namespace strongroom::keyserver
