// A whole vault in one process, for tests: real key server, gateway and store, no transport, and
// faults where a test wants them.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "strongroom/gateway/gateway.h"
#include "strongroom/keyserver/test_vault.h"
#include "test/support/faulty_store.h"
#include "test/support/local_key_service.h"
#include "test/support/test_loop.h"
#include "test/support/unsynced_files.h"

namespace strongroom::test {

inline constexpr uint64_t kPlenty = 1'000'000'000;

// Groups identity and contact. `number` and `email` are unique; `note` is not indexed and has no
// mask; `email` is in the other group than `number`.
inline v1::Collection people() {
  v1::Collection collection;
  collection.set_id(keyserver::kPerson);
  collection.set_name("person");
  for (const auto& [id, name] : {std::pair{1, "identity"}, {2, "contact"}}) {
    auto& group = *collection.add_groups();
    group.set_id(static_cast<uint32_t>(id));
    group.set_name(name);
  }
  const auto field = [&](uint32_t id, const char* name, v1::FieldType type,
                         const char* group) -> v1::Field& {
    auto& out = *collection.add_fields();
    out.set_id(id);
    out.set_name(name);
    out.set_type(type);
    out.set_group(group);
    if (id != 5) out.add_index(v1::EXACT);
    return out;
  };
  auto& name = field(1, "name", v1::NAME, "identity");
  name.set_required(true);
  name.set_mask(v1::FIRST1);
  auto& number = field(2, "number", v1::CODE, "identity");
  number.set_unique(true);
  number.set_mask(v1::LAST4);
  field(3, "email", v1::CODE, "contact").set_unique(true);
  field(4, "city", v1::TEXT, "contact");
  field(5, "note", v1::TEXT, "contact").set_max_bytes(64);
  return collection;
}

// Clerk "clerk" may see and change all of `collections` for "service", operator "operator" may
// import into them and erase from them for "import", both without an end to it.
inline v1::Policy generous_policy(const std::vector<v1::Collection>& collections) {
  v1::Policy policy = keyserver::test_policy();
  for (auto& role : *policy.mutable_roles()) {
    role.clear_grants();
    if (role.name() == "officer" || role.name() == "approver") continue;
    const bool clerk = role.name() == "clerk";
    for (const auto& collection : collections) {
      auto& grant = *role.add_grants();
      grant.set_collection(collection.name());
      grant.add_purposes(clerk ? "service" : "import");
      if (clerk) {
        for (const auto action : {v1::FIND, v1::COUNT, v1::GET, v1::UPDATE}) {
          grant.add_actions(action);
        }
        for (const auto& group : collection.groups()) grant.add_groups(group.name());
        grant.add_groups("masked");
      } else {
        grant.add_actions(v1::IMPORT);
        grant.add_actions(v1::ERASE);
      }
      grant.set_records_per_query(1'000'000);
      auto& budget = *grant.mutable_budget();
      budget.set_records_per_hour(kPlenty);
      budget.set_records_per_day(kPlenty);
      budget.set_searches_per_hour(kPlenty);
      budget.set_searches_per_day(kPlenty);
      budget.set_writes_per_day(kPlenty);
      budget.set_erasures_per_day(kPlenty);
    }
  }
  return policy;
}

inline gateway::GatewayOptions small_chunks() {
  gateway::GatewayOptions options;
  options.import.first_chunk_records = 16;
  options.import.chunk_records_max = 32;
  options.import.online_records_max = 8;
  return options;
}

// A file, as a client reads it.
struct Source {
  std::string name;  // Two sources of one name are the same file.
  std::vector<std::string> columns;
  std::string key;
  std::vector<std::vector<std::string>> rows;
  uint32_t collection = keyserver::kPerson;
};

struct Imported {
  v1::ImportState state;
  std::vector<uint64_t> rejected;  // Numbers of rows.
  std::vector<std::string> reasons;
};

class GatewayVault {
 public:
  explicit GatewayVault(gateway::GatewayOptions options = small_chunks(),
                        std::vector<v1::Collection> collections = {people()},
                        env::Files& files = UnsyncedFiles::instance(),
                        std::unique_ptr<store::Store> store = store::open_memory_store())
      : options_(options), vault_(files), base_store_(std::move(store)) {
    crypto::init();
    term_key_ = crypto::random_secret<TermKey>();
    vault_.founding().policy = generous_policy(collections);
    vault_.founding().collections = std::move(collections);
    SR_CHECK(vault_.create().has_value(), "a vault");
    restart();
  }
  ~GatewayVault() { stop(); }

