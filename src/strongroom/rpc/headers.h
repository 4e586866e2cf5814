// Header fields of a request or reply, in the order sent. Names in lower case.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace strongroom::rpc {

using Headers = std::vector<std::pair<std::string, std::string>>;

}  // namespace strongroom::rpc
