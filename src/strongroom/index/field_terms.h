// From values to terms: what a record is indexed by, and what a search asks for. Every kind of
// index is reduced to sets of terms here; nothing later knows prefixes, ranges or names. Spec:
// docs/spec/terms.md
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "strongroom/index/normalise.h"
#include "strongroom/index/terms.h"

namespace strongroom::index {

inline constexpr size_t kPrefixCharactersMax = 32;
inline constexpr size_t kValueTermsMax = 4000;      // Of one value of a record.
inline constexpr size_t kIntegerSpanDigitsMax = 8;  // Hexadecimal, of max - min of a range.

// How one field is indexed.
struct FieldIndex {
  ValueType type = ValueType::kText;
  std::string region;
  bool exact = false;
  std::vector<uint8_t> prefixes;  // Lengths in characters, ascending.
  bool range = false;
  int64_t range_min = 0;  // Of an integer.
  int64_t range_max = 0;
  bool fuzzy = false;
  bool words = false;

  bool any() const { return exact || !prefixes.empty() || range || fuzzy || words; }
};

struct FieldTerm {
  Kind kind;
  std::string norm;
  auto operator<=>(const FieldTerm&) const = default;
};

// The terms of one value of a record, from its normal form; appended. A word that comes more than
// once in a text may do so here.
//   kInvalidArgument  A whole number outside its field's range; a text of too many words.
Result<void> value_terms(const FieldIndex& index, std::string_view norm,
                         std::vector<FieldTerm>& out);

enum class Op : uint8_t { kEquals, kPrefix, kRange, kFuzzy, kWords };

// A condition on one field: any of the alternatives. Lower ranks are better matches, and come first
// in an answer.
struct Alternative {
  std::vector<FieldTerm> all_of;
  uint16_t rank = 0;
};
struct Condition {
  std::vector<Alternative> any_of;
  bool newest_first = false;  // Ranks stand for time: of equal ones the last written comes first.
};

// Appends the alternatives for `value` (and `value_to` of a range).
//   kInvalidArgument  Not indexed for this, or no such value can be; the text says what may be
//   asked.
Result<void> condition_terms(const FieldIndex& index, Op op, std::string_view value,
                             std::string_view value_to, Condition& out);

// The first `count` characters of a normal form, as PREFIX has it (a phone's without the country
// code of its field's region); empty if it has fewer.
std::string prefix_of(const FieldIndex& index, std::string_view norm, size_t count);

// What a number, in its normal form, shares with the hundred or thousand numbers around it: all but
// its last characters. Empty: no value of this type is walked through like that, or it is too
// short.
std::string_view neighbourhood_of(ValueType type, std::string_view norm);

}  // namespace strongroom::index
