#include "strongroom/tlog/checkpoint.h"

#include <charconv>
#include <limits>
#include <optional>

namespace strongroom::tlog {
namespace {

Error not_a_checkpoint() {
  return make_error(
      ErrorCode::kDataLoss,
      "This is no signed checkpoint: it is damaged, or another file. Fetch it again, or "
      "restore it from a backup.");
}

Error not_signed() {
  return make_error(ErrorCode::kDataLoss,
                    "The checkpoint is not signed by this log's key: it is forged, damaged or of "
                    "another log. Do not trust the log before this is explained.");
}

}  // namespace

std::optional<Checkpoint> parse_checkpoint_text(std::string_view text) {
  const auto origin = take_line(text), size = take_line(text), root = take_line(text);
  if (!origin || !size || !root || origin->empty()) return std::nullopt;
  Checkpoint out;
  out.origin = *origin;
  const auto [end, error] = std::from_chars(size->data(), size->data() + size->size(), out.size);
  if (error != std::errc{} || end != size->data() + size->size() ||
      *size != std::to_string(out.size) ||
      out.size > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return std::nullopt;
  }
  std::string hash;
  if (!from_base64(*root, &hash) || hash.size() != out.root.size()) return std::nullopt;
  std::copy(hash.begin(), hash.end(), out.root.begin());
  while (!text.empty()) {
    const auto line = take_line(text);
    if (!line || line->empty()) return std::nullopt;
    out.extensions.emplace_back(*line);
  }
  return out;
}

bool is_origin(std::string_view origin) {
  return is_note_text(origin) && is_key_name(origin);
}

NoteKey log_key(std::string_view origin, const crypto::PublicKey& key) {
  return {std::string(origin), NoteKeyType::kEd25519, key};
}

std::string checkpoint_text(const Checkpoint& checkpoint) {
  SR_CHECK(is_origin(checkpoint.origin), "an origin that is no key name");
  std::string text = checkpoint.origin + "\n" + std::to_string(checkpoint.size) + "\n" +
                     to_base64(checkpoint.root) + "\n";
  for (const std::string& line : checkpoint.extensions) {
    SR_CHECK(!line.empty() && line.find('\n') == std::string::npos, "an extension that is no line");
    text += line + "\n";
  }
  return text;
}

std::string sign_checkpoint(const Checkpoint& checkpoint,
                            std::span<const crypto::SigningKey> keys) {
  const std::string text = checkpoint_text(checkpoint);
  std::string note = text + "\n";
  for (const crypto::SigningKey& key : keys) {
    note += signature_line(log_key(checkpoint.origin, key.public_key()), key.sign(as_bytes(text)));
  }
  return note;
}

Result<Checkpoint> verify_checkpoint(std::string_view note, std::string_view origin,
                                     const crypto::PublicKey& key) {
  const auto parsed = parse_note(note);
  auto checkpoint = parsed ? parse_checkpoint_text(parsed->text) : std::nullopt;
  if (!checkpoint) return not_a_checkpoint();
  const NoteKey signer = log_key(origin, key);
  bool is_signed = false;
  for (const NoteSignature& signature : parsed->signatures) {
    if (!signature.is_by(signer)) continue;
    if (!crypto::verify(key, as_bytes(parsed->text), as_bytes(signature.signature))) {
      return not_signed();
    }
    is_signed = true;
  }
  if (checkpoint->origin != origin) {
    return make_error(
        ErrorCode::kInvalidArgument,
        "The checkpoint is of another log: its first line is not the origin asked for.");
  }
  if (!is_signed) return not_signed();
  return std::move(*checkpoint);
}

Result<Checkpoint> verify_checkpoint(std::string_view note, const LogKeys& keys) {
  const auto parsed = parse_note(note);
  const auto claimed = parsed ? parse_checkpoint_text(parsed->text) : std::nullopt;
  if (!claimed) return not_a_checkpoint();
  return verify_checkpoint(note, keys.origin(), keys.at(claimed->size));
}

std::string verifier_key(std::string_view origin, const crypto::PublicKey& key) {
  return log_key(origin, key).text();
}

}  // namespace strongroom::tlog
