#include "strongroom/tlog/note.h"

#include <algorithm>
#include <array>

#include "strongroom/crypto/hash.h"

namespace strongroom::tlog {
namespace {

constexpr std::string_view kSignaturePrefix = "\xE2\x80\x94 ";  // Em dash, space.

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

std::optional<NoteSignature> parse_signature(std::string_view line) {
  if (!line.starts_with(kSignaturePrefix)) return std::nullopt;
  line.remove_prefix(kSignaturePrefix.size());
  const size_t space = line.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  NoteSignature out;
  out.name = line.substr(0, space);
  std::string bytes;
  if (!is_key_name(out.name) || !from_base64(line.substr(space + 1), &bytes) ||
      bytes.size() <= out.id.size()) {
    return std::nullopt;
  }
  std::copy_n(bytes.begin(), out.id.size(), out.id.begin());
  out.signature = bytes.substr(out.id.size());
  return out;
}

}  // namespace

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

std::optional<std::string_view> take_line(std::string_view& text) {
  const size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

KeyId NoteKey::id() const {
  const uint8_t separator[] = {'\n', static_cast<uint8_t>(type)};
  const crypto::Digest digest = crypto::sha256({as_bytes(name), separator, key});
  KeyId id;
  std::copy_n(digest.begin(), id.size(), id.begin());
  return id;
}

std::string NoteKey::text() const {
  std::string material(1, static_cast<char>(type));
  append(material, key);
  return name + "+" + to_hex(id()) + "+" + to_base64(as_bytes(material));
}

Result<NoteKey> parse_note_key(std::string_view text) {
  const Error bad = make_error(ErrorCode::kInvalidArgument,
                               "This is no verifier key of Ed25519: it has the form "
                               "NAME+HASH+BASE64, or was copied wrongly. Copy it again.");
  const size_t first = text.find('+');
  const size_t second = first == std::string_view::npos ? first : text.find('+', first + 1);
  if (second == std::string_view::npos) return bad;
  NoteKey out;
  out.name = text.substr(0, first);
  KeyId id{};
  std::string material;
  if (!is_note_text(out.name) || !is_key_name(out.name) ||
      !from_hex(text.substr(first + 1, second - first - 1), id) ||
      !from_base64(text.substr(second + 1), &material) || material.size() != 1 + out.key.size()) {
    return bad;
  }
  out.type = static_cast<NoteKeyType>(material[0]);
  if (out.type != NoteKeyType::kEd25519 && out.type != NoteKeyType::kCosignature) return bad;
  std::copy(material.begin() + 1, material.end(), out.key.begin());
  if (out.id() != id) return bad;
  return out;
}

std::optional<std::vector<NoteSignature>> parse_signature_lines(std::string_view lines) {
  if (lines.empty() || lines.size() > kNoteBytesMax || !is_note_text(lines)) return std::nullopt;
  std::vector<NoteSignature> out;
  while (!lines.empty()) {
    const auto line = take_line(lines);
    auto parsed = line ? parse_signature(*line) : std::nullopt;
    if (!parsed) return std::nullopt;
    out.push_back(std::move(*parsed));
  }
  return out;
}

std::optional<Note> parse_note(std::string_view note) {
  if (note.size() > kNoteBytesMax || !is_note_text(note)) return std::nullopt;
  const size_t blank = note.rfind("\n\n");
  if (blank == std::string_view::npos) return std::nullopt;
  auto signatures = parse_signature_lines(note.substr(blank + 2));
  if (!signatures) return std::nullopt;
  return Note{std::string(note.substr(0, blank + 1)), std::move(*signatures)};
}

std::string signature_line(const NoteKey& key, Bytes signature) {
  std::string bytes;
  append(bytes, key.id());
  append(bytes, signature);
  return std::string(kSignaturePrefix) + key.name + " " + to_base64(as_bytes(bytes)) + "\n";
}

}  // namespace strongroom::tlog
