// The store of a gateway that runs, held still for whoever reads its files.
#pragma once

#include <memory>

#include "strongroom/app/vault_dir.h"
#include "strongroom/base/result.h"

namespace strongroom::app {

// While this lives, what was frozen stays in DIR/store/backup-copy. One at a time to a vault.
class FrozenStore {
 public:
  //   kFailedPrecondition  Another process has it.
  //   kInvalidArgument     The path is too long for a Unix socket.
  static Result<std::unique_ptr<FrozenStore>> open(const VaultDir& dir);
  ~FrozenStore();
  FrozenStore(const FrozenStore&) = delete;
  FrozenStore& operator=(const FrozenStore&) = delete;

  // As of now; what was frozen before goes.
  //   kUnavailable  The gateway does not answer.
  Result<void> freeze();

 private:
  struct Impl;
  explicit FrozenStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace strongroom::app
