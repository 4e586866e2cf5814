// A witness as a log sees it: is offered checkpoints, answers with cosignatures.
// Source: c2sp.org/tlog-witness.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "strongroom/tlog/tile_proofs.h"
#include "strongroom/tlog/witness.h"

namespace strongroom::tlog {

// POSTs to the witness's add-checkpoint and returns its answer, whatever its status.
using PostToWitness = std::function<Result<WitnessReply>(const std::string& body)>;

// Not thread-safe.
class WitnessClient {
 public:
  WitnessClient(NoteKey witness, PostToWitness post)
      : witness_(std::move(witness)), post_(std::move(post)) {}

  struct Outcome {
    std::string lines;              // Signature lines; empty where `ahead` is set.
    std::optional<uint64_t> ahead;  // The witness has cosigned this larger size.
    bool by_newest_key = false;     // It took the log's newest key alone.
  };
  // Learns from the witness what it has seen, and proves from there. A checkpoint that two keys of
  // the log have signed is offered with the newer's line alone first, which shows who knows that
  // key.
  //   kInvalidArgument   It was not told of this log, or takes its key for another.
  //   kConflict          What it has seen is no part of this log.
  //   kDataLoss          It answers with no cosignature of its own.
  //   or that of `post` and `read`
  Result<Outcome> offer(std::string_view note, uint64_t size, const TileReader& read);
  uint64_t cosigned() const { return cosigned_; }  // Of this log, as far as we know.
  const NoteKey& witness() const { return witness_; }

 private:
  Result<Outcome> offer_note(std::string_view note, uint64_t size, const TileReader& read);
  const NoteKey witness_;
  const PostToWitness post_;
  uint64_t cosigned_ = 0;
};

}  // namespace strongroom::tlog
