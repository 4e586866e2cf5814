// Calls to a vault: tickets for the gateway, signed requests for the key server.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "strongroom/app/credential.h"
#include "strongroom/rpc/connect_client.h"
#include "strongroom/tlog/log_keys.h"
#include "strongroom/v1/admin.pb.h"
#include "strongroom/v1/ticket.pb.h"
#include "strongroom/v1/vault.pb.h"

namespace strongroom::app {

struct TicketTerms {
  std::string purpose;
  std::string case_reference;
  uint32_t collection = 0;
  uint64_t records_max = 0;
  uint64_t lifetime_s = 300;
  uint64_t export_request = 0;  // Under this approved request, and for nothing else.
  std::string erases = {};      // keyserver::erasure_digest(): for an erasure, and nothing else.
  std::string changes = {};     // keyserver::change_digest(): for a change of that record alone.
};
v1::SignedTicket sign_ticket(const Credential& credential, const TicketTerms& terms,
                             uint64_t now_ms);
std::string fresh_id();  // 16 random bytes.

// That of the log, and of the key server's replies, as it is pinned.
tlog::NoteKey log_key_of(const Credential& credential);

inline constexpr char kNotVerified[] = "not verified: a sealed vault cannot sign what it says";

// The key server's own listener. Every request is signed; every reply's signature is checked
// against the newest of the vault's keys, over all of the call and of the reply that counts. Where
// that is not the one in the credential, the client follows the changes from there.
class AdminClient {
 public:
  static Result<std::unique_ptr<AdminClient>> connect(const Credential& credential);

  // Asked what to make of a reply without a signature, which anybody may have written: nothing (it
  // is refused), that it is believed all the same, or the error to fail with. A sealed vault cannot
  // sign, so that it is sealed is believed of any call; the text is then ours.
  using Unsigned = std::function<std::optional<Result<void>>(const rpc::HttpReply&)>;

  template <class Req, class Resp>
  Result<Resp> call(const char* method, const Req& request, Unsigned if_unsigned = {}) {
    const std::string path = std::string("/strongroom.v1.AdminService/") + method;
    return client_->unary<Req, Resp>(path, request, options(path, std::move(if_unsigned)));
  }
  // Whether it is a reply of this type that says "sealed".
  template <class Resp>
  static bool says_sealed(const rpc::HttpReply& reply) {
    Resp message;
    return reply.status == 200 && rpc::decode_message(false, reply.body, message) &&
           message.sealed();
  }
  // All the keys of the log there were; `response`, where given: what else was said of them.
  Result<tlog::LogKeys> log_keys(v1::LogKeysResponse* response = nullptr);
  // The collection of that name, as the key server has it.
  Result<v1::Collection> collection(const std::string& name);

 private:
  AdminClient(const Credential& credential, std::unique_ptr<rpc::ConnectClient> client);
  rpc::CallOptions options(const std::string& path, Unsigned if_unsigned);

  // By the keys that this very reply brings, if it brings any.
  void follow_keys(const rpc::HttpReply& reply);

  const Credential& credential_;
  std::unique_ptr<rpc::ConnectClient> client_;
  tlog::LogKeys keys_;
};

// The gateway's door.
class VaultClient {
 public:
  static Result<std::unique_ptr<VaultClient>> connect(const Credential& credential);

  template <class Req, class Resp>
  Result<Resp> call(const char* method, const Req& request) {
    return client_->unary<Req, Resp>(std::string("/strongroom.v1.VaultService/") + method, request);
  }

 private:
  explicit VaultClient(std::unique_ptr<rpc::ConnectClient> client);
  std::unique_ptr<rpc::ConnectClient> client_;
};

}  // namespace strongroom::app
