// Reports as anyone may hand them on.
#include "strongroom/base/check.h"
#include "strongroom/keyserver/report_check.h"

using namespace strongroom;
using namespace strongroom::keyserver;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto report = parse_subject_report({reinterpret_cast<const char*>(data), size});
  if (!report) return 0;
  const auto again = parse_subject_report(format_subject_report(*report));
  SR_CHECK(again && again->SerializeAsString() == report->SerializeAsString(),
           "read otherwise than written");
  static const tlog::LogKeys kLog(tlog::log_key("strongroom.local/fuzz", {}));
  SR_CHECK(!check_subject_report(*report, kLog, {}), "a report nobody made");
  return 0;
}
