#include "strongroom/gateway/importer.h"

#include <unordered_map>

#include "strongroom/gateway/record_editor.h"
#include "strongroom/gateway/reindexer.h"
#include "strongroom/gateway/request.h"

namespace strongroom::gateway {
namespace {

constexpr uint64_t kIdleUs =
    600'000'000;  // A client that is gone this long has its uncommitted rows dropped.
constexpr size_t kBatchRowsMax = 4096;
constexpr size_t kSessionsMax = 16;

Error no_such_import() {
  return make_error(ErrorCode::kNotFound,
                    "this import is not open here: the gateway was restarted or another run took "
                    "it over. Run the same "
                    "command again; it goes on where it stopped");
}

void wipe_values(google::protobuf::Map<std::string, std::string>& values) {
  for (auto& [name, value] : values) explicit_bzero(value.data(), value.size());
}

}  // namespace

struct Importer::Worker {
  struct Open {
    std::unique_ptr<ImportSession> session;
    uint64_t last_used_us;
    std::optional<Error> failed =
        std::nullopt;  // Behind an answer that was given ahead; no session.
  };

  Worker(store::Store& store, KeyService& key_service, ErasedRows& erased,
         env::Executor& event_loop, env::Clock& time, const TermKey& key, ImportOptions options)
      : loop(event_loop),
        clock(time),
        term_key(key.clone()),
        checkpoints(store, key),
        online(store, key_service, time, key),
        shared{store, key_service, erased, online, checkpoints, {}, std::move(options), {}},
        thread(std::make_unique<env::WorkerThread>("import")) {}
  ~Worker() {
    // First: what was posted still uses the rest, and sessions drop their lanes by blocking calls.
    thread->post([this] { sessions.clear(); });
    thread.reset();
  }

  Result<void> recover();
  Result<v1::ImportState> begin(v1::BeginImportRequest& request);
  void batch(v1::ImportBatchRequest& request, const Done& done);
  Result<v1::ImportState> finish(v1::FinishImportRequest& request);
  Result<v1::ReindexResponse> reindex(v1::ReindexRequest& request);
  Result<void> refresh();
  Result<v1::PutResponse> put(v1::PutRequest& request);
  Result<v1::UpdateResponse> update(v1::UpdateRequest& request);
  Result<std::shared_ptr<const Collection>> ready(const v1::SignedTicket& ticket);
  Result<Open*> find(const std::string& import_id, const v1::SignedTicket& ticket);
  v1::ImportState state_of(const std::string& import_id, ImportSession& session) const;
  void drop_idle();

  template <class Request, class Response>
  void post(Request request, std::function<void(Result<Response>)> done,
            Result<Response> (Worker::*work)(Request&)) {
    thread->post([this, request = std::move(request), done = std::move(done), work]() mutable {
      loop.post([done, result = (this->*work)(request)]() mutable { done(std::move(result)); });
    });
  }

