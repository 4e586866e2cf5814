// A place in the files of the release log.
#pragma once

#include <cstdint>

namespace strongroom::tlog {

// Where a leaf's frame begins.
struct Position {
  uint32_t segment = 0;
  uint64_t offset = 0;
  template <class A>
  void archive(A& a) {
    a(segment, offset);
  }
};

}  // namespace strongroom::tlog
