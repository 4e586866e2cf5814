#include "strongroom/gateway/gateway.h"

#include <algorithm>

#include "strongroom/base/wipe.h"
#include "strongroom/crypto/hash.h"
#include "strongroom/gateway/open_row.h"
#include "strongroom/gateway/request.h"
#include "strongroom/record/record.h"

namespace strongroom::gateway {
namespace {

using index::Posting;

constexpr uint32_t kDefaultLimit = 20;
constexpr uint64_t kInlineScan = 2000;  // Postings; a broader search runs in the background.
constexpr size_t kInlineTokens = 256;   // Terms by lanes, two probes each.

// What a cursor is good for.
std::string asked_of(CollectionId collection, const v1::FindRequest& request) {
  v1::FindRequest terms;
  *terms.mutable_terms() = request.terms();
  std::string bytes;
  terms.SerializeToString(&bytes);
  append_be(bytes, collection.value);
  return std::string(as_text(crypto::sha256(as_bytes(bytes))));
}

void wipe_fields(v1::FindResponse& response) {
  for (auto& record : *response.mutable_records()) {
    for (auto& [name, value] : *record.mutable_fields()) wipe(value);
  }
}

}  // namespace

// One find, get or count on its way through.
struct Gateway::Query {
  v1::SignedTicket ticket;
  std::string request_id;
  std::string request_hash;
  TicketView who;
  std::shared_ptr<const Collection> collection;
  SearchTerms search;
  std::optional<Match> after;  // Where an earlier answer stopped.
  ChosenFields chosen;
  bool is_get = false;
  bool explain = false;
  bool ids_only = false;
  v1::FindRequest request;  // To ask it again, and what a cursor is bound to.
  bool may_count = false;   // Else nothing but the records themselves says how many match.
  size_t limit = 0;

