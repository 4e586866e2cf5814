#include "strongroom/app/tpm_hardware.h"

#include "strongroom/crypto/random.h"

namespace strongroom::app {
namespace {

using keyserver::EpochSecret;
using keyserver::kEpochSlots;

constexpr int kTries = 20;

// Of the owner's indices, by lot: several vaults may share a TPM.
uint32_t random_index() {
  ByteArray<4> bytes{};
  crypto::random_bytes(bytes);
  constexpr uint32_t kRange = tpm::kNvEnd - tpm::kNvFirst - kEpochSlots;
  return tpm::kNvFirst + load_be<uint32_t>(bytes.data()) % kRange;
}

bool is_index(uint32_t index) {
  return index >= tpm::kNvFirst && index < tpm::kNvEnd - kEpochSlots;
}

}  // namespace

Result<std::unique_ptr<TpmHardware>> TpmHardware::open(const v1::TpmFile& file) {
  if (file.epochs() && !is_index(file.nv_index())) {
    return make_error(ErrorCode::kDataLoss,
                      "What vault.json has of a TPM is damaged. Restore it from a backup.");
  }
  SR_ASSIGN(auto opened, tpm::Tpm::open(file.tcti()));
  return std::unique_ptr<TpmHardware>(new TpmHardware(std::move(opened), file.nv_index()));
}

Result<std::unique_ptr<TpmHardware>> TpmHardware::found(const std::string& tcti, bool epochs,
                                                        v1::TpmFile& out) {
  SR_ASSIGN(auto opened, tpm::Tpm::open(tcti));
  out.set_tcti(tcti);
  out.set_epochs(epochs);
  for (int i = 0; epochs && out.nv_index() == 0; ++i) {
    if (i == kTries) {
      return make_error(ErrorCode::kUnavailable,
                        "The TPM has no room for three secrets of an owner's; nothing was made.");
    }
    const uint32_t index = random_index();
    bool unused = true;
    for (uint32_t slot = 0; slot < kEpochSlots; ++slot) {
      const auto held = opened->read(index + slot);
      unused = unused && !held && held.error().code == ErrorCode::kNotFound;
    }
    if (unused) out.set_nv_index(index);
  }
  return std::unique_ptr<TpmHardware>(new TpmHardware(std::move(opened), out.nv_index()));
}

Result<EpochSecret> TpmHardware::read(uint32_t slot) {
  SR_ASSIGN(const tpm::NvSecret secret, tpm_->read(nv_index_ + slot));
  return EpochSecret(secret.read(SecretAccess{}));
}

Result<void> TpmHardware::write(uint32_t slot, const EpochSecret& secret) {
  return tpm_->write(nv_index_ + slot, tpm::NvSecret(secret.read(SecretAccess{})));
}

Result<void> TpmHardware::destroy(uint32_t slot) {
  return tpm_->destroy(nv_index_ + slot);
}

Result<void> TpmHardware::seal_root(const SealingKey& root, v1::TpmFile& out) {
  SR_ASSIGN(tpm::SealedKey sealed, tpm_->seal(root));
  out.set_public_part(std::move(sealed.public_part));
  out.set_private_part(std::move(sealed.private_part));
  return {};
}

Result<SealingKey> TpmHardware::unseal_root(const v1::TpmFile& file) {
  return tpm_->unseal({file.public_part(), file.private_part()});
}

}  // namespace strongroom::app
