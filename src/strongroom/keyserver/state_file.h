// The file of one epoch of the key state: a header that seals the epoch key, then sealed frames: a
// base, then a journal.
//
//   file   = "SR1STATE" | ver u8 (2) | epoch u64be | bound u8 | n u8 (1..2)
//            | n x epoch key sealed under a wrapping key (72, AD: the 19 bytes before) | frames
//            (version 1: without bound and n; one seal, AD: the 17 bytes before)
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
#include "strongroom/keyserver/hardware.h"

namespace strongroom::keyserver {

inline constexpr uint64_t kStateBytesMax = uint64_t{1} << 30;
inline constexpr size_t kStateFrameMax = size_t{1} << 20;  // Plaintext of one frame.

enum class FrameKind : uint8_t { kBasePart = 1, kBaseEnd = 2, kJournal = 3 };

// "state-%016x", and back. False if it is none.
std::string state_file_name(uint64_t epoch);
bool parse_state_file_name(std::string_view name, uint64_t* epoch);

// A wrapping key that is of no use without the epoch's secret: H(wrap, "sr1.state-nv" | 00h |
// secret).
SealingKey bind_wrap(const SealingKey& wrap, const EpochSecret& secret);
// `wraps`: each of them opens it; while the root key changes there are two. `bound`: they are of
// bind_wrap().
std::string state_header(uint64_t epoch, std::span<const SealingKey> wraps, bool bound,
                         const SealingKey& epoch_key);
// Whether the file's wrapping keys are bound to the epoch's secret.
bool state_is_bound(Bytes bytes);
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
// `wrap`: of the root, or of bind_wrap() where it is bound.
//   kDataLoss            Not a state file of this epoch, or its header does not open.
//   kFailedPrecondition  Written by a newer version.
Result<StateFile> read_state_file(Bytes bytes, uint64_t epoch, const SealingKey& wrap);
// Whether it is one as far as that shows without a key: header, and frames one after the other.
// True too if it ends inside a frame, as a crash may leave it.
bool has_state_form(Bytes bytes, uint64_t epoch);

}  // namespace strongroom::keyserver
