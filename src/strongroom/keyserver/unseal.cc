#include "strongroom/keyserver/unseal.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>

#include "strongroom/crypto/hash.h"
#include "strongroom/keyserver/root_files.h"

namespace strongroom::keyserver {
namespace {

constexpr uint64_t kVaultFileMax = uint64_t{64} << 10;

std::string vault_path(const std::string& dir) {
  return dir + "/vault.json";
}
Result<SealingKey> read_dev_root(env::Files& files, const std::string& path) {
  auto text = files.read(path, 256);
  if (!text) return text.error();
  SealingKey root;
  std::string_view hex = *text;
  while (!hex.empty() && (hex.back() == '\n' || hex.back() == '\r')) hex.remove_suffix(1);
  const bool sound = from_hex(hex, root.write(SecretAccess{}));
  explicit_bzero(text->data(), text->size());
  if (!sound) {
    return make_error(ErrorCode::kDataLoss,
                      "keyserver/dev-root.key is damaged. Restore it from a backup.");
  }
  return root;
}

template <size_t N>
bool is_hex(const std::string& text) {
  ByteArray<N> bytes{};
  return from_hex(text, bytes);
}

}  // namespace

std::string root_check(const SealingKey& root) {
  return to_hex(crypto::hmac_sha256(root.read(SecretAccess{}), {as_bytes("sr1.root-check")}));
}

bool is_root_of(const v1::VaultFile& vault, const SealingKey& root) {
  return crypto::equal_ct(as_bytes(root_check(root)), as_bytes(vault.root_check()));
}

ByteArray<16> vault_id(const v1::VaultFile& vault) {
  ByteArray<16> id{};
  SR_CHECK(from_hex(vault.vault(), id), "a vault file that was not checked");
  return id;
}

Result<tlog::LogKeys> log_keys_of(env::Files& files, const std::string& log_dir,
                                  const v1::VaultFile& vault) {
  const auto read = [&](std::string_view path) {
    return files.read(log_dir + "/" + std::string(path), tlog::kKeyChangesBytesMax);
  };
  return tlog::read_log_keys(read, tlog::log_key(vault.origin(), log_public_key(vault)));
}

crypto::PublicKey log_public_key(const v1::VaultFile& vault) {
  crypto::PublicKey key{};
  SR_CHECK(from_hex(vault.log_public_key(), key), "a vault file that was not checked");
  return key;
}

Result<void> check_share(const v1::VaultFile& vault, const crypto::Share& share) {
  if (to_hex(share.set) != vault.share_set()) return kShareOfAnotherVault;
  if (share.threshold != vault.threshold() || share.x == 0 || share.x > vault.shares()) {
    return kShareNotAsMade;
  }
  return {};
}

Result<v1::VaultFile> load_vault_file(env::Files& files, const std::string& keyserver_dir) {
  const auto text = files.read(vault_path(keyserver_dir), kVaultFileMax);
  if (!text && text.error().code == ErrorCode::kNotFound) {
    return make_error(ErrorCode::kNotFound,
                      "There is no vault here. Make one with `strongroom init`.");
  }
  if (!text) return text.error();
  v1::VaultFile vault;
  const auto parsed = google::protobuf::util::JsonStringToMessage(*text, &vault);
  if (!parsed.ok() || vault.format() == 0 || !is_hex<16>(vault.vault()) ||
      !is_hex<32>(vault.log_public_key()) || !is_hex<32>(vault.root_check()) ||
      vault.origin().empty() || vault.gateways().empty() ||
      (!vault.term_check().empty() && !is_hex<32>(vault.term_check()))) {
    return make_error(ErrorCode::kDataLoss,
                      "keyserver/vault.json is damaged. Restore it from a backup; it holds no "
                      "secret.");
  }
  if (vault.format() < kVaultFileFormat) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "This vault was made by an older strongroom, before its first release. Run "
                      "the version that made it; nothing was changed.");
  }
  if (vault.format() > kVaultFileFormat) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "This vault was made by a newer strongroom. Run that version.");
  }
  return vault;
}

Result<void> save_vault_file(env::Files& files, const std::string& keyserver_dir,
                             const v1::VaultFile& vault) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string text;
  SR_CHECK(google::protobuf::util::MessageToJsonString(vault, &text, options).ok(),
           "a vault file can be written as JSON");
  return files.write_atomic(vault_path(keyserver_dir), as_bytes(text));
}

Result<SealingKey> load_dev_root(env::Files& files, const std::string& keyserver_dir) {
  return read_dev_root(files, dev_root_path(keyserver_dir));
}

Result<SealingKey> find_dev_root(env::Files& files, const std::string& keyserver_dir,
                                 const v1::VaultFile& vault) {
  auto root = load_dev_root(files, keyserver_dir);
  if (root && is_root_of(vault, *root)) return root;
  auto next = read_dev_root(files, next_path(dev_root_path(keyserver_dir)));
  return next && is_root_of(vault, *next) ? std::move(next) : std::move(root);
}

Result<void> save_dev_root(env::Files& files, const std::string& keyserver_dir,
                           const SealingKey& root, bool next) {
  std::string hex = to_hex(root.read(SecretAccess{}));
  hex.push_back('\n');
  auto written = files.write_atomic(
      next ? next_path(dev_root_path(keyserver_dir)) : dev_root_path(keyserver_dir), as_bytes(hex),
      0600);
  explicit_bzero(hex.data(), hex.size());
  return written;
}

}  // namespace strongroom::keyserver
