#include "strongroom/synth/divisions.h"

namespace strongroom::synth {
namespace {

constexpr Division kDivisions[] = {
#include "strongroom/synth/divisions.inc"
};

}  // namespace

std::span<const Division> divisions() {
  return kDivisions;
}

}  // namespace strongroom::synth
