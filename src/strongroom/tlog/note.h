// C2SP signed-note: a text with signature lines behind it, and the keys that made them.
// Source: c2sp.org/signed-note.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "strongroom/crypto/sign.h"

namespace strongroom::tlog {

// Room for the text and some thirty post-quantum signatures; 16 must be accepted.
inline constexpr size_t kNoteBytesMax = size_t{128} << 10;

// What a key signs, and how.
enum class NoteKeyType : uint8_t {
  kEd25519 = 0x01,      // The note's text: a log.
  kCosignature = 0x04,  // c2sp.org/tlog-cosignature, Ed25519: a witness.
};

using KeyId = ByteArray<4>;

// A verifier key: NAME+hash+base64.
struct NoteKey {
  std::string name;
  NoteKeyType type = NoteKeyType::kEd25519;
  crypto::PublicKey key{};
  KeyId id() const;
  std::string text() const;
  bool operator==(const NoteKey&) const = default;
};
//   kInvalidArgument  Not a verifier key, of another type, or mistyped.
Result<NoteKey> parse_note_key(std::string_view text);

// Well-formed, not empty, no spaces, no plus.
bool is_key_name(std::string_view name);
// Well-formed UTF-8 without control characters but newlines.
bool is_note_text(std::string_view text);

struct NoteSignature {
  std::string name;
  KeyId id{};
  std::string signature;
  bool is_by(const NoteKey& key) const { return name == key.name && id == key.id(); }
};

struct Note {
  std::string text;  // With its last newline.
  std::vector<NoteSignature> signatures;
};

// nullopt: no note, or one of more than kNoteBytesMax.
std::optional<Note> parse_note(std::string_view note);
// Signature lines alone, as witnesses answer them; nullopt where one is none.
std::optional<std::vector<NoteSignature>> parse_signature_lines(std::string_view lines);
// One line, with its newline.
std::string signature_line(const NoteKey& key, Bytes signature);

// The next line without its newline, taken off `text`, or nothing where none ends.
std::optional<std::string_view> take_line(std::string_view& text);

}  // namespace strongroom::tlog
