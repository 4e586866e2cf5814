#include "strongroom/tlog/checkpoint.h"

#include <array>
#include <charconv>
#include <limits>
#include <optional>

namespace strongroom::tlog {
namespace {

// Room for the text and some thirty post-quantum signatures; 16 must be accepted.
constexpr size_t kNoteMax = size_t{128} << 10;
constexpr size_t kKeyIdSize = 4;
constexpr uint8_t kEd25519Type = 0x01;
constexpr std::string_view kSignaturePrefix = "\xE2\x80\x94 ";  // Em dash, space.

using KeyId = ByteArray<kKeyIdSize>;

KeyId key_id(std::string_view name, const crypto::PublicKey& key) {
  const uint8_t separator[] = {'\n', kEd25519Type};
  const crypto::Digest digest = crypto::sha256({as_bytes(name), separator, key});
  KeyId id;
  std::copy_n(digest.begin(), id.size(), id.begin());
  return id;
}

// The next code point of well-formed UTF-8 (RFC 3629), taken off `text`; -1 if there is none.
int32_t take_code_point(std::string_view& text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  const size_t size = lead < 0x80 ? 1 : lead < 0xC0 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (size == 0 || lead > 0xF4 || text.size() < size) return -1;
  int32_t point = size == 1 ? lead : lead & (0x7F >> size);
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return -1;
    point = (point << 6) | (byte(i) & 0x3F);
  }
  constexpr std::array<int32_t, 5> kLeast{0, 0, 0x80, 0x800, 0x10000};
  if (point < kLeast[size] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return -1;
  text.remove_prefix(size);
  return point;
}

bool is_unicode_space(int32_t point) {
  return (point >= 0x09 && point <= 0x0D) || point == 0x20 || point == 0x85 || point == 0xA0 ||
         point == 0x1680 || (point >= 0x2000 && point <= 0x200A) || point == 0x2028 ||
         point == 0x2029 || point == 0x202F || point == 0x205F || point == 0x3000;
}

bool is_note_text(std::string_view text) {
  while (!text.empty()) {
    const int32_t point = take_code_point(text);
    if (point < 0 || (point < 0x20 && point != '\n')) return false;
  }
  return true;
}

bool is_key_name(std::string_view name) {
  if (name.empty()) return false;
  while (!name.empty()) {
    const int32_t point = take_code_point(name);
    if (point < 0 || point == '+' || is_unicode_space(point)) return false;
  }
  return true;
}

// The next line without its newline, or nothing where none ends.
std::optional<std::string_view> take_line(std::string_view& text) {
  const size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

struct SignatureLine {
  std::string_view name;
  std::string signature;  // key id | signature
};

std::optional<SignatureLine> parse_signature(std::string_view line) {
  if (!line.starts_with(kSignaturePrefix)) return std::nullopt;
  line.remove_prefix(kSignaturePrefix.size());
  const size_t space = line.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  SignatureLine out{line.substr(0, space), {}};
  if (!is_key_name(out.name) || !from_base64(line.substr(space + 1), &out.signature) ||
      out.signature.size() <= kKeyIdSize) {
    return std::nullopt;
  }
  return out;
}

std::optional<Checkpoint> parse_text(std::string_view text) {
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

bool is_origin(std::string_view origin) {
  return is_note_text(origin) && is_key_name(origin);
}

std::string sign_checkpoint(const Checkpoint& checkpoint, const crypto::SigningKey& key) {
  SR_CHECK(is_origin(checkpoint.origin), "an origin that is no key name");
  std::string note = checkpoint.origin + "\n" + std::to_string(checkpoint.size) + "\n" +
                     to_base64(checkpoint.root) + "\n";
  for (const std::string& line : checkpoint.extensions) {
    SR_CHECK(!line.empty() && line.find('\n') == std::string::npos, "an extension that is no line");
    note += line + "\n";
  }
  std::string signature;
  append(signature, key_id(checkpoint.origin, key.public_key()));
  append(signature, key.sign(as_bytes(note)));
  note += "\n";
  note += kSignaturePrefix;
  note += checkpoint.origin + " " + to_base64(as_bytes(signature)) + "\n";
  return note;
}

Result<Checkpoint> verify_checkpoint(std::string_view note, std::string_view origin,
                                     const crypto::PublicKey& key) {
  if (note.size() > kNoteMax || !is_note_text(note)) return not_a_checkpoint();
  const size_t blank = note.rfind("\n\n");
  if (blank == std::string_view::npos) return not_a_checkpoint();
  const std::string_view text = note.substr(0, blank + 1);
  std::string_view lines = note.substr(blank + 2);
  auto checkpoint = parse_text(text);
  if (!checkpoint || lines.empty()) return not_a_checkpoint();

  const KeyId id = key_id(origin, key);
  bool is_signed = false;
  while (!lines.empty()) {
    const auto line = take_line(lines);
    const auto parsed = line ? parse_signature(*line) : std::nullopt;
    if (!parsed) return not_a_checkpoint();
    const Bytes signature = as_bytes(parsed->signature);
    if (parsed->name != origin || !std::ranges::equal(signature.first(kKeyIdSize), id)) continue;
    if (!crypto::verify(key, as_bytes(text), signature.subspan(kKeyIdSize))) return not_signed();
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

std::string verifier_key(std::string_view origin, const crypto::PublicKey& key) {
  std::string material(1, static_cast<char>(kEd25519Type));
  append(material, key);
  return std::string(origin) + "+" + to_hex(key_id(origin, key)) + "+" +
         to_base64(as_bytes(material));
}

}  // namespace strongroom::tlog
