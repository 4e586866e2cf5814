#include "strongroom/sim/theft.h"

#include "strongroom/sim/thieves.h"

namespace strongroom::sim {

Result<std::vector<Theft>> simulate_thefts(uint64_t seed) {
  SimOptions options;
  options.seed = seed;
  SR_ASSIGN(const auto vault, SimVault::found(options));
  std::vector<Theft> out;
  uint64_t number = 0;
  for (Theft (*thief)(SimVault&, synth::Rng&) :
       {smash_and_grab, slow_drip, walk, colluders, gateway, administrator, forger, clock_back}) {
    SR_ASSIGN(const auto copy, vault->after_power_cut());
    synth::Rng rng(seed, 79, number++);
    out.push_back(thief(*copy, rng));
  }
  options.watched = false;
  options.days = 0;
  options.canaries = 0;
  SR_ASSIGN(auto unwatched, SimVault::found(options));
  synth::Rng rng(seed, 79, number++);
  out.push_back(racers(std::move(unwatched), rng));
  return out;
}

}  // namespace strongroom::sim