  env::Executor& loop;
  env::Clock& clock;
  TermKey term_key;
  std::shared_ptr<const Catalog> catalog;
  bool recovered = false;
  ImportCheckpoints checkpoints;
  OnlineWriter online;
  ImportShared shared;
  std::unordered_map<std::string, Open> sessions;  // By import id.
  std::unique_ptr<env::WorkerThread> thread;
};

Importer::Importer(store::Store& store, KeyService& keys, ErasedRows& erased, env::Executor& loop,
                   env::Clock& clock, const TermKey& term_key, ImportOptions options)
    : worker_(std::make_unique<Worker>(store, keys, erased, loop, clock, term_key,
                                       std::move(options))) {}
Importer::~Importer() = default;

void Importer::set_catalog(std::shared_ptr<const Catalog> catalog) {
  worker_->thread->post([w = worker_.get(), catalog = std::move(catalog)] {
    // One that was asked for before a renewal may come behind it.
    if (w->catalog != nullptr && catalog->revision() < w->catalog->revision()) return;
    w->catalog = catalog;
    if (!w->recovered) w->recovered = w->recover().has_value();
  });
}
void Importer::begin(v1::BeginImportRequest request, Done done) {
  worker_->post(std::move(request), std::move(done), &Worker::begin);
}
void Importer::batch(v1::ImportBatchRequest request, Done done) {
  worker_->thread->post(
      [w = worker_.get(), request = std::move(request), done = std::move(done)]() mutable {
        w->batch(request, [w, done](Result<v1::ImportState> state) {
          w->loop.post([done, state = std::move(state)]() mutable { done(std::move(state)); });
        });
      });
}
void Importer::finish(v1::FinishImportRequest request, Done done) {
  worker_->post(std::move(request), std::move(done), &Worker::finish);
}

void Importer::put(v1::PutRequest request, std::function<void(Result<v1::PutResponse>)> done) {
  worker_->post(std::move(request), std::move(done), &Worker::put);
}

void Importer::update(v1::UpdateRequest request,
                      std::function<void(Result<v1::UpdateResponse>)> done) {
  worker_->post(std::move(request), std::move(done), &Worker::update);
}

void Importer::reindex(v1::ReindexRequest request,
                       std::function<void(Result<v1::ReindexResponse>)> done) {
  worker_->post(std::move(request), std::move(done), &Worker::reindex);
}

Result<void> Importer::Worker::recover() {
  SR_ASSIGN(const auto names, checkpoints.pending());
  for (const auto& name : names) {
    SR_ASSIGN(auto checkpoint, checkpoints.load(name));
    if (checkpoint) SR_TRY(recover_import(shared, name, std::move(*checkpoint)));
  }
  shared.erased.open();
  // No writer of this process has a lane yet: those that the one before left can be merged or, if
  // no checkpoint names them, dropped. An entry of the log holds only so many, so until none is
  // left.
  for (;;) {
    v1::Call reset;
    reset.mutable_reset_lanes();
    SR_ASSIGN(const v1::Reply reply, shared.keys.call_blocking(std::move(reset)));
    if (reply.reset_lanes().leaf() == 0) break;
  }
  for (const auto& collection : catalog->collections()) {
    SR_TRY(drop_old_uniques(shared.store, *collection));
  }
  return {};
}

v1::ImportState Importer::Worker::state_of(const std::string& import_id,
                                           ImportSession& session) const {
  v1::ImportState out = session.durable();
  out.set_import_id(import_id);
  for (auto& row : session.take_rejects()) *out.add_rejects() = std::move(row);
  for (auto& row : session.take_places()) *out.add_placed() = std::move(row);
  return out;
}

void Importer::Worker::drop_idle() {
  std::erase_if(sessions, [&](const auto& entry) {
    return clock.monotonic_us() - entry.second.last_used_us > kIdleUs;
  });
}

Result<v1::ImportState> Importer::Worker::begin(v1::BeginImportRequest& request) {
  if (catalog == nullptr) SR_TRY(refresh());
  if (!recovered) {
    SR_TRY(recover());
    recovered = true;
  }
  drop_idle();
  SR_ASSIGN(const TicketView ticket, peek(request.ticket()));
  v1::Call call;
  *call.mutable_check()->mutable_ticket() = request.ticket();
  call.mutable_check()->set_action(v1::IMPORT);
  SR_TRY(shared.keys.call_blocking(std::move(call)));

  const auto collection = catalog->collection(ticket.collection);
  if (collection == nullptr) return make_error(ErrorCode::kNotFound, "there is no such collection");
  if (collection->renewing) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "the terms of this collection are being made anew; imports wait until "
                      "`reindex` has finished that. Single records can be written meanwhile");
  }
  if (request.source_id().size() != 32) {
    return make_error(ErrorCode::kInvalidArgument, "source_id has 32 bytes");
  }
  Columns columns;
  for (int c = 0; c < request.columns_size(); ++c) {
    const auto at = collection->find(request.columns(c));
    if (!at)
      return make_error(ErrorCode::kInvalidArgument, "unknown field; its column number follows",
                        c + 1);
    if (std::find(columns.begin(), columns.end(), *at) != columns.end()) {
      return make_error(ErrorCode::kInvalidArgument,
                        "two columns for one field; the second's number follows", c + 1);
    }
    columns.push_back(*at);
  }
  if (columns.empty()) return make_error(ErrorCode::kInvalidArgument, "no columns");
  const Field* missing = nullptr;
  for (const Field& field : collection->fields) {
    const bool present = std::any_of(columns.begin(), columns.end(), [&](size_t at) {
      return collection->fields[at].id == field.id;
    });
    if (!present && missing == nullptr) missing = &field;
    if (field.required && !present) {
      return make_error(ErrorCode::kInvalidArgument,
                        "a required field has no column; its field id follows", field.id.value);
    }
  }
  std::optional<size_t> key_field;
  if (!request.key_field().empty()) {
    const auto at = collection->find(request.key_field());
    const auto pos =
        at ? std::find(collection->unique_fields.begin(), collection->unique_fields.end(), *at)
           : collection->unique_fields.end();
    if (pos == collection->unique_fields.end() ||
        std::find(columns.begin(), columns.end(), *at) == columns.end()) {
      return make_error(
          ErrorCode::kInvalidArgument,
          "--key must name a unique field of the collection that is a column of the source");
    }
    if (missing != nullptr && !request.empties_missing()) {
      return make_error(ErrorCode::kInvalidArgument,
                        "with a key a changed row replaces the whole record, and a field of the "
                        "collection has no column (its id follows): it would be emptied. Add the "
                        "column, or set empties_missing",
                        missing->id.value);
    }
    key_field = static_cast<size_t>(pos - collection->unique_fields.begin());
  }

  const std::string name = checkpoints.name(collection->id, as_bytes(request.source_id()));
  std::erase_if(sessions, [&](const auto& entry) {
    const auto& session = entry.second.session;
    return session != nullptr && session->checkpoint_name() == name;
  });
  if (sessions.size() >= kSessionsMax) {
    return make_error(ErrorCode::kUnavailable,
                      "sixteen imports are open already; wait for one to end");
  }
  v1::ImportState state;
  SR_ASSIGN(auto checkpoint, checkpoints.load(name));
  if (checkpoint && checkpoint->has_pending()) {
    SR_ASSIGN(state, recover_import(shared, name, std::move(*checkpoint)));
  } else if (checkpoint) {
    state = checkpoint->state();
  }
  // By --key a second run is harmless and may find changed rows, so only a plain import is held
  // back.
  if (state.finished() && (request.again() || key_field)) state.Clear();
  if (state.finished()) return state;
  const std::string id = fresh_request_id();
  auto session = std::make_unique<ImportSession>(shared, collection, term_key, name,
                                                 std::move(columns), key_field, state);
  if (request.tell_places()) session->tell_places();
  const auto& open = sessions.insert_or_assign(id, Open{std::move(session), clock.monotonic_us()});
  return state_of(id, *open.first->second.session);
}

