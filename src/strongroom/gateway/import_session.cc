#include "strongroom/gateway/import_session.h"

#include <algorithm>

namespace strongroom::gateway {
namespace {

Error wrong_size() {
  return make_error(ErrorCode::kInternal, "the key server's answer has the wrong size");
}

void wipe(std::string* bytes) { explicit_bzero(bytes->data(), bytes->size()); }

Result<void> change_lane(KeyService& keys, LaneId lane, v1::PublishLaneCall::Change change) {
  v1::Call call;
  call.mutable_publish_lane()->set_lane(lane.value);
  call.mutable_publish_lane()->set_change(change);
  SR_TRY(keys.call_blocking(std::move(call)));
  return {};
}

}  // namespace

ImportSession::ImportSession(ImportShared& shared, std::shared_ptr<const Collection> collection,
                             const TermKey& term_key, std::string checkpoint_name, Columns columns,
                             std::optional<size_t> key_field, v1::ImportState state)
    : shared_(shared),
      collection_(std::move(collection)),
      builder_(collection_, term_key),
      checkpoint_name_(std::move(checkpoint_name)),
      columns_(std::move(columns)),
      key_field_(key_field),
      durable_(std::move(state)),
      now_(durable_),
      chunk_target_(shared.options.first_chunk_records) {}

ImportSession::~ImportSession() {
  const bool reserved = packer_ != nullptr && !in_doubt_;
  forget_chunk();
  // Best effort: a reserved lane that is never published is searched by nobody.
  if (reserved) static_cast<void>(change_lane(shared_.keys, lane_, v1::PublishLaneCall::DROP));
}

void ImportSession::forget_chunk() {
  for (const auto& key : claimed_) shared_.pending.erase(key);
  claimed_.clear();
  uniques_.clear();
  small_.clear();
  packer_.reset();
  rows_.reset();
  chunk_records_ = 0;
}

void ImportSession::reject(uint64_t number, const std::string& field, const char* reason) {
  auto& row = rejects_.emplace_back();
  row.set_number(number);
  row.set_field(field);
  row.set_reason(reason);
  now_.set_rejected(now_.rejected() + 1);
}

Result<void> ImportSession::add(const v1::SignedTicket& ticket, std::span<const v1::ImportRow> rows,
                                const v1::SourcePosition& position) {
  ticket_ = ticket;
  SR_TRY(process(rows));
  *now_.mutable_durable() = position;
  if (chunk_records_ >= chunk_target_ || deferred_.size() > shared_.options.online_records_max) {
    SR_TRY(commit());
  }
  return {};
}

Result<void> ImportSession::finish(const v1::SignedTicket& ticket, const v1::SourcePosition& position) {
  ticket_ = ticket;
  *now_.mutable_durable() = position;
  now_.set_finished(true);
  return commit();
}

Result<void> ImportSession::process(std::span<const v1::ImportRow> rows) {
  if (prepared_.size() < rows.size()) prepared_.resize(rows.size());
  std::vector<std::string_view> values(columns_.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    Prepared& row = prepared_[i];
    row.number = rows[i].number();
    row.rejected = false;
    BuildProblem problem;
    if (rows[i].values_size() != static_cast<int>(columns_.size())) {
      row.rejected = true;
      reject(row.number, "", "wrong number of values");
      continue;
    }
    for (size_t c = 0; c < columns_.size(); ++c) values[c] = rows[i].values(static_cast<int>(c));
    if (!builder_.build(columns_, values, row.built, problem)) {
      row.rejected = true;
      reject(row.number, problem.field == nullptr ? std::string() : problem.field->name, problem.reason);
    } else if (key_field_ && !row.built.has_unique[*key_field_]) {
      row.rejected = true;
      reject(row.number, collection_->fields[collection_->unique_fields[*key_field_]].name,
             "empty, and --key names this field");
    }
  }
  SR_TRY(derive_unique(rows.size()));
  std::unordered_map<UniqueKey, Holder, UniqueKeyHash> holders;
  SR_TRY(find_holders(rows.size(), holders));

  std::vector<size_t> inserts;
  std::vector<Update> updates;
  for (size_t i = 0; i < rows.size(); ++i) {
    Prepared& row = prepared_[i];
    if (row.rejected) continue;
    const Holder* same = nullptr;  // The record this row is about, by --key.
    bool taken = false, wait = false, unchanged = false;
    for (size_t f = 0; f < row.unique_keys.size(); ++f) {
      if (!row.unique_keys[f]) continue;
      const bool is_key = key_field_ && *key_field_ == f;
      if (const auto pending = shared_.pending.find(*row.unique_keys[f]); pending != shared_.pending.end()) {
        if (is_key && pending->second.check == row.checks[f]) {
          unchanged = true;
        } else if (key_field_) {
          wait = true;
        } else {
          taken = true;
        }
        continue;
      }
      const auto holder = holders.find(*row.unique_keys[f]);
      if (holder == holders.end()) continue;
      if (is_key) {
        same = &holder->second;
        unchanged = same->current && same->check == row.checks[f];
      } else if (same == nullptr || holder->second.version.idx != same->version.idx) {
        taken = true;
      }
    }
    if (wait) {
      Deferred held{row.number, {}};
      for (const auto& value : rows[i].values()) held.values.push_back(value);
      deferred_.push_back(std::move(held));
    } else if (unchanged) {
      now_.set_unchanged(now_.unchanged() + 1);
    } else if (taken) {
      reject(row.number, "", "another record already has this value of a unique field");
    } else if (same != nullptr) {
      // A second row of the same batch about the same record must see the first one's outcome.
      const bool again = std::any_of(updates.begin(), updates.end(),
                                     [&](const Update& u) { return u.old.idx == same->version.idx; });
      if (again) {
        Deferred held{row.number, {}};
        for (const auto& value : rows[i].values()) held.values.push_back(value);
        deferred_.push_back(std::move(held));
      } else {
        updates.push_back({i, same->version});
      }
    } else {
      for (size_t f = 0; f < row.unique_keys.size(); ++f) {
        if (!row.unique_keys[f]) continue;
        shared_.pending.insert_or_assign(*row.unique_keys[f], PendingUnique{this, row.checks[f]});
        claimed_.push_back(*row.unique_keys[f]);
      }
      inserts.push_back(i);
    }
  }
  SR_TRY(update(updates));
  return insert(inserts);
}

Result<void> ImportSession::derive_unique(size_t rows) {
  const size_t fields = collection_->unique_fields.size();
  std::vector<std::pair<size_t, size_t>> order;  // (row, unique field) by token.
  v1::Call call;
  auto& ask = *call.mutable_unique_tokens();
  for (size_t i = 0; i < rows; ++i) {
    Prepared& row = prepared_[i];
    row.unique_keys.assign(fields, std::nullopt);
    row.unique_tokens.clear();
    row.unique_tokens.resize(fields);
    row.checks.assign(fields, {});
    if (row.rejected) continue;
    for (size_t f = 0; f < fields; ++f) {
      if (!row.built.has_unique[f]) continue;
      ask.add_h_w(as_text(row.built.unique[f].bytes).data(), TermHash{}.bytes.size());
      order.emplace_back(i, f);
    }
  }
  if (order.empty()) return {};
  *ask.mutable_ticket() = ticket_;
  ask.set_request_id(fresh_request_id());
  SR_ASSIGN(v1::Reply reply, shared_.keys.call_blocking(std::move(call)));
  auto& granted = *reply.mutable_unique_tokens();
  if (granted.tokens().size() != order.size() * TermToken::kSize) return wrong_size();
  const Bytes tokens = as_bytes(granted.tokens());
  for (size_t k = 0; k < order.size(); ++k) {
    Prepared& row = prepared_[order[k].first];
    const size_t f = order[k].second;
    row.unique_tokens[f] = TermToken(tokens.subspan(k * 32).first<32>());
    row.unique_keys[f] = index::unique_key(collection_->id, row.unique_tokens[f]);
    row.checks[f] = index::content_check(row.unique_tokens[f], as_bytes(row.built.content));
  }
  wipe(granted.mutable_tokens());
  return {};
}

Result<void> ImportSession::find_holders(size_t rows, std::unordered_map<UniqueKey, Holder, UniqueKeyHash>& holders) {
  std::vector<std::pair<std::string, std::pair<size_t, size_t>>> wanted;
  for (size_t i = 0; i < rows; ++i) {
    if (prepared_[i].rejected) continue;
    for (size_t f = 0; f < prepared_[i].unique_keys.size(); ++f) {
      if (prepared_[i].unique_keys[f]) wanted.push_back({std::string(as_text(*prepared_[i].unique_keys[f])), {i, f}});
    }
  }
  std::sort(wanted.begin(), wanted.end());
  std::vector<std::string> keys;
  for (const auto& w : wanted) keys.push_back(w.first);
  std::vector<std::optional<std::string>> values;
  SR_TRY(shared_.store.get(store::Table::kUnique, keys, values));
  std::vector<UniqueKey> found;
  std::vector<std::string> row_keys;
  std::vector<index::UniqueRow> unique_rows;
  for (size_t k = 0; k < keys.size(); ++k) {
    if (!values[k]) continue;
    const auto [i, f] = wanted[k].second;
    SR_ASSIGN(const auto unique,
              index::open_unique(as_bytes(keys[k]), prepared_[i].unique_tokens[f], as_bytes(*values[k])));
    found.push_back(*prepared_[i].unique_keys[f]);
    unique_rows.push_back(unique);
    row_keys.push_back(record::row_key(collection_->id, unique.version.idx));
  }
  if (found.empty()) return {};
  std::vector<std::optional<std::string>> rows_found;
  SR_TRY(shared_.store.get(store::Table::kRecords, row_keys, rows_found));
  for (size_t k = 0; k < found.size(); ++k) {
    if (!rows_found[k]) continue;  // Its write never reached the commit point, or it was erased: free.
    SR_ASSIGN(const auto header, record::parse_row(as_bytes(*rows_found[k])));
    if (header.u > unique_rows[k].version.u) continue;  // The record has another value by now: free.
    // An older row means an update that was cut off half way: the record holds the value, its content is to be redone.
    holders[found[k]] = {{unique_rows[k].version.idx, header.u},
                         unique_rows[k].check,
                         header.u == unique_rows[k].version.u};
  }
  return {};
}

Result<void> ImportSession::next_secret(size_t still_needed, const WriteSecret** secret, RecordVersion* version) {
  if (grant_.used == grant_.secrets.size()) {
    v1::Call call;
    auto& ask = *call.mutable_grant();
    *ask.mutable_ticket() = ticket_;
    ask.set_request_id(fresh_request_id());
    ask.set_count(static_cast<uint32_t>(std::min<size_t>(still_needed, RecordIndex::kPerBlock)));
    SR_ASSIGN(v1::Reply reply, shared_.keys.call_blocking(std::move(call)));
    auto& granted = *reply.mutable_grant();
    if (granted.count() == 0 || granted.secrets().size() != granted.count() * WriteSecret::kSize) return wrong_size();
    grant_ = Grant{RecordIndex{granted.first()}, Version{granted.u()}, {}, 0};
    grant_.secrets.reserve(granted.count());
    const Bytes bytes = as_bytes(granted.secrets());
    for (size_t i = 0; i < granted.count(); ++i) grant_.secrets.emplace_back(bytes.subspan(i * 32).first<32>());
    wipe(granted.mutable_secrets());
  }
  *secret = &grant_.secrets[grant_.used];
  *version = {RecordIndex{grant_.first.value + grant_.used}, grant_.u};
  ++grant_.used;
  return {};
}

std::string ImportSession::seal_unique_row(const Prepared& row, size_t which, RecordVersion version) const {
  return index::seal_unique(*row.unique_keys[which], row.unique_tokens[which], {version, row.checks[which]});
}

Result<void> ImportSession::insert(std::span<const size_t> which) {
  for (size_t k = 0; k < which.size(); ++k) {
    Prepared& row = prepared_[which[k]];
    const WriteSecret* secret = nullptr;
    RecordVersion version;
    SR_TRY(next_secret(which.size() - k, &secret, &version));
    std::string sealed;
    SR_TRY(record::seal(collection_->id, version, *secret, row.built.groups, sealed));
    last_ = version;
    ++chunk_records_;
    now_.set_imported(now_.imported() + 1);
    if (packer_ == nullptr) {
      OnlineWrite write{version, std::nullopt, std::move(sealed), row.built.terms, {}};
      for (size_t f = 0; f < row.unique_keys.size(); ++f) {
        if (!row.unique_keys[f]) continue;
        write.unique.push_back({store::Table::kUnique, std::string(as_text(*row.unique_keys[f])),
                                seal_unique_row(row, f, version)});
      }
      small_.push_back(std::move(write));
      if (small_.size() > shared_.options.online_records_max) SR_TRY(start_packing());
      continue;
    }
    SR_TRY(rows_->add(record::row_key(collection_->id, version.idx), sealed));
    const index::Posting posting{version.idx, static_cast<uint32_t>(version.u.value)};
    for (const TermHash& term : row.built.terms) packer_->add(term, posting);
    for (size_t f = 0; f < row.unique_keys.size(); ++f) {
      if (row.unique_keys[f]) uniques_.emplace_back(*row.unique_keys[f], seal_unique_row(row, f, version));
    }
  }
  return {};
}

Result<void> ImportSession::start_packing() {
  v1::Call call;
  auto& ask = *call.mutable_open_lane();
  *ask.mutable_ticket() = ticket_;
  ask.set_request_id(fresh_request_id());
  ask.set_packed(true);
  SR_ASSIGN(v1::Reply reply, shared_.keys.call_blocking(std::move(call)));
  auto& opened = *reply.mutable_open_lane();
  if (opened.root().size() != LaneRoot::kSize) return wrong_size();
  LaneRoot root(as_bytes(opened.root()).first<32>());
  wipe(opened.mutable_root());
  lane_ = LaneId{opened.lane()};
  packer_ = std::make_unique<index::LanePacker>(lane_, std::move(root));
  packer_->reserve(chunk_target_ * std::max<size_t>(1, small_.front().terms.size()));
  SR_ASSIGN(rows_, shared_.store.begin_run(store::Table::kRecords));
  for (auto& write : small_) {
    SR_TRY(rows_->add(record::row_key(collection_->id, write.version.idx), write.row));
    const index::Posting posting{write.version.idx, static_cast<uint32_t>(write.version.u.value)};
    for (const TermHash& term : write.terms) packer_->add(term, posting);
    for (auto& put : write.unique) {
      UniqueKey key;
      std::copy_n(as_bytes(put.key).begin(), key.size(), key.begin());
      uniques_.emplace_back(key, std::move(put.value));
    }
  }
  small_.clear();
  return {};
}

Result<void> ImportSession::update(std::span<const Update> updates) {
  for (size_t from = 0; from < updates.size(); from += RecordIndex::kPerBlock) {
    const auto part = updates.subspan(from, std::min<size_t>(RecordIndex::kPerBlock, updates.size() - from));
    v1::Call call;
    auto& ask = *call.mutable_update_grant();
    *ask.mutable_ticket() = ticket_;
    ask.set_request_id(fresh_request_id());
    for (const Update& u : part) {
      auto& item = *ask.add_items();
      item.set_idx(u.old.idx.value);
      item.set_above_u(u.old.u.value);
    }
    SR_ASSIGN(v1::Reply reply, shared_.keys.call_blocking(std::move(call)));
    auto& granted = *reply.mutable_update_grant();
    if (granted.u_size() != static_cast<int>(part.size()) ||
        granted.secrets().size() != part.size() * WriteSecret::kSize) {
      return wrong_size();
    }
    std::vector<OnlineWrite> writes;
    for (size_t k = 0; k < part.size(); ++k) {
      Prepared& row = prepared_[part[k].prepared];
      const WriteSecret secret(as_bytes(granted.secrets()).subspan(k * 32).first<32>());
      const RecordVersion version{part[k].old.idx, Version{granted.u(static_cast<int>(k))}};
      OnlineWrite write{version, part[k].old.u, {}, row.built.terms, {}};
      SR_TRY(record::seal(collection_->id, version, secret, row.built.groups, write.row));
      for (size_t f = 0; f < row.unique_keys.size(); ++f) {
        if (!row.unique_keys[f]) continue;
        write.unique.push_back({store::Table::kUnique, std::string(as_text(*row.unique_keys[f])),
                                seal_unique_row(row, f, version)});
      }
      writes.push_back(std::move(write));
    }
    wipe(granted.mutable_secrets());
    SR_TRY(shared_.online.write(collection_->id, ticket_, std::move(writes)));
    now_.set_updated(now_.updated() + part.size());
  }
  return {};
}

Result<void> ImportSession::commit() {
  do {
    if (packer_ != nullptr) {
      SR_TRY(commit_packed());
    } else if (!small_.empty()) {
      SR_TRY(commit_online());
    }
    forget_chunk();
    chunk_target_ = std::min(chunk_target_ * 2, shared_.options.chunk_records_max);

    // Rows that waited for this chunk, or for another import's.
    std::vector<v1::ImportRow> rows;
    for (auto& held : deferred_) {
      auto& row = rows.emplace_back();
      row.set_number(held.number);
      for (auto& value : held.values) row.add_values(std::move(value));
    }
    deferred_.clear();
    for (size_t from = 0; from < rows.size(); from += 1024) {
      SR_TRY(process(std::span(rows).subspan(from, std::min<size_t>(1024, rows.size() - from))));
    }
    if (!deferred_.empty() && chunk_records_ == 0) {
      std::vector<ImportSession*> others;
      for (const auto& [key, pending] : shared_.pending) {
        if (pending.session != this && std::find(others.begin(), others.end(), pending.session) == others.end()) {
          others.push_back(pending.session);
        }
      }
      for (ImportSession* other : others) SR_TRY(other->commit());
    }
  } while (!deferred_.empty() || chunk_records_ > 0);

  v1::ImportCheckpoint checkpoint;
  *checkpoint.mutable_state() = now_;
  checkpoint.set_collection(collection_->id.value);
  SR_TRY(shared_.checkpoints.save(checkpoint_name_, checkpoint));
  in_doubt_ = false;
  durable_ = now_;
  return {};
}

v1::ImportCheckpoint ImportSession::pending_checkpoint() const {
  v1::ImportCheckpoint checkpoint;
  *checkpoint.mutable_state() = durable_;
  checkpoint.set_collection(collection_->id.value);
  auto& pending = *checkpoint.mutable_pending();
  if (packer_ != nullptr) pending.set_lane(lane_.value);
  pending.set_last_idx(last_.idx.value);
  pending.set_u(last_.u.value);
  // With rows still waiting, the whole chunk is read again after a crash; by --key that changes nothing.
  *pending.mutable_after() = deferred_.empty() ? now_ : durable_;
  return checkpoint;
}

Result<void> ImportSession::commit_online() {
  in_doubt_ = true;
  SR_TRY(shared_.checkpoints.save(checkpoint_name_, pending_checkpoint()));
  return shared_.online.write(collection_->id, ticket_, std::exchange(small_, {}));
}

Result<void> ImportSession::commit_packed() {
  in_doubt_ = true;
  SR_TRY(shared_.checkpoints.save(checkpoint_name_, pending_checkpoint()));

  SR_ASSIGN(auto postings, shared_.store.begin_run(store::Table::kPostings));
  SR_ASSIGN(auto directory, shared_.store.begin_run(store::Table::kDirectory));
  SR_TRY(packer_->finish([&](std::string_view key, std::string_view value) { return postings->add(key, value); },
                         [&](std::string_view key, std::string_view value) { return directory->add(key, value); }));
  SR_TRY(shared_.store.ingest(std::move(postings)));
  SR_TRY(shared_.store.ingest(std::move(directory)));

  std::sort(uniques_.begin(), uniques_.end());
  SR_ASSIGN(auto uniques, shared_.store.begin_run(store::Table::kUnique));
  for (const auto& [key, value] : uniques_) SR_TRY(uniques->add(as_text(key), value));
  SR_TRY(shared_.store.ingest(std::move(uniques)));
  SR_TRY(shared_.store.ingest(std::move(rows_)));
  return change_lane(shared_.keys, lane_, v1::PublishLaneCall::PUBLISH);
}

Result<v1::ImportState> recover_import(ImportShared& shared, const std::string& name,
                                       v1::ImportCheckpoint checkpoint) {
  const v1::PendingChunk pending = checkpoint.pending();
  std::vector<std::optional<std::string>> rows;
  const auto key = record::row_key(CollectionId{checkpoint.collection()}, RecordIndex{pending.last_idx()});
  SR_TRY(shared.store.get(store::Table::kRecords, std::vector<std::string>{key}, rows));
  const bool committed = rows[0].has_value();  // All rows of a chunk become visible together.
  if (pending.lane() != 0) {
    SR_TRY(change_lane(shared.keys, LaneId{pending.lane()},
                       committed ? v1::PublishLaneCall::PUBLISH : v1::PublishLaneCall::DROP));
  }
  if (committed) *checkpoint.mutable_state() = pending.after();
  checkpoint.clear_pending();
  SR_TRY(shared.checkpoints.save(name, checkpoint));
  return checkpoint.state();
}

}  // namespace strongroom::gateway
