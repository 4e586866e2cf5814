// The processes of `serve`. Each runs until it is told to end, and reports through `ready_fd`
// once it listens.
#pragma once

#include <string>
#include <vector>

#include "strongroom/app/cli.h"
#include "strongroom/app/vault_dir.h"
#include "strongroom/base/secret.h"

namespace strongroom::app {

struct MergeOptions {
  uint64_t postings_per_second = 250'000;  // 0: as fast as it can.
  uint64_t idle_ms = 10'000;               // Between looks for lanes to merge.
  uint64_t lanes_max = 2;  // Of a collection, beside full ones, before some are merged.
  // Gateway: a search that takes longer is refused, and rows of merged lanes go as much later.
  uint64_t query_deadline_ms = 60'000;
};

struct ProcessOptions {
  std::string dir;
  std::string listen;  // HOST:PORT
  int ready_fd = -1;   // Gets "ready PORT\n".
  // Gateway: records committed together. 0: grows from 262,144 to 1,048,576.
  uint64_t import_chunk = 0;
  // What the gateway keeps to, about, beside some 110 B a record of an import's chunk; the
  // compactor takes a quarter of it for itself, beside 4 B a record.
  uint64_t memory_bytes = uint64_t{1} << 30;
  // Key server and its helpers: gives the 32 bytes by which it knows each. -1: none.
  int credential_fd = -1;
  MergeOptions merge;
  bool accept_lost_writes = false;  // Gateway: a store that is behind the log is taken.
};

// Exit status of a key server that was sealed on command: all processes are to be started anew.
inline constexpr int kSealedOnCommand = 3;

// Holds policy, seeds, lane roots and the release log. Sandboxed before it reads its first byte
// from anyone.
int run_keyserver(const Global& global, const ProcessOptions& options);
// Holds K_q and the plaintext of requests in flight.
int run_gateway(const Global& global, const ProcessOptions& options);
// Holds roots of the lanes it merges.
int run_compactor(const Global& global, const ProcessOptions& options);
// Holds nothing; has the network that the key server has not.
int run_courier(const Global& global, const ProcessOptions& options);

// Sends alarms on, to the sinks of DIR/sinks.yaml. Holds nothing but alarms and the sinks' secrets.
int run_sender(const Global& global, const ProcessOptions& options);

// Fresh certificates for the two doors, in DIR/run, for `hosts`.
Result<void> make_certificates(const VaultDir& dir, const std::vector<std::string>& hosts);
// K_q, from DIR/gateway.
Result<TermKey> load_term_key(const VaultDir& dir);

// Hidden subcommands by which `serve` starts them.
void add_processes(CLI::App&, Global&, int&);

// What serve wrote into credential_fd, 32 bytes each; closes it. The key server's: the compactor's,
// the sender's.
std::vector<std::string> read_credentials(int credential_fd);
// Says so through ready_fd, and closes it.
void report_ready(int ready_fd, uint16_t port);

}  // namespace strongroom::app