Result<Importer::Worker::Open*> Importer::Worker::find(const std::string& import_id,
                                                       const v1::SignedTicket& ticket) {
  const auto it = sessions.find(import_id);
  if (it == sessions.end()) return no_such_import();
  if (it->second.failed) {
    const Error failed = *it->second.failed;
    sessions.erase(it);
    return failed;
  }
  // What is granted under another collection's ticket must not be sealed into this one.
  SR_ASSIGN(const TicketView view, peek(ticket));
  if (view.collection != it->second.session->collection()) {
    return make_error(ErrorCode::kInvalidArgument,
                      "this ticket is for another collection than the import it came with");
  }
  it->second.last_used_us = clock.monotonic_us();
  return &it->second;
}

void Importer::Worker::batch(v1::ImportBatchRequest& request, const Done& done) {
  const auto open = find(request.import_id(), request.ticket());
  if (!open) return done(open.error());
  if (request.rows_size() > static_cast<int>(kBatchRowsMax)) {
    return done(make_error(ErrorCode::kInvalidArgument, "more than 4096 rows in one batch"));
  }
  // The client sends the next one meanwhile. One more at most: that is answered behind this.
  const bool ahead = request.ahead();
  if (ahead) done(state_of(request.import_id(), *(*open)->session));
  const auto added = (*open)->session->add(request.ticket(), std::move(*request.mutable_rows()),
                                           request.position(), ahead);
  if (added) {
    if (!ahead) done(state_of(request.import_id(), *(*open)->session));
    return;
  }
  // Its chunk is in doubt; the checkpoint is not.
  if (ahead) {
    (*open)->session.reset();
    (*open)->failed = added.error();
  } else {
    sessions.erase(request.import_id());
    done(added.error());
  }
}

