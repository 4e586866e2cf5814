#include "strongroom/gateway/import_session.h"

#include <algorithm>

#include "strongroom/base/wipe.h"

namespace strongroom::gateway {
namespace {

// Held until a chunk is committed: 16 bytes a posting, and values in plaintext.
constexpr size_t kChunkPostingsMax = size_t{1} << 23;
constexpr size_t kChunkBytesMax = size_t{1} << 27;

constexpr size_t kWaveRows = 1024;
constexpr size_t kSealWaveRows = 2048;

Result<void> change_lane(KeyService& keys, LaneId lane, v1::PublishLaneCall::Change change) {
  v1::Call call;
  call.mutable_publish_lane()->set_lane(lane.value);
  call.mutable_publish_lane()->set_change(change);
  SR_TRY(keys.call_blocking(std::move(call)));
  return {};
}

void wipe_values(ImportSession::Rows& rows) {
  for (v1::ImportRow& row : rows) {
    for (std::string& value : *row.mutable_values()) wipe(value);
  }
}

Error erased_meanwhile() {
  return make_error(ErrorCode::kConflict,
                    "a record that a row of this import changes was erased meanwhile; nothing else "
                    "was lost. Run the same command again: it goes on where it stopped");
}

}  // namespace

ImportSession::ImportSession(ImportShared& shared, std::shared_ptr<const Collection> collection,
                             const TermKey& term_key, std::string checkpoint_name, Columns columns,
                             std::optional<size_t> key_field, v1::ImportState state)
    : shared_(shared),
      collection_(std::move(collection)),
      builders_{RecordBuilder(collection_, term_key), RecordBuilder(collection_, term_key)},
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
  for (Batch* batch : {&next_, &waiting_, &deferred_batch_}) {
    for (PreparedRow& row : batch->prepared) row.wipe();
    wipe_values(batch->rows);
  }
  for (Deferred& held : deferred_) {
    for (std::string& value : *held.row.mutable_values()) wipe(value);
  }
}

void ImportSession::forget_chunk() {
  for (const auto& key : claimed_) shared_.pending.erase(key);
  claimed_.clear();
  uniques_.reset();
  held_.clear();
  packer_.reset();
  rows_.reset();
}

void ImportSession::reject(uint64_t number, const std::string& field, const char* reason) {
  auto& row = rejects_.emplace_back();
  row.set_number(number);
  row.set_field(field);
  row.set_reason(reason);
  now_.set_rejected(now_.rejected() + 1);
}

Result<void> ImportSession::add(const v1::SignedTicket& ticket, Rows rows,
                                const v1::SourcePosition& position, bool ahead) {
  if (failed_) return *failed_;
  ticket_ = ticket;
  next_.rows.Swap(&rows);
  next_.position = position;
  Result<void> taken;
  build(next_, [&] { taken = take_waiting(); });
  SR_TRY(taken);
  std::swap(next_, waiting_);
  if (!ahead) SR_TRY(take_waiting());
  if (held_.size() >= chunk_target_ || deferred_.size() > shared_.options.online_records_max ||
      held_.terms() >= kChunkPostingsMax || held_.bytes() >= kChunkBytesMax) {
    SR_TRY(commit());
  }
  return {};
}

Result<void> ImportSession::take_waiting() {
  if (!waiting_.built) return {};
  SR_TRY(take(waiting_, false));
  *now_.mutable_durable() = waiting_.position;
  return {};
}

Result<void> ImportSession::finish(const v1::SignedTicket& ticket,
                                   const v1::SourcePosition& position) {
  if (failed_) return *failed_;
  ticket_ = ticket;
  SR_TRY(take_waiting());
  *now_.mutable_durable() = position;
  now_.set_finished(true);
  return commit();
}

