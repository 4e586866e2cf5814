#include "strongroom/crypto/prf.h"

#include "strongroom/crypto/evp.h"

namespace strongroom::crypto {
namespace {

CipherContext new_context() {
  // Fetched once and never freed: it must outlive every thread's context.
  static EVP_CIPHER* const kCipher = EVP_CIPHER_fetch(nullptr, "AES-256-ECB", nullptr);
  CipherContext context(EVP_CIPHER_CTX_new());
  SR_CHECK(kCipher != nullptr && context != nullptr, "OpenSSL offers no AES-256-ECB");
  SR_CHECK(EVP_EncryptInit_ex2(context.get(), kCipher, nullptr, nullptr, nullptr) == 1,
           "AES-256-ECB did not start");
  // Padding would come with EVP_EncryptFinal only, which is never called. Turning it off costs a
  // quarter of each new key, since OpenSSL then tells the cipher again.
  return context;
}

void set_key(EVP_CIPHER_CTX* context, std::span<const uint8_t, 32> key) {
  SR_CHECK(EVP_EncryptInit_ex(context, nullptr, nullptr, key.data(), nullptr) == 1,
           "AES-256 did not take its key");
}

void encrypt(EVP_CIPHER_CTX* context, MutableBytes blocks) {
  int written = 0;
  const int size = evp_size(blocks.size());
  SR_CHECK(EVP_EncryptUpdate(context, blocks.data(), &written, blocks.data(), size) == 1 &&
               written == size,
           "AES-256-ECB failed");
}

MutableBytes bytes_of(std::span<Block> blocks) {
  return {reinterpret_cast<uint8_t*>(blocks.data()), blocks.size_bytes()};
}

EVP_CIPHER_CTX* thread_context() {
  thread_local const CipherContext context = new_context();
  return context.get();
}

}  // namespace

void prf_blocks(std::span<const uint8_t, 32> key, std::span<Block> blocks) {
  if (blocks.empty()) return;
  EVP_CIPHER_CTX* context = thread_context();
  set_key(context, key);
  encrypt(context, bytes_of(blocks));
}

void prf_pair(std::span<const uint8_t, 32> key, const Block& a, const Block& b,
              std::span<uint8_t, 32> out) {
  EVP_CIPHER_CTX* context = thread_context();
  set_key(context, key);  // Before `out` is written: it may be the key itself.
  memcpy(out.data(), a.data(), 16);
  memcpy(out.data() + 16, b.data(), 16);
  encrypt(context, out);
}

void prf_forget() {
  static constexpr ByteArray<32> kZeros{};
  set_key(thread_context(), kZeros);
}

struct Prf::Impl {
  CipherContext context = new_context();
};

Prf::Prf(std::span<const uint8_t, 32> key) : impl_(std::make_unique<Impl>()) {
  set_key(impl_->context.get(), key);
}
Prf::~Prf() = default;
Prf::Prf(Prf&&) noexcept = default;
Prf& Prf::operator=(Prf&&) noexcept = default;

void Prf::operator()(std::span<Block> blocks) {
  if (!blocks.empty()) encrypt(impl_->context.get(), bytes_of(blocks));
}

Block Prf::operator()(const Block& block) {
  Block out = block;
  encrypt(impl_->context.get(), out);
  return out;
}

}  // namespace strongroom::crypto
