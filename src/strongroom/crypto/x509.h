// X.509 certificates for our own doors: a private authority and the server certificates it signs.
// ECDSA P-256, which curl and every browser accept.  Source: RFC 5280.
#pragma once

#include <span>
#include <string>

#include "strongroom/base/result.h"
#include "strongroom/base/secret.h"

namespace strongroom::crypto {

struct CertificateAndKey {
  std::string certificate_pem;
  SecretBuffer key_pem;  // PKCS #8, not encrypted.
};

struct Validity {
  int64_t not_before_s = 0;  // Unix time.
  int64_t not_after_s = 0;
};

// A self-signed authority that can sign server certificates and nothing below them.
//   kInvalidArgument  `name` is empty, longer than 64 bytes or not printable; or the validity is
//   empty.
Result<CertificateAndKey> make_authority(std::string_view name, Validity validity);

// A server certificate for localhost, 127.0.0.1, ::1 and `names` (host names and IP addresses),
// with a key of its own.
//   kInvalidArgument  A name is neither host name nor address; or authority and key do not load or
//   match, or the authority has not signed itself: clients would refuse what it makes.
Result<CertificateAndKey> make_server_certificate(std::string_view authority_pem,
                                                  Bytes authority_key_pem,
                                                  std::span<const std::string> names,
                                                  Validity validity);

}  // namespace strongroom::crypto
