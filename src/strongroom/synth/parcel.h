// Invented courier deliveries.
#pragma once

#include <cstdint>
#include <string>

#include "strongroom/synth/person.h"

namespace strongroom::synth {

struct Parcel {
  std::string tracking_no;  // Unique.
  std::string sent;
  Person sender;
  Person recipient;
  std::string content;
};

// Parcels of a seed. Immutable, so thread-safe. Borrows `people`, those of the same seed.
class Parcels {
 public:
  Parcels(const People& people, uint64_t seed);
  // The i-th, into `out`, whose strings are reused.
  void make(uint64_t i, Parcel& out) const;

 private:
  const People& people_;
  uint64_t seed_;
  Permutation tracking_;
};

}  // namespace strongroom::synth
