#include "strongroom/crypto/aead.h"

#include <sodium.h>

#include "strongroom/crypto/evp.h"
#include "strongroom/crypto/random.h"

namespace strongroom::crypto {
namespace {

CipherContext new_gcm(bool sealing) {
  // Fetched once and never freed: it must outlive every thread's context.
  static EVP_CIPHER* const kCipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  CipherContext context(EVP_CIPHER_CTX_new());
  SR_CHECK(kCipher != nullptr && context != nullptr, "OpenSSL offers no AES-256-GCM");
  SR_CHECK(EVP_CipherInit_ex2(context.get(), kCipher, nullptr, nullptr, sealing, nullptr) == 1,
           "AES-256-GCM did not start");
  return context;
}

// libsodium takes a third of OpenSSL's time for a message of a hundred bytes under a fresh key,
// most of which goes into OpenSSL's parameters; OpenSSL is faster from some hundreds on.
constexpr size_t kSodiumBytesMax = 512;
static_assert(crypto_aead_aes256gcm_NPUBBYTES == kGcmNonceSize);
static_assert(crypto_aead_aes256gcm_ABYTES == kGcmTagSize);

// It has AES-GCM only where the processor has the instructions.
bool by_sodium(size_t size) {
  static const bool kAvailable = [] {
    init();
    return crypto_aead_aes256gcm_is_available() == 1;
  }();
  return size <= kSodiumBytesMax && kAvailable;
}

Error forged() {
  return make_error(ErrorCode::kDataLoss,
                    "sealed bytes are damaged, forged or from another place; restore them from a "
                    "backup");
}

}  // namespace

void gcm_seal(std::span<const uint8_t, 32> key, std::span<const uint8_t, kGcmNonceSize> nonce,
              Bytes ad, Bytes plaintext, std::string& out) {
  const size_t start = out.size();
  out.resize(start + plaintext.size() + kGcmTagSize);
  uint8_t* to = reinterpret_cast<uint8_t*>(out.data()) + start;
  if (by_sodium(plaintext.size())) {
    SR_CHECK(crypto_aead_aes256gcm_encrypt(to, nullptr, data_or_dummy(plaintext), plaintext.size(),
                                           data_or_dummy(ad), ad.size(), nullptr, nonce.data(),
                                           key.data()) == 0,
             "AES-256-GCM failed to seal");
    return;
  }
  thread_local const CipherContext owner = new_gcm(true);
  EVP_CIPHER_CTX* context = owner.get();
  const int size = evp_size(plaintext.size());
  int written = 0;
  bool ok = EVP_EncryptInit_ex(context, nullptr, nullptr, key.data(), nonce.data()) == 1;
  if (!ad.empty()) {
    ok = ok && EVP_EncryptUpdate(context, nullptr, &written, ad.data(), evp_size(ad.size())) == 1;
  }
  if (size > 0) {
    ok = ok && EVP_EncryptUpdate(context, to, &written, plaintext.data(), size) == 1 &&
         written == size;
  }
  ok = ok && EVP_EncryptFinal_ex(context, to + size, &written) == 1 && written == 0 &&
       EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kGcmTagSize, to + size) == 1;
  SR_CHECK(ok, "AES-256-GCM failed to seal");
}

Result<void> gcm_open(std::span<const uint8_t, 32> key,
                      std::span<const uint8_t, kGcmNonceSize> nonce, Bytes ad, Bytes sealed,
                      MutableBytes plaintext) {
  if (sealed.size() < kGcmTagSize) return forged();
  SR_CHECK(plaintext.size() == sealed.size() - kGcmTagSize, "gcm_open got a wrong output size");
  if (by_sodium(plaintext.size())) {
    uint8_t nothing = 0;
    if (crypto_aead_aes256gcm_decrypt(plaintext.empty() ? &nothing : plaintext.data(), nullptr,
                                      nullptr, sealed.data(), sealed.size(), data_or_dummy(ad),
                                      ad.size(), nonce.data(), key.data()) == 0) {
      return {};
    }
    if (!plaintext.empty()) explicit_bzero(plaintext.data(), plaintext.size());
    return forged();
  }
  thread_local const CipherContext owner = new_gcm(false);
  EVP_CIPHER_CTX* context = owner.get();
  const int size = evp_size(plaintext.size());
  ByteArray<kGcmTagSize> tag;
  memcpy(tag.data(), sealed.data() + size, tag.size());
  int written = 0;
  bool ok = EVP_DecryptInit_ex(context, nullptr, nullptr, key.data(), nonce.data()) == 1;
  if (!ad.empty()) {
    ok = ok && EVP_DecryptUpdate(context, nullptr, &written, ad.data(), evp_size(ad.size())) == 1;
  }
  if (size > 0) {
    ok = ok && EVP_DecryptUpdate(context, plaintext.data(), &written, sealed.data(), size) == 1 &&
         written == size;
  }
  ok = ok && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kGcmTagSize, tag.data()) == 1;
  SR_CHECK(ok, "AES-256-GCM failed to open");
  uint8_t end[16];  // GCM writes nothing at the end, but wants a place.
  if (EVP_DecryptFinal_ex(context, end, &written) != 1) {
    if (size > 0) explicit_bzero(plaintext.data(), plaintext.size());
    return forged();
  }
  return {};
}

std::string xchacha_seal(const SealingKey& key, Bytes ad, Bytes plaintext) {
  init();
  std::string out(kXChaChaNonceSize + plaintext.size() + crypto_aead_xchacha20poly1305_ietf_ABYTES,
                  '\0');
  uint8_t* to = reinterpret_cast<uint8_t*>(out.data());
  random_bytes({to, kXChaChaNonceSize});
  SR_CHECK(crypto_aead_xchacha20poly1305_ietf_encrypt(
               to + kXChaChaNonceSize, nullptr, data_or_dummy(plaintext), plaintext.size(),
               data_or_dummy(ad), ad.size(), nullptr, to, key.read(SecretAccess{}).data()) == 0,
           "XChaCha20-Poly1305 failed to seal");
  return out;
}

Result<SecretBuffer> xchacha_open(const SealingKey& key, Bytes ad, Bytes sealed) {
  init();
  constexpr size_t kOverhead = kXChaChaNonceSize + crypto_aead_xchacha20poly1305_ietf_ABYTES;
  if (sealed.size() < kOverhead) return forged();
  SecretBuffer plaintext(sealed.size() - kOverhead);
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(
          plaintext.write(SecretAccess{}).data(), nullptr, nullptr,
          sealed.data() + kXChaChaNonceSize, sealed.size() - kXChaChaNonceSize, data_or_dummy(ad),
          ad.size(), sealed.data(), key.read(SecretAccess{}).data()) != 0) {
    return forged();
  }
  return plaintext;
}

}  // namespace strongroom::crypto
