#include "strongroom/crypto/x509.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "strongroom/base/check.h"
#include "strongroom/crypto/random.h"

namespace strongroom::crypto {
namespace {

struct Deleter {
  void operator()(X509* p) const { X509_free(p); }
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(BIO* p) const { BIO_free_all(p); }
  void operator()(BIGNUM* p) const { BN_free(p); }
  void operator()(X509_EXTENSION* p) const { X509_EXTENSION_free(p); }
};
template <class T>
using Owned = std::unique_ptr<T, Deleter>;

constexpr size_t kSerialBytes = 16;
constexpr size_t kCommonNameMax = 64;  // RFC 5280, ub-common-name.
constexpr size_t kHostNameMax = 253;
constexpr size_t kNamesMax = 100;

Error refused(const char* text) {
  return make_error(ErrorCode::kInvalidArgument, text);
}

bool printable_name(std::string_view name) {
  return !name.empty() && name.size() <= kCommonNameMax &&
         std::all_of(name.begin(), name.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

bool is_address(const std::string& name) {
  uint8_t bytes[16];
  return inet_pton(AF_INET, name.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, name.c_str(), bytes) == 1;
}

// Letters, digits, hyphens and dots, so that a name can never end its entry in the extension's
// text.
bool is_host_name(std::string_view name) {
  return !name.empty() && name.size() <= kHostNameMax && name.front() != '.' &&
         name.front() != '-' && std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '.';
         });
}

// Everything but the signature.
Owned<X509> blank_certificate(EVP_PKEY* key, std::string_view common_name, Validity validity) {
  Owned<X509> certificate(X509_new());
  SR_CHECK(certificate && X509_set_version(certificate.get(), X509_VERSION_3) == 1, "X509_new");
  ByteArray<kSerialBytes> serial;
  random_bytes(serial);
  serial[0] = static_cast<uint8_t>((serial[0] & 0x7f) | 0x40);  // Positive, and of fixed length.
  Owned<BIGNUM> number(BN_bin2bn(serial.data(), kSerialBytes, nullptr));
  SR_CHECK(number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate.get())) !=
                         nullptr,
           "certificate serial");
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  SR_CHECK(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                      reinterpret_cast<const uint8_t*>(common_name.data()),
                                      static_cast<int>(common_name.size()), -1, 0) == 1,
           "certificate name");
  SR_CHECK(
      ASN1_TIME_set(X509_getm_notBefore(certificate.get()), validity.not_before_s) != nullptr &&
          ASN1_TIME_set(X509_getm_notAfter(certificate.get()), validity.not_after_s) != nullptr,
      "certificate validity");
  SR_CHECK(X509_set_pubkey(certificate.get(), key) == 1, "certificate key");
  return certificate;
}

bool add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  Owned<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

std::string pem_of(X509* certificate) {
  Owned<BIO> bio(BIO_new(BIO_s_mem()));
  SR_CHECK(bio && PEM_write_bio_X509(bio.get(), certificate) == 1, "certificate to PEM");
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<size_t>(size)};
}

SecretBuffer pem_of(EVP_PKEY* key) {
  Owned<BIO> bio(BIO_new(BIO_s_secmem()));  // Wiped when freed.
  SR_CHECK(bio && PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr,
                                                nullptr) == 1,
           "key to PEM");
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  SecretBuffer out(static_cast<size_t>(size));
  memcpy(out.write(SecretAccess{}).data(), data, out.size());
  return out;
}

Owned<BIO> reader_of(Bytes bytes) {
  return Owned<BIO>(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
}

Error does_not_fit() {
  return refused(
      "the authority's certificate and key (ca.pem, ca.key) are damaged or do not belong "
      "together: put both back from a backup. Nothing was lost");
}

}  // namespace

