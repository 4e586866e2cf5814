// What anyone may send a witness.
#include "strongroom/base/check.h"
#include "strongroom/tlog/witness.h"

using namespace strongroom;
using namespace strongroom::tlog;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (const auto request = parse_add_checkpoint(input)) {
    SR_CHECK(format_add_checkpoint(*request) == input, "read otherwise than written");
  }
  (void)parse_note_key(input).has_value();
  if (const auto lines = parse_signature_lines(input)) {
    static const NoteKey kWitness{"witness.example/w1", NoteKeyType::kCosignature, {}};
    const auto cosigned = verify_cosignature("text\n", *lines, kWitness);
    SR_CHECK(!cosigned || *cosigned == 0, "a cosignature nobody made");
  }
  return 0;
}
