// CSV from anywhere: every row is within the limits and valid UTF-8, and reading on from any row
// gives the same rows.
#include <simdjson.h>

#include <cstdlib>
#include <string>

#include "strongroom/intake/csv_reader.h"

using strongroom::intake::ByteSource;
using strongroom::intake::Encoding;
using strongroom::intake::ReadStatus;
using strongroom::intake::Row;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const auto encoding = static_cast<Encoding>(data[0] % 4);
  const size_t stop = data[1] % 8;
  // A known header, so that rows are reached.
  const std::string raw = std::string(encoding == Encoding::kUtf16 ? "" : "a,b\n") +
                          std::string(reinterpret_cast<const char*>(data + 2), size - 2);
  const std::vector<strongroom::intake::Column> columns{{"a", "a", false}, {"b", "b", false}};
  const auto open = [&] {
    return make_csv_reader(std::move(*ByteSource::from_text(raw)), encoding, columns);
  };
  auto reader = open();
  if (!reader) return 0;
  strongroom::v1::SourcePosition position = (*reader)->position();
  std::string behind;
  Row row;
  uint64_t byte_end = 0;
  for (size_t rows = 1;; ++rows) {
    auto status = (*reader)->next(row);
    if (!status || *status == ReadStatus::kEnd) break;
    if (row.byte_end < byte_end || row.byte_end > raw.size()) abort();
    if (row.values.size() != (row.reject_reason ? 0 : (*reader)->columns().size())) abort();
    byte_end = row.byte_end;
    for (const auto value : row.values) {
      if (value.size() > strongroom::intake::kFieldMax || !simdjson::validate_utf8(value)) abort();
      if (rows > stop) behind.append(value).push_back('\xff');
    }
    if (rows == stop) position = (*reader)->position();
  }
  auto again = open();
  if (!again || !(*again)->resume(position)) abort();
  std::string same;
  for (;;) {
    auto status = (*again)->next(row);
    if (!status || *status == ReadStatus::kEnd) break;
    for (const auto value : row.values) {
      if (row.number > stop) same.append(value).push_back('\xff');
    }
  }
  if (same != behind ||
      (*again)->position().SerializeAsString() != (*reader)->position().SerializeAsString())
    abort();
  return 0;
}
