#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "strongroom/base/bytes.h"
#include "strongroom/rpc/yaml.h"

namespace strongroom::rpc {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Words that some YAML reader takes for something other than text.
constexpr std::array<std::string_view, 11> kReserved = {"true", "false", "yes", "no",  "on", "off",
                                                        "null", "y",     "n",   "nan", "inf"};

bool plain(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto inner = [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
  };
  if (text.empty() || !letter(text.front()) || !std::all_of(text.begin(), text.end(), inner)) {
    return false;
  }
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
  return std::find(kReserved.begin(), kReserved.end(), lower) == kReserved.end();
}

void append_text(std::string_view text, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  if (plain(text)) {
    out.append(text);
    return;
  }
  out.push_back('"');
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      out.append("\\x").push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 15]);
      continue;
    }
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  out.push_back('"');
}

template <class T>
void append_number(T number, std::string& out) {
  char digits[40];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

// index -1: not repeated.
void append_scalar(const Message& message, const FieldDescriptor& field, int index,
                   std::string& out) {
  const Reflection& from = *message.GetReflection();
  const auto get = [&](auto get_one, auto get_repeated) {
    return index < 0 ? (from.*get_one)(message, &field)
                     : (from.*get_repeated)(message, &field, index);
  };
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return append_number(get(&Reflection::GetInt32, &Reflection::GetRepeatedInt32), out);
    case FieldDescriptor::CPPTYPE_INT64:
      return append_number(get(&Reflection::GetInt64, &Reflection::GetRepeatedInt64), out);
    case FieldDescriptor::CPPTYPE_UINT32:
      return append_number(get(&Reflection::GetUInt32, &Reflection::GetRepeatedUInt32), out);
    case FieldDescriptor::CPPTYPE_UINT64:
      return append_number(get(&Reflection::GetUInt64, &Reflection::GetRepeatedUInt64), out);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return append_number(get(&Reflection::GetDouble, &Reflection::GetRepeatedDouble), out);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return append_number(get(&Reflection::GetFloat, &Reflection::GetRepeatedFloat), out);
    case FieldDescriptor::CPPTYPE_BOOL:
      out.append(get(&Reflection::GetBool, &Reflection::GetRepeatedBool) ? "true" : "false");
      return;
    case FieldDescriptor::CPPTYPE_ENUM:
      out.append(get(&Reflection::GetEnum, &Reflection::GetRepeatedEnum)->name());
      return;
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string text = get(&Reflection::GetString, &Reflection::GetRepeatedString);
      return append_text(
          field.type() == FieldDescriptor::TYPE_BYTES ? to_base64(as_bytes(text)) : text, out);
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return;  // append_fields() goes into those.
  }
}

void append_fields(const Message& message, size_t indent, std::string& out);

// One item of a list: its first line carries the dash.
void append_item(const Message& item, size_t indent, std::string& out) {
  std::string lines;
  append_fields(item, indent + 2, lines);
  if (lines.empty()) {
    out.append(indent, ' ').append("- {}\n");
    return;
  }
  lines[indent] = '-';
  out.append(lines);
}

void append_map(const Message& message, const FieldDescriptor& field, size_t indent,
                std::string& out) {
  const Reflection& from = *message.GetReflection();
  const FieldDescriptor& value = *field.message_type()->map_value();
  // By key: the order inside a map changes from run to run.
  std::vector<std::pair<std::string, const Message*>> entries;
  for (int i = 0; i < from.FieldSize(message, &field); ++i) {
    const Message& entry = from.GetRepeatedMessage(message, &field, i);
    std::string key;
    append_scalar(entry, *field.message_type()->map_key(), -1, key);
    entries.emplace_back(std::move(key), &entry);
  }
  std::sort(entries.begin(), entries.end());
  for (const auto& [key, entry] : entries) {
    out.append(indent, ' ').append(key).append(":");
    if (value.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      out.push_back(' ');
      append_scalar(*entry, value, -1, out);
      out.push_back('\n');
      continue;
    }
    std::string lines;
    append_fields(entry->GetReflection()->GetMessage(*entry, &value), indent + 2, lines);
    out.append(lines.empty() ? " {}\n" : "\n").append(lines);
  }
}

void append_fields(const Message& message, size_t indent, std::string& out) {
  const Reflection& from = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  from.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const bool nested = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    out.append(indent, ' ').append(field->name()).append(":");
    if (field->is_map()) {
      out.push_back('\n');
      append_map(message, *field, indent + 2, out);
    } else if (field->is_repeated() && nested) {
      out.push_back('\n');
      for (int i = 0; i < from.FieldSize(message, field); ++i) {
        append_item(from.GetRepeatedMessage(message, field, i), indent + 2, out);
      }
    } else if (field->is_repeated()) {
      out.append(" [");
      for (int i = 0; i < from.FieldSize(message, field); ++i) {
        if (i > 0) out.append(", ");
        append_scalar(message, *field, i, out);
      }
      out.append("]\n");
    } else if (nested) {
      std::string lines;
      append_fields(from.GetMessage(message, field), indent + 2, lines);
      out.append(lines.empty() ? " {}\n" : "\n").append(lines);
    } else {
      out.push_back(' ');
      append_scalar(message, *field, -1, out);
      out.push_back('\n');
    }
  }
}

}  // namespace

std::string to_yaml(const Message& message) {
  std::string out;
  append_fields(message, 0, out);
  return out.empty() ? "{}\n" : out;
}

}  // namespace strongroom::rpc
