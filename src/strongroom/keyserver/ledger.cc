#include "strongroom/keyserver/ledger.h"

#include <algorithm>

namespace strongroom::keyserver {
namespace {

using tlog::EntryType;

Error foreign(uint64_t leaf) {
  return make_error(ErrorCode::kDataLoss,
                    "The release log holds an entry that this version does not understand (the "
                    "number is its leaf). Run the version that wrote it; do not delete anything.",
                    static_cast<int64_t>(leaf));
}

}  // namespace

Ledger::Ledger(ByteArray<16> vault, std::vector<std::string> gateways)
    : vault_(vault), tickets_(vault, std::move(gateways), engine_) {}

const CollectionInfo* Ledger::collection(CollectionId id) const {
  const auto it = collections_.find(id.value);
  return it == collections_.end() ? nullptr : &it->second;
}

const CollectionInfo* Ledger::collection(std::string_view name) const {
  for (const auto& [id, info] : collections_) {
    if (info.definition.name() == name) return &info;
  }
  return nullptr;
}

std::vector<v1::Collection> Ledger::definitions() const {
  std::vector<v1::Collection> out;
  for (const auto& [id, info] : collections_) out.push_back(info.definition);
  return out;
}

std::optional<CollectionId> Ledger::granted(RecordIndex idx) const {
  if (idx.value > RecordIndex::kMax || idx.block() >= blocks_.size()) return std::nullopt;
  const BlockInfo& block = blocks_[idx.block()];
  if (idx.offset() >= block.granted) return std::nullopt;
  return block.collection;
}

uint64_t Ledger::live_lanes() const {
  uint64_t count = 0;
  for (const auto& [id, info] : collections_) count += info.live_lanes.size();
  return count;
}

bool Ledger::mergeable(uint32_t lane, CollectionId collection) const {
  const auto it = lanes_.find(lane);
  if (it == lanes_.end()) return false;
  const LaneInfo& info = it->second;
  return info.collection == collection && !info.history && !info.retired && !info.renewed &&
         (info.status == v1::LaneItem::PUBLISHED || info.status == v1::LaneItem::CLOSED);
}

bool Ledger::restore() {
  const v1::Policy policy = engine_.policy();
  const auto rules = watch::compile_rules(policy.watch());
  if (!rules || !engine_.set_policy(policy, definitions())) return false;
  alarms_.set_rules(*rules);
  return true;
}

Result<void> Ledger::replay(const tlog::Entry& entry) {
  if (parsed_.size() < entry.items.size()) parsed_.resize(entry.items.size());
  for (size_t i = 0; i < entry.items.size(); ++i) {
    if (!parsed_[i].ParseFromString(entry.items[i])) return foreign(entry.leaf.value);
  }
  tickets_.evict(entry.t_ms);
  return apply(entry.type, entry.leaf.value, entry.t_ms,
               std::span(parsed_).first(entry.items.size()));
}

Result<void> Ledger::apply(EntryType type, uint64_t leaf, uint64_t t_ms,
                           std::span<const v1::LogItem> items) {
  Result<void> applied = foreign(leaf);
  if (items.empty()) return applied;
  switch (type) {
    case EntryType::kStart:
      // Another vault's log in this vault's folder.
      if (!items[0].has_start() || items[0].start().vault() != as_text(vault_))
        return foreign(leaf);
      keys_.started();
      return {};
    case EntryType::kPolicy:
      for (const v1::LogItem& item : items) {
        applied = apply_change(item, leaf, t_ms);
        if (!applied) break;
      }
      break;
    case EntryType::kRelease:
      applied = apply_release(items, leaf, t_ms);
      break;
    case EntryType::kToken:
      applied = apply_token(items, leaf, t_ms);
      break;
    case EntryType::kGrant:
      applied = apply_grant(items, leaf, t_ms);
      break;
    case EntryType::kErasure:
      applied = apply_erasure(items, leaf, t_ms);
      break;
    case EntryType::kReport:
      applied = apply_report(items, leaf, t_ms);
      break;
    case EntryType::kBackup:
      applied = apply_backup(items[0], leaf, t_ms);
      break;
    case EntryType::kApproval:
      applied = apply_approval(items, leaf, t_ms);
      break;
    case EntryType::kFreeze:
      for (const v1::LogItem& item : items) {
        applied = apply_freeze(item, leaf, t_ms);
        if (!applied) break;
      }
      break;
    case EntryType::kKeys:
      for (const v1::LogItem& item : items) {
        if (!keys_.apply(item, leaf, t_ms)) return foreign(leaf);
      }
      applied = {};
      break;
    case EntryType::kWatch:
      if (alarms_.note_watch(leaf, t_ms, items)) applied = {};
      break;
    case EntryType::kCounters:  // Says what the entries before it come to, and changes nothing.
      if (!items[0].has_counters()) return foreign(leaf);
      return {};
    default:
      break;
  }
  if (!applied) return foreign(leaf);
  if (type != EntryType::kWatch && type != EntryType::kFreeze) alarms_.note(leaf, t_ms, items);
  return {};
}

Result<void> Ledger::apply_collection(const v1::Collection& next, uint64_t leaf, uint64_t t_ms) {
  SR_TRY(policy::check_collection(next));
  CollectionInfo& info = collections_[next.id()];
  const bool renewed = next.terms() == info.definition.terms() + 1;
  if (renewed ? !info.renews() : next.terms() != info.definition.terms()) return foreign(leaf);
  const bool renewing = info.renews();
  info.definition = next;
  info.leaf = leaf;
  if (!next.has_reindexing()) info.reindexed = 0;
  if (!renewing && info.renews()) {
    info.renewal_leaf = leaf;
    info.renewal_ms = t_ms;
  }
  if (renewed) finish_renewal(info);
  // Grants name groups: what they resolve to may have grown.
  const v1::Policy policy = engine_.policy();
  SR_TRY(engine_.set_policy(policy, definitions()));
  return {};
}

void Ledger::finish_renewal(CollectionInfo& info) {
  for (const uint32_t lane : info.live_lanes) lanes_[lane].retired = true;
  for (const uint32_t lane : info.renewed_lanes) lanes_[lane].renewed = false;
  info.live_lanes = std::move(info.renewed_lanes);
  info.renewed_lanes.clear();
  ++generation_;
}

Result<void> Ledger::apply_definition(const v1::LogItem& item, uint64_t leaf, uint64_t t_ms) {
  if (item.has_collection()) {
    SR_TRY(apply_collection(item.collection(), leaf, t_ms));
  } else if (item.has_policy()) {
    SR_TRY(engine_.set_policy(item.policy(), definitions()));
    policy_leaf_ = leaf;
    SR_ASSIGN(const watch::Rules rules, watch::compile_rules(item.policy().watch()));
    alarms_.set_rules(rules);
  } else if (item.has_principal()) {
    engine_.set_principal(item.principal(), leaf);
  } else {
    return foreign(leaf);
  }
  ++revision_;
  return {};
}

Result<void> Ledger::apply_freeze(const v1::LogItem& item, uint64_t leaf, uint64_t t_ms) {
  if (!item.has_freeze()) return foreign(leaf);
  const v1::FreezeItem& freeze = item.freeze();
  SR_ASSIGN(const policy::Scope scope, policy::parse_scope(freeze.scope()));
  if (freeze.thaw()) {
    engine_.freezes().remove(scope);
  } else {
    engine_.freezes().add(scope, {freeze.to_masked(), freeze.reason(), item.author(), t_ms, leaf});
  }
  return {};
}

// One step of a request, and with the last one needed what it asked for.
Result<void> Ledger::apply_approval(std::span<const v1::LogItem> items, uint64_t leaf,
                                    uint64_t t_ms) {
  const std::string& who = items[0].author();
  if (items[0].has_review()) {
    for (const uint64_t reviewed : items[0].review().leaves()) history_.reviewed(reviewed);
    return {};
  }
  if (!items[0].has_approval()) return foreign(leaf);
  const v1::ApprovalItem& step = items[0].approval();
  const auto* entry = engine_.principal(who);
  bool fits = false;
  switch (step.step()) {
    case v1::ApprovalItem::OPENED: {
      SR_ASSIGN(auto request, policy::parse_approval_request(step.bytes(), vault_));
      fits =
          request.id() == step.request() && approvals_.open(std::move(request), step.bytes(), leaf);
      break;
    }
    case v1::ApprovalItem::APPROVED:
      fits = entry != nullptr && step.done() == (items.size() > 1) &&
             approvals_.approve(step.request(), {who, entry->generation}, step.done(), leaf);
      break;
    case v1::ApprovalItem::DENIED:
      fits = approvals_.close(step.request(), policy::RequestState::End::kDenied, who, leaf);
      break;
    case v1::ApprovalItem::WITHDRAWN:
      fits = approvals_.close(step.request(), policy::RequestState::End::kWithdrawn, who, leaf);
      break;
    default:
      break;
  }
  if (!fits) return foreign(leaf);
  for (const v1::LogItem& item : items.subspan(1)) {
    if (item.has_root() || item.has_log_key()) {
      if (!keys_.apply(item, leaf, t_ms)) return foreign(leaf);
      continue;
    }
    if (item.has_export_()) {
      if (!apply_export(item, leaf, t_ms)) return foreign(leaf);
      continue;
    }
    if (item.has_destruction()) {
      if (!schedule_destruction(item.destruction(), leaf, t_ms)) return foreign(leaf);
      continue;
    }
    SR_TRY(apply_change(item, leaf, t_ms));
  }
  return {};
}

// By one, or by several who signed it.
Result<void> Ledger::apply_change(const v1::LogItem& item, uint64_t leaf, uint64_t t_ms) {
  if (item.has_freeze()) return apply_freeze(item, leaf, t_ms);
  if (item.has_embargo_lift()) {
    embargo_lifts_.add(item.embargo_lift(), leaf);
    return {};
  }
  if (!item.has_hold()) return apply_definition(item, leaf, t_ms);
  for (const uint64_t idx : item.hold().idx()) {
    if (granted(RecordIndex{idx}) != CollectionId{item.hold().collection()}) return foreign(leaf);
  }
  if (!holds_.apply(item.hold(), item.author(), leaf, t_ms)) return foreign(leaf);
  return {};
}

bool Ledger::apply_export(const v1::LogItem& item, uint64_t leaf, uint64_t t_ms) {
  const policy::RequestState* const state = approvals_.find(item.export_().request());
  if (state == nullptr || !state->request.has_export_()) return false;
  Export approved;
  approved.plan = state->request.export_();
  approved.author = state->request.author();
  approved.until_ms = item.export_().until_ms();
  approved.last_leaf = leaf;
  exports_.approved(item.export_().request(), std::move(approved), t_ms);
  return true;
}

void Ledger::charge(const v1::TicketItem& ticket, const policy::Amounts& amounts, EntryType type,
                    uint64_t leaf, uint64_t t_ms) {
  const CollectionId collection{ticket.collection()};
  engine_.charge({ticket.principal(), ticket.purpose(), ticket.gateway(), collection, amounts},
                 t_ms);
  history_.add(
      ticket.principal(),
      {leaf, t_ms, type, ticket.purpose(), ticket.case_reference(), collection, ticket.charge()},
      ticket.emergency());
}

Result<void> Ledger::apply_release(std::span<const v1::LogItem> items, uint64_t leaf,
                                   uint64_t t_ms) {
  if (!items[0].has_ticket()) return foreign(0);
  const v1::TicketItem& ticket = items[0].ticket();
  const v1::ChainItem* chain = nullptr;  // Entries of versions before 0.2 end with the releases.
  if (items.size() > 3 && items.back().has_chain()) {
    chain = &items.back().chain();
    if (!items[items.size() - 2].has_shown()) return foreign(leaf);
    items = items.first(items.size() - 2);
    if (static_cast<size_t>(chain->before_size()) != items.size() - 1) return foreign(leaf);
  }
  records_.clear();
  for (const v1::LogItem& item : items.subspan(1)) {
    if (!item.has_release()) return foreign(0);
    const RecordIndex idx{item.release().idx()};
    const RecordReleases known = releases_.of(idx);
    const bool chained =
        chain == nullptr || chain->before(static_cast<int>(records_.size())) == known.last;
    if (!chained || item.release().k() != known.count) return foreign(leaf);
    releases_.add(idx, leaf);
    // A record opened for the index, or by an export, is not paid for by whoever asks for it next.
    const bool job = ticket.reindex() || ticket.export_() != 0;
    if (!job) {
      engine_.note_opened(ticket.principal(), idx, item.release().groups(), t_ms);
    }
    records_.push_back(idx);
  }
  // Each record of a search is answered once. A job's are charged each time, and are too many to
  // keep.
  if (ticket.reindex() || ticket.export_() != 0) records_.clear();
  tickets_.note(ticket, TicketBook::Kind::kRelease, records_);
  if (ticket.reindex()) {
    const auto info = collections_.find(ticket.collection());
    if (info == collections_.end()) return foreign(leaf);
    info->second.reindexed += ticket.charge();
    charge(ticket, {.reindexed = ticket.charge()}, EntryType::kRelease, leaf, t_ms);
    return {};
  }
  if (ticket.export_() != 0) {
    if (!exports_.opened(ticket.export_(), ticket.charge(), leaf)) return foreign(leaf);
    charge(ticket, {.exported = ticket.charge()}, EntryType::kRelease, leaf, t_ms);
    return {};
  }
  charge(ticket,
         {.records = ticket.charge() - std::min(ticket.charge(), ticket.free()),
          .repeats = ticket.free()},
         EntryType::kRelease, leaf, t_ms);
  return {};
}

// Told of each record: an access, which costs as one.
Result<void> Ledger::apply_report(std::span<const v1::LogItem> items, uint64_t leaf,
                                  uint64_t t_ms) {
  if (items.size() < 2 || !items[0].has_ticket()) return foreign(leaf);
  for (const v1::LogItem& item : items.subspan(1)) {
    if (!item.has_reported()) return foreign(leaf);
  }
  const v1::TicketItem& ticket = items[0].ticket();
  charge(ticket, {.records = ticket.charge()}, EntryType::kReport, leaf, t_ms);
  return {};
}

Result<void> Ledger::apply_token(std::span<const v1::LogItem> items, uint64_t leaf, uint64_t t_ms) {
  if (items.size() < 2 || !items[0].has_ticket() || !items[1].has_token()) return foreign(leaf);
  const v1::TicketItem& ticket = items[0].ticket();
  const bool unique = items[1].token().unique();
  policy::Amounts amounts;
  if (unique) {
    (ticket.reindex() ? amounts.reindexed : amounts.uniques) = ticket.charge();
    const auto info = collections_.find(ticket.collection());
    if (info == collections_.end()) return foreign(leaf);
    if (!info->second.unique_leaf && !ticket.reindex()) {
      info->second.unique_leaf = leaf;
      info->second.unique_ms = t_ms;
    }
  } else if (ticket.export_() == 0) {  // An export's is the one search that was signed.
    amounts.searches = ticket.charge();
  }
  tickets_.note(ticket, unique ? TicketBook::Kind::kOther : TicketBook::Kind::kSearch, {});
  charge(ticket, amounts, EntryType::kToken, leaf, t_ms);
  return {};
}

bool Ledger::store_goes_back(uint64_t position, const v1::StoreList& list) const {
  const v1::StoreList& known = store_mark_.list();
  return position < store_mark_.position() ||
         std::pair(list.number(), list.size()) < std::pair(known.number(), known.size());
}

Result<void> Ledger::apply_grant(std::span<const v1::LogItem> items, uint64_t leaf, uint64_t t_ms) {
  if (items[0].has_store()) {
    const v1::StoreItem& mark = items[0].store();
    if (items.size() != 1 || (store_goes_back(mark.position(), mark.list()) && !mark.lost())) {
      return foreign(leaf);
    }
    store_mark_ = mark;
    return {};
  }
  // A lane is published by the gateway itself, under no ticket.
  if (items[0].has_ticket()) {
    const v1::TicketItem& ticket = items[0].ticket();
    tickets_.note(ticket, TicketBook::Kind::kOther, {});
    charge(ticket, {.writes = ticket.charge()}, EntryType::kGrant, leaf, t_ms);
    items = items.subspan(1);
  }
  const v1::GrantItem* before = nullptr;
  for (const v1::LogItem& item : items) {
    if (item.has_grant()) {
      SR_TRY(apply_grant_item(item.grant(), before, leaf, t_ms));
      before = &item.grant();
    } else if (item.has_lane()) {
      SR_TRY(apply_lane_item(item.lane(), leaf, t_ms));
    } else {
      return foreign(leaf);
    }
  }
  return {};
}

bool Ledger::schedule_destruction(const v1::DestructionItem& item, uint64_t leaf, uint64_t t_ms) {
  Destruction added;
  added.collection = CollectionId{item.collection()};
  added.before_ms = item.before_ms();
  added.due_ms = item.due_ms();
  added.delay_ms = item.due_ms() - std::min(item.due_ms(), t_ms);
  added.request = item.request();
  if (item.step() != v1::DestructionItem::SCHEDULED || collection(added.collection) == nullptr) {
    return false;
  }
  if (item.request() != 0) {
    const policy::RequestState* const state = approvals_.find(item.request());
    if (state == nullptr || !state->request.has_destruction() ||
        state->request.destruction().collection() != item.collection() ||
        state->request.destruction().before_ms() != item.before_ms()) {
      return false;
    }
    added.author = state->request.author();
  }
  return destructions_.schedule(leaf, std::move(added));
}

Result<void> Ledger::apply_destruction(std::span<const v1::LogItem> items, uint64_t leaf,
                                       uint64_t t_ms) {
  const v1::DestructionItem& step = items[0].destruction();
  const auto records = items.subspan(1);
  if (step.step() == v1::DestructionItem::SCHEDULED) {
    if (step.request() != 0 || !records.empty()) return foreign(leaf);
    if (!schedule_destruction(step, leaf, t_ms)) return foreign(leaf);
    return {};
  }
  const Destruction* const known = destructions_.find(step.id());
  if (known == nullptr || (step.step() != v1::DestructionItem::ERASED && !records.empty())) {
    return foreign(leaf);
  }
  for (const v1::LogItem& item : records) {
    const RecordIndex idx{item.erasure().idx()};
    if (!item.has_erasure() || item.erasure().collection() != known->collection.value ||
        granted(idx) != known->collection || idx.block() != step.block() || holds_.held(idx) ||
        blocks_[idx.block()].last_ms >= known->before_ms) {
      return foreign(leaf);
    }
  }
  if (!destructions_.apply(step, items[0].author(), records.size(), t_ms)) return foreign(leaf);
  for (const v1::LogItem& item : records) {
    erasures_.add(RecordIndex{item.erasure().idx()}, leaf, t_ms);
  }
  return {};
}

Result<void> Ledger::apply_erasure(std::span<const v1::LogItem> items, uint64_t leaf,
                                   uint64_t t_ms) {
  if (items[0].has_destruction()) return apply_destruction(items, leaf, t_ms);
  if (items.size() < 2 || !items[0].has_ticket()) return foreign(leaf);
  const v1::TicketItem& ticket = items[0].ticket();
  for (const v1::LogItem& item : items.subspan(1)) {
    const RecordIndex idx{item.erasure().idx()};
    if (!item.has_erasure() || granted(idx) != CollectionId{item.erasure().collection()}) {
      return foreign(leaf);
    }
    erasures_.add(idx, leaf, t_ms);
  }
  tickets_.note(ticket, TicketBook::Kind::kOther, {});
  charge(ticket, {.erasures = ticket.charge()}, EntryType::kErasure, leaf, t_ms);
  return {};
}

Result<void> Ledger::apply_grant_item(const v1::GrantItem& item, const v1::GrantItem* before,
                                      uint64_t leaf, uint64_t t_ms) {
  const auto collection = collections_.find(item.collection());
  // Updates of one grant share a u, of which each record has one.
  const bool shared = before != nullptr && before->update() && item.update() &&
                      before->u() == item.u() && before->first() < item.first();
  if (collection == collections_.end() || (item.u() < next_u_ && !shared) ||
      item.u() > kVersionMax) {
    return foreign(leaf);
  }
  const RecordIndex first{item.first()};
  if (item.update()) {
    if (granted(first) != CollectionId{item.collection()}) return foreign(leaf);
    next_u_ = item.u() + 1;
    return {};
  }
  if (item.new_block()) {
    if (first.block() != blocks_.size() || first.offset() != 0) return foreign(leaf);
    blocks_.push_back({CollectionId{item.collection()}, 0, leaf, t_ms, t_ms});
    collection->second.open_block = first.block();
  }
  if (first.value > RecordIndex::kMax || first.block() >= blocks_.size()) return foreign(leaf);
  BlockInfo& block = blocks_[first.block()];
  if (block.collection.value != item.collection() || block.granted != first.offset() ||
      item.count() == 0 || item.count() > RecordIndex::kPerBlock - first.offset()) {
    return foreign(leaf);
  }
  block.granted += item.count();
  block.last_ms = t_ms;
  if (block.granted == RecordIndex::kPerBlock) collection->second.open_block.reset();
  next_u_ = item.u() + 1;
  return {};
}

Result<void> Ledger::apply_lane_item(const v1::LaneItem& item, uint64_t leaf, uint64_t t_ms) {
  const auto collection = collections_.find(item.collection());
  if (collection == collections_.end() || item.generation() != generation_ + 1) {
    return foreign(leaf);
  }
  CollectionInfo& info = collection->second;
  const bool opens =
      item.change() == v1::LaneItem::OPENED || item.change() == v1::LaneItem::RESERVED;
  if (opens) {
    if (item.lane() != next_lane_ || item.lane() > kLaneMax) return foreign(leaf);
    if (item.sources_size() != 0) SR_TRY(begin_merge(item));
    ++next_lane_;
    lanes_[item.lane()] = {CollectionId{item.collection()},
                           item.change(),
                           item.change() == v1::LaneItem::RESERVED,
                           item.history(),
                           false,
                           leaf,
                           leaf,
                           t_ms,
                           item.renewed()};
  }
  const auto lane = lanes_.find(item.lane());
  if (lane == lanes_.end() || lane->second.collection.value != item.collection()) {
    return foreign(leaf);
  }
  auto& live = lane->second.history   ? info.history_lanes
               : lane->second.renewed ? info.renewed_lanes
                                      : info.live_lanes;
  switch (item.change()) {
    case v1::LaneItem::OPENED:
      live.push_back(item.lane());
      break;
    case v1::LaneItem::RESERVED:
      ++info.reserved_lanes;
      break;
    case v1::LaneItem::PUBLISHED: {
      if (lane->second.status != v1::LaneItem::RESERVED || is_merge_target(item.lane())) {
        return foreign(leaf);
      }
      live.insert(std::upper_bound(live.begin(), live.end(), item.lane()), item.lane());
      --info.reserved_lanes;
      break;
    }
    case v1::LaneItem::CLOSED:
      if (lane->second.status != v1::LaneItem::OPENED) return foreign(leaf);
      break;
    case v1::LaneItem::DROPPED:
      if (lane->second.status != v1::LaneItem::RESERVED) return foreign(leaf);
      --info.reserved_lanes;
      if (merge_ && merge_->lane == item.lane()) merge_.reset();
      break;
    case v1::LaneItem::MERGED:
      SR_TRY(apply_merged(item, info));
      break;
    default:
      return foreign(leaf);
  }
  lane->second.status =
      item.change() == v1::LaneItem::MERGED ? v1::LaneItem::PUBLISHED : item.change();
  lane->second.leaf = leaf;
  generation_ = item.generation();
  return {};
}

Result<void> Ledger::begin_merge(const v1::LaneItem& item) {
  MergeInfo merge{item.lane(), {item.sources().begin(), item.sources().end()}};
  const bool ascend = std::is_sorted(merge.sources.begin(), merge.sources.end(),
                                     [](uint32_t a, uint32_t b) { return a <= b; });
  if (merge_ || item.change() != v1::LaneItem::RESERVED || item.history() || !ascend ||
      !std::all_of(merge.sources.begin(), merge.sources.end(), [&](uint32_t lane) {
        return mergeable(lane, CollectionId{item.collection()});
      })) {
    return foreign(0);
  }
  merge_ = std::move(merge);
  return {};
}

Result<void> Ledger::apply_merged(const v1::LaneItem& item, CollectionInfo& info) {
  if (!is_merge_target(item.lane()) || item.sources_size() == 0 ||
      !std::includes(merge_->sources.begin(), merge_->sources.end(), item.sources().begin(),
                     item.sources().end())) {
    return foreign(0);
  }
  for (const uint32_t source : item.sources()) {
    LaneInfo& lane = lanes_[source];
    if (lane.retired) return foreign(0);
    lane.retired = true;
    std::erase(info.live_lanes, source);
    ++merged_lanes_;
  }
  info.live_lanes.insert(
      std::upper_bound(info.live_lanes.begin(), info.live_lanes.end(), item.lane()), item.lane());
  --info.reserved_lanes;
  merge_.reset();
  return {};
}

}  // namespace strongroom::keyserver
