// Changes of a log's key as anyone may serve them: none leads to a key that ours did not sign.
#include "strongroom/base/check.h"
#include "strongroom/tlog/checkpoint.h"
#include "strongroom/tlog/log_keys.h"

using namespace strongroom;
using namespace strongroom::tlog;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr std::string_view kOrigin = "strongroom.local/fuzz";
  static const auto kOld = crypto::SigningKey::from_seed(ByteArray<32>{1});
  static const auto kNew = crypto::SigningKey::from_seed(ByteArray<32>{2});
  static const std::string kChange = sign_key_change(kOrigin, {}, 7, kOld, kNew);
  const NoteKey pinned = log_key(kOrigin, kOld.public_key());
  const std::string input(reinterpret_cast<const char*>(data), size);
  // By itself, and behind and in place of parts of one that is right.
  const std::string texts[] = {input, kChange + input,
                               kChange.substr(0, size % kChange.size()) + input};
  for (const std::string& text : texts) {
    const auto keys = LogKeys::follow(pinned, text);
    if (!keys) continue;
    const bool ours = text.empty() || text == kChange;
    SR_CHECK(ours, "a change that our key did not sign");
    SR_CHECK(keys->newest() == (text.empty() ? kOld : kNew).public_key(), "another key");
  }
  return 0;
}
