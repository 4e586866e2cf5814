// `log prove` and `log check`: that an entry is in the log, for somebody who trusts neither of us.
#pragma once

#include <span>

#include "strongroom/app/cli.h"
#include "strongroom/app/client.h"
#include "strongroom/base/ids.h"
#include "strongroom/tlog/note.h"
#include "strongroom/tlog/tile_proofs.h"

namespace strongroom::app {

// The log's static files by the key server's own listener. Borrows the client.
tlog::TileReader log_tiles(AdminClient& admin);

// That the log has the erasure of exactly these records, ascending.
//   kDataLoss  It proves something else, or nothing.
Result<void> verify_erasure_proof(const tlog::LogKeys& log, const std::string& text,
                                  uint32_t collection, std::span<const RecordIndex> records);
// For what is checked offline: by a verifier key, or else the credential's, and the file of its
// changes, if there is one.
struct OfflineLog {
  std::string key;
  std::string changes;  // A file.
};
void add_offline_log(CLI::App& command, OfflineLog& log);
Result<tlog::LogKeys> log_keys_of(const Global& global, const OfflineLog& log);

// Adds both to `log`.
void add_log_proofs(CLI::App& log, Global& global, int& status);
void add_log_key(CLI::App& log, Global& global, int& status);

}  // namespace strongroom::app
