// Sends alarms on, each to every sink, in order, at least once.
//
// The spool is the release log: what is kept here is how far each sink has come, so a sink that is
// away for a month costs nothing but its place. One that fails is tried again, from a second to ten
// minutes later, and holds up no other.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "strongroom/env/files.h"
#include "strongroom/sender/sinks.h"

namespace strongroom::sender {

inline constexpr uint64_t kRetryMsMin = 1000;
inline constexpr uint64_t kRetryMsMax = 600'000;
inline constexpr uint32_t kBatch = 100;

class AlarmSource {
 public:
  virtual ~AlarmSource() = default;
  virtual Result<v1::ListAlarmsResponse> alarms(uint64_t after, uint32_t count) = 0;
};

// Not thread-safe. Borrows source and files.
class Sender {
 public:
  // Called with what went wrong, once for each time a sink begins to fail; nullptr: works again.
  using Tell = std::function<void(const std::string& sink, const Error* error)>;

  // `path`: where the sinks' places are kept.
  //   kDataLoss  That file cannot be read; without it every alarm that is kept is sent again.
  static Result<std::unique_ptr<Sender>> open(AlarmSource& source,
                                              std::vector<std::unique_ptr<AlarmSink>> sinks,
                                              env::Files& files, std::string path, Tell tell);
  // Sends what there is to every sink that is not waiting to be tried again. An error: the source
  // did not answer, or the places could not be kept.
  Result<void> step(uint64_t now_ms);

 private:
  struct Place {
    std::unique_ptr<AlarmSink> sink;
    uint64_t after = 0;
    uint32_t failures = 0;
    uint64_t retry_ms = 0;
  };
  Sender(AlarmSource& source, env::Files& files, std::string path, Tell tell)
      : source_(source), files_(files), path_(std::move(path)), tell_(std::move(tell)) {}
  // Whether it took any.
  Result<bool> send_to(Place& place, uint64_t now_ms);
  Result<void> save() const;

  AlarmSource& source_;
  env::Files& files_;
  std::string path_;
  Tell tell_;
  std::vector<Place> places_;
};

}  // namespace strongroom::sender
