// `policy test --replay`: what the watch rules of a policy would have said to what is in the log.
#pragma once

#include <string>

#include "strongroom/app/cli.h"
#include "strongroom/v1/policy.pb.h"

namespace strongroom::app {

Result<void> replay_watch(const Global& global, const v1::Policy& policy);

}  // namespace strongroom::app
