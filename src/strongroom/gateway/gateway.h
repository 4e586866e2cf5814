// The gateway: turns what a clerk asks into terms, tokens into postings, released keys into an
// answer.
//
// It holds K_q and the plaintext of requests in flight. It decides nothing: every token and every
// key comes from the key server, which meters and logs it first.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "strongroom/base/secret.h"
#include "strongroom/env/clock.h"
#include "strongroom/env/executor.h"
#include "strongroom/gateway/catalog.h"
#include "strongroom/gateway/cursor.h"
#include "strongroom/gateway/erased_rows.h"
#include "strongroom/gateway/importer.h"
#include "strongroom/gateway/key_service.h"
#include "strongroom/gateway/request.h"
#include "strongroom/gateway/row_versions.h"
#include "strongroom/gateway/search.h"
#include "strongroom/gateway/store_guard.h"
#include "strongroom/store/store.h"
#include "strongroom/v1/vault.pb.h"

namespace strongroom::gateway {

struct GatewayOptions {
  SearchLimits search;
  uint32_t records_per_answer_max = 1000;
  // A search that takes longer is refused: rows of lanes that were merged meanwhile go then.
  uint64_t query_deadline_us = 60'000'000;
  ImportOptions import;
  size_t row_versions_bytes = size_t{64} << 20;  // For RowVersions.
  StoreGuard* guard = nullptr;                   // Borrowed. None: any store will do.
};

// Lives on one event loop; all callbacks run there. Borrows everything, which must outlive it.
class Gateway {
 public:
  template <class T>
  using Done = std::function<void(Result<T>)>;

  Gateway(store::Store& store, KeyService& keys, env::Executor& loop, env::Clock& clock,
          TermKey term_key, GatewayOptions options);
  ~Gateway();

  // Asks the key server for collections and policy. Before it is done every request is
  // kUnavailable; or kDataLoss, as the guard says.
  void start(Done<bool> done);

  //   kInvalidArgument    An unknown field, a value its type refuses, no term.
  //   kTooBroad           See search().
  //   and whatever the key server refuses with.
  void find(v1::FindRequest request, Done<v1::FindResponse> done);
  void get(v1::GetRequest request, Done<v1::FindResponse> done);
  void count(v1::CountRequest request, Done<v1::CountResponse> done);

  // Single records: see RecordEditor.
  void put(v1::PutRequest request, Done<v1::PutResponse> done);
  void update(v1::UpdateRequest request, Done<v1::UpdateResponse> done);

  // For ever. The key server erases, and only what this very ticket names; then the rows go.
  //   kNotFound  One of them was never granted; none was erased.
  void erase(v1::EraseRequest request, Done<v1::EraseResponse> done);

  void begin_import(v1::BeginImportRequest request, Done<v1::ImportState> done);
  void import_batch(v1::ImportBatchRequest request, Done<v1::ImportState> done);
  void finish_import(v1::FinishImportRequest request, Done<v1::ImportState> done);
  void reindex(v1::ReindexRequest request, Done<v1::ReindexResponse> done);

  // Whether some field is searched by names or words. Event loop only.
  bool reads_chinese() const;

 private:
  struct Query;
  index::TermHasher& hasher_of(const Collection& collection);
  Result<std::shared_ptr<Query>> prepare(
      const v1::SignedTicket& ticket, const std::string& request_id,
      const google::protobuf::RepeatedPtrField<std::string>& fields, bool masked);
  // A request that does not fit the catalog. Whoever may not ask at all hears the key server's
  // reason and nothing about schemas; if the key server knows a newer catalog, that is fetched and
  // the request tried again; else `error` it is.
  void refuse(const v1::SignedTicket& ticket, v1::Action action, const Error& error,
              std::function<void()> retry, std::function<void(Error)> give_up);
  // An index that is being built: how far.
  Error with_progress(Error error, const v1::SignedTicket& ticket) const;
  Result<void> collect_hits(Query& query, const SearchLimits& limits);
  // Behind the last read of postings.
  Result<void> check_deadline(uint64_t started_us) const;
  // If the key server would allow the action, on the thread of the imports.
  template <class Request, class Response>
  void edit(Request request, Done<Response> done, v1::Action action,
            void (Importer::*work)(Request, std::function<void(Result<Response>)>));
  void run_find(const std::shared_ptr<Query>& query);
  void release(const std::shared_ptr<Query>& query);
  void refresh_if_changed(uint64_t revision);
  // Later, on a thread of its own; what fails is left to the next time.
  void follow_erasures(uint64_t known);
  void drop_erased(Query& query, const v1::ReleaseReply& released);

  RowVersions store_;
  KeyService& keys_;
  env::Executor& loop_;
  env::Clock& clock_;
  TermKey term_key_;
  GatewayOptions options_;
  ErasedRows erased_;
  struct Hasher {
    Hasher(uint32_t of, const TermKey& key) : renewals(of), hasher(key) {}
    uint32_t renewals;
    index::TermHasher hasher;
  };
  std::unordered_map<CollectionId, Hasher> hashers_;  // Event loop only.
  Cursors cursors_;
  std::shared_ptr<const Catalog> catalog_;  // Event loop only.
  bool refreshing_ = false;
  std::unordered_map<CollectionId, int64_t> reindexed_percent_;  // As of the last step.
  env::WorkerThread
      background_;  // Long searches: a broad count must not hold up the clerk next to it.
  std::unique_ptr<Importer> importer_;
};

}  // namespace strongroom::gateway
