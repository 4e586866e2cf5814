// TLS 1.3 and nothing older, for the door and for the clients that knock. For .cc files of this
// folder only.
//
// OpenSSL belongs to crypto/, with this one exception: TLS is the transport's, and Boost.Asio hands
// OpenSSL's own types out. Keys and certificates are made in crypto/x509.h.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <string>

#include "strongroom/base/result.h"

namespace strongroom::rpc {

namespace ssl = boost::asio::ssl;

//   kInvalidArgument  Certificate or key do not load, or do not belong together.
Result<ssl::context> make_server_tls(const std::string& certificate_pem,
                                     const std::string& key_pem);
// Trusts this authority and no other.
//   kInvalidArgument  It does not load.
Result<ssl::context> make_client_tls(const std::string& authority_pem);

}  // namespace strongroom::rpc