void ImportSession::build_one(const v1::ImportRow& given, RecordBuilder& builder,
                              PreparedRow& row) const {
  row.number = given.number();
  row.rejected = true;
  row.problem = {};
  if (given.values_size() != static_cast<int>(columns_.size())) {
    row.problem.reason = "wrong number of values";
    return;
  }
  const std::vector<std::string_view> values(given.values().begin(), given.values().end());
  if (!builder.build(columns_, values, row.built, row.problem)) return;
  if (key_field_ && !row.built.has_unique[*key_field_]) {
    row.problem = {&collection_->fields[collection_->unique_fields[*key_field_]],
                   "empty, and --key names this field"};
    return;
  }
  wipe(row.held);  // Of a row that was not held.
  row.held = HeldRows::values_of(row.built.groups);
  row.rejected = false;
}

void ImportSession::build(Batch& batch, const std::function<void()>& beside) {
  const auto count = static_cast<size_t>(batch.rows.size());
  if (batch.prepared.size() < count) batch.prepared.resize(count);
  shared_.two_threads.run(
      count,
      [&](size_t from, size_t to, size_t half) {
        for (size_t i = from; i < to; ++i) {
          build_one(batch.rows[static_cast<int>(i)], builders_[half], batch.prepared[i]);
        }
      },
      beside);
  batch.built = true;
}

void settle_pending(ImportShared& shared, std::span<const PreparedRow> rows,
                    const ImportSession* but) {
  std::vector<ImportSession*> others;
  for (const PreparedRow& row : rows) {
    for (const auto& key : row.unique_keys) {
      if (!key) continue;
      const auto pending = shared.pending.find(*key);
      if (pending == shared.pending.end() || pending->second.session == but) continue;
      if (std::find(others.begin(), others.end(), pending->second.session) == others.end()) {
        others.push_back(pending->second.session);
      }
    }
  }
  for (ImportSession* other : others) other->settle();
}

ImportSession::Fate ImportSession::decide(const PreparedRow& row, const Holders& holders,
                                          const Changing& changing, bool held_back,
                                          RecordVersion* old) const {
  const Holder* same = nullptr;  // The record this row is about, by --key.
  if (key_field_) {
    for (const auto& key : row.unique_keys) {
      if (!key) continue;
      if (changing.keys.contains(*key) || (!held_back && deferred_keys_.contains(*key))) {
        return Fate::kWait;
      }
    }
    const UniqueKey& key = *row.unique_keys[*key_field_];
    const auto& check = row.checks[*key_field_];
    if (const auto own = shared_.pending.find(key); own != shared_.pending.end()) {
      return own->second.check == check ? Fate::kUnchanged : Fate::kWait;
    }
    if (const auto holder = holders.find(key); holder != holders.end()) {
      same = &holder->second;
      if (changing.records.contains(same->version.idx)) return Fate::kWait;
      if (same->current && same->check == check) return Fate::kUnchanged;
      *old = same->version;
    }
  }
  bool taken = false;
  for (size_t f = 0; f < row.unique_keys.size(); ++f) {
    const auto& key = row.unique_keys[f];
    if (!key || key_field_ == f) continue;
    if (shared_.pending.contains(*key)) return key_field_ ? Fate::kWait : Fate::kTaken;
    const auto holder = holders.find(*key);
    if (holder == holders.end()) continue;
    if (same != nullptr && same->version.idx == holder->second.version.idx) continue;
    if (changing.records.contains(holder->second.version.idx)) return Fate::kWait;
    taken = true;
  }
  if (taken) return Fate::kTaken;
  return same == nullptr ? Fate::kInsert : Fate::kUpdate;
}

void ImportSession::defer(const v1::ImportRow& row, const PreparedRow& prepared) {
  Deferred held{row, {}};
  for (const auto& key : prepared.unique_keys) {
    if (!key) continue;
    held.keys.push_back(*key);
    deferred_keys_.insert(*key);
  }
  deferred_.push_back(std::move(held));
}

