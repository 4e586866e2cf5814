// Before unsealing: vault.json, the check value of the root key, and the root key file of a --dev
// vault.
#pragma once

#include <string>

#include "strongroom/base/bytes.h"
#include "strongroom/base/result.h"
#include "strongroom/base/secret.h"
#include "strongroom/crypto/shamir.h"
#include "strongroom/crypto/sign.h"
#include "strongroom/env/files.h"
#include "strongroom/tlog/checkpoint.h"
#include "strongroom/v1/vaultfile.pb.h"

namespace strongroom::keyserver {

inline constexpr uint32_t kVaultFileFormat = 3;

// H(root, "sr1.root-check") as hex. Tells nothing about the root.
std::string root_check(const SealingKey& root);
// Whether `root` is this vault's.
bool is_root_of(const v1::VaultFile& vault, const SealingKey& root);

// The fields of a vault.json that load_vault_file accepted.
ByteArray<16> vault_id(const v1::VaultFile& vault);
crypto::PublicKey log_public_key(const v1::VaultFile& vault);
// That key, and those which follow it as `log_dir` says.
//   kDataLoss  Of another log, damaged or forged.
Result<tlog::LogKeys> log_keys_of(env::Files& files, const std::string& log_dir,
                                  const v1::VaultFile& vault);

// What a sealed vault answers to everything else.
inline constexpr Error kSealed{
    ErrorCode::kUnavailable,
    "the vault is sealed; its share holders open it with `strongroom unseal`"};

// Why a share is refused while the vault is sealed. Those whom such a reply, which nobody can sign
// yet, reaches know it by these texts.
inline constexpr Error kShareOfAnotherVault{
    ErrorCode::kInvalidArgument,
    "this share is of another vault, or was replaced by newer ones; it was not taken"};
inline constexpr Error kShareNotAsMade{
    ErrorCode::kInvalidArgument,
    "this share says another number or threshold than this vault's shares: it is not as `init` "
    "made it; it was not taken"};
inline constexpr Error kShareGivenAlready{ErrorCode::kAlreadyExists,
                                          "this share was given already; another one is needed"};
inline constexpr Error kSharesDoNotOpen{
    ErrorCode::kPermissionDenied,
    "these shares do not open this vault; all of them have to be given again"};
inline constexpr Error kOpeningFailed{
    ErrorCode::kFailedPrecondition,
    "the shares are right, but the vault could not be opened; `serve` said why. All of the shares "
    "have to be given again"};
inline constexpr Error kShareRefusals[] = {kShareOfAnotherVault, kShareNotAsMade,
                                           kShareGivenAlready, kSharesDoNotOpen, kOpeningFailed};

// Whether it can be a share of this vault, as far as that shows before enough of them are there.
//   kInvalidArgument  One of the first two above.
Result<void> check_share(const v1::VaultFile& vault, const crypto::Share& share);

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
// The one of it and the one that a change of the root key left beside it which is this vault's.
Result<SealingKey> find_dev_root(env::Files& files, const std::string& keyserver_dir,
                                 const v1::VaultFile& vault);
// `next`: beside it, for a change of the root key.
Result<void> save_dev_root(env::Files& files, const std::string& keyserver_dir,
                           const SealingKey& root, bool next = false);

}  // namespace strongroom::keyserver
