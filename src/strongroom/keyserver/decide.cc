// Decide and stage: each call of a gateway against its ticket, the policy and the ledger. No key is
// touched here. Those about lanes and the store are in decide_lanes.cc.
#include <algorithm>
#include <bit>

#include "strongroom/crypto/hash.h"
#include "strongroom/keyserver/key_server.h"
#include "strongroom/keyserver/pending.h"
#include "strongroom/keyserver/refusals.h"

namespace strongroom::keyserver {
namespace {

using tlog::EntryType;

constexpr int64_t kWritersRetryMs = 200;

// Erased, never granted, or another collection's: no one can tell which.
Error not_found(int item) {
  return make_error(ErrorCode::kNotFound, "There is no such record (the number is its place).",
                    item);
}

Result<void> check_term_count(size_t terms, size_t most) {
  if (terms != 0 && terms <= most) return {};
  return invalid("A call has no terms, or more than one call may carry.");
}

Result<void> check_term(const std::string& h_w) {
  if (h_w.size() != sizeof(TermHash)) return invalid("A term is not 16 bytes long.");
  return {};
}

Error not_for_change() {
  return make_error(ErrorCode::kPermissionDenied,
                    "A ticket for a change of one record is good for that alone, and no other is "
                    "good for one. Sign the one it takes.");
}

Error other_record() {
  return make_error(ErrorCode::kPermissionDenied,
                    "This ticket was signed for a change of another record. Nothing was opened or "
                    "changed.");
}

Result<void> check_changed(const v1::Ticket& ticket, RecordIndex idx) {
  if (ticket.changes() == change_digest(idx)) return {};
  return other_record();
}

Error nothing_to_reindex() {
  return make_error(ErrorCode::kFailedPrecondition,
                    "No index of this collection waits for older records. Add one with "
                    "`collection apply`, and have it approved.");
}

// What several have signed: versions older than the index, and so many in all.
Result<void> check_reindex(const CollectionInfo& collection, const v1::ReleaseCall& call) {
  const v1::Reindexing& signed_for = collection.definition.reindexing();
  if (signed_for.below_u() == 0) return nothing_to_reindex();
  // Unique rows bear a check of the whole content.
  const bool whole = signed_for.renew() && policy::has_unique(collection.definition);
  const uint32_t groups = whole ? policy::group_mask(collection.definition) & ~1u
                                : policy::indexed_groups(collection.definition);
  if ((call.groups() & ~groups) != 0) {
    return make_error(ErrorCode::kPermissionDenied,
                      "Reindexing opens only groups that have an index.");
  }
  for (int i = 0; i < call.items_size(); ++i) {
    if (signed_for.renew() || call.items(i).u() < signed_for.below_u()) continue;
    return make_error(ErrorCode::kPermissionDenied,
                      "Reindexing opens only what is older than the index (the number is its "
                      "place).",
                      i);
  }
  if (collection.reindexed + static_cast<uint64_t>(call.items_size()) > signed_for.records_max()) {
    return make_error(ErrorCode::kPermissionDenied,
                      "As many records were opened for this index as was approved (the number). "
                      "Apply the collection again, and have it approved; what is indexed stays so.",
                      static_cast<int64_t>(signed_for.records_max()));
  }
  return {};
}

}  // namespace

policy::Ask KeyServer::ticket_ask(const TicketRecord& record, v1::Action action) {
  const v1::Ticket& ticket = record.ticket();
  policy::Ask ask;
  ask.principal = ticket.principal();
  ask.purpose = ticket.purpose();
  ask.case_reference = ticket.case_reference();
  ask.gateway = ticket.gateway();
  ask.collection = CollectionId{ticket.collection()};
  ask.action = action;
  ask.from = ip_of(as_bytes(record.from()));
  return ask;
}

void KeyServer::fill_ticket_item(const TicketRecord& record, const std::string& request_id,
                                 uint64_t charge, v1::TicketItem& item) const {
  const v1::Ticket& ticket = record.ticket();
  if (!record.logged()) item.set_ticket(record.signed_ticket().SerializeAsString());
  item.set_ticket_hash(std::string(as_text(record.logged_hash())));
  item.set_request_id(request_id);
  item.set_principal(ticket.principal());
  item.set_purpose(ticket.purpose());
  item.set_case_reference(ticket.case_reference());
  item.set_collection(ticket.collection());
  item.set_charge(charge);
  item.set_gateway(ticket.gateway());
  item.set_from(record.from());
  item.set_emergency(ledger_.engine().is_emergency(ticket.purpose()));
}

Result<void> KeyServer::decide(const v1::Call& call, uint64_t now, Pending& pending) {
  switch (call.call_case()) {
    case v1::Call::kSync:
      return {};
    case v1::Call::kTokens:
      return decide_tokens(call.tokens(), now, pending);
    case v1::Call::kRelease:
      return decide_release(call.release(), now, pending);
    case v1::Call::kGrant:
      return decide_grant(call.grant(), now, pending);
    case v1::Call::kUpdateGrant:
      return decide_update_grant(call.update_grant(), now, pending);
    case v1::Call::kOpenLane:
      return decide_open_lane(call.open_lane(), now, pending);
    case v1::Call::kPublishLane:
      return decide_publish_lane(call.publish_lane(), now, pending);
    case v1::Call::kUniqueTokens:
      return decide_unique_tokens(call.unique_tokens(), now, pending);
    case v1::Call::kCheck:
      return decide_check(call.check(), now);
    case v1::Call::kResetLanes:
      return decide_reset_lanes(now, pending);
    case v1::Call::kListLanes:
      return {};
    case v1::Call::kLogTile:
      return check_courier(call.log_tile().credential());
    case v1::Call::kWitness:
      return decide_witness(call.witness(), now);
    case v1::Call::kReindex:
      return decide_reindex(call.reindex(), now, pending);
    case v1::Call::kBeginMerge:
      return decide_begin_merge(call.begin_merge(), now, pending);
    case v1::Call::kFinishMerge:
      return decide_finish_merge(call.finish_merge(), now, pending);
    case v1::Call::kErase:
      return decide_erase(call.erase(), now, pending);
    case v1::Call::kErasures:
      return {};
    case v1::Call::kMarkStore:
      return decide_mark_store(call.mark_store(), now, pending);
    case v1::Call::kAlarms:
      return check_sender(call.alarms().credential());
    case v1::Call::kFreezeStore:
    case v1::Call::kMeasureLanes:
    case v1::Call::kIngestLane:
    case v1::Call::CALL_NOT_SET:
      break;
  }
  return invalid("This call is of a kind that the key server does not know.");
}

Result<TicketRecord*> KeyServer::admit(const v1::SignedTicket& ticket, Bytes request_id,
                                       uint64_t now, TicketUse use) {
  SR_ASSIGN(TicketRecord* const record, ledger_.tickets().admit(ticket, now));
  if (request_id.size() != kRequestIdSize) return invalid("A request id is 16 bytes.");
  admitted_ = record;
  if (record->ticket().export_() != 0 && use != TicketUse::kSearch && use != TicketUse::kRelease) {
    return make_error(ErrorCode::kPermissionDenied,
                      "A ticket for an export is good for that alone. Sign the one it takes.");
  }
  if (record->ticket().erases().empty() != (use != TicketUse::kErasure)) {
    return make_error(ErrorCode::kPermissionDenied,
                      "A ticket for an erasure is good for that alone, and no other is good for "
                      "one. Sign the one it takes.");
  }
  if (record->ticket().changes().empty()
          ? use == TicketUse::kChange
          : use != TicketUse::kChange && use != TicketUse::kRelease) {
    return not_for_change();
  }
  if (ledger_.engine().is_emergency(record->ticket().purpose()) &&
      ledger_.history().review_overdue(record->ticket().principal(), now)) {
    return make_error(ErrorCode::kPermissionDenied,
                      "An earlier emergency use of yours has waited three days for its review. Ask "
                      "whoever reads the log to review it.");
  }
  return record;
}

Result<void> KeyServer::reserve_reply(size_t bytes) {
  if (reply_bytes_ + bytes > kReplyBytesMax) {
    Error error = make_error(ErrorCode::kUnavailable, "Too much was asked at once. Try again.");
    error.retry_after_ms = 1;
    return error;
  }
  reply_bytes_ += bytes;
  return {};
}

Result<void> KeyServer::decide_check(const v1::CheckCall& call, uint64_t now) {
  SR_ASSIGN(const TicketRecord* record, ledger_.tickets().admit(call.ticket(), now));
  admitted_ = record;
  if (record->ticket().changes().empty() == (call.action() == v1::UPDATE)) return not_for_change();
  if (ledger_.collection(record->collection()) == nullptr) return no_collection();
  return ledger_.engine().decide(ticket_ask(*record, call.action()), now);
}

Result<void> KeyServer::decide_tokens(const v1::TokensCall& call, uint64_t now, Pending& pending) {
  SR_ASSIGN(const TicketRecord* record,
            admit(call.ticket(), as_bytes(call.request_id()), now, TicketUse::kSearch));
  if (call.request_hash().size() != kRequestHashSize) return invalid("A request hash is 32 bytes.");
  const auto terms = static_cast<size_t>(call.terms_size());
  SR_TRY(check_term_count(terms, kTermsMax));
  std::vector<policy::AskedTerm> asked;
  asked.reserve(terms);
  for (const v1::SearchTerm& term : call.terms()) {
    SR_TRY(check_term(term.h_w()));
    asked.push_back({term.field(), term.kind(), term.composite()});
  }
  const CollectionInfo* collection = ledger_.collection(record->collection());
  if (collection == nullptr) return no_collection();
  if (call.renewals() != collection->definition.terms()) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "The terms of this collection were made anew under a fresh key. Ask again.");
  }
  const bool exports = record->ticket().export_() != 0;
  policy::Ask ask = ticket_ask(*record, exports             ? v1::EXPORT
                                        : call.count_only() ? v1::COUNT
                                                            : v1::FIND);
  ask.terms = asked;
  if (!exports) ask.amounts.searches = 1;
  SR_TRY(ledger_.engine().decide(ask, now));
  if (exports) SR_TRY(check_export(record->ticket(), call, now));
  const bool emergency = ledger_.engine().is_emergency(record->ticket().purpose());
  SR_TRY(check_witnessed(now, emergency));
  SR_TRY(record->check_search({as_bytes(call.request_id()), as_bytes(call.request_hash())}));
  pending.may_count =
      call.count_only() || ledger_.engine().decide(ticket_ask(*record, v1::COUNT), now).has_value();
  SR_TRY(reserve_reply(terms * collection->live_lanes.size() * TermToken::kSize));

  pending.lanes = collection->live_lanes;
  pending.generation = ledger_.generation();
  std::vector<v1::LogItem> items(1 + terms);
  fill_ticket_item(*record, call.request_id(), 1, *items[0].mutable_ticket());
  items[0].mutable_ticket()->set_request_hash(call.request_hash().substr(0, kLoggedHashSize));
  items[0].mutable_ticket()->set_export_(record->ticket().export_());
  for (size_t i = 0; i < terms; ++i) {
    v1::TokenItem& item = *items[1 + i].mutable_token();
    const v1::SearchTerm& term = call.terms(static_cast<int>(i));
    item.set_h_w(term.h_w());
    item.set_field(term.field());
    item.set_kind(term.kind());
    item.set_composite(term.composite());
    if (static_cast<int>(i) < call.near_size()) item.set_near(call.near(static_cast<int>(i)));
    item.mutable_lanes()->Add(pending.lanes.begin(), pending.lanes.end());
  }
  pending.holder = ledger_.engine().holder(ask);
  SR_ASSIGN(pending.position, stage(EntryType::kToken, items, now));
  return {};
}

