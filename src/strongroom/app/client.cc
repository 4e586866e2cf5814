#include "strongroom/app/client.h"

#include "strongroom/base/bytes.h"
#include "strongroom/crypto/hash.h"
#include "strongroom/crypto/random.h"
#include "strongroom/env/clock.h"

namespace strongroom::app {
namespace {

constexpr char kTicketDomain[] = "strongroom ticket v1";  // With its terminating zero.
constexpr char kAdminDomain[] = "strongroom admin v1";
constexpr char kReplyDomain[] = "strongroom reply v1";

template <size_t N>
void append_domain(std::string& out, const char (&domain)[N]) {
  out.append(domain, N);
}

std::string vault_bytes(const Credential& credential) {
  ByteArray<16> vault{};
  SR_CHECK(from_hex(credential.connection.vault_hex, vault),
           "checked when the credential was loaded");
  return std::string(as_text(vault));
}

}  // namespace

std::string fresh_id() {
  ByteArray<16> id;
  crypto::random_bytes(id);
  return std::string(as_text(id));
}

v1::SignedTicket sign_ticket(const Credential& credential, const TicketTerms& terms,
                             uint64_t now_ms) {
  v1::Ticket ticket;
  ticket.set_vault(vault_bytes(credential));
  ticket.set_gateway(credential.connection.gateway);
  ticket.set_principal(credential.principal);
  ticket.set_purpose(terms.purpose);
  ticket.set_case_reference(terms.case_reference);
  ticket.set_collection(terms.collection);
  ticket.set_records_max(terms.records_max);
  ticket.set_nonce(fresh_id());
  ticket.set_issued_ms(now_ms);
  ticket.set_expires_ms(now_ms + terms.lifetime_s * 1000);
  v1::SignedTicket out;
  ticket.SerializeToString(out.mutable_ticket());
  std::string message;
  append_domain(message, kTicketDomain);
  message += out.ticket();
  out.set_signature(std::string(as_text(credential.key.sign(as_bytes(message)))));
  return out;
}

AdminClient::AdminClient(const Credential& credential, std::unique_ptr<rpc::ConnectClient> client)
    : credential_(credential), client_(std::move(client)) {}

Result<std::unique_ptr<AdminClient>> AdminClient::connect(const Credential& credential) {
  SR_ASSIGN(auto endpoint, endpoint_of(credential.connection.keyserver_at, credential.connection));
  SR_ASSIGN(auto client, rpc::ConnectClient::connect(std::move(endpoint)));
  return std::unique_ptr<AdminClient>(new AdminClient(credential, std::move(client)));
}

rpc::CallOptions AdminClient::options(const std::string& path, Signed is_signed) {
  rpc::CallOptions out;
  const std::string nonce = fresh_id();
  out.authorize = [this, path, nonce](std::string_view body) -> Result<std::string> {
    const uint64_t t_ms = env::real_clock().wall_ms();
    std::string message;
    append_domain(message, kAdminDomain);
    message += vault_bytes(credential_);
    append_be(message, t_ms);
    message += nonce;
    append(message, crypto::sha256(as_bytes(path)));
    append(message, crypto::sha256(as_bytes(body)));
    const auto signature = credential_.key.sign(as_bytes(message));
    return "v1 " + credential_.principal + " " + std::to_string(t_ms) + " " +
           to_base64(as_bytes(nonce)) + " " + to_base64(signature);
  };
  out.check_reply = [this, path, nonce, is_signed](const rpc::HttpReply& reply) -> Result<void> {
    // A sealed vault has no key to sign with. All that is believed unsigned is that it is not open.
    const bool not_open = reply.status != 200 && reply.header("strongroom-code") == "unavailable";
    const bool unsigned_reply = reply.header("strongroom-signature").empty();
    if (unsigned_reply && (is_signed == kUnsignedWhileSealed || not_open)) {
      return {};
    }
    std::string signature;
    std::string message;
    append_domain(message, kReplyDomain);
    message += nonce;
    append(message, crypto::sha256(as_bytes(path)));
    append(message, crypto::sha256(as_bytes(reply.body)));
    crypto::PublicKey key;
    std::copy(credential_.connection.log_key.begin(), credential_.connection.log_key.end(),
              key.begin());
    if (!from_base64(reply.header("strongroom-signature"), &signature) ||
        !crypto::verify(key, as_bytes(message), as_bytes(signature))) {
      return make_error(ErrorCode::kUnauthenticated,
                        "the key server's answer is not signed by this vault's key; it was not "
                        "believed. Somebody may be "
                        "in between, or the credential is of another vault");
    }
    return {};
  };
  return out;
}

Result<v1::Collection> AdminClient::collection(const std::string& name) {
  SR_ASSIGN(auto listed,
            (call<v1::ListCollectionsRequest, v1::ListCollectionsResponse>("ListCollections", {})));
  for (auto& collection : *listed.mutable_collections()) {
    if (collection.name() == name) return std::move(collection);
  }
  return make_error(
      ErrorCode::kNotFound,
      "there is no such collection; `strongroom collection list` shows those there are");
}

VaultClient::VaultClient(std::unique_ptr<rpc::ConnectClient> client) : client_(std::move(client)) {}

Result<std::unique_ptr<VaultClient>> VaultClient::connect(const Credential& credential) {
  SR_ASSIGN(auto endpoint, endpoint_of(credential.connection.gateway_at, credential.connection));
  SR_ASSIGN(auto client, rpc::ConnectClient::connect(std::move(endpoint)));
  return std::unique_ptr<VaultClient>(new VaultClient(std::move(client)));
}

}  // namespace strongroom::app
