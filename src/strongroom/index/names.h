// Fuzzy names. A name is indexed by terms that other spellings share; a search for a name is a list
// of alternatives, the best first.
//
// Names in Han characters are compared in simplified characters, whole, by pinyin with and without
// tone (surnames in their reading as such), by each character and syllable at its place, so that
// one may be wrong, and by pairs of neighbours, so that a part finds the whole. Other names are
// transliterated to Latin, in any order of their parts, by the sound of each part (Soundex) and
// with one letter lost, added, replaced or swapped in a part. All tables are ICU's.
#pragma once

#include <vector>

#include "strongroom/index/field_terms.h"

namespace strongroom::index {

// What the ranks of a name's alternatives mean.
enum class NameMatch : uint16_t {
  kSame = 0,        // The same name: case, width, traditional characters, order of parts.
  kSameTones = 1,   // Pinyin and its tones.
  kSamePinyin = 2,  // Pinyin.
  kPart = 3,        // The search is a part of the name.
  kOneTypo = 4,
  kSameSound = 5,
};

// `name` is in normal form (kName). Appended, no repeats.
void name_terms(std::string_view name, std::vector<FieldTerm>& out);
void name_alternatives(std::string_view name, std::vector<Alternative>& out);

}  // namespace strongroom::index
