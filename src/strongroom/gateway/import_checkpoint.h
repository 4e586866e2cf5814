// Where an import left off: one sealed row in the store for each source, written before and after
// each chunk.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "strongroom/base/ids.h"
#include "strongroom/base/secret.h"
#include "strongroom/store/store.h"
#include "strongroom/v1/gatewaystate.pb.h"

namespace strongroom::gateway {

// Not thread-safe.
class ImportCheckpoints {
 public:
  ImportCheckpoints(store::Store& store, const TermKey& term_key);

  // The name of a source's row: keyed, so that a copy of the store does not tell which files were
  // imported.
  std::string name(CollectionId collection, Bytes source_id) const;
  //   kDataLoss  Damaged or forged.
  Result<std::optional<v1::ImportCheckpoint>> load(const std::string& name);
  Result<void> save(const std::string& name, const v1::ImportCheckpoint& checkpoint);  // Durable.
  Result<void> forget(const std::string& name);
  // Names of all checkpoints that say a chunk was being committed. One that is damaged is left out:
  // load() reports it to whoever imports that source next, and other imports go on.
  Result<std::vector<std::string>> pending();

 private:
  Result<v1::ImportCheckpoint> open(const std::string& name, Bytes sealed) const;

  store::Store& store_;
  SealingKey key_;
};

}  // namespace strongroom::gateway
