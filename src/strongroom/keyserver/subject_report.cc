// Who looked at a person's records: what is kept for that with each release, and the report.
#include <algorithm>

#include "strongroom/base/durations.h"
#include "strongroom/keyserver/key_server.h"
#include "strongroom/keyserver/report_check.h"
#include "strongroom/tlog/disclosure.h"

namespace strongroom::keyserver {
namespace {

using tlog::EntryType;

constexpr int kRecordsMax = 16;
// Read backwards one by one, on the event loop: some 0.2 s at worst.
constexpr uint32_t kReadsMax = 1000;
constexpr int kProofsMax = kReadsMax + kRecordsMax + 1;
constexpr int64_t kCosignedRetryMs = 250;

// One release of the record, as its entry says.
struct Found {
  tlog::Entry entry;
  uint32_t place = 0;  // Of the ReleaseItem.
  v1::ReleaseItem release;
  std::optional<v1::ShownItem> shown;
  uint64_t before = 0;
  uint64_t hidden_until_ms = 0;
};

Error broken_chain(uint64_t leaf) {
  return make_error(ErrorCode::kDataLoss,
                    "The releases of a record do not lead to each other in the log (the number is "
                    "the entry). Nothing was told; run `log verify`.",
                    static_cast<int64_t>(leaf));
}

Result<Found> find_release(tlog::Entry entry, RecordIndex idx) {
  Found out;
  out.entry = std::move(entry);
  const auto& items = out.entry.items;
  if (out.entry.type != EntryType::kRelease) return broken_chain(out.entry.leaf.value);
  v1::LogItem item;
  for (uint32_t i = 1; i < items.size() && out.place == 0; ++i) {
    if (!item.ParseFromString(items[i])) return broken_chain(out.entry.leaf.value);
    if (!item.has_release() || item.release().idx() != idx.value) continue;
    out.place = i;
    out.release = item.release();
  }
  if (out.place == 0) return broken_chain(out.entry.leaf.value);
  if (!item.ParseFromString(items.back())) return broken_chain(out.entry.leaf.value);
  if (!item.has_chain()) return out;  // Of a version before 0.2.
  if (static_cast<int64_t>(out.place) > item.chain().before_size()) {
    return broken_chain(out.entry.leaf.value);
  }
  out.before = item.chain().before(static_cast<int>(out.place) - 1);
  out.hidden_until_ms = item.chain().hidden_until_ms();
  if (!item.ParseFromString(items[items.size() - 2]) || !item.has_shown()) {
    return broken_chain(out.entry.leaf.value);
  }
  out.shown = item.shown();
  return out;
}

void set_disclosed(const tlog::Entry& entry, std::span<const uint32_t> places,
                   v1::EntryProof& proof) {
  proof.set_leaf(entry.leaf.value);
  proof.set_entry(std::string(as_text(tlog::public_bytes(entry))));
  for (tlog::Disclosure& shown : tlog::disclose(entry, places)) {
    v1::DisclosedItem& item = *proof.add_items();
    item.set_place(shown.place);
    item.set_item(std::move(shown.item));
    item.set_salt(std::string(as_text(shown.salt)));
    for (const tlog::Hash& hash : shown.path) item.add_path(std::string(as_text(hash)));
  }
}

const char* shown_as_name(v1::ShownAs as) {
  return as == v1::PERSON ? "person" : as == v1::UNIT ? "unit" : "role";
}

void add_line(const Found& found, v1::ReportedRecord& record) {
  v1::ReportLine& line = *record.add_lines();
  line.set_t_ms(found.entry.t_ms);
  line.set_k(found.release.k());
  std::vector<uint32_t> places{found.place};
  if (found.shown) {
    places.push_back(static_cast<uint32_t>(found.entry.items.size() - 2));
    *line.mutable_groups() = found.shown->groups();
    line.set_purpose(found.shown->purpose());
    line.set_purpose_title(found.shown->purpose_title());
    line.set_shown_as(shown_as_name(found.shown->shown_as()));
    line.set_who(found.shown->who());
    line.set_case_reference(found.shown->case_reference());
  }
  set_disclosed(found.entry, places, *line.mutable_proof());
}

}  // namespace

void KeyServer::add_disclosure(const policy::Ask& ask, uint64_t now,
                               std::vector<v1::LogItem>& items) const {
  const policy::Engine& engine = ledger_.engine();
  const v1::Principal& principal = engine.principal(ask.principal)->principal;
  v1::ChainItem chain;
  for (const v1::LogItem& item : std::span(items).subspan(1)) {
    chain.add_before(ledger_.releases().of(RecordIndex{item.release().idx()}).last);
  }
  v1::ShownItem& shown = *items.emplace_back().mutable_shown();
  shown.set_purpose(std::string(ask.purpose));
  for (const v1::Purpose& purpose : engine.policy().purposes()) {
    if (purpose.name() != ask.purpose) continue;
    shown.set_purpose_title(purpose.title());
    shown.set_shown_as(purpose.shown_as());
    if (purpose.show_case()) shown.set_case_reference(std::string(ask.case_reference));
    if (purpose.embargo_days() != 0) {
      chain.set_hidden_until_ms(now + purpose.embargo_days() * kDayMs);
    }
  }
  if (shown.shown_as() == v1::UNIT && principal.unit().empty()) shown.set_shown_as(v1::ROLE);
  if (shown.shown_as() == v1::PERSON) {
    shown.set_who(principal.name());
  } else if (shown.shown_as() == v1::UNIT) {
    shown.set_who(principal.unit());
  } else {
    shown.set_who(principal.role());
    for (const v1::Role& role : engine.policy().roles()) {
      if (role.name() == principal.role() && !role.title().empty()) shown.set_who(role.title());
    }
  }
  const v1::Collection& collection = ledger_.collection(ask.collection)->definition;
  shown.set_collection(collection.name());
  if ((ask.groups >> policy::kMaskedGroup & 1) != 0) shown.add_groups("masked");
  for (const v1::Group& group : collection.groups()) {
    if ((ask.groups >> group.id() & 1) != 0) shown.add_groups(group.name());
  }
  *items.emplace_back().mutable_chain() = std::move(chain);
}

bool KeyServer::told_early(const tlog::Entry& release) const {
  v1::LogItem item;
  if (!item.ParseFromString(release.items.front()) || !item.has_ticket()) return false;
  return release.leaf.value <
         ledger_.embargo_lifts().below(item.ticket().purpose(), item.ticket().case_reference());
}

Result<void> KeyServer::follow_releases(RecordIndex idx, uint64_t now, uint32_t* reads,
                                        v1::ReportedRecord& record) const {
  const RecordReleases known = ledger_.releases().of(idx);
  record.set_idx(idx.value);
  record.set_releases(known.count);
  uint32_t told = 0;  // Or hidden.
  for (uint64_t leaf = known.last; leaf != 0 && *reads > 0; --*reads) {
    SR_ASSIGN(auto entries, log_->read(leaf, 1));
    SR_ASSIGN(const Found found, find_release(std::move(entries.front()), idx));
    // Counts down to 0, each in an entry before the last.
    if (found.release.k() != known.count - 1 - told || found.before >= leaf) {
      return broken_chain(leaf);
    }
    ++told;
    if (found.hidden_until_ms > now && !told_early(found.entry)) {
      record.set_hidden(record.hidden() + 1);
    } else {
      add_line(found, record);
    }
    leaf = found.before;
  }
  record.set_older(known.count - told);
  return {};
}

Result<v1::ReportSubjectResponse> KeyServer::report_subject(
    const std::string& who, const v1::ReportSubjectRequest& request) {
  SR_TRY(require(who, {v1::REPORT_SUBJECTS}));
  if (failed_) return unavailable();
  const CollectionInfo* collection = ledger_.collection(request.collection());
  if (collection == nullptr) {
    return make_error(ErrorCode::kNotFound, "There is no such collection.");
  }
  std::vector<RecordIndex> records;
  for (const uint64_t idx : request.idx()) records.push_back(RecordIndex{idx});
  std::sort(records.begin(), records.end());
  if (records.empty() || request.idx_size() > kRecordsMax ||
      std::adjacent_find(records.begin(), records.end()) != records.end() ||
      request.case_reference().size() > kCaseReferenceMax) {
    return make_error(ErrorCode::kInvalidArgument,
                      "A report is about 1 to 16 records, each once, and a case reference has at "
                      "most 200 bytes.");
  }
  const uint64_t now = now_ms();
  policy::Ask ask;
  ask.principal = who;
  ask.purpose = request.purpose();
  ask.case_reference = request.case_reference();
  ask.collection = CollectionId{collection->definition.id()};
  ask.action = v1::FIND;
  ask.from = ip_of(as_bytes(request.from()));
  ask.amounts.records = records.size();
  SR_TRY(ledger_.engine().decide(ask, now));
  SR_TRY(check_witnessed(now));
  for (int i = 0; i < request.idx_size(); ++i) {
    if (ledger_.granted(RecordIndex{request.idx(i)}) != ask.collection) {
      return make_error(ErrorCode::kNotFound, "There is no such record (the number is its place).",
                        i);
    }
  }

  v1::ReportSubjectResponse out;
  v1::SubjectReport& report = *out.mutable_report();
  std::vector<v1::LogItem> items(1);
  v1::TicketItem& ticket = *items[0].mutable_ticket();
  ticket.set_principal(who);
  ticket.set_purpose(request.purpose());
  ticket.set_case_reference(request.case_reference());
  ticket.set_collection(ask.collection.value);
  ticket.set_charge(records.size());
  if (ask.from) ticket.set_from(ip_bytes(*ask.from));
  ticket.set_emergency(ledger_.engine().is_emergency(ask.purpose));
  items[0].set_author(who);
  uint32_t reads = kReadsMax;
  for (const uint64_t idx : request.idx()) {
    v1::ReportedRecord& record = *report.add_records();
    record.set_collection(collection->definition.name());
    SR_TRY(follow_releases(RecordIndex{idx}, now, &reads, record));
    v1::ReportedItem& item = *items.emplace_back().mutable_reported();
    item.set_idx(idx);
    item.set_releases(record.releases());
    item.set_lines(static_cast<uint32_t>(record.lines_size()));
    item.set_hidden(record.hidden());
    item.set_older(record.older());
  }
  const policy::Holder holder = ledger_.engine().holder(ask);
  SR_ASSIGN(const size_t position, stage(EntryType::kReport, items, now));
  // Who asks about a record that nobody has cause to ask about is noticed as in a release.
  v1::Ticket asked;
  asked.set_principal(who);
  asked.set_purpose(request.purpose());
  asked.set_collection(ask.collection.value);
  SR_TRY(raise_canaries(log_->size() + position, asked, records, now));
  const auto leaves = log_->commit();
  if (!leaves) {
    failed_ = true;
    return unavailable();
  }
  SR_TRY(ledger_.engine().clear(holder));
  SR_TRY(log_->write_checkpoint());
  SR_TRY(prove_report((*leaves)[position].index().value, report));
  out.set_witnessed(!witnessing_.witnesses().empty());
  return out;
}

Result<v1::ProveReportResponse> KeyServer::prove_report_witnessed(
    const std::string& who, const v1::ProveReportRequest& request) const {
  SR_TRY(require(who, {v1::REPORT_SUBJECTS}));
  if (request.leaves().empty() || request.leaves_size() > kProofsMax) {
    return make_error(ErrorCode::kInvalidArgument, "A report has 1 to 1017 proofs.");
  }
  if (witnessing_.witnesses().empty()) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "The policy names no witnesses, so nobody cosigns a checkpoint.");
  }
  v1::ProveReportResponse out;
  out.set_checkpoint(witnessing_.cosigned_note());
  // Ours: its text ends at the empty line before the signatures.
  const size_t text = out.checkpoint().find("\n\n");
  const auto checkpoint = tlog::parse_checkpoint_text(out.checkpoint().substr(0, text + 1));
  const uint64_t last = std::ranges::max(request.leaves());
  if (!checkpoint || last >= checkpoint->size) {
    Error error = make_error(ErrorCode::kUnavailable,
                             "Witnesses have not cosigned these entries yet. Try again.");
    error.retry_after_ms = kCosignedRetryMs;
    return error;
  }
  const tlog::TileReader read = [this](std::string_view path) { return log_->tile(path); };
  for (const uint64_t leaf : request.leaves()) {
    SR_ASSIGN(const auto path, tlog::prove_inclusion(read, leaf, checkpoint->size));
    v1::LogPath& to = *out.add_paths();
    for (const tlog::Hash& hash : path) to.add_hashes(std::string(as_text(hash)));
  }
  return out;
}

