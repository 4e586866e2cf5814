// Imports of a gateway: sessions on one worker thread, so that two at once are right without locks.
#pragma once

#include <functional>
#include <memory>

#include "strongroom/env/clock.h"
#include "strongroom/env/executor.h"
#include "strongroom/gateway/import_session.h"

namespace strongroom::gateway {

// Called on the event loop; `done` runs there. Work runs on a thread of its own.
class Importer {
 public:
  using Done = std::function<void(Result<v1::ImportState>)>;

  Importer(store::Store& store, KeyService& keys, ErasedRows& erased, env::Executor& loop,
           env::Clock& clock, const TermKey& term_key, ImportOptions options);
  ~Importer();

  // The first one also repairs chunks that were being committed when the gateway stopped.
  void set_catalog(std::shared_ptr<const Catalog> catalog);

  // Where to go on from. An import of the same source that is still open is taken over; what it had
  // not committed is read again.
  void begin(v1::BeginImportRequest request, Done done);
  //   kNotFound  No such import: the gateway was restarted, or another run took it over. Begin
  //   again.
  void batch(v1::ImportBatchRequest request, Done done);
  void finish(v1::FinishImportRequest request, Done done);
  // Between the batches of imports: see RecordEditor.
  void put(v1::PutRequest request, std::function<void(Result<v1::PutResponse>)> done);
  void update(v1::UpdateRequest request, std::function<void(Result<v1::UpdateResponse>)> done);
  // Likewise: see Reindexer.
  void reindex(v1::ReindexRequest request, std::function<void(Result<v1::ReindexResponse>)> done);

 private:
  struct Worker;
  std::unique_ptr<Worker> worker_;
};

}  // namespace strongroom::gateway
