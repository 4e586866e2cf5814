// A TPM 2.0: seals a key so that only this TPM opens it, and keeps secrets in its NV, outside of
// every disk image. By tpm2-tss (ESAPI); objects hang on the storage hierarchy's primary key, an
// ECC key by the template of TCG's "EK Credential Profile", made anew for each use and flushed.
//
// Authorisations are empty: whoever may speak to the TPM of this machine is obeyed, and the bus to
// it is not protected. It stands against stolen disks and images, not against a stolen machine.
#pragma once

#include <memory>
#include <string>

#include "strongroom/base/bytes.h"
#include "strongroom/base/result.h"
#include "strongroom/base/secret.h"

namespace strongroom::tpm {

using NvSecret = Secret<32, struct NvSecretTag>;

// Where owners may define their own: TCG "Registry of Reserved TPM 2.0 Handles".
inline constexpr uint32_t kNvFirst = 0x01800000;
inline constexpr uint32_t kNvEnd = 0x01c00000;

struct SealedKey {
  std::string public_part, private_part;  // Marshalled TPM2B_PUBLIC, TPM2B_PRIVATE.
};

// Not thread-safe. Each call blocks for as long as the TPM takes.
//   kUnavailable  It does not answer, or refuses; number is its response code.
class Tpm {
 public:
  // `tcti`: "device:/dev/tpmrm0", and others: fd_tcti.h. Opens it, and nothing afterwards.
  //   kInvalidArgument  Not a name of one.
  static Result<std::unique_ptr<Tpm>> open(const std::string& tcti);
  ~Tpm();

  Result<SealedKey> seal(const SealingKey& key);
  //   kDataLoss  Another TPM's, or damaged.
  Result<SealingKey> unseal(const SealedKey& sealed);

  //   kNotFound  There is no such index, or nothing was ever written to it.
  Result<NvSecret> read(uint32_t nv_index);
  // A fresh index each time: nothing of what it held before is left.
  Result<void> write(uint32_t nv_index, const NvSecret& secret);
  Result<void> destroy(uint32_t nv_index);  // Idempotent.

 private:
  struct Impl;
  explicit Tpm(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace strongroom::tpm
