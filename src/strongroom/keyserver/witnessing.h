// How far witnesses have cosigned the release log, and how much may leave beyond that.
//
// Steps without a clock or I/O. Whoever carries checkpoints to witnesses is not believed: a
// cosignature counts if it verifies over a checkpoint that was handed out.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "strongroom/base/result.h"
#include "strongroom/policy/policy.h"
#include "strongroom/tlog/cosignature.h"
#include "strongroom/v1/policy.pb.h"

namespace strongroom::keyserver {

inline constexpr int kWitnessesMax = 16;

class Witnessing {
 public:
  // A policy's witnesses; none: nothing waits for any. What they said before still counts.
  //   kInvalidArgument  A key is none, named twice or no witness's; the quorum cannot be reached.
  static Result<void> check(const v1::Witnesses& witnesses);
  void configure(const v1::Witnesses& witnesses);  // That has passed check().
  const std::vector<tlog::NoteKey>& witnesses() const { return keys_; }

  // The log's size behind the start entry of this run: nothing leaves before it is cosigned.
  void started(uint64_t size) { start_size_ = size; }
  // A checkpoint of ours that is carried to witnesses from now on, and when that is.
  void handed_out(std::string_view note, uint64_t size, uint64_t t_ms);
  // Signature lines from a witness over one of the last checkpoints handed out. Returns whether it
  // brought anything new. `by_newest_key`: it took the checkpoint with the log's newest key alone.
  //   kDataLoss  A line under a witness's name does not verify.
  Result<bool> take(uint64_t size, std::string_view lines, bool by_newest_key = false);
  // The log has a new key, and witnesses have to be told of it.
  void key_changed(uint64_t leaf) {
    following_.clear();
    key_leaf_ = leaf;
  }
  // Those of the policy's that take the newest key; and whether these are as many as it asks for.
  std::vector<std::string> following() const;
  bool follows_newest_key() const { return following().size() >= quorum_; }
  // A witness is said to have seen a longer log than ours is: then ours was put back, and nothing
  // leaves any more in this run. Whoever says so without reason can stop us, as by saying nothing.
  void ahead() { behind_ = true; }

  uint64_t witnessed_size() const { return witnessed_; }  // By as many as the policy asks for.
  uint64_t size_of(const std::string& witness) const;
  // The newest checkpoint that as many have cosigned, with their lines. Empty: none yet.
  std::string cosigned_note() const;

  // Whether a release or token may be staged as entry number `log_size`.
  //   kUnavailable  Not enough witnesses in time; retry_after_ms is set.
  //   kDataLoss     ahead().
  Result<void> may_leave(uint64_t log_size, uint64_t now_ms) const;
  // Whether as many as the policy asks for, if any, have cosigned this very entry.
  //   kUnavailable  Not yet; retry_after_ms is set.
  Result<void> has_cosigned(uint64_t leaf) const;

 private:
  struct HandedOut {
    std::string note;
    uint64_t size = 0;
    uint64_t t_ms = 0;
    std::map<std::string, std::string> lines{};  // By witness.
  };
  void recount();

  std::vector<tlog::NoteKey> keys_;
  uint32_t quorum_ = 0;
  uint64_t entries_max_ = 0;
  uint64_t ms_max_ = 0;
  uint64_t start_size_ = 0;
  std::deque<HandedOut> handed_out_;  // The last few, oldest first.
  std::map<std::string, uint64_t> sizes_;
  std::set<std::string> following_;
  uint64_t key_leaf_ = 0;  // Checkpoints that have this entry are of the newest key.
  uint64_t witnessed_ = 0;
  uint64_t witnessed_ms_ = 0;  // When a checkpoint of that size was last made.
  bool behind_ = false;
};

}  // namespace strongroom::keyserver
