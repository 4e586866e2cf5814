#include "strongroom/index/unique.h"

#include <algorithm>

#include "strongroom/base/check.h"
#include "strongroom/crypto/aead.h"
#include "strongroom/crypto/hash.h"
#include "strongroom/crypto/prf.h"
#include "strongroom/crypto/random.h"

namespace strongroom::index {
namespace {

constexpr uint8_t kUniqueVersion = 1;
constexpr uint8_t kLabel = 0x48;
constexpr uint8_t kSecret0 = 0x62;
constexpr uint8_t kSecret1 = 0x63;
constexpr size_t kCollectionSize = 4;
constexpr size_t kPlainSize = 5 + 6 + 16;
static_assert(kUniqueValueSize == 1 + crypto::kGcmNonceSize + kPlainSize + crypto::kGcmTagSize);

SealingKey row_secret(const TermToken& token) {
  SealingKey key;
  crypto::prf_pair(token.read(SecretAccess{}), crypto::blk(kSecret0, 0), crypto::blk(kSecret1, 0),
                   key.write(SecretAccess{}));
  return key;
}

Error damaged_unique() {
  return make_error(
      ErrorCode::kDataLoss,
      "a unique row is damaged, forged or from another place; restore the store from a "
      "backup");
}

}  // namespace

ByteArray<15> unique_key(CollectionId collection, const TermToken& token) {
  crypto::Block label[1] = {crypto::blk(kLabel, 0)};
  crypto::prf_blocks(token.read(SecretAccess{}), label);
  ByteArray<15> key;
  store_be<uint32_t>(key.data(), collection.value);
  std::copy_n(label[0].begin(), key.size() - kCollectionSize, key.begin() + kCollectionSize);
  return key;
}

ByteArray<16> content_check(const TermToken& token, Bytes content) {
  const crypto::Digest digest =
      crypto::hmac_sha256(token.read(SecretAccess{}), {as_bytes("sr1.check"), content});
  ByteArray<16> check;
  std::copy_n(digest.begin(), check.size(), check.begin());
  return check;
}

std::string seal_unique(Bytes key, const TermToken& token, const UniqueRow& row) {
  SR_CHECK(row.version.idx.value <= RecordIndex::kMax && row.version.u.value <= kVersionMax,
           "a record index has 40 bits and a version 48");
  ByteArray<kPlainSize> plain;
  store_be<uint64_t>(plain.data(), row.version.idx.value, 5);
  store_be<uint64_t>(plain.data() + 5, row.version.u.value, 6);
  std::copy(row.check.begin(), row.check.end(), plain.begin() + 11);
  ByteArray<crypto::kGcmNonceSize> nonce;
  crypto::random_nonce(nonce);
  std::string value;
  value.reserve(kUniqueValueSize);
  value.push_back(static_cast<char>(kUniqueVersion));
  append(value, nonce);
  crypto::gcm_seal(row_secret(token).read(SecretAccess{}), nonce, key, plain, value);
  return value;
}

Result<UniqueRow> open_unique(Bytes key, const TermToken& token, Bytes value) {
  if (value.size() != kUniqueValueSize || value[0] != kUniqueVersion) return damaged_unique();
  const auto nonce = value.subspan(1).first<crypto::kGcmNonceSize>();
  ByteArray<kPlainSize> plain;
  SR_TRY(crypto::gcm_open(row_secret(token).read(SecretAccess{}), nonce, key,
                          value.subspan(1 + crypto::kGcmNonceSize), plain));
  UniqueRow row;
  row.version.idx = {load_be<uint64_t>(plain.data(), 5)};
  row.version.u = {load_be<uint64_t>(plain.data() + 5, 6)};
  std::copy(plain.begin() + 11, plain.end(), row.check.begin());
  return row;
}

}  // namespace strongroom::index
