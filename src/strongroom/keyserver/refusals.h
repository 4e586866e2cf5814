// Refused calls, counted until they are logged: once a minute at most, who was refused how often
// and why. So somebody who tries what a stolen credential may do shows in the log, and nobody fills
// the disk with calls that are refused.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "strongroom/base/result.h"
#include "strongroom/v1/log.pb.h"

namespace strongroom::keyserver {

inline constexpr uint64_t kRefusalsLoggedMs = 60'000;
inline constexpr size_t kRefusalItemsMax = 4096;

// Not thread-safe.
class Refusals {
 public:
  // `principal`: whose signature was good; empty where there was none. What is for no reason of the
  // caller's (unavailable, internal) is not counted.
  void note(std::string_view principal, ErrorCode reason, uint64_t t_ms);
  // Whether a minute has passed since the first that is not logged.
  bool due(uint64_t t_ms) const;
  // An item for each principal and reason, and begins anew.
  std::vector<v1::LogItem> take();

 private:
  struct Counted {
    uint64_t count = 0;
    uint64_t first_ms = 0;
    uint64_t last_ms = 0;
  };
  std::map<std::pair<std::string, ErrorCode>, Counted, std::less<>> counted_;
  uint64_t since_ms_ = 0;
};

}  // namespace strongroom::keyserver
