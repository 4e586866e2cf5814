// The strongroom-authorization header of the admin listener: a signature over one call, good for a
// minute, used once.
//
//   v1 PRINCIPAL T_MS NONCE SIGNATURE     NONCE and SIGNATURE in base64, T_MS decimal, single
//   spaces SIGNATURE = Ed25519("strongroom admin v1\0" | vault 16 | t_ms u64be | nonce 16 |
//   sha256(path) | sha256(body))
//
// And the strongroom-signature header of a reply, which binds it to that very call
// (reply_message(); docs/spec/ticket.md).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "strongroom/base/bytes.h"
#include "strongroom/base/result.h"
#include "strongroom/crypto/hash.h"
#include "strongroom/crypto/sign.h"
#include "strongroom/policy/engine.h"

namespace strongroom::keyserver {

inline constexpr uint64_t kAdminFreshMs = 60'000;
inline constexpr size_t kAuthorizationMax = 512;
inline constexpr size_t kAdminNoncesMax = 100'000;

struct Authorization {
  std::string principal;
  uint64_t t_ms = 0;
  ByteArray<16> nonce{};
  crypto::Signature signature{};
};
// Nothing unless it is exactly of the form above.
std::optional<Authorization> parse_authorization(std::string_view header);

// For clients: the header's value.
std::string make_authorization(const ByteArray<16>& vault, std::string_view principal,
                               const crypto::SigningKey& key, uint64_t t_ms,
                               const ByteArray<16>& nonce, std::string_view path,
                               std::string_view body);

// A call as it came, whoever sent it.
struct AdminCall {
  bool json = false;  // How its body is encoded.
  std::string_view path;
  std::string_view authorization;  // The header's value.
  Bytes body_sha256;
};
// All of the reply to it that a client acts on. The texts are values of header fields, empty where
// they are absent.
struct AdminReply {
  int http_status = 0;
  std::string_view code;            // strongroom-code
  std::string_view number;          // strongroom-number
  std::string_view retry_after_ms;  // strongroom-retry-after-ms
  std::string_view body;
};
// "strongroom reply v2\0" | sha256(authorization) | json u8 | sha256(path) | sha256(call's body) |
// status u16be | field(code) | field(number) | field(retry_after_ms) | sha256(reply's body), where
// field(x) = length u32be | x.
std::string reply_message(const AdminCall& call, const AdminReply& reply);
// For clients: whether `signature` (base64, the strongroom-signature header) is the vault's over
// this reply to this call.
bool verify_reply(const crypto::PublicKey& log_public_key, const AdminCall& call,
                  const AdminReply& reply, std::string_view signature);

// Not thread-safe. Borrows `engine`.
class AdminAuth {
 public:
  // Calls signed before `started_ms` are refused: nonces of an earlier run are forgotten.
  AdminAuth(const ByteArray<16>& vault, const policy::Engine& engine, uint64_t started_ms)
      : vault_(vault), engine_(engine), started_ms_(started_ms) {}

  // The principal that signed this call; remembers its nonce.
  //   kUnauthenticated  No header, a wrong one, a stale one, unknown or disabled principal, bad
  //   signature. kReplayed         Sign anew. kUnavailable      Too many calls in one minute.
  Result<std::string> authenticate(std::string_view path, Bytes body_sha256,
                                   std::string_view header, uint64_t now_ms);

 private:
  ByteArray<16> vault_;
  const policy::Engine& engine_;
  uint64_t started_ms_;
  // Two generations of at least the time a header is fresh: the older is dropped whole.
  std::unordered_set<std::string> nonces_[2];
  uint64_t generation_ms_ = 0;
};

}  // namespace strongroom::keyserver
