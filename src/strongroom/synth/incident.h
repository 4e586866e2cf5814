// Invented police reports.
#pragma once

#include <cstdint>
#include <string>

#include "strongroom/synth/person.h"

namespace strongroom::synth {

struct Incident {
  std::string report_no;  // Unique: it ends in the row's number.
  std::string date;
  std::string place;
  std::string category;
  std::string summary;  // 100..400 characters; names the reporter, place and things.
  Person reporter;
};

// The i-th incident of a seed, into `out`, whose strings are reused. `people` are those of the same
// seed.
void make_incident(const People& people, uint64_t seed, uint64_t i, Incident& out);

}  // namespace strongroom::synth
