// Terms from an import file's values and from a search's. First byte: what is asked; then the
// value; behind a line break, the end of a range. Whatever is taken in is found by asking for it.
#include <algorithm>

#include "strongroom/base/check.h"
#include "strongroom/index/field_terms.h"

using namespace strongroom::index;  // NOLINT(google-build-using-namespace): one function

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1 || size > 4096) return 0;
  static constexpr ValueType kTypes[] = {ValueType::kText, ValueType::kName,    ValueType::kPhone,
                                         ValueType::kDate, ValueType::kInteger, ValueType::kCode};
  FieldIndex index;
  index.type = kTypes[data[0] % 6];
  index.region = "CN";
  const auto op = static_cast<Op>(data[0] / 6 % 5);
  index.exact = true;
  index.prefixes = {1, 3, 7};
  index.range = index.type == ValueType::kDate || index.type == ValueType::kInteger;
  index.range_min = -1000;
  index.range_max = 1'000'000;
  index.fuzzy = index.type == ValueType::kName;
  index.words = index.type == ValueType::kText;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (!valid_utf8(text)) return 0;
  const size_t line = text.find('\n');
  const std::string_view value = text.substr(0, line);
  const std::string_view to = line == std::string_view::npos ? "" : text.substr(line + 1);

  Condition condition;
  const auto asked = condition_terms(index, op, value, op == Op::kRange ? to : "", condition);
  for (const auto& one : condition.any_of) {
    SR_CHECK(!one.all_of.empty(), "an alternative asks for something");
    for (const auto& term : one.all_of) SR_CHECK(valid_utf8(term.norm), "terms are text");
  }
  const auto norm = normalise(index.type, value, index.region);
  std::vector<FieldTerm> terms;
  if (!norm || !value_terms(index, *norm, terms)) return 0;
  auto sorted = terms;
  std::sort(sorted.begin(), sorted.end());
  SR_CHECK(std::adjacent_find(
               sorted.begin(), sorted.end(),
               [](const auto& a, const auto& b) {
                 return a == b &&
                        a.kind != Kind::kWord;  // Words of a text come as often as it has them.
               }) == sorted.end(),
           "each term once");
  if (!asked || op == Op::kPrefix || op == Op::kRange) return 0;
  const bool found =
      std::any_of(condition.any_of.begin(), condition.any_of.end(), [&](const Alternative& one) {
        return std::all_of(one.all_of.begin(), one.all_of.end(), [&](const FieldTerm& term) {
          return std::binary_search(sorted.begin(), sorted.end(), term);
        });
      });
  SR_CHECK(found, "a value is found by itself");
  return 0;
}
