// Decide and stage, as decide.cc does: lanes of the index, opened, ended and merged, and how far a
// gateway's store is.
#include <algorithm>

#include "strongroom/crypto/hash.h"
#include "strongroom/keyserver/key_server.h"
#include "strongroom/keyserver/pending.h"
#include "strongroom/keyserver/refusals.h"

namespace strongroom::keyserver {
namespace {

using tlog::EntryType;

constexpr size_t kLaneItemsMax = 4096;  // In one entry.
constexpr uint64_t kMarkEveryMs = 500;

Error no_lane_numbers() {
  return make_error(ErrorCode::kFailedPrecondition, "This vault has no lane numbers left.");
}

}  // namespace

Result<void> KeyServer::decide_open_lane(const v1::OpenLaneCall& call, uint64_t now,
                                         Pending& pending) {
  SR_ASSIGN(const TicketRecord* record,
            admit(call.ticket(), as_bytes(call.request_id()), now, writes_as(call.update())));
  const CollectionInfo* collection = ledger_.collection(record->collection());
  if (collection == nullptr) return no_collection();
  // While older records are indexed, packed lanes go to whoever does it.
  const bool reindexes = call.packed() && !call.history() && !collection->renews() &&
                         collection->definition.reindexing().below_u() != 0 &&
                         ledger_.engine().decide(ticket_ask(*record, v1::REINDEX), now);
  if (call.update() && (call.packed() || call.history())) {
    return invalid("A change of single records goes to an online lane.");
  }
  if (call.renew() && (!call.packed() || call.history() || !collection->renews())) {
    return invalid("No terms of this collection are being made anew.");
  }
  const policy::Ask ask = ticket_ask(*record, call.renew() || reindexes ? v1::REINDEX
                                              : call.update()           ? v1::UPDATE
                                                                        : v1::IMPORT);
  SR_TRY(ledger_.engine().decide(ask, now));
  if (collection->live_lanes.size() + collection->history_lanes.size() +
          collection->renewed_lanes.size() + collection->reserved_lanes >=
      kLanesPerCollectionMax) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "This collection has as many lanes as it may. Merge lanes first.");
  }
  if (ledger_.next_lane() > kLaneMax) {
    return no_lane_numbers();
  }
  pending.collection = record->collection();
  pending.lane = LaneId{ledger_.next_lane()};
  v1::LogItem items[2];
  fill_ticket_item(*record, call.request_id(), 0, *items[0].mutable_ticket());
  v1::LaneItem& item = *items[1].mutable_lane();
  item.set_lane(pending.lane.value);
  item.set_collection(pending.collection.value);
  item.set_change(call.packed() ? v1::LaneItem::RESERVED : v1::LaneItem::OPENED);
  item.set_history(call.history());
  item.set_renewed(call.renew());
  pending.holder = ledger_.engine().holder(ask);
  item.set_generation(ledger_.generation() + 1);
  SR_ASSIGN(pending.position, stage(EntryType::kGrant, items, now));
  return {};
}

Result<void> KeyServer::decide_publish_lane(const v1::PublishLaneCall& call, uint64_t now,
                                            Pending& pending) {
  const auto it = ledger_.lanes().find(call.lane());
  if (it == ledger_.lanes().end()) {
    return make_error(ErrorCode::kNotFound, "There is no such lane. Open one.");
  }
  const LaneInfo& lane = it->second;
  if (ledger_.is_merge_target(call.lane())) {
    return make_error(ErrorCode::kPermissionDenied,
                      "This lane is the target of a merge: only the compactor ends that.");
  }
  v1::LaneItem::Change from = v1::LaneItem::RESERVED;
  v1::LaneItem::Change to = v1::LaneItem::PUBLISHED;
  switch (call.change()) {
    case v1::PublishLaneCall::PUBLISH:
      break;
    case v1::PublishLaneCall::CLOSE:
      from = v1::LaneItem::OPENED;
      to = v1::LaneItem::CLOSED;
      break;
    case v1::PublishLaneCall::DROP:
      to = v1::LaneItem::DROPPED;
      break;
    default:
      return invalid("A lane can be published, closed or dropped.");
  }
  pending.lane = LaneId{call.lane()};
  pending.collection = lane.collection;
  if (lane.status == to) {
    pending.leaf = lane.leaf;
    return {};
  }
  if (lane.status != from) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "This lane is past that: only a packed lane is published or dropped, once, "
                      "and only an online lane is closed.");
  }
  v1::LogItem items[1];
  v1::LaneItem& item = *items[0].mutable_lane();
  item.set_lane(call.lane());
  item.set_collection(lane.collection.value);
  item.set_change(to);
  item.set_generation(ledger_.generation() + 1);
  SR_ASSIGN(pending.position, stage(EntryType::kGrant, items, now));
  return {};
}

