// Invented rows for the example collections person, incident and parcel, the same on every machine.
//
// Row i of a seed does not depend on how many rows are asked for. Incident and parcel i name people
// 0..i of the person collection of the same seed, so that joins work as soon as there are at least
// as many people. Integer arithmetic only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "strongroom/base/result.h"

namespace strongroom::synth {

// Not thread-safe.
class Generator {
 public:
  virtual ~Generator() = default;
  // Field names of the collection, in the order of `values`.
  virtual const std::vector<std::string>& columns() const = 0;
  // The next row into `values`, whose strings are reused; false once `count` rows were made.
  virtual bool next(std::vector<std::string>& values) = 0;
};

// kInvalidArgument: no generator of that name, or a count above 1,000,000,000.
Result<std::unique_ptr<Generator>> make_generator(std::string_view collection_name, uint64_t count,
                                                  uint64_t seed);

}  // namespace strongroom::synth
