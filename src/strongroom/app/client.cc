#include "strongroom/app/client.h"

#include "strongroom/base/bytes.h"
#include "strongroom/crypto/hash.h"
#include "strongroom/crypto/random.h"
#include "strongroom/env/clock.h"
#include "strongroom/keyserver/admin_auth.h"

namespace strongroom::app {
namespace {

constexpr char kTicketDomain[] = "strongroom ticket v1";  // With its terminating zero.

ByteArray<16> vault_bytes(const Credential& credential) {
  ByteArray<16> vault{};
  SR_CHECK(from_hex(credential.connection.vault_hex, vault),
           "checked when the credential was loaded");
  return vault;
}

constexpr char kLogKeysPath[] = "/strongroom.v1.AdminService/LogKeys";

// What a reply must be signed for.
struct Sent {
  std::string authorization;
  crypto::Digest body_sha256{};
};

}  // namespace

std::string fresh_id() {
  ByteArray<16> id;
  crypto::random_bytes(id);
  return std::string(as_text(id));
}

v1::SignedTicket sign_ticket(const Credential& credential, const TicketTerms& terms,
                             uint64_t now_ms) {
  v1::Ticket ticket;
  ticket.set_vault(std::string(as_text(vault_bytes(credential))));
  ticket.set_gateway(credential.connection.gateway);
  ticket.set_principal(credential.principal);
  ticket.set_purpose(terms.purpose);
  ticket.set_case_reference(terms.case_reference);
  ticket.set_collection(terms.collection);
  ticket.set_records_max(terms.records_max);
  ticket.set_erases(terms.erases);
  ticket.set_changes(terms.changes);
  ticket.set_export_(terms.export_request);
  ticket.set_nonce(fresh_id());
  ticket.set_issued_ms(now_ms);
  ticket.set_expires_ms(now_ms + terms.lifetime_s * 1000);
  v1::SignedTicket out;
  ticket.SerializeToString(out.mutable_ticket());
  const std::string message = std::string(kTicketDomain, sizeof kTicketDomain) + out.ticket();
  out.set_signature(std::string(as_text(credential.key.sign(as_bytes(message)))));
  return out;
}

tlog::NoteKey log_key_of(const Credential& credential) {
  crypto::PublicKey key{};
  std::copy(credential.connection.log_key.begin(), credential.connection.log_key.end(),
            key.begin());
  return {credential.connection.log_origin, tlog::NoteKeyType::kEd25519, key};
}

AdminClient::AdminClient(const Credential& credential, std::unique_ptr<rpc::ConnectClient> client)
    : credential_(credential), client_(std::move(client)), keys_(log_key_of(credential)) {}

Result<std::unique_ptr<AdminClient>> AdminClient::connect(const Credential& credential) {
  SR_ASSIGN(auto endpoint, endpoint_of(credential.connection.keyserver_at, credential.connection));
  SR_ASSIGN(auto client, rpc::ConnectClient::connect(std::move(endpoint)));
  return std::unique_ptr<AdminClient>(new AdminClient(credential, std::move(client)));
}

rpc::CallOptions AdminClient::options(const std::string& path, Unsigned if_unsigned) {
  rpc::CallOptions out;
  const auto sent = std::make_shared<Sent>();
  out.authorize = [this, path, sent](std::string_view body) -> Result<std::string> {
    ByteArray<16> nonce{};
    crypto::random_bytes(nonce);
    sent->body_sha256 = crypto::sha256(as_bytes(body));
    sent->authorization = keyserver::make_authorization(
        vault_bytes(credential_), credential_.principal, credential_.key,
        env::real_clock().wall_ms(), nonce, path, body);
    return sent->authorization;
  };
  out.check_reply = [this, path, sent, if_unsigned = std::move(if_unsigned)](
                        const rpc::HttpReply& reply) -> Result<void> {
    const std::string_view code = reply.header("strongroom-code");
    const std::string_view signature = reply.header("strongroom-signature");
    if (signature.empty()) {
      if (reply.status == 503 && code == error_code_name(ErrorCode::kUnavailable)) {
        return make_error(ErrorCode::kUnavailable,
                          "the vault is sealed; its share holders open it with `strongroom unseal` "
                          "(not verified: a sealed vault cannot sign what it says)");
      }
      if (const auto believed = if_unsigned ? if_unsigned(reply) : std::nullopt) return *believed;
    }
    const auto is_signed = [&] {
      return keyserver::verify_reply(keys_.newest(),
                                     {false, path, sent->authorization, sent->body_sha256},
                                     {reply.status, code, reply.header("strongroom-number"),
                                      reply.header("strongroom-retry-after-ms"), reply.body},
                                     signature);
    };
    // Of the keys the reply itself tells; of any other it does once they are known.
    if (path == kLogKeysPath) {
      follow_keys(reply);
    } else if (!is_signed()) {
      static_cast<void>(log_keys());
    }
    if (!is_signed()) {
      return make_error(ErrorCode::kUnauthenticated,
                        "the key server's answer is not signed by this vault's key; it was not "
                        "believed. Somebody may be "
                        "in between, or the credential is of another vault");
    }
    return {};
  };
  return out;
}

Result<tlog::LogKeys> AdminClient::log_keys(v1::LogKeysResponse* response) {
  SR_ASSIGN(auto told, (call<v1::LogKeysRequest, v1::LogKeysResponse>("LogKeys", {})));
  SR_ASSIGN(auto keys, tlog::LogKeys::follow(log_key_of(credential_), told.changes()));
  if (response != nullptr) *response = std::move(told);
  return keys;
}

void AdminClient::follow_keys(const rpc::HttpReply& reply) {
  v1::LogKeysResponse told;
  if (reply.status != 200 || !rpc::decode_message(false, reply.body, told)) return;
  auto keys = tlog::LogKeys::follow(log_key_of(credential_), told.changes());
  if (keys) keys_ = *std::move(keys);
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