Result<void> ImportSession::take(Batch& batch, bool held_back) {
  const auto prepared = std::span(batch.prepared).first(static_cast<size_t>(batch.rows.size()));
  for (const PreparedRow& row : prepared) {
    if (!row.rejected) continue;
    reject(row.number, row.problem.field == nullptr ? std::string() : row.problem.field->name,
           row.problem.reason);
  }
  SR_TRY(derive_unique(shared_.keys, ticket_, collection_->space(), prepared, UniqueUse::kImport));
  settle_pending(shared_, prepared, this);
  SR_ASSIGN(const Holders holders, find_holders(shared_.store, collection_->id, prepared));

  std::vector<Update> updates;
  Changing changing;
  for (size_t i = 0; i < prepared.size(); ++i) {
    PreparedRow& row = prepared[i];
    if (row.rejected) continue;
    RecordVersion old;
    switch (decide(row, holders, changing, held_back, &old)) {
      case Fate::kWait:
        defer(batch.rows[static_cast<int>(i)], row);
        break;
      case Fate::kUnchanged:
        now_.set_unchanged(now_.unchanged() + 1);
        break;
      case Fate::kTaken:
        reject(row.number, "", "another record already has this value of a unique field");
        break;
      case Fate::kUpdate:
        changing.records.insert(old.idx);
        for (const auto& key : row.unique_keys) {
          if (key) changing.keys.insert(*key);
        }
        updates.push_back({i, old});
        break;
      case Fate::kInsert:
        for (size_t f = 0; f < row.unique_keys.size(); ++f) {
          if (!row.unique_keys[f]) continue;
          shared_.pending.insert_or_assign(*row.unique_keys[f], PendingUnique{this, row.checks[f]});
          claimed_.push_back(*row.unique_keys[f]);
        }
        held_.add(row);
        now_.set_imported(now_.imported() + 1);
        break;
    }
  }
  SR_TRY(update(prepared, std::move(updates)));
  wipe_values(batch.rows);
  batch.rows.Clear();
  batch.built = false;
  return {};
}

Result<WriteGrant> ImportSession::ask_for(size_t records) {
  v1::GrantCall ask;
  *ask.mutable_ticket() = ticket_;
  ask.set_request_id(fresh_request_id());
  ask.set_count(static_cast<uint32_t>(std::min<size_t>(records, RecordIndex::kPerBlock)));
  return ask_grant(shared_.keys, std::move(ask));
}

Result<void> ImportSession::next_secret(size_t still_needed, const WriteSecret** secret,
                                        RecordVersion* version) {
  if (grant_used_ == grant_.secrets.size()) {
    if (next_grant_.secrets.empty()) {
      SR_ASSIGN(grant_, ask_for(still_needed));
    } else {
      grant_ = std::exchange(next_grant_, {});
    }
    grant_used_ = 0;
    if (!erasures_before_) erasures_before_ = grant_.erasures;
  }
  *secret = &grant_.secrets[grant_used_];
  *version = grant_.versions[grant_used_];
  ++grant_used_;
  return {};
}

// The key server takes milliseconds for a grant: it is asked while a wave is sealed.
Result<void> ImportSession::prepare_grant(size_t records_left) {
  const size_t granted = grant_.secrets.size() - grant_used_;
  if (granted >= kSealWaveRows || records_left <= granted || !next_grant_.secrets.empty())
    return {};
  SR_ASSIGN(next_grant_, ask_for(records_left - granted));
  return {};
}

Result<void> ImportSession::seal_held(std::vector<OnlineWrite>& online) {
  held_.shuffle();
  std::vector<OnlineWrite> writes, before;  // Of this wave, and of the one before.
  std::vector<WriteSecret> secrets;
  for (size_t done = 0; done < held_.size(); done += before.size()) {
    writes.resize(std::min(kSealWaveRows, held_.size() - done));
    secrets.clear();
    for (size_t k = 0; k < writes.size(); ++k) {
      const WriteSecret* secret = nullptr;
      SR_TRY(next_secret(held_.size() - done - k, &secret, &writes[k].version));
      secrets.push_back(secret->clone());
      if (!tell_places_) continue;
      v1::PlacedRow& place = places_.emplace_back();
      place.set_number(held_.number(done + k));
      place.set_record(writes[k].version.idx.value);
    }
    last_ = writes.back().version;
    const auto beside = [&]() -> Result<void> {
      // A file takes its rows in the order of their numbers, so from one thread.
      if (packer_ != nullptr) SR_TRY(add_rows(before));
      return prepare_grant(held_.size() - done - writes.size());
    };
    SR_TRY(seal_wave(done, secrets, writes, beside));
    if (packer_ == nullptr) {
      std::move(writes.begin(), writes.end(), std::back_inserter(online));
    }
    std::swap(writes, before);
  }
  return packer_ == nullptr ? Result<void>() : add_rows(before);
}

