// KeyServer: erasing records. The entry is durable first, then the nodes that open them go from the
// key state, in memory and in both places; their last copy goes with the epoch.
// Spec: docs/spec/erasure.md
#include <algorithm>

#include "strongroom/keyserver/key_server.h"
#include "strongroom/keyserver/pending.h"
#include "strongroom/keyserver/refusals.h"
#include "strongroom/tlog/entry.h"
#include "strongroom/tlog/opening.h"
#include "strongroom/tlog/proof.h"
#include "strongroom/tlog/tile_proofs.h"

namespace strongroom::keyserver {
namespace {

using tlog::EntryType;

// Of a batch: what it adds to the key state's journal stays within one frame.
constexpr size_t kErasuresPerBatch = 16'384;
constexpr size_t kErasuresListed = 10'000;

}  // namespace

bool KeyServer::alive(RecordIndex idx) const {
  return !ledger_.erasures().contains(idx) && state_->tree().alive(idx);
}

Result<void> KeyServer::decide_erase(const v1::EraseCall& call, uint64_t now, Pending& pending) {
  SR_ASSIGN(const TicketRecord* record,
            admit(call.ticket(), as_bytes(call.request_id()), now, TicketUse::kErasure));
  const auto count = static_cast<size_t>(call.records_size());
  if (count == 0 || count > kEraseItemsMax) {
    return invalid("An erasure names no records, or more than 1000.");
  }
  std::vector<RecordIndex> records;
  records.reserve(count);
  for (const uint64_t idx : call.records()) records.push_back(RecordIndex{idx});
  if (!std::is_sorted(records.begin(), records.end()) ||
      std::adjacent_find(records.begin(), records.end()) != records.end()) {
    return invalid("An erasure names each record once, in ascending order.");
  }
  if (record->ticket().erases() != erasure_digest(records)) {
    return make_error(ErrorCode::kPermissionDenied,
                      "This ticket was signed for the erasure of other records. Nothing was "
                      "erased.");
  }
  if (ledger_.collection(record->collection()) == nullptr) {
    return no_collection();
  }
  policy::Ask ask = ticket_ask(*record, v1::ERASE);
  ask.amounts.erasures = count;
  SR_TRY(ledger_.engine().decide(ask, now));
  // A log that was put back has budgets that were used up; and this cannot be undone.
  SR_TRY(check_witnessed(now));
  for (size_t i = 0; i < count; ++i) {
    if (ledger_.granted(records[i]) == record->collection()) continue;
    return make_error(ErrorCode::kNotFound,
                      "There is no such record (the number is its place). Nothing was erased.",
                      static_cast<int64_t>(i));
  }
  for (size_t i = 0; i < count; ++i) {
    if (!ledger_.holds().held(records[i])) continue;
    return under_hold(static_cast<int64_t>(i));
  }
  if (erasing_ + count > kErasuresPerBatch) {
    Error error = make_error(ErrorCode::kUnavailable, "Too much was asked at once. Try again.");
    error.retry_after_ms = 1;
    return error;
  }
  erasing_ += count;

  std::vector<v1::LogItem> items(1 + count);
  fill_ticket_item(*record, call.request_id(), count, *items[0].mutable_ticket());
  for (size_t i = 0; i < count; ++i) {
    v1::ErasureItem& item = *items[1 + i].mutable_erasure();
    item.set_collection(record->collection().value);
    item.set_idx(records[i].value);
  }
  SR_ASSIGN(pending.position, stage(EntryType::kErasure, items, now));
  pending.erases = std::move(records);
  // A canary is nobody's record: no one with a reason asks for its erasure.
  return raise_canaries(log_->size() + *pending.position, record->ticket(), pending.erases, now);
}

// Behind what else the batch derives: a release that was logged before an erasure is still owed.
Result<void> KeyServer::erase(std::span<const Pending> pendings,
                              std::span<const DurableLeaf> leaves) {
  for (const Pending& pending : pendings) {
    if (!pending.position) continue;
    for (const RecordIndex idx : pending.erases) state_->erase(leaves[*pending.position], idx);
    if (!pending.erases.empty()) erasures_applied_ = ledger_.erasures().in_order().size();
  }
  return state_->commit(log_->size());
}

void KeyServer::answer_erase(const DurableLeaf& leaf, v1::EraseReply& reply) const {
  reply.set_leaf(leaf.index().value);
  reply.set_revision(ledger_.revision());
  reply.set_t_ms(log_->last_t_ms());
  reply.set_erasures(ledger_.erasures().in_order().size());
}

void KeyServer::list_erasures(const v1::ErasuresCall& call, v1::ErasuresReply& reply) const {
  const auto& erased = ledger_.erasures().in_order();
  reply.set_erasures(erased.size());
  for (size_t i = std::min<uint64_t>(call.from(), erased.size());
       i < erased.size() && static_cast<size_t>(reply.erased_size()) < kErasuresListed; ++i) {
    v1::ErasuresReply::Erased& one = *reply.add_erased();
    one.set_collection(ledger_.granted(erased[i])->value);
    one.set_idx(erased[i].value);
  }
}

Result<v1::ProveErasureResponse> KeyServer::prove_erasure(
    const std::string& who, const v1::ProveErasureRequest& request) const {
  const auto none = make_error(ErrorCode::kNotFound,
                               "There is no erasure of yours in the log at that place. Whoever may "
                               "read the log can prove it.");
  if (request.leaf() >= log_->size()) return none;
  SR_ASSIGN(const auto entries, log_->read(request.leaf(), 1));
  if (entries.size() != 1 || entries[0].type != EntryType::kErasure) return none;
  const tlog::Entry& entry = entries[0];
  v1::LogItem ticket;
  const bool own = ticket.ParseFromString(entry.items[0]) && ticket.ticket().principal() == who;
  if (!own && !require(who, {v1::READ_LOG})) return none;
  // Better a checkpoint that witnesses have cosigned, if one has the entry.
  std::string note = witnessing_.cosigned_note();
  uint64_t size = 0;
  if (!note.empty()) {
    SR_ASSIGN(const auto keys, own_log_keys());
    SR_ASSIGN(const auto cosigned, tlog::verify_checkpoint(note, keys));
    size = cosigned.size;
  }
  if (request.leaf() >= size) {
    note = log_->checkpoint_note();
    size = log_->checkpoint_size();
  }
  if (request.leaf() >= size) {
    Error error = make_error(ErrorCode::kUnavailable,
                             "No checkpoint has this entry yet. One comes each second.");
    error.retry_after_ms = 1000;
    return error;
  }
  tlog::LogProof proof;
  proof.leaf = request.leaf();
  proof.note = std::move(note);
  const tlog::EntryHead head{static_cast<uint8_t>(entry.type), entry.t_ms,
                             static_cast<uint32_t>(entry.items.size()),
                             tlog::commit_items(entry.rho, entry.items)};
  append(proof.extra, tlog::encode_entry(head));
  // Not the ticket: who asked for it, and why, is nobody's business who is shown this.
  proof.extra += tlog::open_items(entry, 1);
  const tlog::TileReader read = [this](std::string_view path) { return log_->tile(path); };
  SR_ASSIGN(proof.path, tlog::prove_inclusion(read, request.leaf(), size));
  v1::ProveErasureResponse out;
  out.set_proof(tlog::format_proof(proof));
  return out;
}

// What the log says is erased is erased, whatever the state was when the server stopped, or
// whichever copy of it was put back.
Result<void> KeyServer::reconcile_erasures() {
  for (const auto& [block, offsets] : ledger_.erasures().blocks()) {
    for (uint32_t offset = 0; offset < RecordIndex::kPerBlock; ++offset) {
      if (offsets[offset]) state_->erase_replayed(RecordIndex::of(block, offset));
    }
  }
  erasures_applied_ = ledger_.erasures().in_order().size();
  for (const auto& [block, collection] : state_->blocks()) {
    const size_t gone = RecordIndex::kPerBlock - state_->tree().alive_count(block);
    if (gone == ledger_.erasures().count_in(block)) continue;
    return make_error(ErrorCode::kDataLoss,
                      "The key state lacks records that the release log does not say were erased. "
                      "Restore keyserver/log from its latest copy; do not delete anything.");
  }
  return {};
}

Result<void> KeyServer::begin_epoch() {
  // The month to come has its key ahead, so that a backup of the state reads a log that is younger.
  SR_TRY(state_->next_epoch(log_->size()));
  SR_TRY(state_->key(tlog::month_of(now_ms()) + 1));
  epoch_started_us_ = clock_.monotonic_us();
  epoch_began_ms_ = now_ms();
  erasures_covered_ = erasures_applied_;
  return {};
}

bool KeyServer::epoch_is_due() const {
  return clock_.monotonic_us() - epoch_started_us_ >= kEpochMs * 1000 ||
         ledger_.erasures().in_order().size() - erasures_covered_ >= kEpochErasures;
}

void KeyServer::tell_horizon(v1::StatusResponse& out) const {
  const Erasures& erasures = ledger_.erasures();
  out.set_destructions_pending(static_cast<uint32_t>(ledger_.destructions().pending()));
  out.set_erased(erasures.in_order().size());
  out.set_erased_last_ms(erasures.last_ms());
  out.set_erased_pending(erasures.in_order().size() - erasures_covered_);
  out.set_epoch_began_ms(epoch_began_ms_);
  out.set_epoch_due_ms(epoch_began_ms_ + kEpochMs);
  if (erasures.in_order().empty()) return;
  for (const auto& [number, lane] : ledger_.lanes()) {
    const bool live = !lane.retired && lane.status != v1::LaneItem::DROPPED &&
                      lane.status != v1::LaneItem::RESERVED;
    if (live && lane.opened_leaf < erasures.last_leaf()) {
      out.set_lanes_naming(out.lanes_naming() + 1);
    }
  }
}

}  // namespace strongroom::keyserver
