// Closed-loop load on a door, from one thread: each of N connections sends its next call when the
// reply to its last came. For benchmarks and drills.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "strongroom/base/result.h"
#include "strongroom/rpc/connect_client.h"

namespace strongroom::rpc {

struct LoadCall {
  std::string path{};
  bool json = false;
  std::string body{};
  std::string authorization{};  // Empty: no such header.
};

struct LoadOptions {
  Endpoint endpoint{};
  int connections = 1;
  // Fills in the next call of connection 0..connections-1, over what its last one was; false: that
  // connection is done.
  std::function<bool(int connection, LoadCall& call)> next{};
  // Optional. Looks at each reply.
  std::function<void(int connection, int status, std::string_view body)> reply{};
};

struct LoadResult {
  double seconds = 0;  // From the first call, with all connections open, to the last reply.
  std::vector<float> latencies_us;  // Of each call, in order of completion.
  uint64_t errors = 0;              // Replies with a status other than 200.
  double per_second() const { return static_cast<double>(latencies_us.size()) / seconds; }
  double percentile_us(double percent) const;  // 50, 99, 99.9
};

// Blocks until all connections are done.
//   kUnavailable  One of them could not be opened, or broke.
Result<LoadResult> run_load(const LoadOptions& options);

}  // namespace strongroom::rpc