Result<void> ImportSession::seal_wave(size_t first, std::span<const WriteSecret> secrets,
                                      std::span<OnlineWrite> writes,
                                      const std::function<Result<void>()>& beside) {
  std::array<Result<void>, 2> outcome;
  Result<void> done_beside;
  shared_.two_threads.run(
      writes.size(),
      [&](size_t from, size_t to, size_t half) {
        for (size_t k = from; k < to && outcome[half]; ++k) {
          held_.prefetch(first + k, first + to);
          auto write = held_.seal(first + k, collection_->id, writes[k].version, secrets[k]);
          if (!write) {
            outcome[half] = write.error();
            return;
          }
          writes[k] = std::move(*write);
          if (packer_ == nullptr) continue;
          const index::Posting posting{writes[k].version.idx,
                                       static_cast<uint32_t>(writes[k].version.u.value)};
          for (const TermHash& term : writes[k].terms) packer_->add(term, posting, half);
          writes[k].terms = {};
        }
      },
      [&] { done_beside = beside(); });
  for (const auto& half : outcome) SR_TRY(half);
  SR_TRY(done_beside);
  return packer_ == nullptr ? Result<void>() : packer_->keep_within_limit();
}

Result<void> ImportSession::start_packing() {
  SR_ASSIGN(OpenedLane opened, ask_lane(shared_.keys, ticket_, LaneUse::kPacked));
  lane_ = opened.lane;
  auto memory = shared_.options.memory;
  memory.bytes_max -= memory.bytes_max / 8;
  packer_ = std::make_unique<index::LanePacker>(lane_, std::move(opened.root), memory);
  packer_->reserve(held_.terms(), index::LanePacker::kFeeders);
  std::unique_ptr<index::SpoolFile> file;
  if (!memory.folder.empty()) {
    file = std::make_unique<index::SpoolFile>(
        env::real_files(),
        memory.folder + "/lane-" + std::to_string(lane_.value) + "-unique.spool");
  }
  uniques_ = std::make_unique<index::Spool<UniqueRowBytes>>(std::move(file),
                                                            shared_.options.memory.bytes_max / 8);
  SR_ASSIGN(rows_, shared_.store.begin_run(store::Table::kRecords));
  return {};
}

Result<void> ImportSession::add_rows(std::span<const OnlineWrite> writes) {
  for (const OnlineWrite& write : writes) {
    SR_TRY(rows_->add(record::row_key(collection_->id, write.version.idx), write.row));
    for (const auto& put : write.unique) {
      UniqueRowBytes row;
      std::copy(put.key.begin(), put.key.end(), row.key.begin());
      std::copy(put.value.begin(), put.value.end(), row.value.begin());
      uniques_->add(row.key[sizeof(collection_->id.value)], row);
    }
  }
  return uniques_->keep_within_limit();
}