Result<void> KeyServer::decide_reset_lanes(uint64_t now, Pending& pending) {
  std::vector<v1::LogItem> items;
  for (const auto& [number, lane] : ledger_.lanes()) {
    const bool open = lane.status == v1::LaneItem::OPENED;
    const bool reserved = lane.status == v1::LaneItem::RESERVED && !ledger_.is_merge_target(number);
    if (!open && !reserved) continue;
    v1::LaneItem& item = *items.emplace_back().mutable_lane();
    item.set_lane(number);
    item.set_collection(lane.collection.value);
    item.set_change(open ? v1::LaneItem::CLOSED : v1::LaneItem::DROPPED);
    item.set_generation(ledger_.generation() + items.size());
    if (open) ++pending.closed;
    if (reserved) pending.gone.push_back(number);
    if (items.size() == kLaneItemsMax) break;  // The rest at the gateway's next start.
  }
  if (items.empty()) return {};
  SR_ASSIGN(pending.position, stage(EntryType::kGrant, items, now));
  return {};
}

Result<void> KeyServer::decide_mark_store(const v1::MarkStoreCall& call, uint64_t now,
                                          Pending& pending) {
  if (ledger_.store_goes_back(call.position(), call.list()) && !call.lost()) {
    return invalid("A store does not go back. Put the newest one back.");
  }
  if (call.lanes_size() > static_cast<int>(kLaneItemsMax)) {
    return invalid("A mark names 4,096 lanes at most.");
  }
  if (call.has_list() && call.list().sha256().size() != crypto::Digest().size()) {
    return invalid("The hash of a store's list has 32 bytes.");
  }
  // It needs no ticket, and so must not fill the log.
  if (store_marked_ms_ != 0 && now < store_marked_ms_ + kMarkEveryMs) {
    Error error =
        make_error(ErrorCode::kUnavailable, "The log has just been told how far the store is.");
    error.retry_after_ms = kMarkEveryMs;
    return error;
  }
  v1::LogItem item;
  item.mutable_store()->set_position(call.position());
  *item.mutable_store()->mutable_lanes() = call.lanes();
  item.mutable_store()->set_lost(call.lost());
  if (call.has_list()) *item.mutable_store()->mutable_list() = call.list();
  SR_ASSIGN(pending.position, stage(EntryType::kGrant, {&item, 1}, now));
  store_marked_ms_ = now;
  return {};
}

Result<void> KeyServer::check_compactor(const std::string& credential) const {
  const auto& expected = options_.compactor_credential;
  if (expected && crypto::equal_ct(crypto::sha256({as_bytes(credential)}), *expected)) return {};
  return make_error(
      ErrorCode::kPermissionDenied,
      "Only the compactor may merge lanes, with the credential that `serve` gave it.");
}

