#include "strongroom/app/credential.h"

#include <google/protobuf/util/json_util.h>

#include "strongroom/base/bytes.h"
#include "strongroom/env/files.h"
#include "strongroom/v1/credential.pb.h"

namespace strongroom::app {
namespace {

constexpr uint64_t kCredentialBytesMax = 64 << 10;
constexpr char kPrivate[] = "ed25519-private";
constexpr char kPublic[] = "ed25519-public";

template <class Message>
Result<Message> read_json(const std::string& path, const char* malformed) {
  auto text = env::real_files().read(path, kCredentialBytesMax);
  if (!text) return text.error();
  Message message;
  const auto status = google::protobuf::util::JsonStringToMessage(*text, &message);
  explicit_bzero(text->data(), text->size());
  if (!status.ok()) return make_error(ErrorCode::kInvalidArgument, malformed);
  return message;
}

// Mode 0600, whatever was there before.
template <class Message>
Result<void> replace_json(const std::string& path, const Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(message, &json, options).ok()) {
    return make_error(ErrorCode::kInternal, "a file could not be put into words");
  }
  auto written = env::real_files().write_atomic(path, as_bytes(json), 0600);
  explicit_bzero(json.data(), json.size());
  return written;
}

template <class Message>
Result<void> write_json(const std::string& path, const Message& message) {
  SR_ASSIGN(const bool exists, env::real_files().exists(path));
  if (exists)
    return make_error(ErrorCode::kAlreadyExists, "the file exists already; it was not touched");
  return replace_json(path, message);
}

std::string sibling(const std::string& path, const std::string& name) {
  if (name.empty() || name[0] == '/') return name;
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? name : path.substr(0, slash + 1) + name;
}

Result<crypto::SigningKey> key_from(std::string& seed) {
  if (seed.size() != 32)
    return make_error(ErrorCode::kInvalidArgument, "a private key has 32 bytes");
  auto key = crypto::SigningKey::from_seed(as_bytes(seed).first<32>());
  explicit_bzero(seed.data(), seed.size());
  return key;
}

}  // namespace

Result<Credential> load_credential(const std::string& path) {
  if (path.empty()) {
    return make_error(
        ErrorCode::kUnauthenticated,
        "no credential; name one with --credential FILE or the variable STRONGROOM_CREDENTIAL");
  }
  auto file = read_json<v1::CredentialFile>(path, "not a credential file");
  if (!file && file.error().code == ErrorCode::kNotFound) {
    return make_error(ErrorCode::kUnauthenticated, "the credential file is not there");
  }
  if (!file) return file.error();
  if (file->version() != 1)
    return make_error(ErrorCode::kInvalidArgument, "a credential file of an unknown version");
  ByteArray<16> vault;
  if (file->principal().empty() || !from_hex(file->vault(), vault) ||
      file->log_key().size() != 32) {
    return make_error(ErrorCode::kInvalidArgument, "the credential file is not complete");
  }
  Connection connection{file->vault(),      file->vault_name(),   file->gateway(),
                        file->gateway_at(), file->keyserver_at(), file->ca_pem(),
                        file->log_origin(), file->log_key()};
  // With both the key file counts: it is what somebody set after a rekey.
  if (!file->key_file().empty()) {
    explicit_bzero(file->mutable_private_key()->data(), file->private_key().size());
  } else if (!file->private_key().empty()) {
    SR_ASSIGN(auto key, key_from(*file->mutable_private_key()));
    return Credential{file->principal(), std::move(connection), std::move(key)};
  }
  auto key = load_key(sibling(path, file->key_file()));
  if (!key && key.error().code == ErrorCode::kNotFound) {
    return make_error(ErrorCode::kUnauthenticated,
                      "the key file that the credential names is not there; put it beside it");
  }
  if (!key) return key.error();
  return Credential{file->principal(), std::move(connection), std::move(*key)};
}

Result<void> save_credential(const std::string& path, const std::string& principal,
                             const Connection& connection, const crypto::SigningKey* key,
                             const std::string& key_file) {
  v1::CredentialFile file;
  file.set_version(1);
  file.set_principal(principal);
  file.set_vault(connection.vault_hex);
  file.set_vault_name(connection.vault_name);
  file.set_gateway(connection.gateway);
  file.set_gateway_at(connection.gateway_at);
  file.set_keyserver_at(connection.keyserver_at);
  file.set_ca_pem(connection.ca_pem);
  file.set_log_origin(connection.log_origin);
  file.set_log_key(connection.log_key);
  if (key != nullptr) {
    file.set_private_key(std::string(as_text(key->seed(SecretAccess{}))));
  } else {
    file.set_key_file(key_file);
  }
  auto written = write_json(path, file);
  explicit_bzero(file.mutable_private_key()->data(), file.private_key().size());
  return written;
}

Result<void> pin_log_key(const std::string& path, const crypto::PublicKey& key) {
  SR_ASSIGN(auto file, read_json<v1::CredentialFile>(path, "not a credential file"));
  file.set_log_key(std::string(as_text(key)));
  auto written = replace_json(path, file);
  explicit_bzero(file.mutable_private_key()->data(), file.private_key().size());
  return written;
}

Result<void> save_key(const std::string& path, const crypto::SigningKey& key) {
  v1::KeyFile file;
  file.set_version(1);
  file.set_type(kPublic);
  file.set_key(std::string(as_text(key.public_key())));
  SR_TRY(write_json(path + ".pub", file));
  file.set_type(kPrivate);
  file.set_key(std::string(as_text(key.seed(SecretAccess{}))));
  auto written = write_json(path, file);
  explicit_bzero(file.mutable_key()->data(), file.key().size());
  return written;
}

Result<crypto::SigningKey> load_key(const std::string& path) {
  SR_ASSIGN(auto file,
            read_json<v1::KeyFile>(path, "not a key file; `strongroom key new` makes one"));
  if (file.version() != 1 || file.type() != kPrivate) {
    return make_error(ErrorCode::kInvalidArgument,
                      "not a private key; `strongroom key new` makes one");
  }
  return key_from(*file.mutable_key());
}

Result<crypto::PublicKey> load_public_key(const std::string& path) {
  SR_ASSIGN(auto file,
            read_json<v1::KeyFile>(path, "not a key file; `strongroom key new` makes one"));
  if (file.type() == kPrivate) {
    explicit_bzero(file.mutable_key()->data(), file.key().size());
    return make_error(
        ErrorCode::kInvalidArgument,
        "this is a private key; hand in the file ending in .pub, and let nobody else see this one");
  }
  if (file.version() != 1 || file.type() != kPublic || file.key().size() != 32) {
    return make_error(ErrorCode::kInvalidArgument,
                      "not a public key; `strongroom key new` makes one");
  }
  crypto::PublicKey key;
  std::copy(file.key().begin(), file.key().end(), key.begin());
  return key;
}

Result<rpc::Endpoint> endpoint_of(const std::string& at, const Connection& connection) {
  const size_t colon = at.rfind(':');
  uint32_t port = 0;
  for (size_t i = colon + 1; colon != std::string::npos && i < at.size() && port < 65536; ++i) {
    if (at[i] < '0' || at[i] > '9')
      return make_error(ErrorCode::kInvalidArgument, "the credential's address is malformed");
    port = port * 10 + static_cast<uint32_t>(at[i] - '0');
  }
  if (port == 0 || port > 65535) {
    return make_error(ErrorCode::kInvalidArgument, "the credential's address is malformed");
  }
  std::string host = at.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  return rpc::Endpoint{host, static_cast<uint16_t>(port), connection.ca_pem, {}};
}

}  // namespace strongroom::app
