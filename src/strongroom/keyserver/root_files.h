// The files beside vault.json that hang on the root key, while it changes: the new one of each is
// written beside the old one, vault.json then says which root key holds, and what it says is
// settled, now or at the next start.  Spec: docs/spec/root.md
#pragma once

#include <string>

#include "strongroom/base/result.h"
#include "strongroom/base/secret.h"
#include "strongroom/env/files.h"
#include "strongroom/v1/vaultfile.pb.h"

namespace strongroom::keyserver {

std::string dev_root_path(const std::string& keyserver_dir);
std::string term_escrow_path(const std::string& keyserver_dir);
std::string next_path(const std::string& path);

// Writes what will hang on `root` once vault.json is `next`.
//   kDataLoss  The escrow does not open under the key that it was sealed under.
Result<void> prepare_root(env::Files& files, const std::string& keyserver_dir,
                          const SealingKey& escrow_key, const v1::VaultFile& next,
                          const SealingKey& root);
// Puts the files of this root in place, and removes those of any other. `vault` is the vault.json
// that is on disk, `root` its root key. Idempotent; a crash in between loses nothing.
Result<void> settle_root(env::Files& files, const std::string& keyserver_dir,
                         const v1::VaultFile& vault, const SealingKey& root);

}  // namespace strongroom::keyserver
