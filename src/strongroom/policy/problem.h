// What a check of a schema or a policy found wrong. For .cc files of this folder only.
#pragma once

#include <string>
#include <utility>

#include "strongroom/policy/collection.h"

namespace strongroom::policy {

// `problem` may be null.
inline Error fail(Problem* problem, const char* text, std::string path,
                  ErrorCode code = ErrorCode::kInvalidArgument) {
  if (problem != nullptr) *problem = {text, std::move(path)};
  return make_error(code, text);
}

}  // namespace strongroom::policy
