// An alarm as others read it: an OCSF 1.3 Detection Finding (class 2004) in JSON, and a line of RFC
// 5424. Names of principals, gateways and purposes, counts and times; nothing else is in an alarm.
// Source: https://schema.ocsf.io/1.3.0/classes/detection_finding, RFC 5424.
#pragma once

#include <string>

#include "strongroom/v1/watch.pb.h"

namespace strongroom::sender {

struct Origin {
  std::string vault;    // Hex.
  std::string version;  // Of this program.
};

// Low, medium, high, critical, as OCSF numbers them. A test: informational.
uint32_t severity_of(const v1::AlarmItem& alarm);
// One line without its end. The same alarm always has the same metadata.uid.
std::string to_ocsf(const v1::Alarm& alarm, const Origin& origin);
std::string to_syslog(const v1::Alarm& alarm);

}  // namespace strongroom::sender
