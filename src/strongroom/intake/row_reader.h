// Rows of a source, one at a time, in constant memory: what CSV and NDJSON have in common.
//
// A row that cannot be used is rejected with its line and a reason, and the rest goes on. Limits
// hold before memory is taken: a field of any size costs no more than kFieldMax.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "strongroom/base/result.h"
#include "strongroom/intake/transcode.h"
#include "strongroom/v1/schema.pb.h"
#include "strongroom/v1/vault.pb.h"

namespace strongroom::intake {

inline constexpr size_t kFieldMax = 1u << 20;  // Bytes of a value in UTF-8.
inline constexpr size_t kRowMax = 8u << 20;  // Bytes of a row as it stands in the source, in UTF-8.
inline constexpr size_t kColumnsMax = 1000;
// Why a row is rejected.
inline constexpr const char* kFieldTooLarge = "a field is larger than 1 MiB";
inline constexpr const char* kRowTooLarge = "the row is larger than 8 MiB";
inline constexpr const char* kBadEncoding =
    "the row has bytes that are not valid in the source's encoding";

// Where a field's value stands in a source.
struct Column {
  std::string field;
  std::string path;   // Its column in CSV, or dotted path in NDJSON. Its name will do as well.
  bool json = false;  // Any JSON value, kept as text.
};

// One for each field, in the collection's order.
std::vector<Column> columns_of(const v1::Collection& collection);

enum class ReadStatus : uint8_t { kRow, kEnd };

struct Row {
  uint64_t number = 0;    // Of the data row in the source, from 1, rejected ones counted.
  uint64_t line = 0;      // Of the source, from 1, where the row begins.
  uint64_t byte_end = 0;  // Raw offset behind the row and its line end.
  // One for each of columns(), empty where absent; none in a rejected row. Valid until the next
  // call of next().
  std::vector<std::string_view> values;
  std::optional<const char*> reject_reason;  // Static text.
  std::optional<size_t> column;              // Which of columns() was to blame, where one was.
};

// Not thread-safe.
class RowReader {
 public:
  virtual ~RowReader() = default;
  RowReader(const RowReader&) = delete;
  RowReader& operator=(const RowReader&) = delete;

  // Field names, in the order of Row::values.
  const std::vector<std::string>& columns() const { return columns_; }
  // The next row, rejected or not, or kEnd. An error is one of reading: what follows is unknown.
  virtual Result<ReadStatus> next(Row& row) = 0;
  // Behind the row next() returned last, or at kEnd behind everything; before the first row at row
  // 0.
  v1::SourcePosition position() const;
  // Goes on behind `position`, which an equal reader gave for this very source. Only before the
  // first next(). kFailedPrecondition: the source is another one or was changed. A position at byte
  // 0 is the beginning.
  Result<void> resume(const v1::SourcePosition& position);

  Encoding encoding() const { return stream_->encoding(); }
  // The first 64 KiB of the source.
  Bytes head() const { return stream_->source().head(); }
  // Members that belong to no column, and the first few of their names: for whoever runs the
  // import, not for logs.
  uint64_t unknown_members() const { return unknown_members_; }
  const std::vector<std::string>& unknown_names() const { return unknown_names_; }

 protected:
  explicit RowReader(std::unique_ptr<TextStream> stream) : stream_(std::move(stream)) {}
  // Lets go of what the last row needed: the text begins with the next one.
  void begin();
  // Counts the row that is the first `size` bytes of the text, with so many line ends, and empties
  // `row` for it.
  void take(Row& row, size_t size, uint64_t lines);
  // The same for a blank line, which is no row, and with 0 for the end.
  void pass(size_t size, uint64_t lines);
  void reject(Row& row, const char* reason, std::optional<size_t> column = std::nullopt);

  std::unique_ptr<TextStream> stream_;
  std::vector<std::string> columns_;
  uint64_t line_ = 1;  // Where the next row begins.
  uint64_t unknown_members_ = 0;
  std::vector<std::string> unknown_names_;

 private:
  size_t done_ = 0;  // Bytes at the front of the text that the last row took.
  uint64_t rows_ = 0;
  uint64_t rejected_ = 0;
  uint64_t byte_end_ = 0;  // Of the last row.
};

}  // namespace strongroom::intake