Result<void> KeyServer::decide_release(const v1::ReleaseCall& call, uint64_t now,
                                       Pending& pending) {
  SR_ASSIGN(const TicketRecord* record,
            admit(call.ticket(), as_bytes(call.request_id()), now, TicketUse::kRelease));
  if (call.request_hash().size() != kRequestHashSize) return invalid("A request hash is 32 bytes.");
  const auto asked_count = static_cast<size_t>(call.items_size());
  if (asked_count == 0 || asked_count > kReleaseItemsMax) {
    return invalid("A release names no records, or more than 1000.");
  }
  const CollectionInfo* collection = ledger_.collection(record->collection());
  if (collection == nullptr) return no_collection();
  if (call.groups() == 0 || (call.groups() & ~policy::group_mask(collection->definition)) != 0) {
    return invalid("A release names no group of fields, or one that the collection lacks.");
  }
  // Rows of erased records may lie about for a while: they have no key, and cost the others
  // nothing.
  std::vector<RecordIndex> named, records;
  named.reserve(asked_count);
  records.reserve(asked_count);
  for (int i = 0; i < call.items_size(); ++i) {
    const RecordIndex idx{call.items(i).idx()};
    named.push_back(idx);
    if (ledger_.erasures().contains(idx) && ledger_.granted(idx) == record->collection()) {
      pending.erased.push_back(static_cast<uint32_t>(i));
    } else {
      records.push_back(idx);
    }
  }
  const size_t count = records.size();
  std::sort(named.begin(), named.end());
  std::sort(records.begin(), records.end());
  if (std::adjacent_find(named.begin(), named.end()) != named.end()) {
    return invalid("A release names one record twice.");
  }
  if (!record->ticket().changes().empty()) {
    if (!call.get() || named.size() != 1) return other_record();
    SR_TRY(check_changed(record->ticket(), named.front()));
  }

  const RequestRef request{as_bytes(call.request_id()), as_bytes(call.request_hash())};
  const bool exports = record->ticket().export_() != 0;
  policy::Ask ask = ticket_ask(*record, exports          ? v1::EXPORT
                                        : call.reindex() ? v1::REINDEX
                                        : call.get()     ? v1::GET
                                                         : v1::FIND);
  ask.groups = call.groups();
  uint64_t free = 0;
  if (exports) {
    ask.amounts.exported = count;
  } else if (call.reindex()) {
    ask.amounts.reindexed = count;
  } else {
    free = ledger_.engine().free_repeats(record->ticket().principal(), records, call.groups(), now);
    ask.amounts.records = count - free;
    ask.amounts.repeats = free;
    ask.records_before = record->released(request.id);
  }
  SR_TRY(ledger_.engine().decide(ask, now));
  if (exports) SR_TRY(check_export(record->ticket(), call, count, now));
  if (call.reindex()) SR_TRY(check_reindex(*collection, call));
  const bool emergency = ledger_.engine().is_emergency(record->ticket().purpose());
  SR_TRY(check_witnessed(now, emergency && count == 1));
  SR_TRY(record->check_release(request, records, call.get() || call.reindex()));
  const uint64_t most = record->ticket().records_max();
  if (count > most || record->spent() > most - count) {
    return make_error(ErrorCode::kBudgetExhausted,
                      "This ticket is spent: it may not open so many records more. Sign a new one.",
                      static_cast<int64_t>(most - std::min(most, record->spent())));
  }
  std::vector<v1::LogItem> items(1);
  items.reserve(1 + count + 2);
  for (int i = 0; i < call.items_size(); ++i) {
    if (std::binary_search(pending.erased.begin(), pending.erased.end(), i)) continue;
    const auto& asked = call.items(i);
    const RecordIndex idx{asked.idx()};
    if (ledger_.granted(idx) != record->collection() || asked.u() == 0 ||
        asked.u() >= ledger_.next_u() || !alive(idx)) {
      return not_found(i);
    }
    v1::ReleaseItem& item = *items.emplace_back().mutable_release();
    item.set_idx(asked.idx());
    item.set_u(asked.u());
    item.set_groups(call.groups());
    item.set_k(ledger_.releases().of(idx).count);
  }
  if (records.empty()) return {};
  SR_TRY(
      reserve_reply(count * static_cast<size_t>(std::popcount(call.groups())) * RecordKey::kSize));

  fill_ticket_item(*record, call.request_id(), count, *items[0].mutable_ticket());
  items[0].mutable_ticket()->set_request_hash(call.request_hash().substr(0, kLoggedHashSize));
  items[0].mutable_ticket()->set_free(free);
  items[0].mutable_ticket()->set_reindex(call.reindex());
  items[0].mutable_ticket()->set_export_(record->ticket().export_());
  add_disclosure(ask, now, items);
  pending.holder = ledger_.engine().holder(ask);
  SR_ASSIGN(pending.position, stage(EntryType::kRelease, items, now));
  if (call.reindex() || exports) return {};  // All are opened, canaries too.
  return raise_canaries(log_->size() + *pending.position, record->ticket(), records, now);
}