Result<v1::ImportState> Importer::Worker::finish(v1::FinishImportRequest& request) {
  SR_ASSIGN(Open * open, find(request.import_id(), request.ticket()));
  const auto finished = open->session->finish(request.ticket(), request.position());
  if (!finished) {
    sessions.erase(request.import_id());
    return finished.error();
  }
  auto state = state_of(request.import_id(), *open->session);
  sessions.erase(request.import_id());
  return state;
}

Result<std::shared_ptr<const Collection>> Importer::Worker::ready(const v1::SignedTicket& ticket) {
  if (catalog == nullptr) SR_TRY(refresh());
  if (!recovered) {
    SR_TRY(recover());
    recovered = true;
  }
  drop_idle();
  SR_ASSIGN(const TicketView who, peek(ticket));
  auto collection = catalog->collection(who.collection);
  if (collection == nullptr) return make_error(ErrorCode::kNotFound, "there is no such collection");
  return collection;
}

Result<v1::PutResponse> Importer::Worker::put(v1::PutRequest& request) {
  SR_ASSIGN(auto collection, ready(request.ticket()));
  auto done =
      RecordEditor(shared, std::move(collection), term_key, catalog->revision()).put(request);
  for (auto& record : *request.mutable_records()) wipe_values(*record.mutable_fields());
  return done;
}

Result<v1::UpdateResponse> Importer::Worker::update(v1::UpdateRequest& request) {
  SR_ASSIGN(auto collection, ready(request.ticket()));
  auto done =
      RecordEditor(shared, std::move(collection), term_key, catalog->revision()).update(request);
  wipe_values(*request.mutable_set());
  return done;
}

Result<v1::ReindexResponse> Importer::Worker::reindex(v1::ReindexRequest& request) {
  SR_ASSIGN(const auto collection, ready(request.ticket()));
  for (const auto& [id, open] : sessions) {
    if (open.session == nullptr || open.session->collection() != collection->id ||
        (open.session->collection_revision() == collection->revision && !collection->renewing)) {
      continue;
    }
    return make_error(ErrorCode::kFailedPrecondition,
                      "an import that began before the collection was changed is still open; let "
                      "it finish, or stop it and wait ten minutes, then reindex");
  }
  auto done = Reindexer(shared, collection, term_key).step(request);
  // From here on terms are under another key: nothing is written before that is known.
  if (done && done->renews() && done->finished()) SR_TRY(refresh());
  return done;
}

Result<void> Importer::Worker::refresh() {
  catalog.reset();
  v1::Call call;
  call.mutable_sync();
  SR_ASSIGN(const v1::Reply reply, shared.keys.call_blocking(std::move(call)));
  catalog = std::make_shared<Catalog>(reply.sync());
  return {};
}

}  // namespace strongroom::gateway
