#include "strongroom/keyserver/witnessing.h"

#include <algorithm>

namespace strongroom::keyserver {
namespace {

constexpr size_t kHandedOutMax = 16;
constexpr int64_t kRetryMs = 1000;

// https://HOST:PORT or https://HOST:PORT/PATH
bool is_url(std::string_view url) {
  constexpr std::string_view kScheme = "https://";
  if (!url.starts_with(kScheme)) return false;
  const std::string_view at =
      url.substr(kScheme.size(), url.find('/', kScheme.size()) - kScheme.size());
  const size_t colon = at.rfind(':');
  return colon != std::string_view::npos && colon > 0 && colon + 1 < at.size() &&
         std::all_of(at.begin() + static_cast<ptrdiff_t>(colon) + 1, at.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

Error not_witnessed() {
  Error error = make_error(ErrorCode::kUnavailable,
                           "Not enough witnesses have cosigned the release log in time, so nothing "
                           "leaves. It goes on by "
                           "itself when they can be reached; `status` shows how far they are.");
  error.retry_after_ms = kRetryMs;
  return error;
}

}  // namespace

Result<void> Witnessing::check(const v1::Witnesses& witnesses) {
  const auto bad = [](const char* text) { return make_error(ErrorCode::kInvalidArgument, text); };
  if (witnesses.list_size() > kWitnessesMax) return bad("A policy names 16 witnesses at most.");
  if (witnesses.quorum() > static_cast<uint32_t>(witnesses.list_size())) {
    return bad("The quorum asks for more witnesses than are named.");
  }
  if (witnesses.list_size() == 0) return {};
  std::set<std::string> names;
  for (const v1::WitnessEntry& entry : witnesses.list()) {
    const auto key = tlog::parse_note_key(entry.key());
    if (!key || key->type != tlog::NoteKeyType::kCosignature) {
      return bad("A witness's key is what `strongroom witness` prints as its key.");
    }
    if (!names.insert(key->name).second) return bad("Two witnesses have one name.");
    // Nothing would leave while the courier cannot reach it.
    if (!is_url(entry.url())) {
      return bad("A witness's url is https://HOST:PORT, and what stands before /add-checkpoint.");
    }
    if (entry.ca_pem().find("-----BEGIN CERTIFICATE-----") == std::string::npos) {
      return bad("A witness's ca_pem is what lies in its ca.pem: no other authority is believed.");
    }
  }
  return {};
}

void Witnessing::configure(const v1::Witnesses& witnesses) {
  keys_.clear();
  for (const v1::WitnessEntry& entry : witnesses.list()) {
    if (auto key = tlog::parse_note_key(entry.key())) keys_.push_back(std::move(*key));
  }
  quorum_ = keys_.empty() ? 0 : std::max<uint32_t>(witnesses.quorum(), 1);
  entries_max_ =
      witnesses.entries_max() != 0 ? witnesses.entries_max() : policy::kUnwitnessedEntriesDefault;
  ms_max_ = uint64_t{1000} * (witnesses.seconds_max() != 0 ? witnesses.seconds_max()
                                                           : policy::kUnwitnessedSecondsDefault);
  recount();
}

void Witnessing::handed_out(std::string_view note, uint64_t size, uint64_t t_ms) {
  if (handed_out_.empty() || handed_out_.back().size != size) {
    handed_out_.push_back({std::string(note), size, t_ms});
    if (handed_out_.size() > kHandedOutMax) handed_out_.pop_front();
  }
  handed_out_.back().t_ms = t_ms;
  if (size == witnessed_) witnessed_ms_ = t_ms;
}

Result<bool> Witnessing::take(uint64_t size, std::string_view lines, bool by_newest_key) {
  const auto at = std::find_if(handed_out_.begin(), handed_out_.end(),
                               [&](const HandedOut& out) { return out.size == size; });
  if (at == handed_out_.end()) return false;
  const auto note = tlog::parse_note(at->note);
  const auto signatures = tlog::parse_signature_lines(lines);
  if (!note || !signatures) {
    return make_error(ErrorCode::kDataLoss, "A witness's answer holds no signature lines.");
  }
  bool news = false;
  for (const tlog::NoteKey& key : keys_) {
    SR_ASSIGN(const uint64_t t_s, tlog::verify_cosignature(note->text, *signatures, key));
    if (t_s == 0) continue;
    for (const tlog::NoteSignature& line : *signatures) {
      if (line.is_by(key)) at->lines[key.name] = signature_line(key, as_bytes(line.signature));
    }
    if (by_newest_key && size > key_leaf_) following_.insert(key.name);
    uint64_t& seen = sizes_[key.name];
    news |= size > seen;
    seen = std::max(seen, size);
  }
  recount();
  return news;
}

void Witnessing::recount() {
  witnessed_ = 0;
  if (quorum_ == 0) return;
  std::vector<uint64_t> sizes;
  for (const tlog::NoteKey& key : keys_) sizes.push_back(size_of(key.name));
  std::sort(sizes.rbegin(), sizes.rend());
  witnessed_ = sizes[quorum_ - 1];
  for (const HandedOut& out : handed_out_) {
    if (out.size == witnessed_) witnessed_ms_ = out.t_ms;
  }
}

std::vector<std::string> Witnessing::following() const {
  std::vector<std::string> out;
  for (const tlog::NoteKey& key : keys_) {
    if (following_.contains(key.name)) out.push_back(key.name);
  }
  return out;
}

uint64_t Witnessing::size_of(const std::string& witness) const {
  const auto size = sizes_.find(witness);
  return size == sizes_.end() ? 0 : size->second;
}

std::string Witnessing::cosigned_note() const {
  for (auto out = handed_out_.rbegin(); out != handed_out_.rend(); ++out) {
    if (quorum_ == 0 || out->lines.size() < quorum_) continue;
    std::string note = out->note;
    for (const auto& [name, line] : out->lines) note += line;
    return note;
  }
  return {};
}

Result<void> Witnessing::may_leave(uint64_t log_size, uint64_t now_ms) const {
  if (quorum_ == 0) return {};
  if (behind_) {
    return make_error(
        ErrorCode::kDataLoss,
        "A witness has cosigned more of this release log than is here: the log was put "
        "back to an older state. Nothing leaves. Restore keyserver/ from its latest "
        "copy; do not delete anything.");
  }
  if (witnessed_ < start_size_ || log_size - witnessed_ >= entries_max_ ||
      (now_ms > witnessed_ms_ && now_ms - witnessed_ms_ > ms_max_)) {
    return not_witnessed();
  }
  return {};
}

Result<void> Witnessing::has_cosigned(uint64_t leaf) const {
  return quorum_ == 0 || witnessed_ > leaf ? Result<void>() : not_witnessed();
}

}  // namespace strongroom::keyserver
