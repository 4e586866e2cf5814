// A progress line for long work: how far, how fast, how long yet. On a terminal only.
#pragma once

#include <cstdint>
#include <string>

namespace strongroom::app {

class Progress {
 public:
  // total 0: unknown. `unit` as in "rows".
  Progress(std::string unit, uint64_t total);
  ~Progress();
  // `done` of `total` measures the way (bytes, say), `count` what is counted for people. Cheap:
  // prints ten times a second.
  void update(uint64_t done, uint64_t count, const std::string& note = {});
  void clear();

 private:
  std::string unit_;
  uint64_t total_;
  uint64_t started_us_;
  uint64_t printed_us_ = 0;
  uint64_t first_done_ = 0;
  uint64_t first_count_ = 0;
  bool any_ = false;
  bool terminal_;
};

}  // namespace strongroom::app
