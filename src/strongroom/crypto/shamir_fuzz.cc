// parse_share() on any text: what it takes, it writes back the same, but for case, spaces and
// look-alikes.
#include "strongroom/base/check.h"
#include "strongroom/crypto/shamir.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace strongroom;
  const auto share = crypto::parse_share(as_text({data, size}));
  if (!share) return 0;
  const SecretBuffer text = crypto::share_to_text(*share);
  const auto again = crypto::parse_share(as_text(text.read(SecretAccess{})));
  SR_CHECK(again.has_value() && again->x == share->x && again->threshold == share->threshold &&
               again->set == share->set,
           "a share changed on its way through text");
  return 0;
}