Result<void> KeyServer::decide_begin_merge(const v1::BeginMergeCall& call, uint64_t now,
                                           Pending& pending) {
  SR_TRY(check_compactor(call.credential()));
  const CollectionId collection{call.collection()};
  if (ledger_.collection(collection) == nullptr) return no_collection();
  pending.holder.collection = collection;
  SR_TRY(ledger_.engine().clear(pending.holder));
  std::vector<uint32_t> sources(call.sources().begin(), call.sources().end());
  std::sort(sources.begin(), sources.end());
  if (sources.empty() || sources.size() > kMergeSourcesMax ||
      std::adjacent_find(sources.begin(), sources.end()) != sources.end()) {
    return invalid("A merge names 1 to 4096 lanes, each once.");
  }
  for (const uint32_t source : sources) {
    if (ledger_.mergeable(source, collection)) continue;
    return make_error(ErrorCode::kFailedPrecondition,
                      "Only lanes of one collection that are searched and that no writer has open "
                      "can be merged; the number of one that cannot follows. Ask for the lanes "
                      "again.",
                      source);
  }
  if (ledger_.next_lane() > kLaneMax) {
    return no_lane_numbers();
  }
  SR_TRY(reserve_reply((sources.size() + 1) * LaneRoot::kSize));

  std::vector<v1::LogItem> items;
  if (const auto& merge = ledger_.merge()) {
    pending.gone.push_back(merge->lane);
    v1::LaneItem& item = *items.emplace_back().mutable_lane();
    item.set_lane(merge->lane);
    item.set_collection(ledger_.lanes().at(merge->lane).collection.value);
    item.set_change(v1::LaneItem::DROPPED);
    item.set_generation(ledger_.generation() + 1);
  }
  pending.collection = collection;
  pending.lane = LaneId{ledger_.next_lane()};
  v1::LaneItem& item = *items.emplace_back().mutable_lane();
  item.set_lane(pending.lane.value);
  item.set_collection(collection.value);
  item.set_change(v1::LaneItem::RESERVED);
  item.set_generation(ledger_.generation() + items.size());
  item.mutable_sources()->Add(sources.begin(), sources.end());
  SR_ASSIGN(pending.position, stage(EntryType::kGrant, items, now));
  return {};
}

Result<void> KeyServer::decide_finish_merge(const v1::FinishMergeCall& call, uint64_t now,
                                            Pending& pending) {
  SR_TRY(check_compactor(call.credential()));
  const auto it = ledger_.lanes().find(call.lane());
  if (it == ledger_.lanes().end()) {
    return make_error(ErrorCode::kNotFound, "There is no such lane. Begin a merge.");
  }
  const auto ended = call.sources().empty() ? v1::LaneItem::DROPPED : v1::LaneItem::PUBLISHED;
  if (!ledger_.is_merge_target(call.lane())) {
    if (it->second.status != ended) {
      return make_error(ErrorCode::kFailedPrecondition,
                        "This merge is no longer under way: another was begun, or the key server "
                        "started anew. Begin again; nothing was lost.");
    }
    pending.leaf = it->second.leaf;
    return {};
  }
  std::vector<uint32_t> sources(call.sources().begin(), call.sources().end());
  std::sort(sources.begin(), sources.end());
  const auto& begun = ledger_.merge()->sources;
  if (std::adjacent_find(sources.begin(), sources.end()) != sources.end() ||
      !std::includes(begun.begin(), begun.end(), sources.begin(), sources.end())) {
    return invalid("A merge ends with lanes that it did not begin with, or names one twice.");
  }
  pending.collection = it->second.collection;
  pending.lane = LaneId{call.lane()};
  pending.gone = sources;
  if (sources.empty()) pending.gone.push_back(call.lane());
  v1::LogItem items[1];
  v1::LaneItem& item = *items[0].mutable_lane();
  item.set_lane(call.lane());
  item.set_collection(pending.collection.value);
  item.set_change(sources.empty() ? v1::LaneItem::DROPPED : v1::LaneItem::MERGED);
  item.set_generation(ledger_.generation() + 1);
  item.mutable_sources()->Add(sources.begin(), sources.end());
  SR_ASSIGN(pending.position, stage(EntryType::kGrant, items, now));
  return {};
}

}  // namespace strongroom::keyserver
