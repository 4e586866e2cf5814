// What the log says of the key that it is signed with: whether a change was approved, and the
// changes there were.  Spec: docs/spec/log.md
#pragma once

#include <string>
#include <vector>

#include "strongroom/crypto/sign.h"
#include "strongroom/v1/log.pb.h"

namespace strongroom::keyserver {

struct LogKeyChanged {
  uint64_t leaf = 0;  // Of the entry that says so: checkpoints that have it are of the new key.
  uint64_t t_ms = 0;
  crypto::PublicKey key{};
  std::string note{};  // As `key-changes` has it. Empty: the key before signs too, and so can this.
  template <class A>
  void archive(A& a) {
    a(leaf, t_ms, key, note);
  }
};

// Not thread-safe. Changes only as the log says.
class LogKeyBook {
 public:
  bool asked() const { return asked_; }
  const std::vector<LogKeyChanged>& changes() const { return changes_; }
  // The newest has not ended the one before.
  bool changing() const { return !changes_.empty() && changes_.back().note.empty(); }
  // Of the entry that last said something; 0: the key is that of `init`.
  uint64_t leaf() const { return leaf_; }

  // False: it cannot be.
  bool apply(const v1::LogKeyItem& item, uint64_t leaf, uint64_t t_ms);
  // The keys are as of before this entry of the log.
  void restored(uint64_t size);

  template <class A>
  void archive(A& a) {
    a(asked_, leaf_, changes_);
  }

 private:
  bool asked_ = false;
  uint64_t leaf_ = 0;
  std::vector<LogKeyChanged> changes_;
};

}  // namespace strongroom::keyserver
