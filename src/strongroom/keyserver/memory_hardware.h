// For tests: a TPM's NV, in memory.
#pragma once

#include <map>

#include "strongroom/keyserver/hardware.h"

namespace strongroom::keyserver {

// From its nth write or destruction on it refuses.
class MemoryHardware : public Hardware {
 public:
  Result<EpochSecret> read(uint32_t slot) override {
    const auto it = slots.find(slot);
    if (it == slots.end()) return make_error(ErrorCode::kNotFound, "empty");
    return it->second.clone();
  }
  Result<void> write(uint32_t slot, const EpochSecret& secret) override {
    if (++operations >= stop_at) return make_error(ErrorCode::kUnavailable, "stopped");
    slots.insert_or_assign(slot, secret.clone());
    return {};
  }
  Result<void> destroy(uint32_t slot) override {
    if (++operations >= stop_at) return make_error(ErrorCode::kUnavailable, "stopped");
    slots.erase(slot);
    return {};
  }
  Result<void> seal_root(const SealingKey&, v1::TpmFile&) override { return {}; }

  std::map<uint32_t, EpochSecret> slots;
  uint64_t operations = 0;
  uint64_t stop_at = ~uint64_t{0};
};

}  // namespace strongroom::keyserver