Result<void> KeyServer::decide_grant(const v1::GrantCall& call, uint64_t now, Pending& pending) {
  SR_ASSIGN(const TicketRecord* record,
            admit(call.ticket(), as_bytes(call.request_id()), now, writes_as(call.has_replaces())));
  if (call.count() < 1 || call.count() > RecordIndex::kPerBlock) {
    return invalid("A grant is for 1 to 4096 records.");
  }
  const CollectionInfo* collection = ledger_.collection(record->collection());
  if (collection == nullptr) return no_collection();
  pending.new_block = !collection->open_block.has_value();
  if (pending.new_block) {
    if (ledger_.blocks().size() > kBlockMax) {
      return make_error(ErrorCode::kFailedPrecondition, "This vault has no record numbers left.");
    }
    pending.first = RecordIndex::of(static_cast<uint32_t>(ledger_.blocks().size()), 0);
  } else {
    const uint32_t block = *collection->open_block;
    pending.first = RecordIndex::of(block, ledger_.blocks()[block].granted);
  }
  pending.count = std::min(call.count(), RecordIndex::kPerBlock - pending.first.offset());
  if (call.has_replaces()) {
    const RecordIndex old{call.replaces()};
    if (call.count() != 1) return invalid("One record takes the place of one.");
    SR_TRY(check_changed(record->ticket(), old));
    if (ledger_.granted(old) != record->collection() || !alive(old)) return not_found(0);
    // Before the new one is written, since the old one could not go.
    if (ledger_.holds().held(old)) return under_hold(0);
  }
  policy::Ask ask = ticket_ask(*record, call.has_replaces() ? v1::UPDATE : v1::IMPORT);
  ask.amounts.writes = pending.count;
  SR_TRY(ledger_.engine().decide(ask, now));
  SR_TRY(reserve_reply(pending.count * WriteSecret::kSize));

  pending.collection = record->collection();
  pending.u = ledger_.next_u();
  v1::LogItem items[2];
  fill_ticket_item(*record, call.request_id(), pending.count, *items[0].mutable_ticket());
  v1::GrantItem& item = *items[1].mutable_grant();
  item.set_collection(pending.collection.value);
  item.set_first(pending.first.value);
  item.set_count(pending.count);
  item.set_u(pending.u);
  item.set_new_block(pending.new_block);
  if (call.has_replaces()) item.set_replaces(call.replaces());
  pending.holder = ledger_.engine().holder(ask);
  SR_ASSIGN(pending.position, stage(EntryType::kGrant, items, now));
  return {};
}

