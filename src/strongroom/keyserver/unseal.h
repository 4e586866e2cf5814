// Before unsealing: vault.json, the check value of the root key, and the root key file of a --dev
// vault.
#pragma once

#include <string>

#include "strongroom/base/bytes.h"
#include "strongroom/base/result.h"
#include "strongroom/base/secret.h"
#include "strongroom/crypto/sign.h"
#include "strongroom/env/files.h"
#include "strongroom/v1/vaultfile.pb.h"

namespace strongroom::keyserver {

inline constexpr uint32_t kVaultFileFormat = 1;

// H(root, "sr1.root-check") as hex. Tells nothing about the root.
std::string root_check(const SealingKey& root);
// Whether `root` is this vault's.
bool is_root_of(const v1::VaultFile& vault, const SealingKey& root);

// The fields of a vault.json that load_vault_file accepted.
ByteArray<16> vault_id(const v1::VaultFile& vault);
crypto::PublicKey log_public_key(const v1::VaultFile& vault);

// DIR/keyserver/vault.json.
//   kNotFound    There is no vault here.
//   kDataLoss    Not a vault.json.
Result<v1::VaultFile> load_vault_file(env::Files& files, const std::string& keyserver_dir);
Result<void> save_vault_file(env::Files& files, const std::string& keyserver_dir,
                             const v1::VaultFile& vault);

// DIR/keyserver/dev-root.key, 64 hex digits, mode 0600. For --dev alone: whoever reads the disk
// reads everything.
//   kNotFound, kDataLoss
Result<SealingKey> load_dev_root(env::Files& files, const std::string& keyserver_dir);
Result<void> save_dev_root(env::Files& files, const std::string& keyserver_dir,
                           const SealingKey& root);

}  // namespace strongroom::keyserver
