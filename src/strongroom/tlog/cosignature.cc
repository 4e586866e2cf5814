#include "strongroom/tlog/cosignature.h"

#include <algorithm>

namespace strongroom::tlog {
namespace {

constexpr size_t kTimeSize = 8;

std::string signed_message(std::string_view text, uint64_t t_s) {
  return "cosignature/v1\ntime " + std::to_string(t_s) + "\n" + std::string(text);
}

}  // namespace

std::string cosign(const WitnessSigner& signer, std::string_view text, uint64_t t_s) {
  std::string signature;
  append_be<uint64_t>(signature, t_s);
  append(signature, signer.key.sign(as_bytes(signed_message(text, t_s))));
  return signature_line(signer.note_key(), as_bytes(signature));
}

Result<uint64_t> verify_cosignature(std::string_view text,
                                    std::span<const NoteSignature> signatures,
                                    const NoteKey& witness) {
  uint64_t newest = 0;
  for (const NoteSignature& line : signatures) {
    if (!line.is_by(witness)) continue;
    ByteReader reader(as_bytes(line.signature));
    const uint64_t t_s = reader.be(kTimeSize);
    const Bytes signature = reader.take(sizeof(crypto::Signature));
    if (!reader.done() || t_s == 0 || t_s > INT64_MAX ||
        !crypto::verify(witness.key, as_bytes(signed_message(text, t_s)), signature)) {
      return make_error(ErrorCode::kDataLoss,
                        "A cosignature under a witness's name does not verify: it is forged or "
                        "damaged. Ask the witness for its checkpoint.");
    }
    newest = std::max(newest, t_s);
  }
  return newest;
}

}  // namespace strongroom::tlog
