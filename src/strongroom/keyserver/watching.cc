// KeyServer: what is set off by watching, who is cut off for it, canaries, and who may hear of it.
#include <algorithm>

#include "strongroom/crypto/hash.h"
#include "strongroom/crypto/random.h"
#include "strongroom/keyserver/key_server.h"
#include "strongroom/keyserver/refusals.h"

namespace strongroom::keyserver {
namespace {

using tlog::EntryType;

// Refused calls go into the log added up: at once from so many on, the rest after a while.
constexpr uint64_t kRefusedAtOnce = 16;
constexpr uint64_t kRefusedLaterMs = 10'000;
constexpr size_t kRefusedKindsMax = 1024;

// Whether somebody was told no, for what they are or ask. What is our own doing does not count.
bool is_refusal(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUnauthenticated:
    case ErrorCode::kPermissionDenied:
    case ErrorCode::kSearchDenied:
    case ErrorCode::kBudgetExhausted:
    case ErrorCode::kReplayed:
    case ErrorCode::kNotFound:
    case ErrorCode::kInvalidArgument:
      return true;
    default:
      return false;
  }
}

Error not_one(int place) {
  return make_error(ErrorCode::kInvalidArgument,
                    "A canary must be a record of this collection that exists and is none yet (the "
                    "number is its place). Nothing was planted.",
                    place);
}

}  // namespace

Result<void> KeyServer::raise(std::vector<v1::AlarmItem> alarms, uint64_t t_ms) {
  if (alarms.empty()) return {};
  std::vector<v1::LogItem> items(alarms.size());
  for (size_t i = 0; i < alarms.size(); ++i) *items[i].mutable_alarm() = alarms[i];
  const auto said = stage(EntryType::kWatch, items, t_ms);
  // On a full disk the alarm finds no room, and a freeze does.
  for (const v1::AlarmItem& alarm : alarms) {
    if (!alarm.test()) SR_TRY(cut_off(alarm, t_ms));
  }
  if (!said) return said.error();
  return {};
}

// Into the same group as the alarm, so that what caused it does not leave.
Result<void> KeyServer::cut_off(const v1::AlarmItem& alarm, uint64_t t_ms) {
  const bool to_masked = alarm.action() == v1::WatchRule::MASK;
  if (!to_masked && alarm.action() != v1::WatchRule::FREEZE) return {};
  policy::Scope scope{policy::Scope::Kind::kPrincipal, alarm.principal()};
  if (alarm.principal().empty()) scope = {policy::Scope::Kind::kGateway, alarm.gateway()};
  const policy::Freeze* old = ledger_.engine().freezes().find(scope);
  if (old != nullptr && (!old->to_masked || to_masked)) return {};
  v1::LogItem item;
  // No principal's name holds a colon.
  item.set_author(std::string("watch:") + watch::rule_name(alarm.rule()));
  item.mutable_freeze()->set_scope(policy::to_text(scope));
  item.mutable_freeze()->set_to_masked(to_masked);
  item.mutable_freeze()->set_reason(std::string("watch rule ") + watch::rule_name(alarm.rule()) +
                                    ": see `alarms`");
  SR_TRY(stage(EntryType::kFreeze, {&item, 1}, t_ms));
  return {};
}

Result<void> KeyServer::raise_canaries(uint64_t leaf, const v1::Ticket& ticket,
                                       std::span<const RecordIndex> records, uint64_t t_ms) {
  const uint64_t hit = state_->canaries().count(records);
  const watch::Watcher& watcher = ledger_.alarms().watcher();
  if (hit == 0 || watcher.rules().of(v1::AlarmItem::CANARY).action == v1::WatchRule::OFF) return {};
  watch::Event event;
  event.leaf = leaf;
  event.t_ms = t_ms;
  event.principal = ticket.principal();
  event.gateway = ticket.gateway();
  event.purpose = ticket.purpose();
  event.collection = CollectionId{ticket.collection()};
  return raise({watcher.canary_alarm(event, hit)}, t_ms);
}

void KeyServer::note_refused(const Error& error) {
  if (!is_refusal(error.code)) return;
  Refused key;
  if (admitted_ != nullptr) {
    const v1::Ticket& ticket = admitted_->ticket();
    key = {ticket.principal(), ticket.gateway(), ticket.purpose(), ticket.collection(), false};
  } else if (vault_.gateways_size() == 1) {
    key.gateway = vault_.gateways(0);  // Else nobody can be named for it.
  } else {
    return;
  }
  count_refused(key);
}

void KeyServer::note_refused_call(const std::string& who, const Error& error) {
  if (!is_refusal(error.code)) return;
  Refused key;
  key.principal = who;
  key.admin = true;
  count_refused(key);
}

void KeyServer::count_refused(const Refused& key) {
  if (refused_.empty()) refused_since_ms_ = now_ms_;
  if (refused_.size() >= kRefusedKindsMax && !refused_.contains(key)) return;
  refused_most_ = std::max(refused_most_, ++refused_[key]);
}

Result<void> KeyServer::stage_refused(uint64_t t_ms) {
  if (refused_.empty() ||
      (refused_most_ < kRefusedAtOnce && t_ms < refused_since_ms_ + kRefusedLaterMs)) {
    return {};
  }
  std::vector<v1::LogItem> items;
  for (const auto& [who, count] : refused_) {
    v1::RefusedItem& item = *items.emplace_back().mutable_refused();
    item.set_principal(who.principal);
    item.set_gateway(who.gateway);
    item.set_purpose(who.purpose);
    item.set_collection(who.collection);
    item.set_admin(who.admin);
    item.set_count(count);
  }
  if (const auto staged = stage(EntryType::kWatch, items, t_ms); !staged) {
    if (staged.error().code == ErrorCode::kNoSpace) return {};  // They wait for space.
    return staged.error();
  }
  refused_.clear();
  refused_most_ = 0;
  return {};
}

