// Rows as CSV (RFC 4180) or NDJSON, appended to a buffer the caller writes out when it has grown
// large enough.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace strongroom::synth {

// Appends one line. A field is quoted only where it must be; lines end in LF, as other tools on
// Unix write them.
void append_csv(const std::vector<std::string>& values, std::string& out);

// Not thread-safe.
class NdjsonWriter {
 public:
  explicit NdjsonWriter(const std::vector<std::string>& columns);
  // Appends one object. Empty values are left out. `values` must be UTF-8.
  void append(const std::vector<std::string>& values, std::string& out) const;

 private:
  std::vector<std::string> keys_;  // Escaped, with quotes and colon.
};

}  // namespace strongroom::synth
