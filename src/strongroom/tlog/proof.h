// C2SP tlog-proof: that an entry is in a log, in one text that can be checked offline.
// Source: c2sp.org/tlog-proof.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "strongroom/tlog/checkpoint.h"

namespace strongroom::tlog {

inline constexpr size_t kProofBytesMax = kNoteBytesMax + (size_t{256} << 10);

struct LogProof {
  uint64_t leaf = 0;
  std::vector<Hash> path;  // From the leaf's sibling up.
  std::string extra;       // Opaque, and vouched for by nobody.
  std::string note;        // The checkpoint, with its signatures.
};

std::string format_proof(const LogProof& proof);
//   kDataLoss  Not a proof.
Result<LogProof> parse_proof(std::string_view text);

struct ProvenBy {
  Checkpoint checkpoint;
  uint64_t witnesses = 0;         // Of those given, how many cosigned the checkpoint.
  uint64_t witnessed_from_s = 0;  // The oldest of their times; 0: none.
};
//   kDataLoss         The path does not lead from `leaf` to the checkpoint, or the checkpoint is
//   not
//                     signed by the log, or a cosignature is forged.
//   kInvalidArgument  Of another log.
Result<ProvenBy> verify_proof(const LogProof& proof, const Hash& leaf, const LogKeys& log,
                              std::span<const NoteKey> witnesses);

}  // namespace strongroom::tlog
