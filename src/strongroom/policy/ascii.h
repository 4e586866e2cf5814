// What a character is, whatever the locale. For .cc files of this folder only.
#pragma once

namespace strongroom::policy {

inline bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace strongroom::policy
