// Telephone numbers to E.164. Why not libphonenumber, and what is not covered:
// docs/adr/0003-phone-numbers.md
#pragma once

#include <string>
#include <string_view>

#include "strongroom/base/result.h"

namespace strongroom::index {

// "+8613800138000". `text` is one number, folded (fold_to_ascii): blanks, dashes, brackets and dots
// in it say nothing.
//   +CC.., 00CC..   any region; +1 and +86 by the rules below, others by country code and length
//                   (7..15 digits)
//   "CN"            mobile, 1[3-9] and 11 digits; 0, area code and subscriber; 400 and 800; 86
//                   before any of them
//   "US"            10 digits of the North American plan, or 1 and these; 011CC.. abroad
//   other regions   with + or 00 only
//   kInvalidArgument  No number that can exist; an extension, letters, two numbers.
Result<std::string> normalise_phone(std::string_view text, std::string_view region);

}  // namespace strongroom::index
