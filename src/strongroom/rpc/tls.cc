#include "strongroom/rpc/tls.h"

#include <boost/asio/buffer.hpp>

namespace strongroom::rpc {

Result<ssl::context> make_server_tls(const std::string& certificate_pem,
                                     const std::string& key_pem) {
  ssl::context tls(ssl::context::tlsv13_server);
  boost::system::error_code error;
  tls.use_certificate_chain(boost::asio::buffer(certificate_pem), error);
  if (error) {
    return make_error(ErrorCode::kInvalidArgument,
                      "the server certificate does not load; it must be PEM");
  }
  tls.use_private_key(boost::asio::buffer(key_pem), ssl::context::pem, error);
  if (error || SSL_CTX_check_private_key(tls.native_handle()) != 1) {
    return make_error(ErrorCode::kInvalidArgument,
                      "the server key does not load or does not belong to the certificate");
  }
  // No resumption: it would need a ticket key that outlives connections. Connections are kept alive
  // instead.
  SSL_CTX_set_num_tickets(tls.native_handle(), 0);
  SSL_CTX_set_session_cache_mode(tls.native_handle(), SSL_SESS_CACHE_OFF);
  return tls;
}

Result<ssl::context> make_client_tls(const std::string& authority_pem) {
  ssl::context tls(ssl::context::tlsv13_client);
  boost::system::error_code error;
  tls.add_certificate_authority(boost::asio::buffer(authority_pem), error);
  if (authority_pem.empty() || error) {
    return make_error(
        ErrorCode::kInvalidArgument,
        "the certificate of the server's authority does not load; check the credential");
  }
  tls.set_verify_mode(ssl::verify_peer, error);
  return tls;
}

}  // namespace strongroom::rpc
