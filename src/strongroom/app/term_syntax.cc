#include "strongroom/app/term_syntax.h"

#include <algorithm>
#include <vector>

namespace strongroom::app {
namespace {

Error not_a_term() {
  return make_error(ErrorCode::kInvalidArgument,
                    "not a term; write field=value, as in phone=13800138000 (also field^prefix, "
                    "field=from..to, field~name, field:words; see --help)");
}

const v1::Field* field_of(const v1::Collection& schema, const std::string& name) {
  const auto& fields = schema.fields();
  const auto found = std::find_if(fields.begin(), fields.end(),
                                  [&](const v1::Field& field) { return field.name() == name; });
  return found == fields.end() ? nullptr : &*found;
}

bool has_range(const v1::Field* field) {
  return field != nullptr &&
         std::find(field->index().begin(), field->index().end(), v1::RANGE) != field->index().end();
}

// 1980 or 1980-01: all days of it.
bool part_of_date(const v1::Field& field, std::string_view value) {
  if (field.type() != v1::DATE && field.type() != v1::TIMESTAMP) return false;
  if (value.size() != 4 && (value.size() != 7 || value[4] != '-')) return false;
  for (size_t i = 0; i < value.size(); ++i) {
    if (i != 4 && (value[i] < '0' || value[i] > '9')) return false;
  }
  return true;
}

struct Values {
  std::vector<std::string> values;
  bool quoted = false;
};
Result<Values> split(std::string_view text) {
  Values out;
  std::string value;
  bool inside = false;
  for (const char c : text) {
    if (c == '"') {
      inside = !inside;
      out.quoted = true;
    } else if (c == '|' && !inside) {
      out.values.push_back(std::move(value));
      value.clear();
    } else {
      value.push_back(c);
    }
  }
  out.values.push_back(std::move(value));
  if (inside) {
    return make_error(ErrorCode::kInvalidArgument, "a quote in a term is not closed; close it");
  }
  return out;
}

}  // namespace

Result<v1::Term> parse_term(const std::string& text, const v1::Collection& schema) {
  v1::Term term;
  size_t at = text.find_first_of("=~^:!");
  if (at == std::string::npos || at == 0) return not_a_term();
  term.set_field(text.substr(0, at));
  if (text[at] == '!') {
    term.set_negated(true);
    if (++at == text.size() || std::string("=~^:").find(text[at]) == std::string::npos) {
      return not_a_term();
    }
  }
  const char sign = text[at];
  const std::string rest = text.substr(at + 1);
  if (rest.empty()) return not_a_term();
  term.set_op(sign == '^'   ? v1::Term::PREFIX
              : sign == '~' ? v1::Term::FUZZY
              : sign == ':' ? v1::Term::WORDS
                            : v1::Term::EQUALS);
  const v1::Field* field = field_of(schema, term.field());
  const size_t dots = rest.find("..");
  if (sign == '=' && has_range(field) && dots != std::string::npos) {
    term.set_op(v1::Term::RANGE);
    term.set_value(rest.substr(0, dots));
    term.set_value_to(rest.substr(dots + 2));
    return term;
  }
  SR_ASSIGN(auto read, split(rest));
  if (std::find(read.values.begin(), read.values.end(), "") != read.values.end()) {
    return not_a_term();
  }
  if (sign == '=' && read.values.size() == 1 && has_range(field) &&
      part_of_date(*field, read.values[0])) {
    term.set_op(v1::Term::RANGE);
    term.set_value_to(read.values[0]);
  }
  term.set_value(std::move(read.values[0]));
  for (size_t i = 1; i < read.values.size(); ++i) term.add_or_values(std::move(read.values[i]));
  return term;
}

}  // namespace strongroom::app