Result<void> KeyServer::decide_update_grant(const v1::UpdateGrantCall& call, uint64_t now,
                                            Pending& pending) {
  SR_ASSIGN(const TicketRecord* record,
            admit(call.ticket(), as_bytes(call.request_id()), now, writes_as(call.update())));
  const auto count = static_cast<size_t>(call.items_size());
  if (count == 0 || count > kUpdateItemsMax) {
    return invalid("An update names no records, or more than 4096.");
  }
  if (call.update()) {
    if (count != 1) return other_record();
    SR_TRY(check_changed(record->ticket(), RecordIndex{call.items(0).idx()}));
  }
  if (ledger_.collection(record->collection()) == nullptr) return no_collection();
  policy::Ask ask = ticket_ask(*record, call.update() ? v1::UPDATE : v1::IMPORT);
  ask.amounts.writes = count;
  SR_TRY(ledger_.engine().decide(ask, now));

  std::vector<v1::LogItem> items(1 + count);
  fill_ticket_item(*record, call.request_id(), count, *items[0].mutable_ticket());
  for (int i = 0; i < call.items_size(); ++i) {
    const RecordIndex idx{call.items(i).idx()};
    const uint64_t above = call.items(i).above_u();
    // One u for all: nothing else keeps a record from getting the same secret twice.
    if (i > 0 && call.items(i - 1).idx() >= idx.value) {
      return invalid(
          "An update names its records in ascending order, each once (the number is its place).",
          i);
    }
    if (ledger_.granted(idx) != record->collection() || !alive(idx)) {
      return not_found(i);
    }
    if (above >= ledger_.next_u()) {
      return invalid("An update names a version that was never granted (the number is its place).",
                     i);
    }
    v1::GrantItem& item = *items[static_cast<size_t>(i) + 1].mutable_grant();
    item.set_collection(record->collection().value);
    item.set_first(idx.value);
    item.set_count(1);
    item.set_update(true);
  }
  // Postings hold the low 32 bits of u alone: they must tell the two versions apart.
  pending.u = ledger_.next_u();
  while (std::any_of(call.items().begin(), call.items().end(), [&](const auto& item) {
    return static_cast<uint32_t>(item.above_u()) == static_cast<uint32_t>(pending.u);
  })) {
    ++pending.u;
  }
  for (size_t i = 1; i < items.size(); ++i) items[i].mutable_grant()->set_u(pending.u);
  SR_TRY(reserve_reply(count * WriteSecret::kSize));
  pending.collection = record->collection();
  pending.holder = ledger_.engine().holder(ask);
  SR_ASSIGN(pending.position, stage(EntryType::kGrant, items, now));
  return {};
}

