// Names as they are common in China: surnames by published shares, given names by sex and time of
// birth.
#pragma once

#include <string>

#include "strongroom/synth/random.h"

namespace strongroom::synth {

// Appends a full name.
void append_name(Rng& rng, bool male, unsigned birth_year, std::string& out);

}  // namespace strongroom::synth
