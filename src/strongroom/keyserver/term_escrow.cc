#include "strongroom/keyserver/term_escrow.h"

#include "strongroom/crypto/aead.h"
#include "strongroom/crypto/derive.h"

namespace strongroom::keyserver {
namespace {

constexpr std::string_view kLabel = "sr1.term-key";
constexpr std::string_view kAuthorityLabel = "sr1.ca-key";

}  // namespace

SealingKey term_escrow_key(const SealingKey& root) {
  return crypto::derive_sealing_key(root.read(SecretAccess{}), "sr1.escrow");
}

std::string seal_term_key(const SealingKey& escrow_key, const TermKey& term_key) {
  return crypto::xchacha_seal(escrow_key, as_bytes(kLabel), term_key.read(SecretAccess{}));
}

Result<TermKey> open_term_key(const SealingKey& escrow_key, Bytes escrow) {
  const auto opened = crypto::xchacha_open(escrow_key, as_bytes(kLabel), escrow);
  if (escrow.size() != kTermEscrowSize || !opened || opened->size() != TermKey::kSize) {
    return make_error(ErrorCode::kDataLoss,
                      "keyserver/term-key.escrow is damaged, or sealed under another root key. "
                      "Restore it from a backup taken with vault.json.");
  }
  return TermKey(opened->read(SecretAccess{}).first<32>());
}

std::string seal_authority_key(const SealingKey& escrow_key, Bytes pem) {
  return crypto::xchacha_seal(escrow_key, as_bytes(kAuthorityLabel), pem);
}

Result<SecretBuffer> open_authority_key(const SealingKey& escrow_key, Bytes escrow) {
  auto opened = crypto::xchacha_open(escrow_key, as_bytes(kAuthorityLabel), escrow);
  if (opened) return *std::move(opened);
  return make_error(ErrorCode::kDataLoss,
                    "keyserver/ca-key.escrow is damaged, or sealed under another root key. Restore "
                    "another backup.");
}

}  // namespace strongroom::keyserver
