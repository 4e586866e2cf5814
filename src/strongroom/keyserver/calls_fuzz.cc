// A CallBatch of a hostile gateway. "@@" where a ticket is expected stands for a genuine one, so
// that the fuzzer gets past the signature: '@' '@' n picks it. Likewise for the compactor's
// credential.
#include "strongroom/keyserver/test_vault.h"

using namespace strongroom;
using namespace strongroom::keyserver;

namespace {

// One vault for the whole run: what stays behind from input to input is what a hostile gateway
// would build up too.
TestVault& vault() {
  static TestVault vault;
  static const bool kMade = [] {
    SR_CHECK(vault.create().has_value(), "a vault");
    vault.call(grant_call(vault.import_ticket(), 100));
    return true;
  }();
  (void)kMade;
  return vault;
}

v1::SignedTicket genuine(const v1::SignedTicket& given) {
  const std::string& bytes = given.ticket();
  if (!bytes.starts_with("@@")) return given;
  static const v1::SignedTicket kTickets[] = {
      vault().ticket({.records_max = 1'000'000}), vault().import_ticket(),
      vault().import_ticket(kParcel),
      vault().ticket({.purpose = "investigation", .case_reference = "A-1"})};
  return kTickets[bytes.size() > 2 ? static_cast<uint8_t>(bytes[2]) % 4 : 0];
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  v1::CallBatch batch;
  const std::string text(as_text({data, size}));
  if (!batch.ParseFromString(text)) return 0;
  for (v1::Call& call : *batch.mutable_calls()) {
    const auto put = [](auto& message) { *message.mutable_ticket() = genuine(message.ticket()); };
    if (call.has_tokens()) put(*call.mutable_tokens());
    if (call.has_release()) put(*call.mutable_release());
    if (call.has_grant()) put(*call.mutable_grant());
    if (call.has_update_grant()) put(*call.mutable_update_grant());
    if (call.has_open_lane()) put(*call.mutable_open_lane());
    if (call.has_unique_tokens()) put(*call.mutable_unique_tokens());
    if (call.has_reindex()) put(*call.mutable_reindex());
    if (call.has_check()) put(*call.mutable_check());
    const auto show = [](auto& message) {
      if (message.credential() == "@@") message.set_credential(vault().compactor_credential());
    };
    if (call.has_begin_merge()) show(*call.mutable_begin_merge());
    if (call.has_finish_merge()) show(*call.mutable_finish_merge());
  }
  const int count = batch.calls_size();
  const auto replies = vault().server().handle(std::move(batch));
  SR_CHECK(replies.replies_size() == count, "a reply for each call");
  SR_CHECK(replies.ByteSizeLong() <= size_t{16} << 20, "what the transport takes");
  SR_CHECK(!vault().server().failed(), "a sound disk never fails");
  for (const v1::Reply& reply : replies.replies()) {
    SR_CHECK(reply.reply_case() != v1::Reply::REPLY_NOT_SET, "an answer or an error");
  }
  return 0;
}
