// One entry of the release log: its 49 public bytes, the commitments they hold, its sealed body.
// The formats are in release_log.h and docs/spec/log.md.
#pragma once

#include <optional>
#include <string>

#include "strongroom/tlog/release_log.h"
#include "strongroom/tlog/segment.h"

namespace strongroom::tlog {

using Rho = ByteArray<32>;
using Nonce = ByteArray<crypto::kGcmNonceSize>;

// 31 December 9999: what lies behind is a broken clock, and no month of the calendar.
inline constexpr uint64_t kTimeMax = 253'402'300'799'999;
uint32_t month_of(uint64_t t_ms);  // year * 12 + month - 1, UTC.

// The public part. Types 12, 14 and 15 are left for later versions.
struct EntryHead {
  static constexpr uint8_t kTypeMax = 15;
  uint8_t type = 0;
  uint64_t t_ms = 0;
  uint32_t n = 0;
  Hash items{};  // MTH(c_0..c_{n-1})
};
ByteArray<kEntrySize> encode_entry(const EntryHead& head);
// Nothing unless it is what encode_entry writes.
std::optional<EntryHead> parse_entry(Bytes entry);
bool is_known_type(uint8_t type);

Hash item_salt(const Rho& rho, uint32_t place);
// The leaf hashes of c_0..c_{n-1}.
std::vector<Hash> commitments(const Rho& rho, std::span<const std::string> items);
Hash commit_items(const Rho& rho, std::span<const std::string> items);
// The body's size before it is sealed.
size_t body_size(std::span<const std::string> items);

// Where an entry stands and what blinds and seals it.
struct FrameSeal {
  uint64_t leaf = 0;
  uint32_t place = 0;
  Rho rho{};
  Nonce nonce{};
};
// Appends the whole frame. The caller has checked the limits of items.
void append_frame(const SealingKey& key, const FrameSeal& seal, const ByteArray<kEntrySize>& entry,
                  std::span<const std::string> items, std::string& out);

// Opens a frame's body and checks it against the entry. `out` keeps its capacity from call to call.
//   kDataLoss            The body is not the one that was logged, or the key is another's.
//   kFailedPrecondition  An entry of a newer version.
Result<void> open_frame(const SealingKey& key, const Frame& frame, const EntryHead& head,
                        Entry* out);

// Splits rho | n x (len u32be | item). False unless it is exactly that.
bool parse_body(Bytes body, uint32_t n, Rho* rho, std::vector<std::string>* items);

}  // namespace strongroom::tlog
