#include "strongroom/gateway/record_editor.h"

#include <algorithm>

#include "strongroom/base/wipe.h"
#include "strongroom/gateway/open_row.h"
#include "strongroom/gateway/request.h"

namespace strongroom::gateway {
namespace {

Error taken(size_t place) {
  return make_error(ErrorCode::kAlreadyExists,
                    "another record already has this value of a unique field (the number is the "
                    "place of the row); nothing was written",
                    static_cast<int64_t>(place));
}

void reject(uint64_t number, const std::string& field, const char* reason,
            google::protobuf::RepeatedPtrField<v1::RejectedRow>& rejects) {
  v1::RejectedRow& row = *rejects.Add();
  row.set_number(number);
  row.set_field(field);
  row.set_reason(reason);
}

// Plaintext goes with the scope.
struct WipedRows {
  explicit WipedRows(size_t count) : rows(count) {}
  ~WipedRows() {
    for (PreparedRow& row : rows) row.wipe();
  }
  std::vector<PreparedRow> rows;
};

}  // namespace

RecordEditor::RecordEditor(ImportShared& shared, std::shared_ptr<const Collection> collection,
                           const TermKey& term_key, uint64_t revision)
    : shared_(shared),
      collection_(std::move(collection)),
      builder_(collection_, term_key),
      revision_(revision) {
  for (size_t at = 0; at < collection_->fields.size(); ++at) {
    columns_.push_back(at);
    groups_.push_back(collection_->fields[at].group);
  }
  std::sort(groups_.begin(), groups_.end());
  groups_.erase(std::unique(groups_.begin(), groups_.end()), groups_.end());
}

bool RecordEditor::place(const Fields& fields, uint64_t number, std::vector<std::string>& values,
                         google::protobuf::RepeatedPtrField<v1::RejectedRow>& rejects) const {
  for (const auto& [name, value] : fields) {
    const auto at = collection_->find(name);
    if (!at) {
      // Not the name, which may be a value that went astray.
      reject(number, "", "a field that the collection does not have", rejects);
      return false;
    }
    values[*at] = value;
  }
  return true;
}

bool RecordEditor::build(const std::vector<std::string>& values, uint64_t number, PreparedRow& row,
                         google::protobuf::RepeatedPtrField<v1::RejectedRow>& rejects) {
  const std::vector<std::string_view> views(values.begin(), values.end());
  row.number = number;
  row.rejected = !builder_.build(columns_, views, row.built, row.problem);
  if (row.rejected) {
    reject(number, row.problem.field == nullptr ? std::string() : row.problem.field->name,
           row.problem.reason, rejects);
  }
  return !row.rejected;
}

Result<void> RecordEditor::check_unique(const v1::SignedTicket& ticket, std::span<PreparedRow> rows,
                                        std::optional<RecordIndex> own) {
  SR_TRY(derive_unique(shared_.keys, ticket, collection_->space(), rows,
                       own ? UniqueUse::kUpdate : UniqueUse::kImport));
  settle_pending(shared_, rows, nullptr);
  SR_ASSIGN(const Holders holders, find_holders(shared_.store, collection_->id, rows));
  std::unordered_set<UniqueKey, UniqueKeyHash> seen;
  for (size_t i = 0; i < rows.size(); ++i) {
    for (const auto& key : rows[i].unique_keys) {
      if (!key) continue;
      const auto holder = holders.find(*key);
      const bool others = holder != holders.end() && holder->second.version.idx != own;
      if (others || !seen.insert(*key).second) return taken(i);
    }
  }
  return {};
}

// Written by a definition that was replaced before the grant, a record would lack what the new one
// wants; later ones are seen to by whoever changes it.
Result<void> RecordEditor::check_revision(const WriteGrant& granted) const {
  if (granted.revision == revision_) return {};
  return make_error(ErrorCode::kUnavailable,
                    "the collections or the policy were changed meanwhile; nothing was written. "
                    "Ask again");
}

Result<void> RecordEditor::write(const v1::SignedTicket& ticket, std::span<const PreparedRow> rows,
                                 const WriteGrant& granted, std::optional<Version> superseded,
                                 bool update) {
  SR_TRY(check_revision(granted));
  std::vector<OnlineWrite> writes;
  for (size_t i = 0; i < rows.size(); ++i) {
    OnlineWrite write = rows[i].online_write(granted.versions[i]);
    write.superseded = superseded;
    SR_TRY(record::seal(collection_->id, granted.versions[i], granted.secrets[i],
                        rows[i].built.groups, write.row));
    writes.push_back(std::move(write));
  }
  SR_TRY(shared_.online.write(collection_->id, collection_->write_padding, ticket,
                              std::move(writes), update));
  return shared_.erased.recheck(granted.erasures);
}

Result<v1::PutResponse> RecordEditor::put(const v1::PutRequest& request) {
  const auto count = static_cast<size_t>(request.records_size());
  if (count == 0 || count > kPutRecordsMax) {
    return make_error(ErrorCode::kInvalidArgument,
                      "put takes 1 to 100 records; bring more in by an import");
  }
  v1::PutResponse response;
  WipedRows prepared(count);
  std::vector<std::string> values(collection_->fields.size());
  for (size_t i = 0; i < count; ++i) {
    for (std::string& value : values) value.clear();
    if (place(request.records(static_cast<int>(i)).fields(), i + 1, values,
              *response.mutable_rejects())) {
      build(values, i + 1, prepared.rows[i], *response.mutable_rejects());
    }
    wipe(values);
  }
  if (!response.rejects().empty()) return response;
  SR_TRY(check_unique(request.ticket(), prepared.rows, std::nullopt));
  // A grant ends with its block: two at most.
  WriteGrant granted;
  while (granted.versions.size() < count) {
    v1::GrantCall ask;
    *ask.mutable_ticket() = request.ticket();
    ask.set_request_id(fresh_request_id());
    ask.set_count(static_cast<uint32_t>(count - granted.versions.size()));
    SR_ASSIGN(WriteGrant more, ask_grant(shared_.keys, std::move(ask)));
    if (granted.versions.empty()) {
      granted = std::move(more);
      continue;
    }
    SR_TRY(check_revision(more));
    std::move(more.versions.begin(), more.versions.end(), std::back_inserter(granted.versions));
    std::move(more.secrets.begin(), more.secrets.end(), std::back_inserter(granted.secrets));
  }
  SR_TRY(write(request.ticket(), prepared.rows, granted, std::nullopt, false));
  for (const RecordVersion& version : granted.versions) response.add_ids(record_id(version.idx));
  return response;
}

Result<uint64_t> RecordEditor::open(const v1::UpdateRequest& request, const std::string& row,
                                    RecordVersion version, std::vector<std::string>& values) {
  v1::Call call;
  auto& ask = *call.mutable_release();
  *ask.mutable_ticket() = request.ticket();
  ask.set_request_id(request.request_id());
  ask.set_request_hash(request_hash(request));
  ask.set_groups(group_mask(groups_));
  ask.set_get(true);
  auto& item = *ask.add_items();
  item.set_idx(version.idx.value);
  item.set_u(version.u.value);
  SR_ASSIGN(v1::Reply reply, shared_.keys.call_blocking(std::move(call)));
  auto& released = *reply.mutable_release();
  if (!released.erased().empty()) return no_such_record();
  if (released.keys().size() != groups_.size() * RecordKey::kSize) return malformed_reply();
  const auto opened = open_row(collection_->id, version.idx, row, groups_,
                               as_bytes(released.keys()), [&](FieldId field, std::string&& value) {
                                 for (size_t at = 0; at < values.size(); ++at) {
                                   if (collection_->fields[at].id != field) continue;
                                   values[at] = std::move(value);
                                   break;
                                 }
                               });
  explicit_bzero(released.mutable_keys()->data(), released.keys().size());
  if (!opened) return opened.error();
  return released.leaf();
}

Result<RecordVersion> RecordEditor::replace(const v1::UpdateRequest& request,
                                            const PreparedRow& row, RecordVersion old) {
  const bool forget = request.has_forget_old();
  WriteGrant granted;
  if (forget) {
    v1::GrantCall ask;
    *ask.mutable_ticket() = request.ticket();
    ask.set_request_id(fresh_request_id());
    ask.set_count(1);
    ask.set_replaces(old.idx.value);
    SR_ASSIGN(granted, ask_grant(shared_.keys, std::move(ask)));
  } else {
    v1::UpdateGrantCall ask;
    *ask.mutable_ticket() = request.ticket();
    ask.set_request_id(fresh_request_id());
    ask.set_update(true);
    auto& item = *ask.add_items();
    item.set_idx(old.idx.value);
    item.set_above_u(old.u.value);
    SR_ASSIGN(granted, ask_update_grant(shared_.keys, std::move(ask)));
  }
  SR_TRY(write(request.ticket(), std::span(&row, 1), granted,
               forget ? std::nullopt : std::optional(old.u), true));
  return granted.versions.front();
}

Result<v1::EraseResponse> RecordEditor::forget(const v1::UpdateRequest& request, RecordIndex old) {
  v1::Call call;
  auto& ask = *call.mutable_erase();
  *ask.mutable_ticket() = request.forget_old();
  ask.set_request_id(fresh_request_id());
  ask.add_records(old.value);
  SR_ASSIGN(const v1::Reply reply, shared_.keys.call_blocking(std::move(call)));
  v1::EraseResponse erased;
  erased.set_leaf(reply.erase().leaf());
  erased.set_t_ms(reply.erase().t_ms());
  erased.set_records(1);
  erased.set_rows_left(!shared_.erased.catch_up(reply.erase().erasures()).has_value());
  return erased;
}

Result<v1::UpdateResponse> RecordEditor::update(const v1::UpdateRequest& request) {
  const auto idx = parse_record_id(request.id());
  if (!idx) {
    return make_error(ErrorCode::kInvalidArgument,
                      "a record id has ten hex digits, as find shows it");
  }
  std::vector<std::optional<std::string>> rows;
  SR_TRY(shared_.store.get(store::Table::kRecords,
                           std::vector<std::string>{record::row_key(collection_->id, *idx)}, rows));
  if (!rows[0]) return no_such_record();
  const auto header = record::parse_row(as_bytes(*rows[0]));
  if (!header) return damaged_row();
  const RecordVersion old{*idx, header->u};

  v1::UpdateResponse response;
  std::vector<std::string> values(collection_->fields.size());
  // Before anything is opened for it.
  if (!place(request.set(), 1, values, *response.mutable_rejects())) return response;
  wipe(values);
  WipedRows prepared(1);
  PreparedRow& row = prepared.rows.front();
  for (std::string& value : values) value.clear();
  const auto opened = open(request, *rows[0], old, values);
  if (!opened) {
    wipe(values);
    return opened.error();
  }
  response.set_leaf(*opened);
  std::vector<std::string> before = values;
  place(request.set(), 1, values, *response.mutable_rejects());
  const bool built = build(values, 1, row, *response.mutable_rejects());
  response.set_id(request.id());
  response.set_changed(built && row.built.stored != before);
  wipe(values);
  wipe(before);
  if (!response.changed()) return response;
  SR_TRY(check_unique(request.ticket(), prepared.rows, *idx));
  SR_ASSIGN(const RecordVersion now, replace(request, row, old));
  response.set_id(record_id(now.idx));
  if (!request.has_forget_old()) return response;
  auto erased = forget(request, *idx);
  if (erased) {
    *response.mutable_erased() = *std::move(erased);
  } else {
    response.set_not_erased(erased.error().text);
  }
  return response;
}

}  // namespace strongroom::gateway
