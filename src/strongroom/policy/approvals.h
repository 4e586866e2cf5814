// Requests that several must sign: what was asked, who signed, how it ended.
//
// A pure state machine, as the log says: opened, then approved by one after another, or denied,
// withdrawn, or left to expire. Signatures are checked by whoever feeds it.
// Spec: docs/spec/approval.md
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "strongroom/base/bytes.h"
#include "strongroom/base/result.h"
#include "strongroom/v1/approval.pb.h"

namespace strongroom::policy {

inline constexpr size_t kApprovalBytesMax = size_t{2} << 20;  // A policy is half of that at most.
inline constexpr size_t kOpenRequestsMax = 100;
inline constexpr size_t kOpenRequestsOfOneMax = 20;
inline constexpr size_t kClosedRequestsKept = 100;
inline constexpr uint32_t kApprovalsNeededDefault = 2;
inline constexpr uint32_t kApprovalsNeededMax = 16;
inline constexpr uint32_t kApprovalHoursDefault = 72;
inline constexpr uint32_t kApprovalHoursMax = 24 * 30;

// In which the erasure of all old records of a collection can be cancelled.
inline constexpr uint32_t kDestructionDelayDefaultS = 7 * 24 * 3600;
inline constexpr uint32_t kDestructionDelayMaxS = 90 * 24 * 3600;

enum class Decision : uint8_t { kApprove = 1, kDeny = 2 };

// "strongroom approval v1\0" | decision u8 | request: what an approver signs.
std::string approval_message(Decision decision, std::string_view request);

// The request in these bytes, as a person may be shown it.
//   kInvalidArgument  Too long, malformed, of another vault, without a change, or with a field, at
//                     any depth, that this version does not know and so could not show.
Result<v1::ApprovalRequest> parse_approval_request(std::string_view bytes,
                                                   const ByteArray<16>& vault);

struct Approval {
  std::string approver;
  uint64_t generation = 0;  // Of the key it was signed with.
  template <class A>
  void archive(A& a) {
    a(approver, generation);
  }
};

struct RequestState {
  enum class End : uint8_t { kOpen, kDone, kDenied, kWithdrawn };
  v1::ApprovalRequest request;
  std::string bytes;  // As signed.
  uint64_t leaf = 0;  // Of the last step.
  End end = End::kOpen;
  std::vector<Approval> approved;
  std::string closed_by;

  template <class A>
  void archive(A& a) {
    a(bytes, leaf, end, approved, closed_by);
    if constexpr (A::kReading) {
      if (!request.ParseFromString(bytes)) a.fail();
    }
  }
  bool expired(uint64_t t_ms) const { return end == End::kOpen && t_ms >= request.expires_ms(); }
};

// Not thread-safe.
class Approvals {
 public:
  uint64_t next_id() const { return next_id_; }
  const RequestState* find(uint64_t id) const;  // nullptr: none, or forgotten.
  const std::map<uint64_t, RequestState>& all() const { return requests_; }
  size_t open_count(uint64_t t_ms) const;

  // Whether `who` may still approve or deny it.
  //   kNotFound            No such request.
  //   kFailedPrecondition  Closed or expired.
  //   kPermissionDenied    One's own.
  //   kAlreadyExists       Approved already.
  Result<void> check_open(uint64_t id, std::string_view who, uint64_t t_ms) const;

  // As the log says. False: it cannot be.
  bool open(v1::ApprovalRequest request, std::string bytes, uint64_t leaf);
  bool approve(uint64_t id, Approval approval, bool done, uint64_t leaf);
  bool close(uint64_t id, RequestState::End end, std::string who, uint64_t leaf);

  template <class A>
  void archive(A& a) {
    a(requests_, next_id_);
  }

 private:
  RequestState* open_request(uint64_t id);
  void forget();
  std::map<uint64_t, RequestState> requests_;
  uint64_t next_id_ = 1;
};

}  // namespace strongroom::policy
