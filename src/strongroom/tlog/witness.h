// C2SP tlog-witness: remembers the newest checkpoint of each log it was told of, and cosigns the
// next one only if that contains it. Two stories told by one log cannot both be cosigned.
//
//   DIR/logs/<sha256 of the origin, hex>/key         the log's verifier key; behind it, a line
//   each,
//                                                    those from before it was changed
//   DIR/logs/<sha256 of the origin, hex>/checkpoint  the newest one cosigned, with our line
//
// Source: c2sp.org/tlog-witness.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "strongroom/env/clock.h"
#include "strongroom/env/files.h"
#include "strongroom/tlog/checkpoint.h"
#include "strongroom/tlog/cosignature.h"

namespace strongroom::tlog {

inline constexpr size_t kConsistencyLinesMax = 63;
// Of an add-checkpoint request.
inline constexpr size_t kAddCheckpointBytesMax = kNoteBytesMax + 4096;

struct AddCheckpoint {
  uint64_t old_size = 0;
  std::vector<Hash> proof;
  std::string_view note;  // Borrowed.
};
std::string format_add_checkpoint(const AddCheckpoint& request);
std::optional<AddCheckpoint> parse_add_checkpoint(std::string_view body);

struct WitnessReply {
  int status = 200;  // HTTP's.
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

// Not thread-safe. Borrows files and clock.
class Witness {
 public:
  // kDataLoss: a key or checkpoint in DIR is damaged, or not signed by us and the log.
  static Result<std::unique_ptr<Witness>> open(const std::string& dir, WitnessSigner signer,
                                               env::Files& files, const env::Clock& clock);

  // Remembered for good. An origin has one key.
  //   kAlreadyExists  The origin is known under another key.
  Result<void> add_log(const NoteKey& log);
  // The newest key of each log known that these changes are of; how many are known under another
  // key now than before.
  //   kDataLoss  They do not lead on from the key that a log is known under.
  //   kNotFound  They are of none of the logs.
  Result<size_t> follow_keys(std::string_view changes);
  std::vector<NoteKey> logs() const;
  uint64_t size_of(
      const std::string& origin) const;  // Of the newest cosigned; 0: none, or unknown.

  // POST <prefix>/add-checkpoint. Durable before it answers.
  WitnessReply add_checkpoint(std::string_view body);
  // GET <prefix>/<origin hash>/checkpoint
  WitnessReply checkpoint(std::string_view origin_hash) const;

 private:
  struct Log {
    NoteKey key;
    std::string key_file;
    uint64_t size = 0;
    Hash root{};
    std::string note{};  // Empty: none yet.
  };
  Witness(std::string dir, WitnessSigner signer, env::Files& files, const env::Clock& clock);
  Result<void> load(const std::string& hash);
  std::string folder(const std::string& hash) const { return dir_ + "/logs/" + hash; }

  const std::string dir_;
  const WitnessSigner signer_;
  env::Files& files_;
  const env::Clock& clock_;
  std::map<std::string, Log, std::less<>> logs_;  // By the hash of the origin.
};

}  // namespace strongroom::tlog
