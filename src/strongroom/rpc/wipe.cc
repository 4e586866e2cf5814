#include "strongroom/rpc/wipe.h"

#include <string.h>  // explicit_bzero

#include <algorithm>

#include "strongroom/v1/keyservice.pb.h"

namespace strongroom::rpc {

void wipe(std::string& bytes) {
  explicit_bzero(bytes.data(), bytes.size());
  bytes.clear();
}

void grow(std::string& bytes, size_t more) {
  const size_t needed = bytes.size() + more;
  if (needed <= bytes.capacity()) return;
  std::string larger;
  larger.reserve(std::max(needed, 2 * bytes.capacity()));
  larger.append(bytes);
  bytes.swap(larger);
  wipe(larger);
}

void wipe(v1::Reply& reply) {
  // Without a default on purpose: who adds a reply must say here whether it holds secrets.
  switch (reply.reply_case()) {
    case v1::Reply::kTokens:
      return wipe(*reply.mutable_tokens()->mutable_tokens());
    case v1::Reply::kRelease:
      return wipe(*reply.mutable_release()->mutable_keys());
    case v1::Reply::kGrant:
      return wipe(*reply.mutable_grant()->mutable_secrets());
    case v1::Reply::kUpdateGrant:
      return wipe(*reply.mutable_update_grant()->mutable_secrets());
    case v1::Reply::kOpenLane:
      return wipe(*reply.mutable_open_lane()->mutable_root());
    case v1::Reply::kUniqueTokens:
      return wipe(*reply.mutable_unique_tokens()->mutable_tokens());
    case v1::Reply::kBeginMerge:
      wipe(*reply.mutable_begin_merge()->mutable_root());
      return wipe(*reply.mutable_begin_merge()->mutable_source_roots());
    case v1::Reply::kReindex:
      return wipe(*reply.mutable_reindex()->mutable_salt());
    case v1::Reply::kSync:
      for (auto& terms : *reply.mutable_sync()->mutable_terms()) wipe(*terms.mutable_salt());
      return;
    case v1::Reply::kError:
    case v1::Reply::kResetLanes:
    case v1::Reply::kListLanes:
    case v1::Reply::kFinishMerge:
    case v1::Reply::kFreezeStore:
    case v1::Reply::kMeasureLanes:
    case v1::Reply::kIngestLane:
    case v1::Reply::kPublishLane:
    case v1::Reply::kAlarms:
    case v1::Reply::kWitness:
    case v1::Reply::kLogTile:
    case v1::Reply::kCheck:
    case v1::Reply::kErase:
    case v1::Reply::kErasures:
    case v1::Reply::kMarkStore:
    case v1::Reply::REPLY_NOT_SET:
      return;
  }
}

void wipe(v1::ReplyBatch& batch) {
  for (v1::Reply& reply : *batch.mutable_replies()) wipe(reply);
}

}  // namespace strongroom::rpc
