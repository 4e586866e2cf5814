#include "strongroom/crypto/x509.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "strongroom/crypto/random.h"

namespace strongroom::crypto {
namespace {

constexpr Validity kValidity{1'700'000'000, 1'800'000'000};
constexpr time_t kInside = 1'750'000'000;

X509* parse(const std::string& pem) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  X509* out = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  return out;
}

// X509_V_OK, or why a client that trusts `authority` would refuse `server`, for TLS at the time
// `when`.
int verdict(const std::string& authority, const std::string& server, time_t when) {
  X509* root = parse(authority);
  X509* leaf = parse(server);
  X509_STORE* store = X509_STORE_new();
  X509_STORE_add_cert(store, root);
  X509_STORE_CTX* context = X509_STORE_CTX_new();
  X509_STORE_CTX_init(context, store, leaf, nullptr);
  X509_VERIFY_PARAM* param = X509_STORE_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_time(param, when);
  X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
  X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
  X509_verify_cert(context);
  const int result = X509_STORE_CTX_get_error(context);
  X509_STORE_CTX_free(context);
  X509_STORE_free(store);
  X509_free(leaf);
  X509_free(root);
  return result;
}

class X509Test : public testing::Test {
 protected:
  X509Test() { init(); }
  static CertificateAndKey authority() {
    auto made = make_authority("strongroom test", kValidity);
    EXPECT_TRUE(made);
    return std::move(*made);
  }
  static Result<CertificateAndKey> server(const CertificateAndKey& by,
                                          const std::vector<std::string>& names) {
    return make_server_certificate(by.certificate_pem, by.key_pem.read(SecretAccess{}), names,
                                   kValidity);
  }
};

TEST_F(X509Test, AStrictClientAcceptsItWhileItIsValidAndNoLonger) {
  const auto root = authority();
  const auto leaf = server(root, {});
  ASSERT_TRUE(leaf);
  EXPECT_EQ(verdict(root.certificate_pem, leaf->certificate_pem, kInside), X509_V_OK);
  EXPECT_EQ(verdict(root.certificate_pem, leaf->certificate_pem, kValidity.not_after_s + 1),
            X509_V_ERR_CERT_HAS_EXPIRED);
  EXPECT_EQ(verdict(root.certificate_pem, leaf->certificate_pem, kValidity.not_before_s - 1),
            X509_V_ERR_CERT_NOT_YET_VALID);
  EXPECT_NE(verdict(authority().certificate_pem, leaf->certificate_pem, kInside), X509_V_OK);
}

TEST_F(X509Test, NamesAreExactlyThoseAskedForAndTheLocalOnes) {
  const auto leaf = server(authority(), {"vault.example.org", "10.0.0.7", "fd00::7", "localhost"});
  ASSERT_TRUE(leaf);
  X509* x = parse(leaf->certificate_pem);
  for (const char* name : {"localhost", "vault.example.org"}) {
    EXPECT_EQ(X509_check_host(x, name, 0, 0, nullptr), 1) << name;
  }
  for (const char* name : {"127.0.0.1", "::1", "10.0.0.7", "fd00::7"}) {
    EXPECT_EQ(X509_check_ip_asc(x, name, 0), 1) << name;
  }
  EXPECT_EQ(X509_check_host(x, "other.example.org", 0, 0, nullptr), 0);
  EXPECT_EQ(X509_check_ip_asc(x, "10.0.0.8", 0), 0);
  X509_free(x);
}

TEST_F(X509Test, AServerCertificateCannotSignOthers) {
  const auto root = authority();
  const auto leaf = server(root, {});
  ASSERT_TRUE(leaf);
  EXPECT_FALSE(server(*leaf, {}));
  X509* parsed = parse(leaf->certificate_pem);
  EXPECT_EQ(X509_check_ca(parsed), 0);
  X509_free(parsed);
}

TEST_F(X509Test, SerialsAndKeysDiffer) {
  const auto root = authority();
  const auto one = server(root, {});
  const auto two = server(root, {});
  X509* a = parse(one->certificate_pem);
  X509* b = parse(two->certificate_pem);
  EXPECT_NE(ASN1_INTEGER_cmp(X509_get0_serialNumber(a), X509_get0_serialNumber(b)), 0);
  EXPECT_EQ(EVP_PKEY_eq(X509_get0_pubkey(a), X509_get0_pubkey(b)), 0);
  X509_free(a);
  X509_free(b);
}

TEST_F(X509Test, RefusesNamesThatAreNone) {
  const auto root = authority();
  for (const char* name :
       {"", "a b", "x,DNS:evil.example", "-x", ".x", "ex*mple", "a/b", "\xc3\xa9.example"}) {
    const auto made = server(root, {name});
    ASSERT_FALSE(made) << name;
    EXPECT_EQ(made.error().code, ErrorCode::kInvalidArgument);
  }
  EXPECT_FALSE(make_authority("", kValidity));
  EXPECT_FALSE(make_authority(std::string(65, 'x'), kValidity));
  EXPECT_FALSE(make_authority("x", {5, 5}));
}

TEST_F(X509Test, RefusesAnAuthorityThatDoesNotLoadOrMatch) {
  const auto root = authority();
  const auto other = authority();
  EXPECT_FALSE(make_server_certificate(root.certificate_pem, other.key_pem.read(SecretAccess{}), {},
                                       kValidity));
  EXPECT_FALSE(make_server_certificate("", {}, {}, kValidity));
  EXPECT_FALSE(make_server_certificate("-----BEGIN CERTIFICATE-----\n",
                                       root.key_pem.read(SecretAccess{}), {}, kValidity));
}

// Found by e2e_tamper: a changed key made certificates that no client takes, a changed certificate
// ended the process.
TEST_F(X509Test, WhateverByteOfTheAuthorityIsChangedItIsRefusedOrMakesWhatClientsTake) {
  const auto root = authority();
  const std::string key(as_text(root.key_pem.read(SecretAccess{})));
  const auto take = [&](const std::string& certificate_pem, const std::string& key_pem, size_t at) {
    const auto made = make_server_certificate(certificate_pem, as_bytes(key_pem), {}, kValidity);
    if (!made) return;
    EXPECT_EQ(verdict(root.certificate_pem, made->certificate_pem, kInside), X509_V_OK) << at;
  };
  for (const int bit : {1, 2, 16}) {
    for (size_t at = 0; at < root.certificate_pem.size(); ++at) {
      std::string changed = root.certificate_pem;
      changed[at] = static_cast<char>(changed[at] ^ bit);
      take(changed, key, at);
    }
    for (size_t at = 0; at < key.size(); ++at) {
      std::string changed = key;
      changed[at] = static_cast<char>(changed[at] ^ bit);
      take(root.certificate_pem, changed, at);
    }
  }
}

}  // namespace
}  // namespace strongroom::crypto
