#include "strongroom/gateway/import_checkpoint.h"

#include "strongroom/crypto/aead.h"
#include "strongroom/crypto/derive.h"
#include "strongroom/crypto/hash.h"

namespace strongroom::gateway {
namespace {

constexpr char kPrefix[] = "import/";
constexpr char kPrefixEnd[] = "import0";  // '0' follows '/'.
constexpr uint8_t kCheckpointVersion = 1;

}  // namespace

ImportCheckpoints::ImportCheckpoints(store::Store& store, const TermKey& term_key)
    : store_(store), key_(crypto::derive_sealing_key(term_key.read(SecretAccess{}), "sr1.meta")) {}

std::string ImportCheckpoints::name(CollectionId collection, Bytes source_id) const {
  uint8_t id[4];
  store_be(id, collection.value);
  const auto mac =
      crypto::hmac_sha256(key_.read(SecretAccess{}), {as_bytes("sr1.import"), id, source_id});
  std::string out = kPrefix;
  append(out, Bytes(mac).first(16));
  return out;
}

Result<v1::ImportCheckpoint> ImportCheckpoints::open(const std::string& name, Bytes sealed) const {
  const auto damaged = make_error(
      ErrorCode::kDataLoss,
      "an import's checkpoint is damaged; import the file again with --key, which doubles nothing");
  if (sealed.empty() || sealed[0] != kCheckpointVersion) return damaged;
  const auto opened = crypto::xchacha_open(key_, as_bytes(name), sealed.subspan(1));
  if (!opened) return damaged;
  v1::ImportCheckpoint checkpoint;
  const Bytes plain = opened->read(SecretAccess{});
  if (!checkpoint.ParseFromArray(plain.data(), static_cast<int>(plain.size()))) return damaged;
  return checkpoint;
}

Result<std::optional<v1::ImportCheckpoint>> ImportCheckpoints::load(const std::string& name) {
  std::vector<std::optional<std::string>> values;
  SR_TRY(store_.get(store::Table::kMeta, std::vector<std::string>{name}, values));
  if (!values[0]) return std::optional<v1::ImportCheckpoint>();
  SR_ASSIGN(auto checkpoint, open(name, as_bytes(*values[0])));
  return std::optional<v1::ImportCheckpoint>(std::move(checkpoint));
}

Result<void> ImportCheckpoints::save(const std::string& name,
                                     const v1::ImportCheckpoint& checkpoint) {
  std::string plain;
  checkpoint.SerializeToString(&plain);
  std::string value(1, static_cast<char>(kCheckpointVersion));
  value += crypto::xchacha_seal(key_, as_bytes(name), as_bytes(plain));
  return store_.put(std::vector<store::Put>{{store::Table::kMeta, name, std::move(value)}},
                    store::Durability::kSynced);
}

Result<void> ImportCheckpoints::forget(const std::string& name) {
  return store_.erase(std::vector<store::KeyRef>{{store::Table::kMeta, name}},
                      store::Durability::kSynced);
}

Result<std::vector<std::string>> ImportCheckpoints::pending() {
  std::vector<std::string> names;
  SR_TRY(store_.scan(store::Table::kMeta, kPrefix, kPrefixEnd,
                     [&](std::string_view key, std::string_view value) {
                       const std::string name_of(key);
                       const auto checkpoint = open(name_of, as_bytes(value));
                       if (checkpoint && checkpoint->has_pending()) names.push_back(name_of);
                       return true;
                     }));
  return names;
}

}  // namespace strongroom::gateway