Result<void> ImportSession::update(std::span<const PreparedRow> prepared,
                                   std::vector<Update> updates) {
  std::sort(updates.begin(), updates.end(),
            [](const Update& a, const Update& b) { return a.old.idx < b.old.idx; });
  for (size_t from = 0; from < updates.size(); from += RecordIndex::kPerBlock) {
    const auto part = std::span<const Update>(updates).subspan(
        from, std::min<size_t>(RecordIndex::kPerBlock, updates.size() - from));
    v1::UpdateGrantCall ask;
    *ask.mutable_ticket() = ticket_;
    ask.set_request_id(fresh_request_id());
    for (const Update& u : part) {
      auto& item = *ask.add_items();
      item.set_idx(u.old.idx.value);
      item.set_above_u(u.old.u.value);
    }
    auto granted = ask_update_grant(shared_.keys, std::move(ask));
    if (!granted && granted.error().code == ErrorCode::kNotFound) return erased_meanwhile();
    if (!granted) return granted.error();
    std::vector<OnlineWrite> writes;
    for (size_t k = 0; k < part.size(); ++k) {
      const PreparedRow& row = prepared[part[k].prepared];
      OnlineWrite write = row.online_write(granted->versions[k]);
      write.superseded = part[k].old.u;
      SR_TRY(record::seal(collection_->id, granted->versions[k], granted->secrets[k],
                          row.built.groups, write.row));
      writes.push_back(std::move(write));
    }
    SR_TRY(shared_.online.write(collection_->id, collection_->write_padding, ticket_,
                                std::move(writes)));
    SR_TRY(shared_.erased.recheck(granted->erasures));
    now_.set_updated(now_.updated() + part.size());
  }
  return {};
}

Result<void> ImportSession::process_deferred() {
  // By number, and of those that share a value only the first: the others would wait again.
  std::sort(deferred_.begin(), deferred_.end(),
            [](const Deferred& a, const Deferred& b) { return a.row.number() < b.row.number(); });
  KeySet seen;
  Rows& wave = deferred_batch_.rows;
  std::vector<Deferred> later;
  deferred_keys_.clear();
  for (Deferred& held : deferred_) {
    const bool first = wave.size() < static_cast<int>(kWaveRows) &&
                       std::none_of(held.keys.begin(), held.keys.end(),
                                    [&](const UniqueKey& key) { return seen.contains(key); });
    seen.insert(held.keys.begin(), held.keys.end());
    if (first) {
      wave.Add(std::move(held.row));
    } else {
      deferred_keys_.insert(held.keys.begin(), held.keys.end());
      later.push_back(std::move(held));
    }
  }
  deferred_ = std::move(later);
  build(deferred_batch_, [] {});
  return take(deferred_batch_, true);
}

Result<void> ImportSession::commit() {
  for (;;) {
    SR_TRY(commit_chunk());
    if (deferred_.empty()) return shared_.online.close_if_large(collection_->id);
    SR_TRY(process_deferred());
  }
}

void ImportSession::settle() {
  if (failed_) return;
  if (const auto done = commit_chunk(); !done) {
    failed_ = done.error();
    forget_chunk();  // What it claimed is free, or in the store.
  }
}

Result<void> ImportSession::commit_chunk() {
  if (!held_.empty()) {
    std::vector<OnlineWrite> online;
    if (held_.size() > shared_.options.online_records_max) SR_TRY(start_packing());
    SR_TRY(seal_held(online));
    held_.clear();
    SR_TRY(packer_ != nullptr ? commit_packed() : commit_online(std::move(online)));
    chunk_target_ = std::min(chunk_target_ * 2, shared_.options.chunk_records_max);
  }
  forget_chunk();
  // With rows still waiting, everything since the last checkpoint is read again after a crash.
  const v1::ImportState& state = deferred_.empty() ? now_ : durable_;
  SR_TRY(shared_.checkpoints.save(checkpoint_name_, checkpoint_of(state)));
  if (in_doubt_) {
    shared_.erased.release(last_.idx);
    SR_TRY(shared_.erased.recheck(*erasures_before_));
  }
  in_doubt_ = false;
  if (deferred_.empty()) durable_ = now_;
  return {};
}

v1::ImportCheckpoint ImportSession::checkpoint_of(const v1::ImportState& state) const {
  v1::ImportCheckpoint checkpoint;
  *checkpoint.mutable_state() = state;
  checkpoint.set_collection(collection_->id.value);
  return checkpoint;
}

