#include "strongroom/keyserver/root_files.h"

#include "strongroom/keyserver/term_escrow.h"
#include "strongroom/keyserver/unseal.h"

namespace strongroom::keyserver {
namespace {

Result<void> remove_file(env::Files& files, const std::string& keyserver_dir,
                         const std::string& path) {
  SR_ASSIGN(const bool exists, files.exists(path));
  if (!exists) return {};
  SR_TRY(files.remove(path));
  return files.sync_dir(keyserver_dir);
}

Result<void> settle_escrow(env::Files& files, const std::string& dir, const SealingKey& root) {
  const std::string path = term_escrow_path(dir);
  const auto next = files.read(next_path(path), kTermEscrowSize);
  if (next && open_term_key(term_escrow_key(root), as_bytes(*next))) {
    SR_TRY(files.write_atomic(path, as_bytes(*next), 0600));
  }
  return remove_file(files, dir, next_path(path));
}

}  // namespace

std::string dev_root_path(const std::string& keyserver_dir) {
  return keyserver_dir + "/dev-root.key";
}

std::string term_escrow_path(const std::string& keyserver_dir) {
  return keyserver_dir + "/term-key.escrow";
}

std::string next_path(const std::string& path) {
  return path + ".next";
}

Result<void> prepare_root(env::Files& files, const std::string& keyserver_dir,
                          const SealingKey& escrow_key, const v1::VaultFile& next,
                          const SealingKey& root) {
  const std::string path = term_escrow_path(keyserver_dir);
  const auto escrow = files.read(path, kTermEscrowSize);
  if (escrow) {
    SR_ASSIGN(const TermKey term_key, open_term_key(escrow_key, as_bytes(*escrow)));
    SR_TRY(files.write_atomic(next_path(path),
                              as_bytes(seal_term_key(term_escrow_key(root), term_key)), 0600));
  } else if (escrow.error().code != ErrorCode::kNotFound) {
    return escrow.error();
  }
  return next.dev() ? save_dev_root(files, keyserver_dir, root, true) : Result<void>();
}

Result<void> settle_root(env::Files& files, const std::string& keyserver_dir,
                         const v1::VaultFile& vault, const SealingKey& root) {
  SR_TRY(settle_escrow(files, keyserver_dir, root));
  const std::string path = dev_root_path(keyserver_dir);
  if (!vault.dev()) {
    SR_TRY(remove_file(files, keyserver_dir, path));
  } else if (const auto held = load_dev_root(files, keyserver_dir);
             !held || !is_root_of(vault, *held)) {
    SR_TRY(save_dev_root(files, keyserver_dir, root));
  }
  return remove_file(files, keyserver_dir, next_path(path));
}

}  // namespace strongroom::keyserver
