// The compactor: looks for lanes worth merging, merges them, has the key server put the result in
// their place.
//
// It holds roots of the lanes it merges, for that time, and sees pseudonyms of terms and how often
// each occurs; no value, no key of a record, no K_q. Whatever it is stopped at, what is searched is
// right: only the key server's entry puts the target in the sources' place.
// Spec: docs/spec/compaction.md
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "strongroom/base/result.h"
#include "strongroom/compactor/choice.h"
#include "strongroom/compactor/lane_merge.h"
#include "strongroom/compactor/pace.h"
#include "strongroom/store/store.h"
#include "strongroom/v1/keyservice.pb.h"

namespace strongroom::compactor {

// The key server. Blocks. As gateway::KeyService::call_blocking().
class Keys {
 public:
  virtual ~Keys() = default;
  virtual Result<v1::Reply> call(v1::Call call) = 0;
};

// The store, which another process has open. Blocks.
class StoreAccess {
 public:
  virtual ~StoreAccess() = default;
  // Bytes of each lane's postings, about.
  virtual Result<std::vector<uint64_t>> measure(std::span<const LaneId> lanes) = 0;
  // The store as it is now, or a little later; nothing in it changes.
  virtual Result<std::shared_ptr<store::Store>> freeze() = 0;
  virtual Result<std::unique_ptr<store::SortedRun>> begin_run(store::Table table) = 0;
  // Both runs are durable when it returns. Their keys are all of `lane`.
  virtual Result<void> ingest(LaneId lane, std::unique_ptr<store::SortedRun> postings,
                              std::unique_ptr<store::SortedRun> directory) = 0;
};

struct CompactorOptions {
  ChoiceRules rules;  // postings_max 0: as many as there are.
  index::PackerMemory memory = {};
};

// Not thread-safe. Borrows all but the credential.
class Compactor {
 public:
  Compactor(Keys& keys, StoreAccess& store, Pace& pace, std::string credential,
            CompactorOptions options);
  ~Compactor();  // Wipes the credential.
  Compactor(const Compactor&) = delete;
  Compactor& operator=(const Compactor&) = delete;

  // Merges once, if any collection has lanes worth it. False: none has. After an error the lanes
  // are as they were, and the call may be made again, a while later. Data loss is said once: its
  // collection is left alone from then on, and others go on.
  Result<bool> run_once();
  // Of the last merge.
  const Merged& last() const { return last_; }

 private:
  struct Work {
    CollectionId collection;
    std::vector<LaneId> sources;
  };
  Result<std::optional<Work>> find_work();
  Result<void> merge(const Work& work);
  Result<void> finish(LaneId target, std::span<const LaneId> sources);

  Keys& keys_;
  StoreAccess& store_;
  Pace& pace_;
  std::string credential_;
  CompactorOptions options_;
  std::map<LaneId, uint64_t> known_;  // Postings of lanes, as far as it has seen them.
  std::set<CollectionId> damaged_;
  Merged last_;
};

}  // namespace strongroom::compactor
