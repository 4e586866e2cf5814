#include "strongroom/keyserver/admin_auth.h"

#include <algorithm>
#include <charconv>

namespace strongroom::keyserver {
namespace {

constexpr std::string_view kAdminLabel{"strongroom admin v1\0", 20};
constexpr std::string_view kReplyLabel{"strongroom reply v2\0", 20};

Error not_signed_well(const char* text) {
  return make_error(ErrorCode::kUnauthenticated, text);
}

std::string admin_message(const ByteArray<16>& vault, uint64_t t_ms, const ByteArray<16>& nonce,
                          std::string_view path, Bytes body_sha256) {
  std::string message(kAdminLabel);
  append(message, vault);
  append_be(message, t_ms);
  append(message, nonce);
  append(message, crypto::sha256(as_bytes(path)));
  append(message, body_sha256);
  return message;
}

void append_field(std::string& out, std::string_view text) {
  append_be(out, static_cast<uint32_t>(text.size()));
  out.append(text);
}

template <size_t N>
bool decode(std::string_view text, ByteArray<N>& out) {
  std::string bytes;
  if (!from_base64(text, &bytes) || bytes.size() != N) return false;
  std::copy_n(as_bytes(bytes).begin(), N, out.begin());
  return true;
}

}  // namespace

std::optional<Authorization> parse_authorization(std::string_view header) {
  if (header.size() > kAuthorizationMax) return std::nullopt;
  std::string_view parts[5];
  for (size_t i = 0; i < 5; ++i) {
    const size_t space = header.find(' ');
    if ((space == std::string_view::npos) != (i == 4)) return std::nullopt;
    parts[i] = header.substr(0, space);
    header = i == 4 ? std::string_view() : header.substr(space + 1);
  }
  Authorization out;
  const std::string_view t = parts[2];
  if (parts[0] != "v1" || !policy::is_principal_name(parts[1]) || t.empty() || t.size() > 15) {
    return std::nullopt;
  }
  const auto [end, error] = std::from_chars(t.data(), t.data() + t.size(), out.t_ms);
  if (error != std::errc() || end != t.data() + t.size()) return std::nullopt;
  out.principal = parts[1];
  if (!decode(parts[3], out.nonce) || !decode(parts[4], out.signature)) return std::nullopt;
  return out;
}

std::string make_authorization(const ByteArray<16>& vault, std::string_view principal,
                               const crypto::SigningKey& key, uint64_t t_ms,
                               const ByteArray<16>& nonce, std::string_view path,
                               std::string_view body) {
  const auto digest = crypto::sha256(as_bytes(body));
  const auto signature = key.sign(as_bytes(admin_message(vault, t_ms, nonce, path, digest)));
  return "v1 " + std::string(principal) + " " + std::to_string(t_ms) + " " + to_base64(nonce) +
         " " + to_base64(signature);
}

std::string reply_message(const AdminCall& call, const AdminReply& reply) {
  std::string message(kReplyLabel);
  append(message, crypto::sha256(as_bytes(call.authorization)));
  message.push_back(call.json ? 1 : 0);
  append(message, crypto::sha256(as_bytes(call.path)));
  append(message, call.body_sha256);
  append_be(message, static_cast<uint16_t>(reply.http_status));
  append_field(message, reply.code);
  append_field(message, reply.number);
  append_field(message, reply.retry_after_ms);
  append(message, crypto::sha256(as_bytes(reply.body)));
  return message;
}

bool verify_reply(const crypto::PublicKey& log_public_key, const AdminCall& call,
                  const AdminReply& reply, std::string_view signature) {
  crypto::Signature bytes{};
  return call.body_sha256.size() == sizeof(crypto::Digest) && decode(signature, bytes) &&
         crypto::verify(log_public_key, as_bytes(reply_message(call, reply)), bytes);
}

Result<std::string> AdminAuth::authenticate(std::string_view path, Bytes body_sha256,
                                            std::string_view header, uint64_t now_ms) {
  const auto authorization = parse_authorization(header);
  if (!authorization || body_sha256.size() != sizeof(crypto::Digest)) {
    return not_signed_well("This call needs a strongroom-authorization header.");
  }
  const uint64_t t = authorization->t_ms;
  if (t + kAdminFreshMs < now_ms || t > now_ms + kAdminFreshMs) {
    return not_signed_well(
        "This call was signed more than a minute ago or ahead. Set the clock and sign it anew.");
  }
  if (t < started_ms_) {
    return make_error(ErrorCode::kUnavailable,
                      "The key server has just started. Sign this call anew in a moment.");
  }
  const auto* who = engine_.principal(authorization->principal);
  if (who == nullptr) return not_signed_well("This principal is not registered.");
  crypto::PublicKey key{};
  if (who->principal.public_key().size() != key.size()) {
    return not_signed_well("This principal has no key.");
  }
  std::copy_n(as_bytes(who->principal.public_key()).begin(), key.size(), key.begin());
  const std::string message = admin_message(vault_, t, authorization->nonce, path, body_sha256);
  if (!crypto::verify(key, as_bytes(message), authorization->signature)) {
    return not_signed_well("This call's signature is not by the principal's registered key.");
  }
  if (who->principal.disabled()) return not_signed_well("This principal is disabled.");

  // What is fresh now was signed at most a minute ahead and stays fresh for a minute behind that.
  if (now_ms >= generation_ms_ + 2 * kAdminFreshMs) {
    nonces_[1] = std::move(nonces_[0]);
    nonces_[0].clear();
    if (now_ms >= generation_ms_ + 4 * kAdminFreshMs) nonces_[1].clear();
    generation_ms_ = now_ms;
  }
  const std::string nonce =
      authorization->principal + "|" + std::string(as_text(authorization->nonce));
  if (nonces_[0].contains(nonce) || nonces_[1].contains(nonce)) {
    return make_error(ErrorCode::kReplayed, "This call was already answered; sign a new one.");
  }
  if (nonces_[0].size() >= kAdminNoncesMax) {
    return make_error(ErrorCode::kUnavailable, "Too many calls at once. Try again in a minute.");
  }
  nonces_[0].insert(nonce);
  return authorization->principal;
}

}  // namespace strongroom::keyserver
