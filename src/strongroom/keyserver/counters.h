// Writes down now and then what the release log adds up to, so that a start reads only what came
// since; and behind a start that did so, reads all of the log after all.
//
// Both on a thread of its own, from what is durable on disk: never from the memory that decides, so
// that whatever goes wrong there is not written down. A file is made from the one before and the
// log since, and counts once the log holds its hash. Files are a convenience: without them, or with
// one that does not fit, a start reads the log from its first entry.  Spec: docs/spec/counters.md
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "strongroom/env/files.h"
#include "strongroom/keyserver/counters_file.h"
#include "strongroom/v1/log.pb.h"

namespace strongroom::keyserver {

// A file at the earliest after so many entries, and when the log has grown by as much as the last
// file has: what is written is at most doubled by it.
inline constexpr uint64_t kCountersEvery = uint64_t{1} << 18;

// The log's body keys, for a thread that must not touch the key state.
class BodyKeyCopies : public tlog::BodyKeys {
 public:
  void add(uint32_t month, SealingKey key) { keys_.emplace(month, std::move(key)); }
  Result<const SealingKey*> key(uint32_t month) override;

 private:
  std::map<uint32_t, SealingKey> keys_;
};

struct CountersOptions {
  std::string dir;      // DIR/keyserver/counters
  std::string log_dir;  // DIR/keyserver/log
  ByteArray<16> vault{};
  std::vector<std::string> gateways;
  uint64_t every = kCountersEvery;
};

// Not thread-safe. Borrows `files`, which is.
class Counters {
 public:
  Counters(CountersOptions options, env::Files& files);
  ~Counters();  // What is under way is broken off.

  // At a start: leaves of the files there are, newest first.
  std::vector<uint64_t> list() const;
  // As read_counters().
  Result<CountersFile> load(uint64_t leaf, tlog::BodyKeys& keys, tlog::LogPoint& point,
                            Ledger& ledger);
  // The start went by this one, into this ledger: the log before it is still to be read.
  void relied_on(uint64_t leaf, tlog::Position at, const CountersFile& file,
                 const RequestKeys& request_keys);

  // How far the log is durable and has a checkpoint.
  struct Now {
    uint64_t leaf = 0;
    tlog::Position end;
  };
  // Each second. Begins what is due, and tells what has been done: a file that counts once the item
  // is in the log and logged() was called.
  //   kDataLoss  The log is not what was written down of it. The files are gone: the next start
  //              reads everything.
  Result<std::optional<v1::CountersItem>> step(const Now& now,
                                               const std::function<BodyKeyCopies()>& keys);
  void logged(const v1::CountersItem& item);

  uint64_t leaf() const { return base_.leaf; }  // Of the file that counts; 0: none.
  // Entries read back and found sound; all, if the start has read them.
  bool checked() const { return !unchecked_; }
  uint64_t checked_to() const;
  void wait();  // For what is under way.

 private:
  struct Job;
  struct Base {
    uint64_t leaf = 0;
    tlog::Position at;
    CountersFile file;
    RequestKeys request_keys;
  };
  std::string path(uint64_t leaf) const;
  bool is_due(const Now& now) const;
  // The last file took so long to make, beside all else this machine does, that the next would
  // have been due twice: a start would take as long as it is allowed to fall behind.
  bool is_behind(const Now& now) const;
  void begin(std::unique_ptr<Job> job);
  void make(Job& job);
  void check(Job& job);
  void remove_all_but(std::initializer_list<uint64_t> kept);

  const CountersOptions options_;
  env::Files& files_;
  Base base_;
  std::optional<Base> made_;  // Not logged yet.
  bool unchecked_ = false;
  uint64_t not_before_ = 0;  // Leaf: after a failure.
  std::unique_ptr<Job> job_;
};

}  // namespace strongroom::keyserver
