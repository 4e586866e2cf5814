// Words of texts, by ICU's dictionaries for Chinese and by its word boundaries for the rest.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace strongroom::index {

// Distinct words of a text in normal form (kText), in simplified characters, ascending; without
// stop words, unless it has no others. A word of more than 64 bytes is cut there.
std::vector<std::string> words_of(std::string_view text);
// The same in any order, and perhaps more than once: `visit` gets a view, for the call.
void for_each_word(std::string_view text, const std::function<void(std::string_view)>& visit);

// As words_of(), by ICU's break iterator alone: what the others are held against.
std::vector<std::string> words_by_icu(std::string_view text);

// Reads the dictionary, which the first who needs it waits for otherwise.
void prepare_words();

}  // namespace strongroom::index
