// What the key server asks of a TPM, if the vault has one. tpm/ does it; a test may keep the
// secrets in memory.
//
// A slot of NV holds 32 bytes outside of every disk image: what is written over or destroyed is
// gone, whoever has the disks and all shares.
#pragma once

#include <cstdint>

#include "strongroom/base/result.h"
#include "strongroom/base/secret.h"
#include "strongroom/v1/vaultfile.pb.h"

namespace strongroom::keyserver {

using EpochSecret = Secret<32, struct EpochSecretTag>;

// One more than the epochs of which a file may be needed: the one that holds, the one before it
// while its second copy is being written, and the one that is being begun.
inline constexpr uint32_t kEpochSlots = 3;

// Not thread-safe. Blocks for as long as the TPM takes.
class Hardware {
 public:
  virtual ~Hardware() = default;
  //   kNotFound     The slot is empty.
  //   kUnavailable  The TPM does not answer, or refuses.
  virtual Result<EpochSecret> read(uint32_t slot) = 0;
  virtual Result<void> write(uint32_t slot, const EpochSecret& secret) = 0;
  virtual Result<void> destroy(uint32_t slot) = 0;  // Idempotent.
  // Seals a root key to the TPM: fills in the parts that only it can open.
  virtual Result<void> seal_root(const SealingKey& root, v1::TpmFile& out) = 0;
};

}  // namespace strongroom::keyserver
