// A credential: who one is, and where and how to reach the vault. As kubeconfig does for clusters.
//
// A JSON file of mode 0600. The key is in it ("private_key", base64 of the 32-byte seed) or in a
// file of its own beside it
// ("key_file"), as `key new` writes it. Where both are named, the file counts.
#pragma once

#include <string>

#include "strongroom/base/result.h"
#include "strongroom/crypto/sign.h"
#include "strongroom/rpc/connect_client.h"

namespace strongroom::app {

struct Connection {
  std::string vault_hex;  // 16 bytes.
  std::string vault_name;
  std::string gateway;       // Its id, which tickets name.
  std::string gateway_at;    // HOST:PORT
  std::string keyserver_at;  // HOST:PORT of the key server's own listener.
  std::string ca_pem;
  std::string log_origin;
  std::string log_key;  // base64 of the Ed25519 key that signs checkpoints and replies.
};

struct Credential {
  std::string principal;
  Connection connection;
  crypto::SigningKey key;
};

// `path` may be empty: then nothing was given, and the error says how to give it.
Result<Credential> load_credential(const std::string& path);
// Refuses to replace a file. key: nullptr writes "key_file" instead.
Result<void> save_credential(const std::string& path, const std::string& principal,
                             const Connection& connection, const crypto::SigningKey* key,
                             const std::string& key_file);

// From now on this one is trusted, and what follows from it.
Result<void> pin_log_key(const std::string& path, const crypto::PublicKey& key);

// Key files of `key new`: FILE holds the seed (0600), FILE.pub the public key.
Result<void> save_key(const std::string& path, const crypto::SigningKey& key);
Result<crypto::SigningKey> load_key(const std::string& path);
Result<crypto::PublicKey> load_public_key(const std::string& path);

Result<rpc::Endpoint> endpoint_of(const std::string& at, const Connection& connection);

}  // namespace strongroom::app
