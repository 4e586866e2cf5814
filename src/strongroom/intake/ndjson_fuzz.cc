// NDJSON from anywhere: every value is within the limits and valid UTF-8, and what is kept as JSON
// is JSON.
#include <simdjson.h>

#include <cstdlib>
#include <string>

#include "strongroom/intake/ndjson_reader.h"

using strongroom::intake::ByteSource;
using strongroom::intake::Encoding;
using strongroom::intake::ReadStatus;
using strongroom::intake::Row;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string raw(reinterpret_cast<const char*>(data), size);
  auto reader = make_ndjson_reader(std::move(*ByteSource::from_text(raw)), Encoding::kAuto,
                                   {{"a", "a", false},
                                    {"b", "n.b", false},
                                    {"c", "t.-1.c", false},
                                    {"t", "t", true},
                                    {"j", "j", true}});
  if (!reader) return 0;
  simdjson::dom::parser parser;
  Row row;
  for (;;) {
    auto status = (*reader)->next(row);
    if (!status || *status == ReadStatus::kEnd) return 0;
    if (row.byte_end > raw.size() || row.values.size() != (row.reject_reason ? 0u : 5u)) abort();
    for (size_t i = 0; i < row.values.size(); ++i) {
      const auto value = row.values[i];
      if (value.size() > strongroom::intake::kFieldMax || !simdjson::validate_utf8(value)) abort();
      if (i < 3 || value.empty()) continue;
      // The other parser may refuse numbers that fit no machine type, and nothing else.
      const auto error = parser.parse(simdjson::padded_string(value)).error();
      if (error != simdjson::SUCCESS && error != simdjson::NUMBER_ERROR) abort();
    }
  }
}
