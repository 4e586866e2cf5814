// The thieves, one by one. For theft.cc.
#pragma once

#include "strongroom/sim/theft.h"

namespace strongroom::sim {

// What a thief does with the vault: keeps count, and looks for alarms about it afterwards.
class Heist {
 public:
  explicit Heist(SimVault& vault) : vault_(vault), started_ms_(vault.now_ms()) {
    v1::ListAlarmsRequest request;
    request.set_newest(true);
    request.set_count(1);
    const auto last = vault.server().list_alarms("officer", request);
    if (last && last->alarms_size() > 0) alarms_after_ = last->alarms(0).leaf();
  }
  SimVault& vault() { return vault_; }
  // Calls, and counts what leaves.
  v1::Reply call(const v1::Call& call) {
    auto reply = vault_.call(call);
    lost_ += SimVault::released(reply);
    return reply;
  }
  void add_lost(uint64_t records) { lost_ += records; }
  uint64_t lost() const { return lost_; }
  // Records that are anybody's, drawn at random.
  std::vector<uint64_t> some_records(uint64_t count, synth::Rng& rng) const;
  // The first alarm about any of these; empty names: about anybody.
  void finish(const std::vector<std::string>& about, Theft& theft);

 private:
  SimVault& vault_;
  uint64_t started_ms_;
  uint64_t alarms_after_ = 0;
  uint64_t lost_ = 0;
};

bool is_frozen(const v1::Reply& reply);

Theft smash_and_grab(SimVault& vault, synth::Rng& rng);
Theft slow_drip(SimVault& vault, synth::Rng& rng);
Theft walk(SimVault& vault, synth::Rng& rng);
Theft colluders(SimVault& vault, synth::Rng& rng);
Theft gateway(SimVault& vault, synth::Rng& rng);
Theft administrator(SimVault& vault, synth::Rng& rng);
Theft forger(SimVault& vault, synth::Rng& rng);
Theft clock_back(SimVault& vault, synth::Rng& rng);
Theft racers(std::unique_ptr<SimVault> vault, synth::Rng& rng);

}  // namespace strongroom::sim
