// Unicode forms of valid UTF-8, through ICU, with fast paths for what needs no ICU: ASCII and
// common Han characters. Every function here takes valid UTF-8 of at most kValueBytesMax bytes.
// Thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace strongroom::index {

// NFKC_Casefold (Unicode 3.13, R5) of the NFC form: canonically equivalent texts fold alike.
std::string nfkc_casefold(std::string_view text);
std::string nfc(std::string_view text);  // UAX #15

// Without the characters of the property White_Space at both ends.
std::string_view trim_space(std::string_view text);
// Trimmed, each run of white space inside made one blank.
std::string collapse_space(std::string text);
bool has_space(std::string_view text);

// `text` as ASCII if folding makes it so: full-width digits and signs, ideographic blanks.
// `scratch` may hold the result. Trimmed. What is not ASCII after folding is left in.
std::string_view fold_to_ascii(std::string_view text, std::string& scratch);

}  // namespace strongroom::index
