#include "strongroom/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace strongroom {

void check_failed(const char* file, int line, const char* what) noexcept {
  std::fprintf(stderr, "strongroom: internal error at %s:%d: %s\n", file, line, what);
  std::abort();
}

}  // namespace strongroom
