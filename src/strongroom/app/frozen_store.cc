#include "strongroom/app/frozen_store.h"

#include <thread>

#include "strongroom/app/folder_lock.h"
#include "strongroom/rpc/event_loop.h"
#include "strongroom/rpc/frames.h"

namespace strongroom::app {

struct FrozenStore::Impl {
  rpc::EventLoop loop;
  std::unique_ptr<rpc::KeyServiceLink> link;
  std::thread thread;

  Result<void> call(bool release) {
    v1::Call call;
    call.mutable_freeze_store()->set_backup(true);
    call.mutable_freeze_store()->set_release(release);
    SR_TRY(link->call_blocking(std::move(call)));
    return {};
  }
};

FrozenStore::FrozenStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<FrozenStore>> FrozenStore::open(const VaultDir& dir) {
  SR_TRY(lock_folder(dir.run() + "/backup.lock",
                     "a backup or a verify of this vault is running; wait for it to end"));
  auto impl = std::make_unique<Impl>();
  SR_ASSIGN(impl->link, rpc::KeyServiceLink::connect(impl->loop, dir.compactor_socket()));
  impl->thread = std::thread([loop = &impl->loop] { loop->run(); });
  return std::unique_ptr<FrozenStore>(new FrozenStore(std::move(impl)));
}

FrozenStore::~FrozenStore() {
  // If it fails, the next one or the gateway's next start does it.
  static_cast<void>(impl_->call(true).has_value());
  impl_->loop.post([this] { impl_->loop.stop(); });
  impl_->thread.join();
}

Result<void> FrozenStore::freeze() {
  return impl_->call(false);
}

}  // namespace strongroom::app
