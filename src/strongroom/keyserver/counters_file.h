// What the release log adds up to, as of one leaf, in a sealed file: the ledger, and where to read
// on.
//
//   file   = header | chunk *
//   header = "SRCOUNTS" | version u8 = 1 | 3 zeros | form u32be | month u32be | leaf u64be | 4
//   zeros chunk  = len u32be | nonce 12 | ct | tag 16          at most 1 MiB of contents each
//            AES-256-GCM under the log's body key of `month`, AD = header | number u32be | last u8
//
// `form` is kLedgerForm: a file of another is of no use, and the log is read instead. No chunk can
// be left out, moved or cut off unseen. Which file counts says the log, by its hash. Spec:
// docs/spec/counters.md
#pragma once

#include <optional>
#include <string>

#include "strongroom/crypto/hash.h"
#include "strongroom/env/files.h"
#include "strongroom/keyserver/ledger.h"
#include "strongroom/tlog/log_state.h"

namespace strongroom::keyserver {

inline constexpr size_t kCountersHeaderSize = 32;
inline constexpr size_t kCountersChunkMax = size_t{1} << 20;  // Of contents.
inline constexpr uint64_t kCountersBytesMax = uint64_t{8} << 30;

std::string counters_name(uint64_t leaf);  // "counters-%016x"
std::optional<uint64_t> parse_counters_name(std::string_view name);

struct CountersFile {
  uint64_t size = 0;
  crypto::Digest sha256{};    // Of the file.
  crypto::Digest contents{};  // Of what is sealed in it.
};

// Durable when it returns. `point` and `ledger` are only read. Errors as env::Files.
Result<CountersFile> write_counters(env::Files& files, const std::string& path,
                                    tlog::BodyKeys& keys, tlog::LogPoint& point, Ledger& ledger);
// Into an empty ledger; after an error it is void.
//   kDataLoss            Damaged, cut short, forged, or of another leaf.
//   kFailedPrecondition  Of another version or form.
Result<CountersFile> read_counters(env::Files& files, const std::string& path, tlog::BodyKeys& keys,
                                   uint64_t leaf, tlog::LogPoint& point, Ledger& ledger);
// CountersFile::contents of what a file would hold.
crypto::Digest contents_of(tlog::LogPoint& point, Ledger& ledger);

}  // namespace strongroom::keyserver
