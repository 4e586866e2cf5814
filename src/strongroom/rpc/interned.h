// Error texts that came over the wire, given the static storage that Error::text asks for.
#pragma once

#include <string_view>

namespace strongroom::rpc {

// The same text, from a process-wide set that is never freed: at most 1,024 texts of at most 512
// bytes. What is longer is cut, what is not printable ASCII becomes '?', and once the set is full a
// new text becomes a general one. Our own servers send static texts only, so the set stays small; a
// hostile one cannot grow it. Thread-safe.
const char* intern_text(std::string_view text);

}  // namespace strongroom::rpc
