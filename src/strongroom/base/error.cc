#include "strongroom/base/result.h"

namespace strongroom {

const char* error_code_name(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "invalid_argument";
    case ErrorCode::kUnauthenticated:
      return "unauthenticated";
    case ErrorCode::kPermissionDenied:
      return "permission_denied";
    case ErrorCode::kSearchDenied:
      return "search_denied";
    case ErrorCode::kBudgetExhausted:
      return "budget_exhausted";
    case ErrorCode::kReplayed:
      return "replayed";
    case ErrorCode::kTooBroad:
      return "too_broad";
    case ErrorCode::kNotFound:
      return "not_found";
    case ErrorCode::kAlreadyExists:
      return "already_exists";
    case ErrorCode::kConflict:
      return "conflict";
    case ErrorCode::kFailedPrecondition:
      return "failed_precondition";
    case ErrorCode::kUnavailable:
      return "unavailable";
    case ErrorCode::kLogUnavailable:
      return "log_unavailable";
    case ErrorCode::kDataLoss:
      return "data_loss";
    case ErrorCode::kNoSpace:
      return "no_space";
    case ErrorCode::kDeadlineExceeded:
      return "deadline_exceeded";
    case ErrorCode::kInternal:
      return "internal";
  }
  return "internal";
}

}  // namespace strongroom
