#include "strongroom/tlog/proof.h"

#include <algorithm>
#include <charconv>

#include "strongroom/tlog/cosignature.h"

namespace strongroom::tlog {
namespace {

constexpr std::string_view kProofFirstLine = "c2sp.org/tlog-proof@v1";
constexpr std::string_view kExtra = "extra ";
constexpr std::string_view kIndex = "index ";
constexpr size_t kPathMax = 63;

Error not_a_proof() {
  return make_error(ErrorCode::kDataLoss,
                    "This is no log proof: it is damaged, or another file. Ask for it again.");
}

}  // namespace

std::string format_proof(const LogProof& proof) {
  std::string out = std::string(kProofFirstLine) + "\n";
  if (!proof.extra.empty()) {
    out += std::string(kExtra) + to_base64(as_bytes(proof.extra)) + "\n";
  }
  out += std::string(kIndex) + std::to_string(proof.leaf) + "\n";
  for (const Hash& hash : proof.path) out += to_base64(hash) + "\n";
  return out + "\n" + proof.note;
}

Result<LogProof> parse_proof(std::string_view text) {
  if (text.size() > kProofBytesMax || take_line(text) != kProofFirstLine) return not_a_proof();
  LogProof out;
  auto line = take_line(text);
  if (line && line->starts_with(kExtra)) {
    if (!from_base64(line->substr(kExtra.size()), &out.extra)) return not_a_proof();
    line = take_line(text);
  }
  if (!line || !line->starts_with(kIndex)) return not_a_proof();
  const std::string_view index = line->substr(kIndex.size());
  const auto [end, error] = std::from_chars(index.data(), index.data() + index.size(), out.leaf);
  if (error != std::errc{} || index != std::to_string(out.leaf)) return not_a_proof();
  for (;;) {
    line = take_line(text);
    if (!line) return not_a_proof();
    if (line->empty()) break;
    std::string bytes;
    Hash& hash = out.path.emplace_back();
    if (out.path.size() > kPathMax || !from_base64(*line, &bytes) || bytes.size() != hash.size()) {
      return not_a_proof();
    }
    std::copy(bytes.begin(), bytes.end(), hash.begin());
  }
  out.note = text;
  return out;
}

Result<ProvenBy> verify_proof(const LogProof& proof, const Hash& leaf, const LogKeys& log,
                              std::span<const NoteKey> witnesses) {
  ProvenBy out;
  SR_ASSIGN(out.checkpoint, verify_checkpoint(proof.note, log));
  const auto note = parse_note(proof.note);
  if (!note) return not_a_proof();
  for (const NoteKey& witness : witnesses) {
    SR_ASSIGN(const uint64_t t_s, verify_cosignature(note->text, note->signatures, witness));
    if (t_s == 0) continue;
    out.witnessed_from_s = out.witnesses == 0 ? t_s : std::min(out.witnessed_from_s, t_s);
    ++out.witnesses;
  }
  if (!verify_inclusion(leaf, proof.leaf, out.checkpoint.size, proof.path, out.checkpoint.root)) {
    return make_error(ErrorCode::kDataLoss,
                      "The proof does not lead from this entry to its checkpoint: the entry is not "
                      "in the log at that place, or the proof is of another one.");
  }
  return out;
}

}  // namespace strongroom::tlog