Result<CertificateAndKey> make_authority(std::string_view name, Validity validity) {
  if (!printable_name(name)) return refused("an authority's name has 1 to 64 printable characters");
  if (validity.not_after_s <= validity.not_before_s) return refused("the validity is empty");
  Owned<EVP_PKEY> key(EVP_EC_gen("P-256"));
  SR_CHECK(key != nullptr, "P-256 key");
  auto certificate = blank_certificate(key.get(), name, validity);
  X509* x = certificate.get();
  SR_CHECK(X509_set_issuer_name(x, X509_get_subject_name(x)) == 1 &&
               add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
               add_extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
               add_extension(x, x, NID_subject_key_identifier, "hash"),
           "authority extensions");
  SR_CHECK(X509_sign(x, key.get(), EVP_sha256()) > 0, "authority signature");
  return CertificateAndKey{pem_of(x), pem_of(key.get())};
}

Result<CertificateAndKey> make_server_certificate(std::string_view authority_pem,
                                                  Bytes authority_key_pem,
                                                  std::span<const std::string> names,
                                                  Validity validity) {
  constexpr size_t kPemMax = 64u << 10;
  if (authority_pem.size() > kPemMax || authority_key_pem.size() > kPemMax ||
      names.size() > kNamesMax) {
    return refused("the authority's files are too large, or there are more than 100 names");
  }
  if (validity.not_after_s <= validity.not_before_s) return refused("the validity is empty");
  Owned<X509> authority(
      PEM_read_bio_X509(reader_of(as_bytes(authority_pem)).get(), nullptr, nullptr, nullptr));
  // An empty password, so that OpenSSL never asks the terminal for one.
  Owned<EVP_PKEY> authority_key(PEM_read_bio_PrivateKey(reader_of(authority_key_pem).get(), nullptr,
                                                        nullptr, const_cast<char*>("")));
  if (!authority || !authority_key ||
      X509_check_private_key(authority.get(), authority_key.get()) != 1) {
    return does_not_fit();
  }

  std::vector<std::string> all = {"localhost", "127.0.0.1", "::1"};
  for (const std::string& name : names) {
    if (!is_address(name) && !is_host_name(name)) {
      return refused("a server's name must be a host name or an IP address");
    }
    if (std::find(all.begin(), all.end(), name) == all.end()) all.push_back(name);
  }
  std::string alternatives;
  for (const std::string& name : all) {
    if (!alternatives.empty()) alternatives.push_back(',');
    alternatives.append(is_address(name) ? "IP:" : "DNS:").append(name);
  }

  Owned<EVP_PKEY> key(EVP_EC_gen("P-256"));
  SR_CHECK(key != nullptr, "P-256 key");
  auto certificate = blank_certificate(key.get(), "strongroom server", validity);
  X509* x = certificate.get();
  SR_CHECK(add_extension(x, authority.get(), NID_basic_constraints, "critical,CA:FALSE") &&
               add_extension(x, authority.get(), NID_key_usage, "critical,digitalSignature") &&
               add_extension(x, authority.get(), NID_ext_key_usage, "serverAuth") &&
               add_extension(x, authority.get(), NID_subject_key_identifier, "hash"),
           "server certificate extensions");
  // What comes from the authority's file can be anything.
  if (X509_set_issuer_name(x, X509_get_subject_name(authority.get())) != 1 ||
      !add_extension(x, authority.get(), NID_authority_key_identifier, "keyid")) {
    return does_not_fit();
  }
  if (!add_extension(x, authority.get(), NID_subject_alt_name, alternatives)) {
    return refused("a server's name does not fit into a certificate");
  }
  SR_CHECK(X509_sign(x, authority_key.get(), EVP_sha256()) > 0, "server certificate signature");
  // A key's file holds its public half too, and that alone was compared above. What clients would
  // refuse is refused here.
  EVP_PKEY* known = X509_get0_pubkey(authority.get());
  if (known == nullptr || X509_verify(authority.get(), known) != 1 || X509_verify(x, known) != 1) {
    return does_not_fit();
  }
  return CertificateAndKey{pem_of(x), pem_of(key.get())};
}

}  // namespace strongroom::crypto