Result<void> KeyServer::decide_unique_tokens(const v1::UniqueTokensCall& call, uint64_t now,
                                             Pending& pending) {
  SR_ASSIGN(const TicketRecord* record,
            admit(call.ticket(), as_bytes(call.request_id()), now, writes_as(call.update())));
  const auto terms = static_cast<size_t>(call.h_w_size());
  SR_TRY(check_term_count(terms, kUniqueTermsMax));
  for (const std::string& term : call.h_w()) SR_TRY(check_term(term));
  const CollectionInfo* collection = ledger_.collection(record->collection());
  if (collection == nullptr) return no_collection();
  if (!policy::has_unique(collection->definition)) {
    return invalid("This collection has no unique field.");
  }
  if (call.renew() && !collection->renews()) return nothing_to_reindex();
  policy::Ask ask = ticket_ask(*record, call.renew()    ? v1::REINDEX
                                        : call.update() ? v1::UPDATE
                                                        : v1::IMPORT);
  (call.renew() ? ask.amounts.reindexed : ask.amounts.uniques) = terms;
  SR_TRY(ledger_.engine().decide(ask, now));
  SR_TRY(check_witnessed(now));
  SR_TRY(reserve_reply(terms * TermToken::kSize));

  pending.space = call.renew() ? collection->next_space() : collection->space();
  std::vector<v1::LogItem> items(1 + terms);
  fill_ticket_item(*record, call.request_id(), terms, *items[0].mutable_ticket());
  items[0].mutable_ticket()->set_reindex(call.renew());
  for (size_t i = 0; i < terms; ++i) {
    v1::TokenItem& item = *items[1 + i].mutable_token();
    item.set_h_w(call.h_w(static_cast<int>(i)));
    item.set_unique(true);
  }
  pending.holder = ledger_.engine().holder(ask);
  SR_ASSIGN(pending.position, stage(EntryType::kToken, items, now));
  return {};
}