Result<void> KeyServer::prove_report(uint64_t leaf, v1::SubjectReport& report) const {
  const uint64_t size = log_->checkpoint_size();
  const auto prove = [&](v1::EntryProof& proof) -> Result<void> {
    const tlog::TileReader read = [this](std::string_view path) { return log_->tile(path); };
    SR_ASSIGN(const auto path, tlog::prove_inclusion(read, proof.leaf(), size));
    for (const tlog::Hash& hash : path) proof.add_path(std::string(as_text(hash)));
    return {};
  };
  SR_ASSIGN(const auto own, log_->read(leaf, 1));
  report.set_version(kSubjectReportVersion);
  report.set_origin(vault_.origin());
  report.set_t_ms(own.front().t_ms);
  report.set_checkpoint(log_->checkpoint_note());
  for (int i = 0; i < report.records_size(); ++i) {
    v1::ReportedRecord& record = *report.mutable_records(i);
    const uint32_t place = static_cast<uint32_t>(i) + 1;
    set_disclosed(own.front(), {&place, 1}, *record.mutable_proof());
    SR_TRY(prove(*record.mutable_proof()));
    for (v1::ReportLine& line : *record.mutable_lines()) SR_TRY(prove(*line.mutable_proof()));
  }
  return {};
}

}  // namespace strongroom::keyserver
