#include "kept_ticket.h"

#include <cstdio>

#include "strongroom/env/clock.h"

namespace strongroom::bench {
namespace {

// The key server remembers each search and record until their ticket expires: at most 2^20 of one
// ticket, 2^23 of all that live. Hence a short life. A call that begins at the end of its first
// half still has a query's deadline, a minute, before it.
constexpr uint64_t kAnswersPerTicket = 200'000;
constexpr uint64_t kLifetimeS = 120;

}  // namespace

bool KeptTicket::renew_if_due() {
  env::Clock& clock = env::real_clock();
  const uint64_t now_us = clock.monotonic_us();
  if (signed_us_ != 0 && answers_ < kAnswersPerTicket &&
      now_us - signed_us_ < kLifetimeS * 1'000'000 / 2) {
    return false;
  }
  app::TicketTerms terms;
  terms.purpose = "investigation";
  terms.case_reference = "case-4711";
  terms.collection = collection_;
  terms.records_max = 2 * kAnswersPerTicket;  // The last answer may go beyond.
  terms.lifetime_s = kLifetimeS;
  signed_ = sign_ticket(credential_, terms, clock.wall_ms());
  signed_us_ = now_us;
  answers_ = 0;
  return true;
}

void complain(int status, std::string_view body) {
  std::fprintf(stderr, "status %d: %.*s\n", status, static_cast<int>(body.size()), body.data());
}

}  // namespace strongroom::bench
