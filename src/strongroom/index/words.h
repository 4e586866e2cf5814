// Words of texts, by ICU's dictionaries for Chinese and by its word boundaries for the rest.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace strongroom::index {

// Distinct words of a text in normal form (kText), in simplified characters, ascending; without
// stop words, unless it has no others. A word of more than 64 bytes is cut there.
std::vector<std::string> words_of(std::string_view text);

// The same by ICU's break iterator alone, at a tenth of the speed.
std::vector<std::string> words_by_icu(std::string_view text);

// Reads the dictionary, which the first who needs it waits for otherwise.
void prepare_words();

}  // namespace strongroom::index
