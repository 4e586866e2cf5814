// What nobody may see being typed: a share.
#pragma once

#include <string>

namespace strongroom::app {

// A line from standard input, not shown on a terminal; `prompt` is, and only once typing is hidden.
// To be wiped by the caller.
std::string read_hidden(const char* prompt);

}  // namespace strongroom::app
