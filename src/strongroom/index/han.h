// Han characters: simplified forms and pinyin, by ICU's transliterators, asked once for each
// character and remembered. Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace strongroom::index {

// Asking ICU for all characters takes a second and more: call it where nobody waits. Else whoever
// needs a character first waits for that one, and who asks is_syllable() first for all.
void prepare_han();

bool is_han(char32_t c);
std::u32string to_code_points(std::string_view text);  // Of valid UTF-8.
void append_utf8(char32_t c, std::string& out);

// Traditional characters replaced by simplified ones, one by one.
char32_t simplified(char32_t c);
std::string simplified(std::string_view text);

struct Syllable {
  std::string tones;  // "wáng"; empty where ICU knows no reading.
  std::string plain;  // "wang", by without_tone().
};
const Syllable& pinyin(char32_t c);
const Syllable& surname_pinyin(char32_t c);  // As a surname is read: 单 is shàn, not dān.
// Without tone, and v for ü, as it is typed: letters a to z alone.
std::string without_tone(std::string_view syllable);
bool is_syllable(std::string_view toneless);  // Of any character there is.

}  // namespace strongroom::index
