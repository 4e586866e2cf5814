// Ticket bytes as a principal might sign them: well signed, whatever they say.
#include "strongroom/keyserver/tickets.h"

using namespace strongroom;
using namespace strongroom::keyserver;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const crypto::SigningKey kKey = crypto::SigningKey::from_seed(ByteArray<32>{1});
  static const policy::Engine* const kEngine = [] {
    auto* engine = new policy::Engine;
    v1::Principal principal;
    principal.set_name("clerk");
    principal.set_public_key(std::string(as_text(kKey.public_key())));
    engine->set_principal(principal, 0);
    return engine;
  }();
  v1::SignedTicket ticket;
  ticket.set_ticket(std::string(as_text({data, size})));
  ticket.set_signature(std::string(as_text(kKey.sign(as_bytes(ticket_message(ticket.ticket()))))));
  constexpr uint64_t kNow = 1000;
  TicketBook book({}, {"g"}, *kEngine);
  const auto admitted = book.admit(ticket, kNow);
  if (admitted) {
    const v1::Ticket& terms = (*admitted)->ticket();
    SR_CHECK(terms.expires_ms() > kNow, "a live ticket");
    SR_CHECK(terms.expires_ms() - terms.issued_ms() <= 900'000, "a short one");
    SR_CHECK(terms.gateway() == "g" && terms.principal() == "clerk", "for us, by the signer");
    book.evict(terms.expires_ms());
    SR_CHECK(book.size() == 0, "forgotten");
  }
  return 0;
}