  std::vector<LaneId> lanes;
  std::vector<TermToken> tokens;
  struct Hit {
    RecordVersion version;
    std::string row;
    Match match{};
  };
  std::vector<Hit> hits;
  v1::FindResponse response;
  Done<v1::FindResponse> done;
  uint64_t started_us = 0;
  SearchStats stats;
};

Gateway::Gateway(store::Store& store, KeyService& keys, env::Executor& loop, env::Clock& clock,
                 TermKey term_key, GatewayOptions options)
    : store_(store, options.row_versions_bytes),
      keys_(keys),
      loop_(loop),
      clock_(clock),
      term_key_(std::move(term_key)),
      options_(std::move(options)),
      erased_(store_, keys),
      cursors_(term_key_),
      background_("search"),
      importer_(std::make_unique<Importer>(store_, keys, erased_, loop, clock, term_key_,
                                           options_.import)) {}

Gateway::~Gateway() = default;

void Gateway::start(Done<bool> done) {
  refreshing_ = true;
  v1::Call call;
  call.mutable_sync();
  keys_.call(std::move(call), [this, done = std::move(done)](Result<v1::Reply> reply) {
    refreshing_ = false;
    if (!reply) return done(reply.error());
    if (options_.guard != nullptr) {
      if (const auto fits = options_.guard->check(reply->sync()); !fits) return done(fits.error());
    }
    catalog_ = std::make_shared<Catalog>(reply->sync());
    importer_->set_catalog(catalog_);
    follow_erasures(reply->sync().erasures());
    done(true);
  });
}

bool Gateway::reads_chinese() const {
  if (catalog_ == nullptr) return false;
  const auto& collections = catalog_->collections();
  return std::any_of(collections.begin(), collections.end(), [](const auto& one) {
    return std::any_of(one->fields.begin(), one->fields.end(),
                       [](const Field& field) { return field.index.fuzzy || field.index.words; });
  });
}

void Gateway::follow_erasures(uint64_t known) {
  if (!erased_.behind(known)) return;
  background_.post([this, known] { static_cast<void>(erased_.catch_up(known).has_value()); });
}

void Gateway::refresh_if_changed(uint64_t revision) {
  if (revision == catalog_->revision() || refreshing_) return;
  start([](Result<bool>) {});
}

namespace {

// The tokens of a reply, moved into types that wipe themselves.
Result<void> take_tokens(v1::TokensReply& reply, size_t terms, std::vector<LaneId>& lanes,
                         std::vector<TermToken>& tokens) {
  for (const uint32_t lane : reply.lanes()) lanes.push_back(LaneId{lane});
  if (reply.tokens().size() != terms * lanes.size() * TermToken::kSize) {
    return make_error(ErrorCode::kInternal, "the key server's answer has the wrong size");
  }
  tokens.reserve(terms * lanes.size());
  const Bytes bytes = as_bytes(reply.tokens());
  for (size_t i = 0; i < terms * lanes.size(); ++i)
    tokens.emplace_back(bytes.subspan(i * 32).first<32>());
  wipe(*reply.mutable_tokens());
  return {};
}

// Rows of candidates that are current, in order, until `wanted` are found; `visit` gets each with
// its row.
Result<void> current_rows(
    store::Store& store, CollectionId collection, std::span<const Match> candidates, size_t wanted,
    const std::function<void(const Match&, RecordVersion, std::string&&)>& visit) {
  constexpr size_t kAtOnce = 256;
  size_t batch = 0;
  for (size_t from = 0; from < candidates.size() && wanted > 0; from += batch) {
    // Nearly all of them are current: more would be read for nothing.
    batch = std::min({wanted, kAtOnce, candidates.size() - from});
    const auto part = candidates.subspan(from, batch);
    std::vector<std::string> keys;
    for (const Match& m : part) keys.push_back(record::row_key(collection, m.posting.idx));
    std::vector<std::optional<std::string>> rows;
    SR_TRY(store.get(store::Table::kRecords, keys, rows));
    for (size_t i = 0; i < part.size(); ++i) {
      if (!rows[i]) continue;  // Erased, or a write that never reached its commit point.
      const auto header = record::parse_row(as_bytes(*rows[i]));
      if (!header) return damaged_row();
      const Posting& posting = part[i].posting;
      if (static_cast<uint32_t>(header->u.value) != posting.u_lo) continue;  // Superseded.
      visit(part[i], RecordVersion{posting.idx, header->u}, std::move(*rows[i]));
      --wanted;
    }
  }
  return {};
}

}  // namespace

index::TermHasher& Gateway::hasher_of(const Collection& collection) {
  const auto known = hashers_.find(collection.id);
  if (known != hashers_.end() && known->second.renewals == collection.renewals) {
    return known->second.hasher;
  }
  hashers_.erase(collection.id);
  return hashers_
      .try_emplace(collection.id, collection.renewals, term_key_of(term_key_, collection))
      .first->second.hasher;
}

Result<std::shared_ptr<Gateway::Query>> Gateway::prepare(
    const v1::SignedTicket& ticket, const std::string& request_id,
    const google::protobuf::RepeatedPtrField<std::string>& fields, bool masked) {
  auto query = std::make_shared<Query>();
  SR_ASSIGN(query->who, peek(ticket));
  query->collection = catalog_->collection(query->who.collection);
  if (query->collection == nullptr)
    return make_error(ErrorCode::kNotFound, "there is no such collection");
  const uint32_t allowed =
      catalog_->groups_for(query->who.principal, query->who.purpose, query->who.collection);
  SR_ASSIGN(query->chosen, choose_fields(*query->collection, fields, masked, allowed));
  query->ticket = ticket;
  query->request_id = request_id;
  query->started_us = clock_.monotonic_us();
  return query;
}

void Gateway::refuse(const v1::SignedTicket& ticket, v1::Action action, const Error& error,
                     std::function<void()> retry, std::function<void(Error)> give_up) {
  v1::Call call;
  *call.mutable_check()->mutable_ticket() = ticket;
  call.mutable_check()->set_action(action);
  keys_.call(std::move(call), [this, error, retry = std::move(retry),
                               give_up = std::move(give_up)](Result<v1::Reply> reply) mutable {
    if (!reply) return give_up(reply.error());
    if (reply->check().revision() == catalog_->revision()) return give_up(error);
    start([retry = std::move(retry), give_up = std::move(give_up)](Result<bool> fresh) {
      if (!fresh) return give_up(fresh.error());
      retry();
    });
  });
}

void Gateway::find(v1::FindRequest request, Done<v1::FindResponse> done) {
  if (catalog_ == nullptr) {  // Sealed, or just opened: the key server says which.
    return start([this, request, done](const Result<bool>& there) {
      there ? find(request, done) : done(there.error());
    });
  }
  const auto prepared = [&]() -> Result<std::shared_ptr<Query>> {
    SR_ASSIGN(auto query,
              prepare(request.ticket(), request.request_id(), request.fields(), request.masked()));
    SR_ASSIGN(query->search,
              hash_terms(*query->collection, request.terms(), hasher_of(*query->collection)));
    if (!request.cursor().empty()) {
      SR_ASSIGN(query->after,
                cursors_.open(request.cursor(), asked_of(query->collection->id, request)));
    }
    return query;
  }();
  if (!prepared) {
    const auto who = peek(request.ticket());
    return refuse(
        request.ticket(), who && who->exports ? v1::EXPORT : v1::FIND,
        with_progress(prepared.error(), request.ticket()),
        [this, request, done] { find(request, done); }, done);
  }
  const auto& query = *prepared;
  query->limit = std::min(request.limit() == 0 ? kDefaultLimit : request.limit(),
                          options_.records_per_answer_max);
  query->explain = request.explain();
  query->ids_only = request.ids_only();
  query->request_hash = request_hash(request);
  query->done = std::move(done);

  v1::Call call;
  auto& tokens = *call.mutable_tokens();
  *tokens.mutable_ticket() = query->ticket;
  tokens.set_request_id(query->request_id);
  tokens.set_request_hash(query->request_hash);
  *tokens.mutable_terms() = query->search.terms;
  tokens.set_renewals(query->collection->renewals);
  tokens.mutable_near()->Add(query->search.near.begin(), query->search.near.end());
  if (query->who.exports) tokens.set_plan(asked_of(query->collection->id, request));
  query->request = std::move(request);
  keys_.call(std::move(call), [this, query](Result<v1::Reply> reply) {
    if (!reply && reply.error().code == ErrorCode::kFailedPrecondition) {
      // The terms may have been renewed since the catalog was read.
      return refuse(
          query->ticket, query->who.exports ? v1::EXPORT : v1::FIND, reply.error(),
          [this, query] { find(std::move(query->request), query->done); }, query->done);
    }
    if (!reply) return query->done(reply.error());
    auto& granted = *reply->mutable_tokens();
    refresh_if_changed(granted.revision());
    follow_erasures(granted.erasures());
    query->response.set_leaf(granted.leaf());
    query->may_count = granted.may_count();
    if (auto taken = take_tokens(granted, query->search.terms_count(), query->lanes, query->tokens);
        !taken) {
      return query->done(taken.error());
    }
    query->response.mutable_explain()->set_tokens_us(clock_.monotonic_us() - query->started_us);
    run_find(query);
  });
}

Result<void> Gateway::check_deadline(uint64_t started_us) const {
  if (clock_.monotonic_us() - started_us <= options_.query_deadline_us) return {};
  return make_error(ErrorCode::kDeadlineExceeded,
                    "this search took too long, and its lanes may be gone; nothing was shown. Ask "
                    "again, or add a term to narrow it");
}

Result<void> Gateway::collect_hits(Query& query, const SearchLimits& limits) {
  const uint64_t from_us = clock_.monotonic_us();
  const SearchPlan& plan = query.search.plan;
  SR_ASSIGN(auto candidates, search(store_, query.lanes, query.tokens, query.search.terms_count(),
                                    plan, limits, query.stats));
  SR_TRY(check_deadline(query.started_us));
  if (query.may_count) query.response.mutable_explain()->set_candidates(candidates.size());
  if (query.after) {
    std::erase_if(candidates, [&](const Match& match) {
      // By record: one that was updated since is not shown twice.
      return match.posting.idx == query.after->posting.idx ||
             !before(*query.after, match, plan.newest_first);
    });
  }
  SR_TRY(current_rows(store_, query.collection->id, candidates, query.limit + 1,
                      [&](const Match& match, RecordVersion version, std::string&& row) {
                        query.hits.push_back({version, std::move(row), match});
                      }));
  if (query.hits.size() > query.limit) {
    query.hits.pop_back();
    query.response.set_more(true);
    query.response.set_cursor(
        cursors_.seal(query.hits.back().match, asked_of(query.collection->id, query.request)));
  }
  query.response.mutable_explain()->set_postings_us(clock_.monotonic_us() - from_us);
  return {};
}

void Gateway::run_find(const std::shared_ptr<Query>& query) {
  const auto then = [this, query](const Result<void>& read) {
    query->tokens.clear();
    if (!read) {
      Error error = read.error();
      if (error.code == ErrorCode::kTooBroad && !query->may_count) error.number = -1;
      return query->done(error);
    }
    release(query);
  };
  const bool few = query->tokens.size() <= kInlineTokens;
  const auto quick =
      few ? collect_hits(*query, {std::min(kInlineScan, options_.search.scan_max)})
          : Result<void>(make_error(ErrorCode::kTooBroad, "many terms: not on the event loop"));
  if (quick || quick.error().code != ErrorCode::kTooBroad ||
      (few && options_.search.scan_max <= kInlineScan))
    return then(quick);
  background_.post([this, query, then] {
    query->stats = {};
    loop_.post([then, read = collect_hits(*query, options_.search)] { then(read); });
  });
}

// Rows that a crash, or a store put back, left over.
void Gateway::drop_erased(Query& query, const v1::ReleaseReply& released) {
  if (released.erased().empty()) return;
  std::vector<RecordIndex> rows;
  std::vector<Query::Hit> left;
  auto erased = released.erased().begin();
  for (size_t i = 0; i < query.hits.size(); ++i) {
    if (erased != released.erased().end() && *erased == i) {
      rows.push_back(query.hits[i].version.idx);
      ++erased;
    } else {
      left.push_back(std::move(query.hits[i]));
    }
  }
  query.hits = std::move(left);
  background_.post([this, rows, collection = query.collection->id] {
    static_cast<void>(erased_.remove(collection, rows).has_value());
  });
}

void Gateway::release(const std::shared_ptr<Query>& query) {
  const uint64_t from_us = clock_.monotonic_us();
  const auto finish = [query] {
    if (!query->explain) {
      query->response.clear_explain();
      return query->done(std::move(query->response));
    }
    auto& explain = *query->response.mutable_explain();
    const auto& asked = query->search.asked;
    for (size_t c = 0; c < asked.size(); ++c) {
      auto& row = *explain.add_terms();
      row.set_field(query->collection->fields[asked[c].field].name);
      row.set_op(asked[c].op);
      row.set_terms(static_cast<uint32_t>(asked[c].terms));
      row.set_negated(query->search.plan.clauses[c].negated);
      if (query->may_count) row.set_postings(query->stats.postings[c]);
      row.set_lanes(static_cast<uint32_t>(query->lanes.size()));
    }
    if (query->may_count) explain.set_store_reads(query->stats.store_reads);
    explain.set_round_trips((query->is_get ? 0 : 1) +
                            (query->hits.empty() || query->ids_only ? 0 : 1));
    query->done(std::move(query->response));
  };
  if (query->ids_only) {
    for (const auto& hit : query->hits) {
      query->response.add_records()->set_id(record_id(hit.version.idx));
    }
  }
  if (query->hits.empty() || query->ids_only) return finish();

  v1::Call call;
  auto& ask = *call.mutable_release();
  *ask.mutable_ticket() = std::move(query->ticket);
  ask.set_request_id(std::move(query->request_id));
  ask.set_request_hash(std::move(query->request_hash));
  ask.set_groups(group_mask(query->chosen.groups));
  ask.set_get(query->is_get);
  for (const auto& hit : query->hits) {
    auto& item = *ask.add_items();
    item.set_idx(hit.version.idx.value);
    item.set_u(hit.version.u.value);
  }
  keys_.call(std::move(call), [this, query, from_us, finish](Result<v1::Reply> reply) {
    if (!reply) return query->done(reply.error());
    auto& released = *reply->mutable_release();
    refresh_if_changed(released.revision());
    drop_erased(*query, released);
    if (query->is_get && query->hits.empty()) return query->done(no_such_record());
    if (released.leaf() != 0) query->response.set_leaf(released.leaf());
    query->response.mutable_explain()->set_release_us(clock_.monotonic_us() - from_us);
    const size_t groups = query->chosen.groups.size();
    if (released.keys().size() != query->hits.size() * groups * RecordKey::kSize) {
      return query->done(
          make_error(ErrorCode::kInternal, "the key server's answer has the wrong size"));
    }
    const uint64_t open_us = clock_.monotonic_us();
    const Bytes keys = as_bytes(released.keys());
    for (size_t i = 0; i < query->hits.size(); ++i) {
      const auto& hit = query->hits[i];
      auto& out = *query->response.add_records();
      out.set_id(record_id(hit.version.idx));
      const auto opened = open_row(
          query->collection->id, hit.version.idx, hit.row, query->chosen.groups,
          keys.subspan(i * groups * RecordKey::kSize, groups * RecordKey::kSize),
          [&](FieldId field, std::string&& value) {
            for (const size_t at : query->chosen.wanted) {
              if (query->collection->fields[at].id != field) continue;
              (*out.mutable_fields())[query->collection->fields[at].name] = std::move(value);
              break;
            }
          });
      if (!opened) {
        wipe(*released.mutable_keys());
        wipe_fields(query->response);
        return query->done(opened.error());
      }
    }
    wipe(*released.mutable_keys());
    query->response.mutable_explain()->set_open_us(clock_.monotonic_us() - open_us);
    finish();
  });
}

void Gateway::get(v1::GetRequest request, Done<v1::FindResponse> done) {
  if (catalog_ == nullptr) {
    return start([this, request, done](const Result<bool>& there) {
      there ? get(request, done) : done(there.error());
    });
  }
  const auto prepared =
      prepare(request.ticket(), request.request_id(), request.fields(), request.masked());
  if (!prepared) {
    const v1::SignedTicket ticket = request.ticket();
    return refuse(
        ticket, v1::GET, prepared.error(),
        [this, request = std::move(request), done] { get(request, done); }, done);
  }
  const auto& query = *prepared;
  if (request.ids().empty() ||
      request.ids_size() > static_cast<int>(options_.records_per_answer_max)) {
    return done(make_error(ErrorCode::kInvalidArgument,
                           "name at least one record id, and not too many at once"));
  }
  std::vector<RecordIndex> ids;
  for (const auto& text : request.ids()) {
    const auto idx = parse_record_id(text);
    if (!idx)
      return done(make_error(ErrorCode::kInvalidArgument,
                             "a record id has ten hex digits, as find shows it"));
    if (std::find(ids.begin(), ids.end(), *idx) == ids.end()) ids.push_back(*idx);
  }
  query->is_get = true;
  query->request_hash = request_hash(request);
  query->done = std::move(done);
  std::vector<std::string> keys;
  for (const RecordIndex idx : ids) keys.push_back(record::row_key(query->collection->id, idx));
  std::vector<std::optional<std::string>> rows;
  if (auto read = store_.get(store::Table::kRecords, keys, rows); !read)
    return query->done(read.error());
  for (size_t i = 0; i < ids.size(); ++i) {
    if (!rows[i]) continue;
    const auto header = record::parse_row(as_bytes(*rows[i]));
    if (!header) return query->done(damaged_row());
    query->hits.push_back({RecordVersion{ids[i], header->u}, std::move(*rows[i])});
  }
  if (!query->hits.empty()) return release(query);
  // Nothing to release, but only somebody who may ask is told so.
  v1::Call call;
  *call.mutable_check()->mutable_ticket() = query->ticket;
  call.mutable_check()->set_action(v1::GET);
  keys_.call(std::move(call), [query](const Result<v1::Reply>& reply) {
    query->done(reply ? no_such_record() : reply.error());
  });
}

void Gateway::count(v1::CountRequest request, Done<v1::CountResponse> done) {
  if (catalog_ == nullptr) {
    return start([this, request, done](const Result<bool>& there) {
      there ? count(request, done) : done(there.error());
    });
  }
  std::shared_ptr<const Collection> collection;
  const auto asked = [&]() -> Result<std::shared_ptr<SearchTerms>> {
    SR_ASSIGN(const TicketView who, peek(request.ticket()));
    collection = catalog_->collection(who.collection);
    if (collection == nullptr)
      return make_error(ErrorCode::kNotFound, "there is no such collection");
    SR_ASSIGN(auto terms, hash_terms(*collection, request.terms(), hasher_of(*collection)));
    return std::make_shared<SearchTerms>(std::move(terms));
  }();
  if (!asked) {
    return refuse(
        request.ticket(), v1::COUNT, with_progress(asked.error(), request.ticket()),
        [this, request, done] { count(request, done); }, done);
  }

  v1::Call call;
  auto& tokens = *call.mutable_tokens();
  tokens.set_request_hash(request_hash(request));
  tokens.set_request_id(request.request_id());
  *tokens.mutable_ticket() = request.ticket();
  tokens.set_count_only(true);
  tokens.set_renewals(collection->renewals);
  *tokens.mutable_terms() = (*asked)->terms;
  tokens.mutable_near()->Add((*asked)->near.begin(), (*asked)->near.end());
  const uint64_t started_us = clock_.monotonic_us();
  keys_.call(std::move(call), [this, collection, terms = *asked, started_us,
                               request = std::move(request),
                               done = std::move(done)](Result<v1::Reply> reply) {
    if (!reply && reply.error().code == ErrorCode::kFailedPrecondition) {
      return refuse(
          request.ticket(), v1::COUNT, reply.error(),
          [this, request, done] { count(request, done); }, done);
    }
    if (!reply) return done(reply.error());
    auto& granted = *reply->mutable_tokens();
    refresh_if_changed(granted.revision());
    auto lanes = std::make_shared<std::vector<LaneId>>();
    auto held = std::make_shared<std::vector<TermToken>>();
    if (auto taken = take_tokens(granted, terms->terms_count(), *lanes, *held); !taken)
      return done(taken.error());
    const uint64_t leaf = granted.leaf();
    const uint64_t erasures = granted.erasures();
    background_.post([this, collection, terms, lanes, held, leaf, erasures, started_us, done] {
      const auto answer = [&]() -> Result<v1::CountResponse> {
        SR_TRY(erased_.catch_up(erasures));
        SearchStats stats;
        SR_ASSIGN(const auto candidates, search(store_, *lanes, *held, terms->terms_count(),
                                                terms->plan, options_.search, stats));
        SR_TRY(check_deadline(started_us));
        v1::CountResponse response;
        response.set_leaf(leaf);
        std::vector<Posting> postings;
        postings.reserve(candidates.size());
        for (const Match& match : candidates) postings.push_back(match.posting);
        std::vector<bool> current;
        SR_TRY(store_.current(collection->id, postings, current));
        response.set_count(static_cast<uint64_t>(std::count(current.begin(), current.end(), true)));
        return response;
      };
      loop_.post([done, result = answer()]() mutable { done(std::move(result)); });
    });
  });
}

void Gateway::erase(v1::EraseRequest request, Done<v1::EraseResponse> done) {
  v1::Call call;
  auto& ask = *call.mutable_erase();
  *ask.mutable_ticket() = std::move(*request.mutable_ticket());
  ask.set_request_id(std::move(*request.mutable_request_id()));
  std::vector<uint64_t> records;
  for (const auto& text : request.ids()) {
    const auto idx = parse_record_id(text);
    if (!idx) {
      return done(make_error(ErrorCode::kInvalidArgument,
                             "a record id has ten hex digits, as find shows it; nothing was "
                             "erased"));
    }
    records.push_back(idx->value);
  }
  std::sort(records.begin(), records.end());
  records.erase(std::unique(records.begin(), records.end()), records.end());
  ask.mutable_records()->Add(records.begin(), records.end());
  keys_.call(std::move(call),
             [this, records = records.size(), done = std::move(done)](Result<v1::Reply> reply) {
               if (!reply) return done(reply.error());
               const auto& erased = reply->erase();
               v1::EraseResponse response;
               response.set_leaf(erased.leaf());
               response.set_t_ms(erased.t_ms());
               response.set_records(records);
               background_.post([this, response, done, known = erased.erasures()]() mutable {
                 response.set_rows_left(!erased_.catch_up(known).has_value());
                 loop_.post([response, done] { done(response); });
               });
             });
}

template <class Request, class Response>
void Gateway::edit(Request request, Done<Response> done, v1::Action action,
                   void (Importer::*work)(Request, std::function<void(Result<Response>)>)) {
  // Whoever may not ask hears that and nothing else; and the collection is as it is now.
  v1::Call call;
  *call.mutable_check()->mutable_ticket() = request.ticket();
  call.mutable_check()->set_action(action);
  keys_.call(std::move(call), [this, request = std::move(request), done = std::move(done),
                               work](Result<v1::Reply> reply) mutable {
    if (!reply) return done(reply.error());
    if (catalog_ != nullptr && reply->check().revision() == catalog_->revision()) {
      return (importer_.get()->*work)(std::move(request), std::move(done));
    }
    start([this, request = std::move(request), done = std::move(done),
           work](Result<bool> fresh) mutable {
      if (!fresh) return done(fresh.error());
      (importer_.get()->*work)(std::move(request), std::move(done));
    });
  });
}

void Gateway::put(v1::PutRequest request, Done<v1::PutResponse> done) {
  edit(std::move(request), std::move(done), v1::IMPORT, &Importer::put);
}

void Gateway::update(v1::UpdateRequest request, Done<v1::UpdateResponse> done) {
  edit(std::move(request), std::move(done), v1::UPDATE, &Importer::update);
}

void Gateway::begin_import(v1::BeginImportRequest request, Done<v1::ImportState> done) {
  // With the collection as it is now: an import runs long, and its columns are fixed here.
  start([this, request = std::move(request), done = std::move(done)](Result<bool> fresh) mutable {
    if (!fresh) return done(fresh.error());
    importer_->begin(std::move(request), std::move(done));
  });
}

void Gateway::import_batch(v1::ImportBatchRequest request, Done<v1::ImportState> done) {
  importer_->batch(std::move(request), std::move(done));
}

void Gateway::finish_import(v1::FinishImportRequest request, Done<v1::ImportState> done) {
  importer_->finish(std::move(request), std::move(done));
}

Error Gateway::with_progress(Error error, const v1::SignedTicket& ticket) const {
  const auto who = peek(ticket);
  if (error.code != ErrorCode::kFailedPrecondition || !who) return error;
  const auto known = reindexed_percent_.find(who->collection);
  error.number = known == reindexed_percent_.end() ? 0 : known->second;
  return error;
}

void Gateway::reindex(v1::ReindexRequest request, Done<v1::ReindexResponse> done) {
  // With the collection as it is now: it must have the indexes that records are to be brought
  // under.
  start([this, request = std::move(request), done = std::move(done)](Result<bool> fresh) mutable {
    if (!fresh) return done(fresh.error());
    const auto who = peek(request.ticket());
    if (!who) return done(who.error());
    const CollectionId collection = who->collection;
    importer_->reindex(std::move(request), [this, collection, done = std::move(done)](
                                               Result<v1::ReindexResponse> stepped) {
      if (stepped && !stepped->finished() && stepped->records() != 0) {
        reindexed_percent_[collection] = static_cast<int64_t>(
            std::min<uint64_t>(99, stepped->passed() * 100 / stepped->records()));
      }
      done(std::move(stepped));
    });
  });
}

}  // namespace strongroom::gateway
