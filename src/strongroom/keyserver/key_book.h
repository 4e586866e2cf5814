// What the log says of the vault's keys: when it was sealed on command, whose shares open it, a
// change of that under way, and which keys it is signed with.  Spec: docs/spec/root.md
#pragma once

#include <optional>
#include <set>
#include <string>

#include "strongroom/base/result.h"
#include "strongroom/keyserver/log_key_book.h"
#include "strongroom/v1/admin.pb.h"
#include "strongroom/v1/log.pb.h"

namespace strongroom::keyserver {

inline constexpr int kHoldersMax = 255;

// Whether it can be done at all: holders that are names, none twice, and no more needed than there
// are.
//   kInvalidArgument
Result<void> check_root_change(const v1::RootChange& change);

// A change of the root key that was approved, and how far it has come.
struct RootChangeState {
  v1::RootChange change;
  uint64_t leaf = 0;
  std::set<std::string> taken, confirmed;
  std::string root_check;  // Not empty: everything is being sealed anew, under this one.

  bool is_holder(const std::string& name) const;
  bool all_confirmed() const {
    return confirmed.size() == static_cast<size_t>(change.holders_size());
  }
  template <class A>
  void archive(A& a) {
    a(change, leaf, taken, confirmed, root_check);
  }
};

// Not thread-safe. Changes only as the log says.
class KeyBook {
 public:
  using Change = RootChangeState;

  const std::optional<Change>& change() const { return change_; }
  // Leaf of the last change that was done; 0: the root key is that of `init`.
  uint64_t root_leaf() const { return root_leaf_; }
  // As of that change: what vault.json has for the root key; empty: as above.
  const std::string& root_check() const { return root_check_; }
  const LogKeyBook& log_keys() const { return log_keys_; }
  // On command, and not started since.
  bool sealed() const { return sealed_; }
  // Fills in who opens the vault, as far as the log knows.
  void tell(v1::StatusResponse& out) const;

  // False: it cannot be.
  bool apply(const v1::LogItem& item, uint64_t leaf, uint64_t t_ms);
  // Keys are as of before this entry of the log.
  void restored(uint64_t size) { log_keys_.restored(size); }
  // A start: shares that were taken and not confirmed by all were in memory alone.
  void started();

  template <class A>
  void archive(A& a) {
    a(last_seal_, sealed_, change_, root_, root_leaf_, root_ms_, root_check_, log_keys_);
  }

 private:
  bool apply_root(const v1::RootItem& item, const std::string& author, uint64_t leaf,
                  uint64_t t_ms);
  void give_up_shares();
  std::optional<v1::SealView> last_seal_;
  bool sealed_ = false;
  std::optional<Change> change_;
  v1::RootChange root_;
  uint64_t root_leaf_ = 0;
  uint64_t root_ms_ = 0;
  std::string root_check_;
  LogKeyBook log_keys_;
};

}  // namespace strongroom::keyserver
