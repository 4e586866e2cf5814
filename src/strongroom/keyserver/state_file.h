// The file of one epoch of the key state: a header that seals the epoch key, then sealed frames: a
// base, then a journal.
//
//   file   = "SR1STATE" | ver u8 (1) | epoch u64be | epoch key sealed under the wrapping key (72,
//   AD: the 17 bytes before)
//            | frames
//   frame  = kind u8 | len u32be | XChaCha20-Poly1305(epoch key, AD "SR1F" | kind u8 | epoch u64be
//   | number u64be) kind     1 part of the base, 2 last part of the base (exactly one), 3 journal
//
// Spec: docs/spec/keystate.md
#pragma once

#include <string>
#include <vector>

#include "strongroom/base/bytes.h"
#include "strongroom/base/result.h"
#include "strongroom/base/secret.h"

namespace strongroom::keyserver {

inline constexpr uint64_t kStateBytesMax = uint64_t{1} << 30;
inline constexpr size_t kStateFrameMax = size_t{1} << 20;  // Plaintext of one frame.

enum class FrameKind : uint8_t { kBasePart = 1, kBaseEnd = 2, kJournal = 3 };

// "state-%016x", and back. False if it is none.
std::string state_file_name(uint64_t epoch);
bool parse_state_file_name(std::string_view name, uint64_t* epoch);

std::string state_header(uint64_t epoch, const SealingKey& wrap, const SealingKey& epoch_key);
std::string state_frame(uint64_t epoch, const SealingKey& epoch_key, FrameKind kind,
                        uint64_t number, Bytes plaintext);

struct StateFile {
  enum class End {
    kClean,    // The file ends behind a whole frame.
    kTorn,     // It ends inside one: a write that was cut short and never acknowledged.
    kDamaged,  // A whole frame does not open.
  };
  std::vector<SecretBuffer> frames;  // All that open, in order, up to the first that does not.
  bool has_base = false;             // The base is among them.
  End end = End::kClean;
};
//   kDataLoss            Not a state file of this epoch, or its header does not open.
//   kFailedPrecondition  Written by a newer version.
Result<StateFile> read_state_file(Bytes bytes, uint64_t epoch, const SealingKey& wrap);

}  // namespace strongroom::keyserver
