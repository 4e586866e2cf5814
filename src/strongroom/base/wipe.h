// Bytes that nobody is to find in memory afterwards.
#pragma once

#include <string.h>  // explicit_bzero

#include <string>
#include <vector>

namespace strongroom {

inline void wipe(std::string& bytes) {
  explicit_bzero(bytes.data(), bytes.size());
}
inline void wipe(std::vector<std::string>& values) {
  for (std::string& value : values) wipe(value);
}

}  // namespace strongroom