Result<void> ImportSession::save_pending() {
  in_doubt_ = true;
  shared_.erased.keep(last_.idx);
  v1::ImportCheckpoint checkpoint = checkpoint_of(durable_);
  auto& pending = *checkpoint.mutable_pending();
  if (packer_ != nullptr) pending.set_lane(lane_.value);
  pending.set_last_idx(last_.idx.value);
  pending.set_u(last_.u.value);
  *pending.mutable_after() = deferred_.empty() ? now_ : durable_;
  return shared_.checkpoints.save(checkpoint_name_, checkpoint);
}

Result<void> ImportSession::commit_online(std::vector<OnlineWrite> writes) {
  SR_TRY(save_pending());
  return shared_.online.write(collection_->id, collection_->write_padding, ticket_,
                              std::move(writes));
}

Result<void> ImportSession::commit_packed() {
  SR_TRY(save_pending());
  std::array<std::unique_ptr<store::SortedRun>, 2> postings;
  for (auto& run : postings) {
    SR_ASSIGN(run, shared_.store.begin_run(store::Table::kPostings));
  }
  SR_ASSIGN(auto directory, shared_.store.begin_run(store::Table::kDirectory));
  const auto into = [](store::SortedRun& run) -> index::LanePacker::Emit {
    return [&run](std::string_view key, std::string_view value) { return run.add(key, value); };
  };
  SR_TRY(packer_->finish({into(*postings[0]), into(*postings[1])}, into(*directory),
                         [&](const auto& work) { shared_.two_threads.both(work); }));
  std::array<Result<void>, 2> outcome;
  shared_.two_threads.both([&](size_t half) {
    outcome[half] = [&]() -> Result<void> {
      if (half == 1) return write_uniques();
      for (auto& run : postings) SR_TRY(shared_.store.ingest(std::move(run)));
      return shared_.store.ingest(std::move(directory));
    }();
  });
  for (const auto& half : outcome) SR_TRY(half);
  SR_TRY(shared_.store.ingest(std::move(rows_)));  // The commit point.
  return change_lane(shared_.keys, lane_, v1::PublishLaneCall::PUBLISH);
}

Result<void> ImportSession::write_uniques() {
  SR_ASSIGN(auto run, shared_.store.begin_run(store::Table::kUnique));
  std::vector<UniqueRowBytes> rows;
  for (size_t bucket = 0; bucket < index::Spool<UniqueRowBytes>::kBuckets; ++bucket) {
    rows.clear();
    SR_TRY(uniques_->take(static_cast<uint8_t>(bucket), rows));
    std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
    for (const auto& row : rows) SR_TRY(run->add(as_text(row.key), as_text(row.value)));
  }
  return shared_.store.ingest(std::move(run));
}

Result<v1::ImportState> recover_import(ImportShared& shared, const std::string& name,
                                       v1::ImportCheckpoint checkpoint) {
  const v1::PendingChunk pending = checkpoint.pending();
  std::vector<std::optional<std::string>> rows;
  const auto key =
      record::row_key(CollectionId{checkpoint.collection()}, RecordIndex{pending.last_idx()});
  SR_TRY(shared.store.get(store::Table::kRecords, std::vector<std::string>{key}, rows));
  const bool committed = rows[0].has_value();  // All rows of a chunk become visible together.
  if (pending.lane() != 0) {
    SR_TRY(change_lane(shared.keys, LaneId{pending.lane()},
                       committed ? v1::PublishLaneCall::PUBLISH : v1::PublishLaneCall::DROP));
  }
  if (committed) *checkpoint.mutable_state() = pending.after();
  checkpoint.clear_pending();
  SR_TRY(shared.checkpoints.save(name, checkpoint));
  shared.erased.release(RecordIndex{pending.last_idx()});
  if (committed) SR_TRY(shared.erased.recheck(0));
  return checkpoint.state();
}

}  // namespace strongroom::gateway
