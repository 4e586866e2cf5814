#include "strongroom/intake/ndjson_reader.h"

#include <simdjson.h>

#include <algorithm>
#include <map>

namespace strongroom::intake {
namespace {

namespace ondemand = simdjson::ondemand;
static_assert(TextStream::kPadding >= simdjson::SIMDJSON_PADDING);

constexpr const char* kBadJson = "the line is not one JSON object";
constexpr const char* kTooDeep = "the line is nested deeper than 64 levels";
constexpr const char* kTwice = "a field has two values";
constexpr const char* kNotSingle = "a list or object stands where a single value belongs";
constexpr const char* kNotNested = "a single value stands where the field's path goes on";
constexpr int kDepthMax = 64;
constexpr size_t kUnknownNamesMax = 16;
constexpr size_t kUnknownNameBytesMax = 64;
constexpr size_t kNone = static_cast<size_t>(-1);

// A step of the columns' paths.
struct Node {
  size_t column = kNone;
  std::map<std::string, Node, std::less<>> children;
};

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

// RFC 8259: [-] int [frac] [exp].
bool is_number(std::string_view text) {
  size_t at = 0;
  const auto digits = [&] {
    const size_t begin = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return at - begin;
  };
  const auto take = [&](std::string_view any) {
    const bool found = at < text.size() && any.find(text[at]) != std::string_view::npos;
    if (found) ++at;
    return found;
  };
  take("-");
  const size_t whole = at;
  const size_t count = digits();
  if (count == 0 || (count > 1 && text[whole] == '0')) return false;
  if (take(".") && digits() == 0) return false;
  if (take("eE")) {
    take("+-");
    if (digits() == 0) return false;
  }
  return at == text.size();
}

class NdjsonReader final : public RowReader {
 public:
  explicit NdjsonReader(std::unique_ptr<TextStream> stream) : RowReader(std::move(stream)) {}

  Result<void> set_columns(const std::vector<Column>& known);
  Result<ReadStatus> next(Row& row) override;

 private:
  // The reason why a line is no good, or null.
  using Verdict = const char*;

  // The next line, with its line end, as the first bytes of the text. 0 at the end of the source.
  // *dropped: how many bytes of it went before, because it is too large.
  Result<size_t> find_line(uint64_t* dropped);
  Verdict parse(std::string_view line, Row& row);
  // `node` is where the paths lead here, or null; `covered`: a JSON column keeps all of this.
  Verdict object(ondemand::object object, const Node* node, bool covered, int depth, Row& row);
  Verdict array(ondemand::array array, const Node* node, bool covered, int depth, Row& row);
  Verdict value(ondemand::value value, const Node* node, bool covered, int depth, Row& row);
  Verdict set(size_t column, std::string_view text, Row& row);
  // Forgets the values below a node: a later element of its array has come.
  void clear(const Node& node, Row& row);
  void count_unknown(std::string_view name);

