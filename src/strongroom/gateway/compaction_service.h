// What a gateway does for the compactor beside it, which may read a copy of its store and hand it
// sorted files, and for a backup, which may read another copy; and nothing else.
#pragma once

#include <string>

#include "strongroom/gateway/key_service.h"
#include "strongroom/gateway/store_guard.h"
#include "strongroom/store/store.h"

namespace strongroom::gateway {

struct CompactionFolders {
  std::string frozen;       // The copy.
  std::string files;        // Where the compactor puts its files.
  std::string backup = {};  // The copy for a backup.
};

// Blocks on store and key server: on a loop of its own, never on the gateway's. Not thread-safe.
// Borrows store, key service and guard.
class CompactionService {
 public:
  // `guard`, where given: before it has found the store whole every call is kUnavailable, after
  // some seconds in which it may.
  CompactionService(store::Store& store, KeyService& keys, CompactionFolders folders,
                    const StoreGuard* guard = nullptr)
      : store_(store), keys_(keys), folders_(std::move(folders)), guard_(guard) {}

  // Answers a compactor's calls, in order. It trusts none of them: files come from the one folder,
  // and their keys are of one lane that is reserved and not searched.
  v1::ReplyBatch handle(v1::CallBatch&& batch);

 private:
  Result<v1::Reply> answer(const v1::Call& call);
  Result<void> ingest(const v1::IngestLaneCall& call);
  Result<void> check_reserved(uint32_t lane);

  store::Store& store_;
  KeyService& keys_;
  CompactionFolders folders_;
  const StoreGuard* guard_;
};

}  // namespace strongroom::gateway
