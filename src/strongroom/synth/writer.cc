#include "strongroom/synth/writer.h"

#include "strongroom/base/check.h"

namespace strongroom::synth {
namespace {

void append_json_string(std::string_view text, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out.push_back('"');
  size_t plain = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, plain, i - plain);
    plain = i + 1;
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(text[i]);
    } else {
      out += "\\u00";
      out.push_back(kHex[c >> 4]);
      out.push_back(kHex[c & 15]);
    }
  }
  out.append(text, plain, std::string_view::npos);
  out.push_back('"');
}

}  // namespace

void append_csv(const std::vector<std::string>& values, std::string& out) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out.push_back(',');
    const std::string& value = values[i];
    // A lone empty field is quoted, since an empty line would be no row.
    if (value.find_first_of(",\"\r\n") == std::string::npos &&
        !(value.empty() && values.size() == 1)) {
      out += value;
      continue;
    }
    out.push_back('"');
    for (char c : value) {
      if (c == '"') out.push_back('"');
      out.push_back(c);
    }
    out.push_back('"');
  }
  out.push_back('\n');
}

NdjsonWriter::NdjsonWriter(const std::vector<std::string>& columns) {
  for (const std::string& column : columns) {
    append_json_string(column, keys_.emplace_back());
    keys_.back().push_back(':');
  }
}

void NdjsonWriter::append(const std::vector<std::string>& values, std::string& out) const {
  SR_CHECK(values.size() == keys_.size(), "a row has another number of values than columns");
  out.push_back('{');
  bool first = true;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i].empty()) continue;
    if (!first) out.push_back(',');
    first = false;
    out += keys_[i];
    append_json_string(values[i], out);
  }
  out += "}\n";
}

}  // namespace strongroom::synth
