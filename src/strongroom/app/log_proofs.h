// `log prove` and `log check`: that an entry is in the log, for somebody who trusts neither of us.
#pragma once

#include "strongroom/app/cli.h"
#include "strongroom/app/client.h"
#include "strongroom/tlog/note.h"
#include "strongroom/tlog/tile_proofs.h"

namespace strongroom::app {

// The log's static files by the key server's own listener. Borrows the client.
tlog::TileReader log_tiles(AdminClient& admin);

// Of the credential's vault.
tlog::NoteKey log_key_of(const Credential& credential);

// Adds both to `log`.
void add_log_proofs(CLI::App& log, Global& global, int& status);

}  // namespace strongroom::app