// What a writer posts under the key that goes would never be found.
Result<void> KeyServer::check_nobody_writes(CollectionId collection) const {
  for (const auto& [number, lane] : ledger_.lanes()) {
    if (lane.collection != collection || lane.retired || lane.renewed) continue;
    if (lane.status != v1::LaneItem::OPENED && lane.status != v1::LaneItem::RESERVED) continue;
    Error error = make_error(ErrorCode::kUnavailable,
                             "A lane of this collection is still written, or being merged (the "
                             "number is the lane). Try again.",
                             number);
    error.retry_after_ms = kWritersRetryMs;
    return error;
  }
  return {};
}

Result<void> KeyServer::decide_reindex(const v1::ReindexCall& call, uint64_t now,
                                       Pending& pending) {
  SR_ASSIGN(const TicketRecord* record, admit(call.ticket(), as_bytes(call.request_id()), now));
  const CollectionInfo* collection = ledger_.collection(record->collection());
  if (collection == nullptr) return no_collection();
  SR_TRY(ledger_.engine().decide(ticket_ask(*record, v1::REINDEX), now));
  const v1::Collection& definition = collection->definition;
  if (!definition.has_reindexing()) return nothing_to_reindex();
  pending.collection = record->collection();
  pending.space = collection->next_space();
  pending.below_u = definition.reindexing().below_u();
  if (pending.below_u != 0 && !call.finish()) {
    pending.leaf = collection->leaf;
    return {};
  }
  if (pending.below_u == 0 && call.finish()) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "Reindexing has not begun, or an index was added since. Begin again.");
  }
  v1::LogItem items[1];
  items[0].set_author(record->ticket().principal());
  v1::Collection& next = *items[0].mutable_collection();
  next = definition;
  const bool renews = definition.reindexing().renew();
  if (call.finish()) {
    if (renews) {
      SR_TRY(check_nobody_writes(record->collection()));
      next.set_terms(definition.terms() + 1);
      pending.gone = collection->live_lanes;
      pending.old_space = collection->space();
    }
    next.clear_reindexing();
  } else {
    pending.renews = renews;
    pending.below_u = ledger_.next_u();
    next.mutable_reindexing()->set_below_u(pending.below_u);
  }
  SR_ASSIGN(pending.position, stage(EntryType::kPolicy, items, now));
  return {};
}

}  // namespace strongroom::keyserver
