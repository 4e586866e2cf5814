#include "strongroom/intake/csv_reader.h"

#include <simdjson.h>

#include <algorithm>
#include <array>

namespace strongroom::intake {
namespace {

constexpr const char* kTooManyFields = "the row has more fields than the header";
constexpr const char* kTooFewFields = "the row has fewer fields than the header";
constexpr const char* kStrayQuote =
    "a quote stands inside a field that is not quoted; quote the field and double it";
constexpr const char* kBehindQuote =
    "text follows a closing quote; double a quote that belongs to the field";
constexpr const char* kStrayReturn = "a carriage return stands outside quotes without a line feed";
constexpr const char* kUnclosed =
    "a quote is opened here and never closed; everything behind it belongs to this row";

constexpr auto kStops = [] {
  std::array<bool, 256> stops{};
  for (char c : {',', '"', '\r', '\n'}) stops[static_cast<unsigned char>(c)] = true;
  return stops;
}();

struct Span {
  size_t begin;
  size_t end;
  bool doubled;  // Holds doubled quotes.
};

enum class State : uint8_t { kFieldStart, kPlain, kQuoted, kQuoteInQuoted, kMalformed };
enum class Scan : uint8_t { kRow, kBlank, kEnd };

class CsvReader final : public RowReader {
 public:
  explicit CsvReader(std::unique_ptr<TextStream> stream) : RowReader(std::move(stream)) {}

  Result<void> read_header(const std::vector<Column>& known);
  Result<ReadStatus> next(Row& row) override;

 private:
  // One row or blank line at the front of the text into fields_, of which there are never more than
  // fields_max_.
  Result<Scan> scan();
  // Scans on in what is there. True where the row ends.
  bool scan_text(std::string_view text, bool at_end);
  void end_field(size_t end, size_t next);
  // The row is lost: no more fields, and its text may go.
  void fail(const char* reason, State state);
  Result<ReadStatus> fill(Row& row);

