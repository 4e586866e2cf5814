// What the load programs share: a ticket kept for many calls, and how a refusal is told.
#pragma once

#include <cstdint>
#include <string_view>

#include "strongroom/app/client.h"

namespace strongroom::bench {

// A clerk's ticket for searches of one collection, signed anew before the key server would refuse
// it. Not thread-safe. Borrows `credential`, which outlives it.
class KeptTicket {
 public:
  KeptTicket(const app::Credential& credential, uint32_t collection)
      : credential_(credential), collection_(collection) {}

  // Before each request. True: signed_ticket() is another one than before.
  bool renew_if_due();
  // After each: how many records it was answered with.
  void answered(uint64_t records) { answers_ += 1 + records; }
  const v1::SignedTicket& signed_ticket() const { return signed_; }

 private:
  const app::Credential& credential_;
  const uint32_t collection_;
  v1::SignedTicket signed_;
  uint64_t signed_us_ = 0;  // 0: never.
  uint64_t answers_ = 0;    // Searches and records, as the key server counts them.
};

// A reply that is not 200, on standard error. An error's text is static and names no person.
void complain(int status, std::string_view body);

}  // namespace strongroom::bench
