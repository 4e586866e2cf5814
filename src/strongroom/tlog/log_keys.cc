#include "strongroom/tlog/log_keys.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "strongroom/crypto/hash.h"

namespace strongroom::tlog {
namespace {

constexpr std::string_view kFirstLine = "strongroom log key change v1";
constexpr int kTextLines = 6;
constexpr int kLines = kTextLines + 1 + 2;  // An empty one, and the signatures.

Error not_changes() {
  return make_error(ErrorCode::kDataLoss,
                    "These are not the changes of this log's key: they are damaged, forged or of "
                    "another log. Fetch them again, or compare them with another copy.");
}

NoteKey family_key(std::string_view origin, const crypto::PublicKey& key) {
  return {std::string(family_of(origin)), NoteKeyType::kEd25519, key};
}

std::string change_text(std::string_view origin, std::string_view before, uint64_t size,
                        const NoteKey& old_key, const NoteKey& new_key) {
  std::string out = std::string(kFirstLine) + "\n";
  out += std::string(family_of(origin)) + "\n";
  out += std::to_string(size) + "\n";
  out += to_base64(crypto::sha256(as_bytes(before))) + "\n";
  out += old_key.text() + "\n";
  out += new_key.text() + "\n";
  return out;
}

struct Change {
  uint64_t size = 0;
  NoteKey old_key, new_key;
};

// `note` is one change; it must follow those `before`.
Result<Change> parse_change(std::string_view note, std::string_view origin,
                            std::string_view before) {
  const auto parsed = parse_note(note);
  if (!parsed || parsed->signatures.size() != 2) return not_changes();
  std::string_view text = parsed->text;
  std::optional<std::string_view> lines[kTextLines];
  for (auto& line : lines) {
    line = take_line(text);
    if (!line) return not_changes();
  }
  Change out;
  const std::string_view size = *lines[2];
  const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), out.size);
  if (error != std::errc{} || end != size.data() + size.size()) return not_changes();
  const auto old_key = parse_note_key(*lines[4]), new_key = parse_note_key(*lines[5]);
  if (!old_key || !new_key) return not_changes();
  out.old_key = *old_key;
  out.new_key = *new_key;
  // The other lines, and that each number has one spelling.
  if (parsed->text != change_text(origin, before, out.size, out.old_key, out.new_key) ||
      out.size == 0 || out.size > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return not_changes();
  }
  const NoteKey* const signers[2] = {&out.old_key, &out.new_key};
  for (size_t i = 0; i < 2; ++i) {
    const NoteSignature& signature = parsed->signatures[i];
    if (*signers[i] != family_key(origin, signers[i]->key) || !signature.is_by(*signers[i]) ||
        !crypto::verify(signers[i]->key, as_bytes(parsed->text), as_bytes(signature.signature))) {
      return not_changes();
    }
  }
  return out;
}

// The first change in `changes`; empty where there is no whole one.
std::string_view first_of(std::string_view changes) {
  std::string_view rest = changes;
  for (int i = 0; i < kLines; ++i) {
    if (!take_line(rest)) return {};
  }
  return changes.substr(0, changes.size() - rest.size());
}

}  // namespace

std::string_view family_of(std::string_view origin) {
  const size_t first = origin.find('/');
  const size_t second = first == std::string_view::npos ? first : origin.find('/', first + 1);
  return origin.substr(0, second);
}

bool are_changes_of(std::string_view changes, std::string_view origin) {
  return take_line(changes) == kFirstLine && take_line(changes) == family_of(origin);
}

LogKeys::LogKeys(NoteKey key) : origin_(std::move(key.name)), keys_{key.key} {}

Result<LogKeys> LogKeys::follow(const NoteKey& pinned, std::string_view changes) {
  LogKeys out(pinned);
  if (changes.empty()) return out;
  if (changes.size() > kKeyChangesBytesMax) return not_changes();
  for (size_t at = 0; at < changes.size();) {
    const std::string_view note = first_of(changes.substr(at));
    if (note.empty()) return not_changes();
    SR_ASSIGN(const Change change, parse_change(note, pinned.name, changes.substr(0, at)));
    if (at == 0) out.keys_[0] = change.old_key.key;
    const bool known = std::ranges::find(out.keys_, change.new_key.key) != out.keys_.end();
    if (change.old_key.key != out.newest() || known ||
        (!out.until_.empty() && change.size <= out.until_.back())) {
      return not_changes();
    }
    out.keys_.push_back(change.new_key.key);
    out.until_.push_back(change.size);
    at += note.size();
  }
  if (std::ranges::find(out.keys_, pinned.key) == out.keys_.end()) return not_changes();
  return out;
}

const crypto::PublicKey& LogKeys::at(uint64_t size) const {
  const auto until = std::ranges::lower_bound(until_, size);
  return keys_[static_cast<size_t>(until - until_.begin())];
}

std::string sign_key_change(std::string_view origin, std::string_view before, uint64_t size,
                            const crypto::SigningKey& old_key, const crypto::SigningKey& new_key) {
  const NoteKey old_note = family_key(origin, old_key.public_key());
  const NoteKey new_note = family_key(origin, new_key.public_key());
  const std::string text = change_text(origin, before, size, old_note, new_note);
  return text + "\n" + signature_line(old_note, old_key.sign(as_bytes(text))) +
         signature_line(new_note, new_key.sign(as_bytes(text)));
}

Result<LogKeys> read_log_keys(const TileReader& read, const NoteKey& pinned) {
  const auto changes = read(kKeyChangesFile);
  if (!changes && changes.error().code == ErrorCode::kNotFound) return LogKeys(pinned);
  if (!changes) return changes.error();
  return LogKeys::follow(pinned, *changes);
}

}  // namespace strongroom::tlog
