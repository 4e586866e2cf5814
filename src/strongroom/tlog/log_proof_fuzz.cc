// Proofs as anyone may hand them on.
#include "strongroom/base/check.h"
#include "strongroom/tlog/opening.h"
#include "strongroom/tlog/proof.h"

using namespace strongroom;
using namespace strongroom::tlog;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  // Behind an entry, as in a proof's extra line: nothing is shown that it does not commit to.
  const Bytes bytes = as_bytes(input);
  if (bytes.size() > kEntrySize) {
    if (const auto head = parse_entry(bytes.first(kEntrySize))) {
      SR_CHECK(!check_opening(bytes.subspan(kEntrySize), *head), "an opening nobody made");
    }
  }
  const auto proof = parse_proof(input);
  if (!proof) return 0;
  // Base64 and numbers have one form; an empty `extra` line alone is not written again.
  const auto again = parse_proof(format_proof(*proof));
  SR_CHECK(again && again->leaf == proof->leaf && again->path == proof->path &&
               again->note == proof->note,
           "read otherwise than written");
  static const NoteKey kLog = log_key("strongroom.local/fuzz", {});
  SR_CHECK(!verify_proof(*proof, Hash{}, LogKeys(kLog), {}), "a proof nobody made");
  return 0;
}