Result<v1::ListAlarmsResponse> KeyServer::list_alarms(const std::string& who,
                                                      const v1::ListAlarmsRequest& request) const {
  SR_TRY(require(who, {v1::READ_LOG}));
  return ledger_.alarms().list(request, log_->size());
}

Result<void> KeyServer::check_sender(const std::string& credential) const {
  const auto& expected = options_.sender_credential;
  if (expected && crypto::equal_ct(crypto::sha256({as_bytes(credential)}), *expected)) return {};
  return make_error(ErrorCode::kPermissionDenied,
                    "Only the process that sends alarms on may ask for them here, with the "
                    "credential that `serve` gave it.");
}

uint64_t KeyServer::records_granted(CollectionId collection) const {
  uint64_t records = 0;
  for (const BlockInfo& block : ledger_.blocks()) {
    if (block.collection == collection) records += block.granted;
  }
  return records;
}

Result<v1::PlantCanariesResponse> KeyServer::plant_canaries(
    const std::string& who, const v1::PlantCanariesRequest& request) {
  SR_TRY(require(who, {v1::PLANT_CANARIES}));
  if (failed_) return unavailable();
  CanaryPlanting planting;
  planting.collection = CollectionId{request.collection()};
  if (ledger_.collection(planting.collection) == nullptr) {
    return no_collection();
  }
  if (request.records().empty() ||
      static_cast<size_t>(request.records_size()) > kCanariesPlantedMax) {
    return make_error(ErrorCode::kInvalidArgument, "One call plants 1 to 4096 canaries.");
  }
  for (int i = 0; i < request.records_size(); ++i) {
    const RecordIndex idx{request.records(i)};
    if (ledger_.granted(idx) != planting.collection || !state_->tree().alive(idx) ||
        state_->canaries().contains(idx)) {
      return not_one(i);
    }
    planting.records.push_back(idx);
  }
  std::sort(planting.records.begin(), planting.records.end());
  const auto twice = std::adjacent_find(planting.records.begin(), planting.records.end());
  if (twice != planting.records.end()) return not_one(-1);
  crypto::random_bytes(planting.salt);

  v1::LogItem item;
  item.mutable_canaries()->set_collection(request.collection());
  item.mutable_canaries()->set_count(static_cast<uint32_t>(request.records_size()));
  item.mutable_canaries()->set_digest(std::string(as_text(digest_of(planting))));
  v1::PlantCanariesResponse out;
  SR_ASSIGN(const uint64_t leaf, log_change(who, std::move(item), EntryType::kWatch));
  out.set_leaf(leaf);
  const CollectionId collection = planting.collection;
  state_->add_canaries(std::move(planting));
  if (const auto stored = state_->commit(log_->size()); !stored) {
    failed_ = true;
    return stored.error();
  }
  out.set_canaries(state_->canaries().of(collection));
  out.set_records(records_granted(collection));
  return out;
}

// By the very path of a release, from its records on: are they known, is there a rule, is the alarm
// durable and heard by those who ask. Nothing is opened, nobody cut off.
Result<v1::TestCanariesResponse> KeyServer::test_canaries(const std::string& who,
                                                          const v1::TestCanariesRequest&) {
  SR_TRY(require(who, {v1::PLANT_CANARIES, v1::READ_LOG}));
  if (failed_) return unavailable();
  v1::TestCanariesResponse out;
  for (const auto& [id, info] : ledger_.collections()) {
    const CollectionId collection{id};
    auto& tested = *out.add_collections();
    tested.set_name(info.definition.name());
    tested.set_canaries(state_->canaries().of(collection));
    tested.set_records(records_granted(collection));
    std::vector<RecordIndex> alive;
    for (const auto& [idx, of] : state_->canaries().all()) {
      if (of == collection && state_->tree().alive(idx)) alive.push_back(idx);
    }
    tested.set_alive(alive.size());
    const uint64_t found = state_->canaries().count(alive);
    if (found == 0) continue;
    const watch::Watcher& watcher = ledger_.alarms().watcher();
    if (watcher.rules().of(v1::AlarmItem::CANARY).action == v1::WatchRule::OFF) {
      return make_error(ErrorCode::kFailedPrecondition,
                        "The policy's watch section has canaries off: no hit would alarm.");
    }
    watch::Event event;
    event.leaf = log_->size();
    event.principal = who;
    event.collection = collection;
    v1::AlarmItem alarm = watcher.canary_alarm(event, 1);
    alarm.set_test(true);
    const uint64_t leaf = log_->size();
    SR_TRY(raise({alarm}, now_ms()));
    if (const auto committed = log_->commit(); !committed) {
      failed_ = true;
      return committed.error();
    }
    v1::ListAlarmsRequest last;
    last.set_count(1);
    last.set_newest(true);
    const auto heard = ledger_.alarms().list(last, log_->size());
    if (heard.alarms_size() != 1 || heard.alarms(0).leaf() != leaf) {
      return make_error(ErrorCode::kInternal, "The test alarm was logged and cannot be read back.");
    }
    tested.set_leaf(leaf);
  }
  return out;
}

}  // namespace strongroom::keyserver
