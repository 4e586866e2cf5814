// What lies where in a vault's DIR.
#pragma once

#include <cstdint>
#include <string>

namespace strongroom::app {

// Limits of files in it, in bytes.
inline constexpr uint64_t kPemBytesMax = 64 << 10;
inline constexpr uint64_t kCheckpointBytesMax = 128 << 10;

struct VaultDir {
  explicit VaultDir(std::string path) : root(std::move(path)) {}
  std::string root;
  std::string lock() const { return root + "/lock"; }            // Held by `serve`.
  std::string keyserver() const { return root + "/keyserver"; }  // Key server only.
  std::string mirror() const {
    return root + "/keyserver-mirror";
  }  // Second copy of its key state.
  std::string authority_certificate() const { return keyserver() + "/ca.pem"; }
  std::string authority_key() const { return keyserver() + "/ca.key"; }
  std::string term_key_escrow() const {
    return keyserver() + "/term-key.escrow";
  }  // K_q, sealed under the root key.
  std::string gateway() const { return root + "/gateway"; }
  std::string term_key() const { return gateway() + "/term.key"; }  // K_q.
  std::string store() const { return root + "/store"; }  // Nothing in it is worth stealing.
  std::string credentials() const { return root + "/credentials"; }
  std::string sinks() const {
    return root + "/sinks.yaml";
  }  // Where alarms are sent; may be absent.
  std::string sender() const { return root + "/sender"; }
  std::string sent() const { return sender() + "/sent.json"; }  // How far each sink has come.
  std::string run() const { return root + "/run"; }  // Sockets and certificates of this run.
  std::string socket() const { return run() + "/keyserver.sock"; }
  // The gateway's, for the compactor.
  std::string compactor_socket() const { return run() + "/compactor.sock"; }
  // What an import sorts and has no room for in memory, sealed under a key of that import.
  std::string spool_files() const { return store() + "/spool-tmp"; }
  // What the two share: the gateway's copy for reading, the compactor's files on their way.
  std::string merge_copy() const { return store() + "/merge-copy"; }
  std::string merge_files() const { return store() + "/merge-tmp"; }
  // The gateway's copy for a backup.
  std::string backup_copy() const { return store() + "/backup-copy"; }
  std::string authority_escrow() const {
    return keyserver() + "/ca-key.escrow";
  }  // The authority's key, sealed under the root key.
  std::string restoring() const {
    return root + "/restoring";
  }  // While it is being restored: no vault yet.
};

inline constexpr char kDefaultListen[] = "127.0.0.1:7420";
inline constexpr char kGatewayId[] = "gw1";
inline constexpr char kVersion[] = STRONGROOM_VERSION;

}  // namespace strongroom::app
