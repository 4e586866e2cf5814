#include "strongroom/tlog/witness.h"

#include <charconv>

#include "strongroom/crypto/hash.h"

namespace strongroom::tlog {
namespace {

constexpr std::string_view kOld = "old ";
constexpr size_t kKeyFileMax = kKeyChangesBytesMax;

std::string hash_of(std::string_view origin) {
  return to_hex(crypto::sha256(as_bytes(origin)));
}

std::optional<uint64_t> parse_size(std::string_view text) {
  uint64_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  if (error != std::errc{} || end != text.data() + text.size() || text != std::to_string(size)) {
    return std::nullopt;
  }
  return size;
}

WitnessReply refuse(int status, const char* text) {
  return {status, "text/plain; charset=utf-8", std::string(text) + "\n"};
}

Error damaged() {
  return make_error(ErrorCode::kDataLoss,
                    "What this witness remembers of a log is damaged or was edited. Restore its "
                    "folder; starting it with less would let that log rewrite its past.");
}

}  // namespace

std::string format_add_checkpoint(const AddCheckpoint& request) {
  std::string out = std::string(kOld) + std::to_string(request.old_size) + "\n";
  for (const Hash& hash : request.proof) out += to_base64(hash) + "\n";
  out += "\n";
  out += request.note;
  return out;
}

std::optional<AddCheckpoint> parse_add_checkpoint(std::string_view body) {
  if (body.size() > kAddCheckpointBytesMax) return std::nullopt;
  const auto first = take_line(body);
  if (!first || !first->starts_with(kOld)) return std::nullopt;
  AddCheckpoint out;
  const auto size = parse_size(first->substr(kOld.size()));
  if (!size) return std::nullopt;
  out.old_size = *size;
  for (;;) {
    const auto line = take_line(body);
    if (!line) return std::nullopt;
    if (line->empty()) break;
    std::string bytes;
    Hash& hash = out.proof.emplace_back();
    if (out.proof.size() > kConsistencyLinesMax || !from_base64(*line, &bytes) ||
        bytes.size() != hash.size()) {
      return std::nullopt;
    }
    std::copy(bytes.begin(), bytes.end(), hash.begin());
  }
  out.note = body;
  return out;
}

Witness::Witness(std::string dir, WitnessSigner signer, env::Files& files, const env::Clock& clock)
    : dir_(std::move(dir)), signer_(std::move(signer)), files_(files), clock_(clock) {}

Result<std::unique_ptr<Witness>> Witness::open(const std::string& dir, WitnessSigner signer,
                                               env::Files& files, const env::Clock& clock) {
  std::unique_ptr<Witness> witness(new Witness(dir, std::move(signer), files, clock));
  SR_TRY(files.make_dirs(dir + "/logs"));
  SR_ASSIGN(const auto hashes, files.list(dir + "/logs"));
  for (const std::string& hash : hashes) SR_TRY(witness->load(hash));
  return witness;
}

Result<void> Witness::load(const std::string& hash) {
  SR_ASSIGN(const std::string text, files_.read(folder(hash) + "/key", kKeyFileMax));
  std::vector<NoteKey> keys;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    auto key = parse_note_key(line);
    if (!key || hash_of(key->name) != hash) return damaged();
    keys.push_back(*std::move(key));
  }
  if (keys.empty()) return damaged();
  Log log{keys.front(), text};
  auto note = files_.read(folder(hash) + "/checkpoint", kNoteBytesMax);
  if (!note && note.error().code != ErrorCode::kNotFound) return damaged();
  if (note) {
    // It may be from before the log's key was changed, more than once.
    auto checkpoint = verify_checkpoint(*note, keys.front().name, keys.front().key);
    for (size_t i = 1; i < keys.size() && !checkpoint; ++i) {
      checkpoint = verify_checkpoint(*note, keys[i].name, keys[i].key);
    }
    const auto parsed = parse_note(*note);
    if (!checkpoint || !parsed) return damaged();
    const auto ours = verify_cosignature(parsed->text, parsed->signatures, signer_.note_key());
    if (!ours || *ours == 0) return damaged();
    log.size = checkpoint->size;
    log.root = checkpoint->root;
    log.note = std::move(*note);
  }
  logs_.emplace(hash, std::move(log));
  return {};
}

