#include "strongroom/index/field_terms.h"

#include <algorithm>
#include <charconv>

#include "strongroom/index/han.h"
#include "strongroom/index/names.h"
#include "strongroom/index/ranges.h"
#include "strongroom/index/unicode_text.h"
#include "strongroom/index/words.h"

namespace strongroom::index {
namespace {

constexpr std::string_view kFirstDay = "0001-01-01", kLastDay = "9999-12-31";

Error no_such_term(const char* text) {
  return make_error(ErrorCode::kInvalidArgument, text);
}

size_t character_size(char lead) {
  const auto c = static_cast<uint8_t>(lead);
  return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

size_t characters(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

// What prefixes are counted in: a phone as it is dialled at home.
std::string_view prefix_base(const FieldIndex& index, std::string_view norm) {
  if (index.type != ValueType::kPhone) return norm;
  if (index.region == "CN" && norm.starts_with("+86")) return norm.substr(3);
  if (index.region == "US" && norm.starts_with("+1")) return norm.substr(2);
  return norm;
}

std::optional<int64_t> number_of(std::string_view text) {
  int64_t out = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

bool is_date(ValueType type) {
  return type == ValueType::kDate || type == ValueType::kTimestamp;
}

void add_one(Condition& out, Kind kind, std::string norm) {
  out.any_of.push_back({{{kind, std::move(norm)}}, 0});
}

Result<void> prefix_terms(const FieldIndex& index, std::string_view value, Condition& out) {
  if (index.prefixes.empty())
    return no_such_term("this field has no index of prefixes; ask for the whole value");
  std::string text;
  if (index.type == ValueType::kText || index.type == ValueType::kName) {
    SR_ASSIGN(text, normalise(index.type, value, index.region));
  } else {
    std::string scratch;
    for (const char c : fold_to_ascii(value, scratch)) {
      const bool sign = c == ' ' || c == '-' || c == '(' || c == ')' || c == '.';
      if (!sign || index.type == ValueType::kCode || index.type == ValueType::kDate) {
        text.push_back(c >= 'A' && c <= 'Z' && index.type == ValueType::kCode
                           ? static_cast<char>(c + ('a' - 'A'))
                           : c);
      }
    }
    if (index.type == ValueType::kPhone && text.starts_with("00")) text.replace(0, 2, "+");
    text = prefix_base(index, text);
  }
  const size_t size = characters(text);
  if (std::find(index.prefixes.begin(), index.prefixes.end(), size) == index.prefixes.end()) {
    Error error = no_such_term(
        "no index of prefixes of this length; `collection show` lists the lengths there are. The "
        "longest that is shorter is given, or 0");
    int64_t shorter = 0;
    for (const uint8_t length : index.prefixes) {
      if (length < size) shorter = length;
    }
    error.number = shorter;
    return error;
  }
  add_one(out, Kind::kPrefix, std::move(text));
  return {};
}

Result<void> range_terms(const FieldIndex& index, std::string_view from, std::string_view to,
                         Condition& out) {
  if (!index.range) return no_such_term("this field has no index of ranges; ask for one value (=)");
  const auto normal = [&](std::string_view text) {
    return normalise(index.type, text, index.region);
  };
  std::vector<std::string> nodes;
  Kind kind = Kind::kDateNode;
  if (is_date(index.type)) {
    // By day, also of moments. A year or a month stands for all of its days.
    const auto day = [&](std::string_view text, bool last) -> Result<std::string> {
      if (text.empty()) return std::string(last ? kLastDay : kFirstDay);
      std::string whole(text);
      const auto digits = [&](size_t size) {
        return text.size() == size && std::all_of(text.begin(), text.end(), [](char c) {
                 return c == '-' || (c >= '0' && c <= '9');
               });
      };
      if (digits(4)) whole += last ? "-12" : "-01";
      if (digits(4) || digits(7)) {
        if (!last) {
          whole += "-01";
        } else {
          for (const char* end : {"-31", "-30", "-29", "-28"}) {
            if (auto done = normalise(ValueType::kDate, whole + end, {})) return std::move(*done);
          }
        }
      }
      return normalise(ValueType::kDate, whole, {});
    };
    SR_ASSIGN(const std::string first, day(from, false));
    SR_ASSIGN(const std::string last, day(to, true));
    if (first > last) return no_such_term("the range ends before it begins");
    nodes = date_cover(first, last);
    out.newest_first = true;
  } else {
    kind = Kind::kIntegerNode;
    int64_t first = index.range_min, last = index.range_max;
    if (!from.empty()) {
      SR_ASSIGN(const std::string norm, normal(from));
      first = *number_of(norm);
    }
    if (!to.empty()) {
      SR_ASSIGN(const std::string norm, normal(to));
      last = *number_of(norm);
    }
    if (first > last) return no_such_term("the range ends before it begins");
    nodes = integer_cover(index.range_min, index.range_max, first, last);
  }
  uint16_t rank = 0;
  for (std::string& node : nodes) {
    out.any_of.push_back({{{kind, std::move(node)}}, rank});
    if (out.newest_first) ++rank;
  }
  return {};
}

}  // namespace

std::string prefix_of(const FieldIndex& index, std::string_view norm, size_t count) {
  const std::string_view base = prefix_base(index, norm);
  size_t end = 0;
  for (size_t i = 0; i < count; ++i) {
    if (end == base.size()) return {};
    end += character_size(base[end]);
  }
  return std::string(base.substr(0, end));
}

Result<void> value_terms(const FieldIndex& index, std::string_view norm,
                         std::vector<FieldTerm>& out) {
  const size_t before = out.size();
  if (index.exact) out.push_back({Kind::kExact, std::string(norm)});
  for (const uint8_t length : index.prefixes) {
    if (auto prefix = prefix_of(index, norm, length); !prefix.empty()) {
      out.push_back({Kind::kPrefix, std::move(prefix)});
    }
  }
  if (index.range && is_date(index.type)) {
    for (auto& node : date_nodes(norm)) out.push_back({Kind::kDateNode, std::move(node)});
  } else if (index.range) {
    const auto number = number_of(norm);
    if (!number || *number < index.range_min || *number > index.range_max) {
      return no_such_term("outside the range that the collection allows for this field");
    }
    for (auto& node : integer_nodes(index.range_min, index.range_max, *number)) {
      out.push_back({Kind::kIntegerNode, std::move(node)});
    }
  }
  if (index.fuzzy) name_terms(norm, out);
  if (index.words) {
    for_each_word(norm, [&](std::string_view word) {
      out.push_back({Kind::kWord, std::string(word)});
    });
  }
  if (out.size() - before > kValueTermsMax) {  // Perhaps words that come again.
    const auto begin = out.begin() + static_cast<ptrdiff_t>(before);
    std::sort(begin, out.end());
    out.erase(std::unique(begin, out.end()), out.end());
  }
  if (out.size() - before > kValueTermsMax) {
    return no_such_term("a text of more than 4,000 different words; split it");
  }
  return {};
}

Result<void> condition_terms(const FieldIndex& index, Op op, std::string_view value,
                             std::string_view value_to, Condition& out) {
  switch (op) {
    case Op::kEquals: {
      if (!index.exact) {
        return no_such_term(index.any()
                                ? "this field is not indexed by whole values; ask for a prefix "
                                  "(^), a range (..), a name (~) or words (:), as its index has it"
                                : "this field is not indexed, so it cannot be searched");
      }
      SR_ASSIGN(std::string norm, normalise(index.type, value, index.region));
      add_one(out, Kind::kExact, std::move(norm));
      break;
    }
    case Op::kPrefix:
      SR_TRY(prefix_terms(index, value, out));
      break;
    case Op::kRange:
      SR_TRY(range_terms(index, value, value_to, out));
      break;
    case Op::kFuzzy: {
      if (!index.fuzzy)
        return no_such_term("this field has no index of names; ask for the whole value (=)");
      SR_ASSIGN(const std::string norm, normalise(index.type, value, index.region));
      name_alternatives(norm, out.any_of);
      if (out.any_of.empty()) return no_such_term("nothing in this name can be searched for");
      break;
    }
    case Op::kWords: {
      if (!index.words)
        return no_such_term("this field has no index of words; ask for the whole value (=)");
      SR_ASSIGN(const std::string norm, normalise(index.type, value, index.region));
      Alternative all;
      for (auto& word : words_of(norm)) all.all_of.push_back({Kind::kWord, std::move(word)});
      if (all.all_of.empty()) return no_such_term("no word to search for");
      out.any_of.push_back(std::move(all));
      break;
    }
  }
  return {};
}

std::string_view neighbourhood_of(ValueType type, std::string_view norm) {
  constexpr size_t kKeptMin = 4;
  size_t dropped = 0;
  switch (type) {
    case ValueType::kPhone:
    case ValueType::kInteger:
    case ValueType::kCode:
      dropped = 2;
      break;
    case ValueType::kNationalId:
      dropped = 4;  // Sequence and check digit.
      break;
    default:
      return {};
  }
  return norm.size() < dropped + kKeptMin ? std::string_view()
                                          : norm.substr(0, norm.size() - dropped);
}

}  // namespace strongroom::index
