// Real county-level divisions of China, for regions of ID numbers and for addresses.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace strongroom::synth {

struct Division {
  std::string_view code;  // GB/T 2260, six digits.
  std::string_view name;  // From the province down.
  uint32_t weight;        // About its share of the population; below 1000.
};

// Static, ordered by code.
std::span<const Division> divisions();

}  // namespace strongroom::synth
