#include "strongroom/intake/row_reader.h"

#include "strongroom/base/check.h"

namespace strongroom::intake {

std::vector<Column> columns_of(const v1::Collection& collection) {
  std::vector<Column> columns;
  for (const v1::Field& field : collection.fields()) {
    columns.push_back({field.name(), field.path().empty() ? field.name() : field.path(),
                       field.type() == v1::JSON});
  }
  return columns;
}

v1::SourcePosition RowReader::position() const {
  v1::SourcePosition position;
  position.set_row(rows_);
  position.set_byte_offset(byte_end_);
  const crypto::Digest digest = stream_->source().digest_at(byte_end_);
  position.set_digest(digest.data(), digest.size());
  position.set_rejected_by_client(rejected_);
  return position;
}

Result<void> RowReader::resume(const v1::SourcePosition& position) {
  SR_CHECK(rows_ == 0, "resumes after reading rows");
  if (position.byte_offset() == 0) return {};
  begin();
  SR_ASSIGN(const uint64_t lines,
            stream_->skip_to(position.byte_offset(), as_bytes(position.digest())));
  line_ += lines;
  rows_ = position.row();
  rejected_ = position.rejected_by_client();
  byte_end_ = position.byte_offset();
  return {};
}

void RowReader::begin() {
  stream_->consume(done_);
  done_ = 0;
}

void RowReader::take(Row& row, size_t size, uint64_t lines) {
  row.number = ++rows_;
  row.line = line_;
  row.values.clear();
  row.reject_reason.reset();
  row.column.reset();
  pass(size, lines);
  row.byte_end = byte_end_;
}

void RowReader::pass(size_t size, uint64_t lines) {
  byte_end_ = stream_->raw_offset(size);
  done_ = size;
  line_ += lines;
}

void RowReader::reject(Row& row, const char* reason, std::optional<size_t> column) {
  row.values.clear();
  row.reject_reason = reason;
  row.column = column;
  ++rejected_;
}

}  // namespace strongroom::intake
