#include "strongroom/gateway/compaction_service.h"

#include <algorithm>

#include "strongroom/base/bytes.h"
#include "strongroom/base/ids.h"
#include "strongroom/index/postings.h"

namespace strongroom::gateway {
namespace {

constexpr std::chrono::milliseconds kGuardWait{5000};
constexpr int kFilesMax = 4096;
constexpr int kMeasuredLanesMax = 4096;

Error invalid_call(const char* text) {
  return make_error(ErrorCode::kInvalidArgument, text);
}

Result<v1::Reply> not_whole() {
  return make_error(ErrorCode::kUnavailable,
                    "The gateway does not know yet whether its store is whole. Try again when it "
                    "serves.");
}

// A name, and no way out of the folder.
bool is_file_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
         });
}

void set_error(const Error& error, v1::Reply& reply) {
  v1::CallError& out = *reply.mutable_error();
  out.set_code(static_cast<uint32_t>(error.code));
  out.set_text(error.text);
  out.set_number(error.number);
  out.set_retry_after_ms(error.retry_after_ms);
}

}  // namespace

v1::ReplyBatch CompactionService::handle(v1::CallBatch&& batch) {
  // Nothing is copied or merged out of a store that may lack rows.
  const bool whole = guard_ == nullptr || guard_->wait(kGuardWait);
  v1::ReplyBatch replies;
  for (const v1::Call& call : batch.calls()) {
    v1::Reply& reply = *replies.add_replies();
    auto answered = whole ? answer(call) : not_whole();
    if (answered) {
      reply = *std::move(answered);
    } else {
      set_error(answered.error(), reply);
    }
  }
  return replies;
}

Result<v1::Reply> CompactionService::answer(const v1::Call& call) {
  v1::Reply reply;
  switch (call.call_case()) {
    case v1::Call::kFreezeStore: {
      const std::string& folder = call.freeze_store().backup() ? folders_.backup : folders_.frozen;
      if (call.freeze_store().release()) {
        SR_TRY(store::remove_frozen(folder));
      } else {
        SR_TRY(store_.freeze(folder));
        // By a row that is in the copy a posting may be dropped: it must not be lost any more.
        SR_TRY(store_.flush());
      }
      reply.mutable_freeze_store();
      return reply;
    }
    case v1::Call::kMeasureLanes:
      if (call.measure_lanes().lanes_size() > kMeasuredLanesMax)
        return invalid_call("Too many lanes at once.");
      reply.mutable_measure_lanes();
      for (const uint32_t lane : call.measure_lanes().lanes()) {
        if (lane > kLaneMax) return invalid_call("A lane number has 24 bits.");
        const auto [from, to] = index::lane_range(LaneId{lane});
        SR_ASSIGN(const uint64_t bytes, store_.measure(store::Table::kPostings, from, to));
        reply.mutable_measure_lanes()->add_bytes(bytes);
      }
      return reply;
    case v1::Call::kIngestLane:
      SR_TRY(ingest(call.ingest_lane()));
      reply.mutable_ingest_lane();
      return reply;
    default:
      return invalid_call("This call is of a kind that a gateway does not know.");
  }
}

Result<void> CompactionService::check_reserved(uint32_t lane) {
  v1::Call call;
  call.mutable_list_lanes();
  SR_ASSIGN(const v1::Reply reply, keys_.call_blocking(std::move(call)));
  for (const auto& known : reply.list_lanes().lanes()) {
    if (known.lane() == lane && known.packed() && !known.searched() && !known.closed()) return {};
  }
  return make_error(
      ErrorCode::kFailedPrecondition,
      "This lane is not one that is being filled: its merge was abandoned, or ended.");
}

Result<void> CompactionService::ingest(const v1::IngestLaneCall& call) {
  if (call.lane() > kLaneMax) return invalid_call("A lane number has 24 bits.");
  if (call.postings_size() > kFilesMax || call.directory_size() > kFilesMax) {
    return invalid_call("Too many files at once.");
  }
  SR_TRY(check_reserved(call.lane()));
  const auto [from, to] = index::lane_range(LaneId{call.lane()});
  for (const auto& [table, names] : {std::pair{store::Table::kPostings, &call.postings()},
                                     {store::Table::kDirectory, &call.directory()}}) {
    std::vector<std::string> paths;
    for (const std::string& name : *names) {
      if (!is_file_name(name)) return invalid_call("This is not the name of a file of a merge.");
      paths.push_back(folders_.files + "/" + name);
    }
    SR_TRY(store_.ingest_files(table, from, to, paths));
  }
  return {};
}

}  // namespace strongroom::gateway
