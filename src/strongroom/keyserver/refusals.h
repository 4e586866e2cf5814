// What several kinds of calls are refused with.
#pragma once

#include "strongroom/base/result.h"

namespace strongroom::keyserver {

inline Error invalid(const char* text, int64_t number = -1) {
  return make_error(ErrorCode::kInvalidArgument, text, number);
}
inline Error no_collection() {
  return make_error(ErrorCode::kNotFound, "There is no such collection. Apply it first.");
}

}  // namespace strongroom::keyserver