  // Another process over the same store and key server.
  void restart() {
    stop();
    store_ = std::make_unique<FaultyStore>(*base_store_, faults_);
    gateway_ = std::make_unique<gateway::Gateway>(*store_, keys_, loop_, vault_.clock(),
                                                  term_key_.clone(), options_);
    const size_t settled = keys_.settled();
    SR_CHECK(start().has_value(), "a gateway that starts");
    // So that nothing but what a test does happens from here on.
    for (int ms = 0; keys_.settled() == settled && ms < 2000; ++ms) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  // The same after the power went: what was not synced is gone.
  void crash() {
    stop_gateway();
    faults_.clear();
    store_->crash();
    restart();
  }
  Result<bool> start() {
    return loop_.wait<bool>([&](auto done) { gateway_->start(done); });
  }
  void stop() {
    stop_gateway();
    faults_.clear();
  }

  gateway::Gateway& gateway() { return *gateway_; }
  keyserver::TestVault& vault() { return vault_; }
  LocalKeyService& keys() { return keys_; }
  store::Store& store() { return *base_store_; }
  FaultyStore& faulty_store() { return *store_; }
  Faults& faults() { return faults_; }
  TestLoop& loop() { return loop_; }
  const TermKey& term_key() const { return term_key_; }
  env::ManualClock& clock() { return vault_.clock(); }

  v1::SignedTicket clerk(uint32_t collection = keyserver::kPerson) const {
    return vault_.ticket({.collection = collection, .records_max = kPlenty});
  }
  v1::SignedTicket importer(uint32_t collection = keyserver::kPerson) const {
    return vault_.import_ticket(collection);
  }

  // For a change of this record alone.
  v1::SignedTicket changer(RecordIndex record) const {
    return vault_.change_ticket("clerk", keyserver::TicketOptions{}.purpose, record, kPlenty);
  }

  using Terms = std::vector<std::pair<std::string, std::string>>;
  v1::FindRequest find_request(const Terms& terms, uint32_t limit = 1000,
                               uint32_t collection = keyserver::kPerson) const {
    v1::FindRequest request;
    *request.mutable_ticket() = clerk(collection);
    request.set_request_id(keyserver::fresh(16));
    request.set_limit(limit);
    for (const auto& [field, value] : terms) {
      auto& term = *request.add_terms();
      term.set_field(field);
      term.set_value(value);
    }
    return request;
  }
  Result<v1::FindResponse> find(const v1::FindRequest& request) {
    return loop_.wait<v1::FindResponse>([&](auto done) { gateway_->find(request, done); });
  }
  Result<v1::FindResponse> find(const Terms& terms) { return find(find_request(terms)); }
  // Asks, and leaves the rest to the loop; `answer` outlives that.
  void start_find(const v1::FindRequest& request, std::optional<Result<v1::FindResponse>>& answer) {
    gateway_->find(request, [&answer](Result<v1::FindResponse> found) { answer.emplace(found); });
  }
  v1::GetRequest get_request(const std::vector<std::string>& ids,
                             uint32_t collection = keyserver::kPerson) const {
    v1::GetRequest request;
    *request.mutable_ticket() = clerk(collection);
    request.set_request_id(keyserver::fresh(16));
    for (const auto& id : ids) request.add_ids(id);
    return request;
  }
  Result<v1::FindResponse> get(const v1::GetRequest& request) {
    return loop_.wait<v1::FindResponse>([&](auto done) { gateway_->get(request, done); });
  }
  Result<v1::CountResponse> count(const Terms& terms, uint32_t collection = keyserver::kPerson) {
    const auto like = find_request(terms, 0, collection);
    v1::CountRequest request;
    *request.mutable_ticket() = like.ticket();
    request.set_request_id(like.request_id());
    *request.mutable_terms() = like.terms();
    return loop_.wait<v1::CountResponse>([&](auto done) { gateway_->count(request, done); });
  }

  // Of whatever collection the ticket names: that of the records, or not.
  v1::SignedTicket eraser(std::vector<RecordIndex> records,
                          uint32_t collection = keyserver::kPerson) const {
    std::sort(records.begin(), records.end());
    records.erase(std::unique(records.begin(), records.end()), records.end());
    v1::Ticket ticket = vault_.ticket_terms(
        {.principal = "operator", .purpose = "import", .collection = collection});
    ticket.set_erases(keyserver::erasure_digest(records));
    return keyserver::sign_ticket(ticket, vault_.key("operator"));
  }
  Result<v1::EraseResponse> erase(const std::vector<std::string>& ids) {
    v1::EraseRequest request;
    std::vector<RecordIndex> records;
    for (const auto& id : ids) {
      request.add_ids(id);
      records.push_back(*gateway::parse_record_id(id));
    }
    *request.mutable_ticket() = eraser(records);
    request.set_request_id(keyserver::fresh(16));
    return loop_.wait<v1::EraseResponse>([&](auto done) { gateway_->erase(request, done); });
  }

  using Values = std::map<std::string, std::string>;
  Result<v1::PutResponse> put(const std::vector<Values>& records) {
    v1::PutRequest request;
    *request.mutable_ticket() = importer();
    request.set_request_id(keyserver::fresh(16));
    for (const Values& values : records) {
      request.add_records()->mutable_fields()->insert(values.begin(), values.end());
    }
    return loop_.wait<v1::PutResponse>([&](auto done) { gateway_->put(request, done); });
  }
  Result<v1::UpdateResponse> update(const std::string& id, const Values& set,
                                    bool forget_old = false) {
    v1::UpdateRequest request;
    *request.mutable_ticket() = changer(*gateway::parse_record_id(id));
    request.set_request_id(keyserver::fresh(16));
    request.set_id(id);
    request.mutable_set()->insert(set.begin(), set.end());
    if (forget_old) *request.mutable_forget_old() = eraser({*gateway::parse_record_id(id)});
    return loop_.wait<v1::UpdateResponse>([&](auto done) { gateway_->update(request, done); });
  }

  // Every record of the store with all its fields, by id.
  std::map<std::string, std::map<std::string, std::string>> records(
      uint32_t collection = keyserver::kPerson) {
    std::vector<std::string> ids;
    SR_CHECK(base_store_
                 ->scan(store::Table::kRecords, {}, {},
                        [&](std::string_view key, std::string_view) {
                          CollectionId in;
                          RecordIndex idx;
                          SR_CHECK(record::parse_row_key(as_bytes(key), &in, &idx), "a row key");
                          if (in.value == collection) ids.push_back(gateway::record_id(idx));
                          return true;
                        })
                 .has_value(),
             "a sound store");
    std::map<std::string, std::map<std::string, std::string>> out;
    for (size_t from = 0; from < ids.size(); from += 500) {
      const std::vector<std::string> part(
          ids.begin() + static_cast<ptrdiff_t>(from),
          ids.begin() + static_cast<ptrdiff_t>(std::min(from + 500, ids.size())));
      const auto got = get(get_request(part, collection));
      SR_CHECK(got.has_value() && got->records_size() == static_cast<int>(part.size()),
               "every record can be opened");
      for (const auto& record : got->records()) {
        out[record.id()] = {record.fields().begin(), record.fields().end()};
      }
    }
    return out;
  }

  v1::BeginImportRequest begin_request(const Source& source, bool again = false) const {
    v1::BeginImportRequest request;
    *request.mutable_ticket() = importer(source.collection);
    request.set_request_id(keyserver::fresh(16));
    request.set_source_id(
        std::string(as_text(crypto::sha256({as_bytes(source.name), as_bytes(source.key)}))));
    for (const auto& column : source.columns) request.add_columns(column);
    request.set_key_field(source.key);
    request.set_again(again);
    request.set_empties_missing(true);  // Of rows in tests not every field matters.
    return request;
  }
  Result<v1::ImportState> begin(const v1::BeginImportRequest& request) {
    return loop_.wait<v1::ImportState>([&](auto done) { gateway_->begin_import(request, done); });
  }
  v1::ImportBatchRequest batch_request(const Source& source, const std::string& import_id,
                                       size_t from, size_t to) const {
    v1::ImportBatchRequest request;
    request.set_import_id(import_id);
    *request.mutable_ticket() = importer(source.collection);
    request.set_request_id(keyserver::fresh(16));
    for (size_t i = from; i < to; ++i) {
      auto& row = *request.add_rows();
      row.set_number(i + 1);
      for (const auto& value : source.rows[i]) row.add_values(value);
    }
    request.mutable_position()->set_row(to);
    return request;
  }
  Result<v1::ImportState> batch(const v1::ImportBatchRequest& request) {
    return loop_.wait<v1::ImportState>([&](auto done) { gateway_->import_batch(request, done); });
  }
  Result<v1::ImportState> batch(const Source& source, const std::string& import_id, size_t from,
                                size_t to) {
    return batch(batch_request(source, import_id, from, to));
  }
  Result<v1::ImportState> finish(const Source& source, const std::string& import_id) {
    v1::FinishImportRequest request;
    request.set_import_id(import_id);
    *request.mutable_ticket() = importer(source.collection);
    request.set_request_id(keyserver::fresh(16));
    request.mutable_position()->set_row(source.rows.size());
    return loop_.wait<v1::ImportState>([&](auto done) { gateway_->finish_import(request, done); });
  }
  // From where the vault says to the end, as a client does it.
  Result<Imported> import(const Source& source, size_t rows_per_batch = 10, bool again = false,
                          bool ahead = true) {
    Imported out;
    SR_ASSIGN(out.state, begin(begin_request(source, again)));
    if (out.state.finished()) return out;
    const std::string id = out.state.import_id();
    const auto note = [&] {
      for (const auto& row : out.state.rejects()) {
        out.rejected.push_back(row.number());
        out.reasons.push_back(row.reason());
      }
    };
    for (size_t from = out.state.durable().row(); from < source.rows.size();
         from += rows_per_batch) {
      auto request =
          batch_request(source, id, from, std::min(from + rows_per_batch, source.rows.size()));
      request.set_ahead(ahead && from / rows_per_batch % 3 != 2);
      SR_ASSIGN(out.state, batch(request));
      note();
    }
    SR_ASSIGN(out.state, finish(source, id));
    note();
    return out;
  }

 private:
  void stop_gateway() {
    loop_.run_posted();
    gateway_.reset();
    loop_.drop();
  }

  gateway::GatewayOptions options_;
  keyserver::TestVault vault_;
  Faults faults_;
  TestLoop loop_;
  LocalKeyService keys_{[this]() -> keyserver::KeyServer& { return vault_.server(); }, loop_,
                        faults_};
  std::unique_ptr<store::Store> base_store_;
  TermKey term_key_;
  std::unique_ptr<FaultyStore> store_;
  std::unique_ptr<gateway::Gateway> gateway_;
};

}  // namespace strongroom::test
