// A vault's TPM, as its key server uses it.
#pragma once

#include <memory>
#include <string>

#include "strongroom/keyserver/hardware.h"
#include "strongroom/tpm/tpm.h"

namespace strongroom::app {

class TpmHardware : public keyserver::Hardware {
 public:
  // As of vault.json. Opens device or socket: before the sandbox is entered.
  //   kUnavailable  It does not answer.
  static Result<std::unique_ptr<TpmHardware>> open(const v1::TpmFile& file);
  // For a vault that is being founded: three indices of NV that nobody uses.
  static Result<std::unique_ptr<TpmHardware>> found(const std::string& tcti, bool epochs,
                                                    v1::TpmFile& out);

  Result<keyserver::EpochSecret> read(uint32_t slot) override;
  Result<void> write(uint32_t slot, const keyserver::EpochSecret& secret) override;
  Result<void> destroy(uint32_t slot) override;
  Result<void> seal_root(const SealingKey& root, v1::TpmFile& out) override;
  //   kDataLoss  It was sealed to another TPM.
  Result<SealingKey> unseal_root(const v1::TpmFile& file);

 private:
  TpmHardware(std::unique_ptr<tpm::Tpm> tpm, uint32_t nv_index)
      : tpm_(std::move(tpm)), nv_index_(nv_index) {}
  std::unique_ptr<tpm::Tpm> tpm_;
  uint32_t nv_index_;
};

}  // namespace strongroom::app