  Node root_;
  std::vector<bool> json_;  // By column.
  std::vector<bool> set_;   // By column, in this row.
  ondemand::parser parser_;
  ondemand::document document_;
  size_t blamed_ = kNone;
};

Result<void> NdjsonReader::set_columns(const std::vector<Column>& known) {
  if (known.size() > kColumnsMax) {
    return make_error(ErrorCode::kInvalidArgument,
                      "more than 1,000 columns; import fewer at a time");
  }
  for (const Column& column : known) {
    Node* node = &root_;
    for (size_t begin = 0; begin <= column.path.size();) {
      const size_t end = std::min(column.path.find('.', begin), column.path.size());
      node = &node->children[column.path.substr(begin, end - begin)];
      begin = end + 1;
    }
    if (node->column != kNone) {
      return make_error(ErrorCode::kInvalidArgument,
                        "two fields have the same path; correct the collection",
                        static_cast<int64_t>(columns_.size()) + 1);
    }
    node->column = columns_.size();
    columns_.push_back(column.field);
    json_.push_back(column.json);
  }
  // A flat line may call a field by its name, unless a path begins there.
  for (size_t i = 0; i < columns_.size(); ++i) root_.children.try_emplace(columns_[i], Node{i, {}});
  return {};
}

Result<size_t> NdjsonReader::find_line(uint64_t* dropped) {
  size_t scanned = 0;
  *dropped = 0;
  for (;;) {
    const std::string_view text = stream_->text();
    const size_t feed = text.find('\n', scanned);
    if (feed != std::string_view::npos) return feed + 1;
    scanned = text.size();
    if (*dropped + scanned > kRowMax) {
      *dropped += scanned;
      stream_->consume(scanned);
      scanned = 0;
    }
    SR_ASSIGN(const bool more, stream_->more());
    if (!more) return scanned;
  }
}

Result<ReadStatus> NdjsonReader::next(Row& row) {
  for (;;) {
    begin();
    uint64_t dropped = 0;
    SR_ASSIGN(const size_t size, find_line(&dropped));
    if (size + dropped == 0) {
      pass(0, 0);
      return ReadStatus::kEnd;
    }
    const std::string_view line = trim(stream_->text().substr(0, size));
    if (line.empty() && dropped == 0) {
      pass(size, 1);
      continue;
    }
    take(row, size, 1);
    if (dropped + size > kRowMax) {
      reject(row, kRowTooLarge);
      return ReadStatus::kRow;
    }
    row.values.assign(columns_.size(), {});
    set_.assign(columns_.size(), false);
    blamed_ = kNone;
    if (const Verdict verdict = parse(line, row)) {
      reject(row, verdict, blamed_ == kNone ? std::nullopt : std::optional(blamed_));
    }
    return ReadStatus::kRow;
  }
}

NdjsonReader::Verdict NdjsonReader::parse(std::string_view line, Row& row) {
  if (!simdjson::validate_utf8(line)) return kBadEncoding;
  const simdjson::padded_string_view padded(line.data(), line.size(),
                                            line.size() + TextStream::kPadding);
  if (parser_.iterate(padded).get(document_) != simdjson::SUCCESS) return kBadJson;
  ondemand::object root;
  if (document_.get_object().get(root) != simdjson::SUCCESS) return kBadJson;
  if (const Verdict verdict = object(root, &root_, false, 1, row)) return verdict;
  // Nothing may follow: there is no location behind the last token.
  return document_.current_location().error() == simdjson::OUT_OF_BOUNDS ? nullptr : kBadJson;
}

NdjsonReader::Verdict NdjsonReader::object(ondemand::object object, const Node* node, bool covered,
                                           int depth, Row& row) {
  for (auto member : object) {
    ondemand::field field;
    std::string_view name;
    if (std::move(member).get(field) != simdjson::SUCCESS) return kBadJson;
    if (field.unescaped_key().get(name) != simdjson::SUCCESS) return kBadJson;
    const Node* child = nullptr;
    if (node != nullptr) {
      const auto found = node->children.find(name);
      if (found != node->children.end()) child = &found->second;
    }
    if (child == nullptr && !covered) count_unknown(name);
    // What is below an unknown member is not counted again.
    if (const Verdict verdict =
            value(field.value(), child, covered || child == nullptr, depth, row))
      return verdict;
  }
  return nullptr;
}

NdjsonReader::Verdict NdjsonReader::array(ondemand::array array, const Node* node, bool covered,
                                          int depth, Row& row) {
  const Node* last = nullptr;
  if (node != nullptr) {
    const auto found = node->children.find("-1");
    if (found != node->children.end()) last = &found->second;
  }
  if (node != nullptr && node->column == kNone && last == nullptr) return kNotNested;
  for (auto element : array) {
    if (element.error() != simdjson::SUCCESS) return kBadJson;
    const ondemand::value item = element.value_unsafe();
    if (last != nullptr) clear(*last, row);
    if (const Verdict verdict = value(item, last, covered, depth, row)) return verdict;
  }
  return nullptr;
}

NdjsonReader::Verdict NdjsonReader::value(ondemand::value value, const Node* node, bool covered,
                                          int depth, Row& row) {
  const size_t column = node == nullptr ? kNone : node->column;
  const bool keeps_json = column != kNone && json_[column];
  const std::string_view token = value.raw_json_token();
  ondemand::json_type type;
  if (value.type().get(type) != simdjson::SUCCESS) return kBadJson;
  const bool nested = type == ondemand::json_type::object || type == ondemand::json_type::array;
  if (!nested && type != ondemand::json_type::null && node != nullptr && column == kNone)
    return kNotNested;
  switch (type) {
    case ondemand::json_type::object:
    case ondemand::json_type::array: {
      if (depth >= kDepthMax) return kTooDeep;
      if (column != kNone && !keeps_json && node->children.empty()) {
        blamed_ = column;
        return kNotSingle;
      }
      Verdict verdict = kBadJson;
      if (type == ondemand::json_type::object) {
        ondemand::object inner;
        if (value.get_object().get(inner) == simdjson::SUCCESS) {
          verdict = object(inner, node, covered || keeps_json, depth + 1, row);
        }
      } else {
        ondemand::array inner;
        if (value.get_array().get(inner) == simdjson::SUCCESS) {
          verdict = array(inner, node, covered || keeps_json, depth + 1, row);
        }
      }
      if (verdict != nullptr || !keeps_json) return verdict;
      // Behind the value stands the next token: there is one, since the line is an object.
      const char* behind = nullptr;
      if (document_.current_location().get(behind) != simdjson::SUCCESS) return kBadJson;
      return set(column, trim({token.data(), static_cast<size_t>(behind - token.data())}), row);
    }
    case ondemand::json_type::string: {
      std::string_view text;
      if (value.get_string().get(text) != simdjson::SUCCESS) return kBadJson;
      if (keeps_json) return set(column, trim(token), row);
      return set(column, text, row);
    }
    case ondemand::json_type::number:
      // Never read as a number, so that no digit is lost; the iterator passes over what was not
      // asked for.
      if (!is_number(trim(token))) return kBadJson;
      return set(column, trim(token), row);
    case ondemand::json_type::boolean: {
      bool truth = false;
      if (value.get_bool().get(truth) != simdjson::SUCCESS) return kBadJson;
      return set(column, truth ? "true" : "false", row);
    }
    case ondemand::json_type::null: {
      bool null = false;
      if (value.is_null().get(null) != simdjson::SUCCESS || !null) return kBadJson;
      return nullptr;
    }
  }
  return kBadJson;
}

NdjsonReader::Verdict NdjsonReader::set(size_t column, std::string_view text, Row& row) {
  if (column == kNone) return nullptr;
  blamed_ = column;
  if (set_[column]) return kTwice;
  if (text.size() > kFieldMax) return kFieldTooLarge;
  // An escape can name half of a surrogate pair, which is no character.
  if (!simdjson::validate_utf8(text)) return kBadEncoding;
  set_[column] = true;
  row.values[column] = text;
  blamed_ = kNone;
  return nullptr;
}

void NdjsonReader::clear(const Node& node, Row& row) {
  if (node.column != kNone) {
    set_[node.column] = false;
    row.values[node.column] = {};
  }
  for (const auto& [name, child] : node.children) clear(child, row);
}

void NdjsonReader::count_unknown(std::string_view name) {
  ++unknown_members_;
  if (unknown_names_.size() == kUnknownNamesMax || name.size() > kUnknownNameBytesMax) return;
  if (std::ranges::find(unknown_names_, name) == unknown_names_.end())
    unknown_names_.emplace_back(name);
}

}  // namespace

Result<std::unique_ptr<RowReader>> make_ndjson_reader(std::unique_ptr<ByteSource> source,
                                                      Encoding encoding,
                                                      const std::vector<Column>& known) {
  SR_ASSIGN(auto stream, TextStream::make(std::move(source), encoding));
  auto reader = std::make_unique<NdjsonReader>(std::move(stream));
  SR_TRY(reader->set_columns(known));
  return std::unique_ptr<RowReader>(std::move(reader));
}

}  // namespace strongroom::intake
