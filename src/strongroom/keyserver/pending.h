// A call between its decision and its reply. For the key server's own files.
#pragma once

#include <optional>
#include <vector>

#include "strongroom/keyserver/key_server.h"

namespace strongroom::keyserver {

void set_error(const Error& error, v1::Reply& reply);

struct KeyServer::Pending {
  std::optional<Error> error;
  std::optional<size_t> position;  // Of its entry in the log's group.
  uint64_t leaf = 0;               // Known before: of an unchanged lane.
  policy::Holder holder;           // For whom a secret leaves.
  CollectionId collection;
  std::vector<uint32_t> lanes;  // Tokens: live ones, as of the decision.
  uint64_t generation = 0;
  bool may_count = false;
  RecordIndex first;  // Grant.
  uint32_t count = 0;
  bool new_block = false;
  uint64_t u = 0;                   // Of a grant.
  LaneId lane;                      // OpenLane, PublishLane; BeginMerge, FinishMerge: the target.
  std::vector<uint32_t> gone;       // Lanes whose root this destroys.
  uint32_t closed = 0;              // ResetLanes.
  uint64_t below_u = 0;             // Reindex.
  CollectionId space;               // UniqueTokens; Reindex: of the terms that are made anew.
  bool renews = false;              // Reindex: makes the root of `space`.
  CollectionId old_space;           // Reindex: of the terms that this does away with.
  std::vector<uint32_t> erased;     // Release: places of items that have no key.
  std::vector<RecordIndex> erases;  // Erase.
};

}  // namespace strongroom::keyserver
