// Where alarms go: a webhook, syslog, a file of OCSF events.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "strongroom/base/result.h"
#include "strongroom/env/clock.h"
#include "strongroom/env/files.h"
#include "strongroom/sender/event.h"
#include "strongroom/v1/sinks.pb.h"

namespace strongroom::sender {

// Not thread-safe.
class AlarmSink {
 public:
  virtual ~AlarmSink() = default;
  virtual const std::string& name() const = 0;
  // Blocks. An alarm may come again after an error, or a crash: receivers know it by metadata.uid.
  //   any error   Not taken, or in doubt. Retry later.
  virtual Result<void> send(const v1::Alarm& alarm) = 0;
};

struct SinkContext {
  std::string dir;  // What relative paths are seen from.
  Origin origin;
  env::Files& files;
  const env::Clock& clock;
};
//   kInvalidArgument  `name` is the sink at fault.
Result<std::vector<std::unique_ptr<AlarmSink>>> make_sinks(const v1::SinksFile& file,
                                                           const SinkContext& context,
                                                           std::string* name);

// What they write, there from now on: the folder of a file, in which it may be rotated; but of one
// in the vault's own folder that file alone.
Result<std::vector<std::string>> paths_written(const v1::SinksFile& file,
                                               const SinkContext& context);

// The header strongroom-signature: "t=UNIX_SECONDS,v1=HEX", HEX = HMAC-SHA-256(secret, "T." |
// body).
std::string webhook_signature(Bytes secret, uint64_t t_s, std::string_view body);

}  // namespace strongroom::sender
