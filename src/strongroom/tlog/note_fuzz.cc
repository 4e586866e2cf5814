// Checkpoints as anyone may send them.
#include "strongroom/base/check.h"
#include "strongroom/tlog/checkpoint.h"

using namespace strongroom;
using namespace strongroom::tlog;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto kKey = crypto::SigningKey::from_seed(ByteArray<32>{1});
  constexpr std::string_view kOrigin = "strongroom.local/fuzz";
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  (void)verify_checkpoint(input, kOrigin, kKey.public_key()).has_value();

  // The same text with a signature that is right: so that the parser behind it is reached as well.
  Checkpoint checkpoint{std::string(kOrigin), 1};
  const size_t line = input.find('\n');
  checkpoint.extensions.emplace_back(input.substr(0, line));
  if (line == 0 || input.empty()) checkpoint.extensions.clear();
  const std::string note = sign_checkpoint(checkpoint, kKey);
  if (const auto parsed = verify_checkpoint(note, kOrigin, kKey.public_key())) {
    SR_CHECK(*parsed == checkpoint, "another checkpoint than was signed");
  }
  (void)verify_checkpoint(note + std::string(input), kOrigin, kKey.public_key()).has_value();
  (void)is_origin(input);
  return 0;
}