  std::vector<Span> fields_;
  size_t fields_max_ = kColumnsMax;
  // Of the row being scanned, with offsets into the text.
  State state_ = State::kFieldStart;
  size_t at_ = 0;
  size_t field_begin_ = 0;
  bool doubled_ = false;
  bool quotes_ = false;   // Some field is quoted, so that a row may have several lines.
  uint64_t dropped_ = 0;  // Bytes of this row that are gone.
  uint64_t dropped_lines_ = 0;
  const char* failure_ = nullptr;
  size_t failed_field_ = 0;
};

void CsvReader::fail(const char* reason, State state) {
  if (failure_ == nullptr) {
    failure_ = reason;
    failed_field_ = fields_.size();
  }
  state_ = state;
}

void CsvReader::end_field(size_t end, size_t next) {
  if (failure_ == nullptr) {
    if (fields_.size() == fields_max_) {
      fail(kTooManyFields, state_);
    } else if (end - field_begin_ > kFieldMax) {
      fail(kFieldTooLarge, state_);
    } else {
      fields_.push_back({field_begin_, end, doubled_});
    }
  }
  at_ = next;
  state_ = State::kFieldStart;
}

bool CsvReader::scan_text(std::string_view text, bool at_end) {
  const char* const data = text.data();
  const size_t size = text.size();
  // Where a line ends at a CR or LF found at `at`: the offset behind it; 0: it does not; size + 1:
  // not known yet.
  const auto line_end = [&](size_t at) -> size_t {
    if (data[at] == '\n') return at + 1;
    if (at + 1 == size) return at_end ? size : size + 1;
    return data[at + 1] == '\n' ? at + 2 : 0;
  };
  while (at_ < size) {
    switch (state_) {
      case State::kFieldStart:
        doubled_ = false;
        if (data[at_] == '"') {
          quotes_ = true;
          state_ = State::kQuoted;
          ++at_;
        } else {
          state_ = State::kPlain;
        }
        field_begin_ = at_;
        break;
      case State::kPlain: {
        while (at_ < size && !kStops[static_cast<unsigned char>(data[at_])]) ++at_;
        if (at_ == size) return false;
        if (data[at_] == ',') {
          end_field(at_, at_ + 1);
        } else if (data[at_] == '"') {
          fail(kStrayQuote, State::kMalformed);
        } else {
          const size_t end = line_end(at_);
          if (end > size) return false;
          if (end > 0) return end_field(at_, end), true;
          fail(kStrayReturn, State::kMalformed);
        }
        break;
      }
      case State::kQuoted: {
        const void* quote = memchr(data + at_, '"', size - at_);
        if (quote == nullptr) {
          at_ = size;
          return false;
        }
        at_ = static_cast<size_t>(static_cast<const char*>(quote) - data) + 1;
        state_ = State::kQuoteInQuoted;
        break;
      }
      case State::kQuoteInQuoted:
        if (data[at_] == '"') {
          doubled_ = true;
          state_ = State::kQuoted;
          ++at_;
        } else if (data[at_] == ',') {
          end_field(at_ - 1, at_ + 1);
        } else {
          const bool line = data[at_] == '\r' || data[at_] == '\n';
          const size_t end = line ? line_end(at_) : 0;
          if (end > size) return false;
          if (end > 0) return end_field(at_ - 1, end), true;
          fail(kBehindQuote, State::kMalformed);
        }
        break;
      case State::kMalformed: {
        const void* feed = memchr(data + at_, '\n', size - at_);
        at_ =
            feed == nullptr ? size : static_cast<size_t>(static_cast<const char*>(feed) - data) + 1;
        if (feed != nullptr) return true;
        break;
      }
    }
  }
  return false;
}

Result<Scan> CsvReader::scan() {
  fields_.clear();
  state_ = State::kFieldStart;
  at_ = field_begin_ = 0;
  quotes_ = false;
  dropped_ = dropped_lines_ = 0;
  failure_ = nullptr;
  bool at_end = false;
  while (!scan_text(stream_->text(), at_end)) {
    if (at_end) {
      if (dropped_ + at_ == 0) return Scan::kEnd;
      if (state_ == State::kQuoted) {
        fail(kUnclosed, state_);
      } else if (state_ == State::kFieldStart) {
        field_begin_ = at_;
        doubled_ = false;
        end_field(at_, at_);
      } else if (state_ != State::kMalformed) {
        end_field(at_ - (state_ == State::kQuoteInQuoted ? 1 : 0), at_);
      }
      break;
    }
    if (dropped_ + at_ > kRowMax) fail(kRowTooLarge, state_);
    if (state_ != State::kFieldStart && at_ > field_begin_ && at_ - field_begin_ > kFieldMax) {
      fail(kFieldTooLarge, state_);
    }
    if (failure_ != nullptr) {
      const std::string_view gone = stream_->text().substr(0, at_);
      dropped_lines_ += static_cast<uint64_t>(std::ranges::count(gone, '\n'));
      dropped_ += at_;
      stream_->consume(at_);
      at_ = field_begin_ = 0;
    }
    SR_ASSIGN(const bool more, stream_->more());
    at_end = !more;
  }
  const bool blank =
      failure_ == nullptr && fields_.size() == 1 && !quotes_ && fields_[0].begin == fields_[0].end;
  if (dropped_ + at_ > kRowMax) fail(kRowTooLarge, state_);
  return blank ? Scan::kBlank : Scan::kRow;
}

Result<void> CsvReader::read_header(const std::vector<Column>& known) {
  Scan scanned = Scan::kBlank;
  while (scanned == Scan::kBlank) {
    begin();
    SR_ASSIGN(scanned, scan());
    const std::string_view text = stream_->text().substr(0, at_);
    pass(at_, dropped_lines_ + static_cast<uint64_t>(std::ranges::count(text, '\n')));
  }
  if (scanned == Scan::kEnd) {
    return make_error(ErrorCode::kInvalidArgument,
                      "the source is empty; CSV begins with a line of column names");
  }
  const std::string_view text = stream_->text().substr(0, at_);
  if (failure_ == kTooManyFields) {
    return make_error(ErrorCode::kInvalidArgument, "the header names more than 1,000 columns");
  }
  if (failure_ != nullptr || !simdjson::validate_utf8(text)) {
    return make_error(
        ErrorCode::kInvalidArgument,
        "the header is not a line of CSV in this encoding; check the format and encoding");
  }
  std::vector<bool> named(known.size(), false);
  for (const Span& span : fields_) {
    const std::string_view name = text.substr(span.begin, span.end - span.begin);
    auto column = std::ranges::find(known, name, &Column::path);
    if (column == known.end()) column = std::ranges::find(known, name, &Column::field);
    const auto number = static_cast<int64_t>(columns_.size()) + 1;
    if (column == known.end()) {
      return make_error(
          ErrorCode::kInvalidArgument,
          "the header names a column that the collection has no field for; rename or remove it",
          number);
    }
    const auto index = static_cast<size_t>(column - known.begin());
    if (named[index]) {
      return make_error(ErrorCode::kInvalidArgument,
                        "the header names a column twice; remove one of them", number);
    }
    named[index] = true;
    columns_.push_back(column->field);
  }
  fields_max_ = columns_.size();
  return {};
}

Result<ReadStatus> CsvReader::next(Row& row) {
  for (;;) {
    begin();
    SR_ASSIGN(const Scan scanned, scan());
    const std::string_view text = stream_->text().substr(0, at_);
    if (scanned == Scan::kEnd) {
      pass(0, 0);
      return ReadStatus::kEnd;
    }
    if (scanned == Scan::kBlank) {
      pass(at_, 1);
      continue;
    }
    // A row without quotes has one line end, and where the source ends it does not matter.
    const bool several = quotes_ || dropped_ > 0;
    take(row, at_,
         several ? dropped_lines_ + static_cast<uint64_t>(std::ranges::count(text, '\n')) : 1);
    return fill(row);
  }
}

Result<ReadStatus> CsvReader::fill(Row& row) {
  if (failure_ != nullptr) {
    const bool one_field = failure_ == kFieldTooLarge && failed_field_ < columns_.size();
    reject(row, failure_, one_field ? std::optional(failed_field_) : std::nullopt);
  } else if (fields_.size() < columns_.size()) {
    reject(row, kTooFewFields);
  } else if (!simdjson::validate_utf8(stream_->text().substr(0, at_))) {
    reject(row, kBadEncoding);
  } else {
    char* const data = stream_->mutable_text();
    for (const Span& span : fields_) {
      char* end = data + span.end;
      if (span.doubled) {
        end = data + span.begin;
        for (const char* from = end; from < data + span.end; ++from) {
          *end++ = *from;
          if (*from == '"') ++from;
        }
      }
      row.values.emplace_back(data + span.begin, static_cast<size_t>(end - (data + span.begin)));
    }
  }
  return ReadStatus::kRow;
}

}  // namespace

Result<std::unique_ptr<RowReader>> make_csv_reader(std::unique_ptr<ByteSource> source,
                                                   Encoding encoding,
                                                   const std::vector<Column>& known) {
  SR_ASSIGN(auto stream, TextStream::make(std::move(source), encoding));
  auto reader = std::make_unique<CsvReader>(std::move(stream));
  SR_TRY(reader->read_header(known));
  return std::unique_ptr<RowReader>(std::move(reader));
}

}  // namespace strongroom::intake