Result<void> Witness::add_log(const NoteKey& log) {
  if (log.type != NoteKeyType::kEd25519) {
    return make_error(ErrorCode::kInvalidArgument,
                      "This is a witness's key, not a log's. `strongroom log checkpoint` prints "
                      "the log's.");
  }
  const std::string hash = hash_of(log.name);
  const auto known = logs_.find(hash);
  if (known != logs_.end()) {
    if (known->second.key == log) return {};
    return make_error(ErrorCode::kAlreadyExists,
                      "This log is known under another key. Whoever sent you the new one must "
                      "explain that first; nothing was changed.");
  }
  SR_TRY(files_.make_dirs(folder(hash)));
  SR_TRY(files_.write_atomic(folder(hash) + "/key", as_bytes(log.text())));
  SR_TRY(files_.sync_dir(dir_ + "/logs"));
  logs_.emplace(hash, Log{log, log.text()});
  return {};
}

Result<size_t> Witness::follow_keys(std::string_view changes) {
  bool known = false;
  size_t moved = 0;
  for (auto& [hash, log] : logs_) {
    if (!are_changes_of(changes, log.key.name)) continue;
    known = true;
    SR_ASSIGN(const LogKeys keys, LogKeys::follow(log.key, changes));
    if (keys.newest() == log.key.key) continue;
    std::string text = keys.newest_key().text() + "\n" + log.key_file;
    SR_TRY(files_.write_atomic(folder(hash) + "/key", as_bytes(text)));
    log.key_file = std::move(text);
    log.key = keys.newest_key();
    ++moved;
  }
  if (!known) {
    return make_error(ErrorCode::kNotFound,
                      "These changes of a key are of no log that this witness knows.");
  }
  return moved;
}

std::vector<NoteKey> Witness::logs() const {
  std::vector<NoteKey> out;
  for (const auto& [hash, log] : logs_) out.push_back(log.key);
  return out;
}

uint64_t Witness::size_of(const std::string& origin) const {
  const auto log = logs_.find(hash_of(origin));
  return log == logs_.end() ? 0 : log->second.size;
}

WitnessReply Witness::add_checkpoint(std::string_view body) {
  const auto request = parse_add_checkpoint(body);
  const auto note = request ? parse_note(request->note) : std::nullopt;
  const auto claimed = note ? parse_checkpoint_text(note->text) : std::nullopt;
  if (!claimed) return refuse(400, "This is no add-checkpoint request: see c2sp.org/tlog-witness.");
  const auto known = logs_.find(hash_of(claimed->origin));
  if (known == logs_.end()) return refuse(404, "This witness was not told of that log.");
  Log& log = known->second;
  const auto checkpoint = verify_checkpoint(request->note, log.key.name, log.key.key);
  if (!checkpoint) return refuse(403, "The checkpoint is not signed by the log's key.");
  if (request->old_size > checkpoint->size) {
    return refuse(400, "The old size is larger than the checkpoint's.");
  }
  if (request->old_size != log.size) {
    return {409, "text/x.tlog.size", std::to_string(log.size) + "\n"};
  }
  // Of no leaves there is one tree, and every tree contains it.
  const bool grows = checkpoint->size == 0
                         ? checkpoint->root == empty_root() && request->proof.empty()
                     : log.size == 0 ? request->proof.empty()
                                     : verify_consistency(log.size, log.root, checkpoint->size,
                                                          checkpoint->root, request->proof);
  if (!grows) return refuse(422, "The checkpoint does not contain the one cosigned before.");

  const std::string line = cosign(signer_, note->text, clock_.wall_ms() / 1000);
  // Only what was verified is kept: the log's own line and ours.
  std::string kept = note->text;
  kept += "\n";
  for (const NoteSignature& signature : note->signatures) {
    if (!signature.is_by(log.key)) continue;
    kept += signature_line(log.key, as_bytes(signature.signature));
    break;
  }
  kept += line;
  if (!files_.write_atomic(folder(known->first) + "/checkpoint", as_bytes(kept))) {
    return refuse(500, "The witness cannot write to its disk, so it cosigns nothing.");
  }
  log.size = checkpoint->size;
  log.root = checkpoint->root;
  log.note = std::move(kept);
  return {200, "text/plain; charset=utf-8", line};
}

WitnessReply Witness::checkpoint(std::string_view origin_hash) const {
  const auto log = logs_.find(origin_hash);
  if (log == logs_.end() || log->second.note.empty()) {
    return refuse(404, "This witness has cosigned nothing of that log.");
  }
  return {200, "text/plain; charset=utf-8", log->second.note};
}

}  // namespace strongroom::tlog
