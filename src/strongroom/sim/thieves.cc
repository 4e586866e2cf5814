#include "strongroom/sim/thieves.h"

#include <algorithm>

#include "strongroom/base/durations.h"

namespace strongroom::sim {
namespace {

constexpr uint64_t kSecondMs = 1000;
const std::vector<std::string> kPurposes = {"service", "investigation"};

struct Bound {
  uint64_t records = 0;
  const char* by = "";
};

Bound one_key_bound(const SimVault& vault, const std::string& who, uint64_t duration_ms) {
  const auto rules = vault.rules();
  const Busiest& busiest = vault.busiest(who);
  Bound out{bound_by_budgets(vault.policy(), "clerk", kCollectionName, duration_ms), "budgets"};
  for (const Bound& other : {Bound{bound_by_rate(rules, busiest, duration_ms), "watch: rate"},
                             Bound{bound_by_drip(rules, busiest, duration_ms), "watch: drip"}}) {
    if (other.records < out.records) out = other;
  }
  return out;
}

void set_bound(Theft& theft, const Bound& bound) {
  theft.bound = bound.records;
  theft.bound_by = bound.by;
}

Theft plan(const char* name, const char* what) {
  Theft theft;
  theft.name = name;
  theft.what = what;
  return theft;
}

bool is_working_hour(uint64_t t_ms) {
  const uint64_t hour = t_ms / kHourMs;
  return (hour / 24 + 3) % 7 < 5 && hour % 24 >= 8 && hour % 24 < 16;
}

}  // namespace

bool is_frozen(const v1::Reply& reply) {
  return reply.has_error() &&
         reply.error().code() == static_cast<uint32_t>(ErrorCode::kPermissionDenied);
}

std::vector<uint64_t> Heist::some_records(uint64_t count, synth::Rng& rng) const {
  std::set<uint64_t> out;
  while (out.size() < count) out.insert(rng.below(vault_.options().records));
  return {out.begin(), out.end()};
}

void Heist::finish(const std::vector<std::string>& about, Theft& theft) {
  theft.lost = lost_;
  vault_.clock().advance_ms(10 * kSecondMs);  // Refusals are added up for so long.
  if (!vault_.server().tick()) return;
  v1::ListAlarmsRequest request;
  request.set_after(alarms_after_);
  request.set_count(1000);
  const auto alarms = vault_.server().list_alarms("officer", request);
  if (!alarms) return;
  for (const auto& alarm : alarms->alarms()) {
    const std::string& who = alarm.alarm().principal();
    if (!about.empty() && !who.empty() &&
        std::find(about.begin(), about.end(), who) == about.end()) {
      continue;
    }
    if (theft.noticed_by.empty()) {
      theft.noticed_by = watch::rule_name(alarm.alarm().rule());
      theft.noticed_ms = alarm.t_ms() - std::min(alarm.t_ms(), started_ms_);
    }
    theft.cut = theft.cut || alarm.alarm().action() == v1::WatchRule::FREEZE;
  }
}

// Everything at once, as fast as answers come, for a day: whoever found a clerk's key.
Theft smash_and_grab(SimVault& vault, synth::Rng& rng) {
  const std::string who = vault.clerk(0);
  Theft theft = plan("smash-and-grab", "one clerk's key, everything at once, for a day");
  theft.duration_ms = kDayMs;
  set_bound(theft, one_key_bound(vault, who, theft.duration_ms));
  Heist heist(vault);
  const uint64_t end = vault.now_ms() + theft.duration_ms;
  bool over = false;
  while (!over && vault.now_ms() < end) {
    over = true;
    for (const auto& purpose : kPurposes) {
      const auto ticket = vault.ticket({.principal = who, .purpose = purpose}, rng);
      for (uint64_t size : {50, 10, 1}) {
        for (;;) {
          const auto reply = heist.call(release_call(
              ticket, random_bytes(rng, 16), heist.some_records(size, rng), vault.version(), true));
          vault.clock().advance_ms(kSecondMs);
          if (!is_frozen(reply)) over = false;
          if (reply.has_error()) break;
        }
      }
    }
    vault.clock().advance_ms(60 * kSecondMs);
  }
  heist.finish({who}, theft);
  return theft;
}

// A few an hour, in working hours, below every limit, for four weeks.
Theft slow_drip(SimVault& vault, synth::Rng& rng) {
  const std::string who = vault.clerk(1);
  Theft theft = plan("slow drip", "one clerk's key, below every limit, for four weeks");
  theft.duration_ms = 28 * kDayMs;
  set_bound(theft, one_key_bound(vault, who, theft.duration_ms));
  Heist heist(vault);
  const uint64_t end = vault.now_ms() + theft.duration_ms;
  bool frozen = false;
  for (; !frozen && vault.now_ms() < end; vault.clock().advance_ms(kHourMs)) {
    if (!is_working_hour(vault.now_ms())) continue;
    const auto ticket = vault.ticket({.principal = who}, rng);
    for (int i = 0; i < 9 && !frozen; ++i) {
      const std::string request = random_bytes(rng, 16);
      heist.call(search_call(ticket, request, rng.next(), rng));
      frozen = is_frozen(heist.call(
          release_call(ticket, request, heist.some_records(1, rng), vault.version(), false)));
    }
  }
  heist.finish({who}, theft);
  return theft;
}

// Record after record, a few a minute.
Theft walk(SimVault& vault, synth::Rng& rng) {
  const std::string who = vault.clerk(2);
  Theft theft = plan("walk", "one clerk's key, record after record, for a day");
  theft.duration_ms = kDayMs;
  set_bound(theft, one_key_bound(vault, who, theft.duration_ms));
  Heist heist(vault);
  const uint64_t end = vault.now_ms() + theft.duration_ms;
  uint64_t next = rng.below(vault.options().records / 2);
  bool frozen = false;
  for (; !frozen && vault.now_ms() < end; vault.clock().advance_ms(120 * kSecondMs)) {
    const auto ticket = vault.ticket({.principal = who}, rng);
    frozen = is_frozen(
        heist.call(release_call(ticket, random_bytes(rng, 16), {next++}, vault.version(), true)));
  }
  heist.finish({who}, theft);
  return theft;
}

// Ten who know each other and the rules: each stays below an own hourly limit, for a week.
Theft colluders(SimVault& vault, synth::Rng& rng) {
  Theft theft = plan("ten colluders", "ten clerks, each below an own rate, for a week");
  theft.duration_ms = 7 * kDayMs;
  std::vector<std::string> who;
  for (uint64_t i = 0; i < 10; ++i) {
    who.push_back(vault.clerk(i));
    const Bound bound = one_key_bound(vault, who.back(), theft.duration_ms);
    theft.bound += bound.records;
    theft.bound_by = std::string("each: ") + bound.by;
  }
  Heist heist(vault);
  const uint64_t end = vault.now_ms() + theft.duration_ms;
  std::set<std::string> frozen;
  for (; frozen.size() < who.size() && vault.now_ms() < end; vault.clock().advance_ms(kHourMs)) {
    if (!is_working_hour(vault.now_ms())) continue;
    for (const auto& name : who) {
      const auto ticket = vault.ticket({.principal = name}, rng);
      for (int i = 0; i < 11 && !frozen.contains(name); ++i) {
        const auto reply = heist.call(release_call(
            ticket, random_bytes(rng, 16), heist.some_records(5, rng), vault.version(), true));
        if (is_frozen(reply)) frozen.insert(name);
      }
    }
  }
  heist.finish(who, theft);
  return theft;
}

// A gateway taken over: every ticket that clerks have sent it, until it expires.
Theft gateway(SimVault& vault, synth::Rng& rng) {
  Theft theft = plan("compromised gateway", "every live ticket of twelve clerks");
  theft.duration_ms = 900 * kSecondMs;
  std::vector<v1::SignedTicket> live;
  for (uint64_t i = 0; i < vault.options().clerks; ++i) {
    TicketTerms terms{.principal = vault.clerk(i)};
    terms.records_max = 50;
    terms.lifetime_ms = theft.duration_ms;
    live.push_back(vault.ticket(terms, rng));
    theft.bound +=
        std::min(terms.records_max, one_key_bound(vault, terms.principal, kHourMs).records);
  }
  theft.bound_by = "what the tickets allow";
  Heist heist(vault);
  const uint64_t end = vault.now_ms() + theft.duration_ms + 60 * kSecondMs;
  for (; vault.now_ms() < end; vault.clock().advance_ms(20 * kSecondMs)) {
    for (const auto& ticket : live) {
      heist.call(release_call(ticket, random_bytes(rng, 16), heist.some_records(10, rng),
                              vault.version(), true));
    }
  }
  heist.finish({}, theft);
  return theft;
}

// The officer and the operator at once, in one hand: opens what is closed to it, and takes.
Theft administrator(SimVault& vault, synth::Rng& rng) {
  Theft theft = plan("administrator alone",
                     "officer's key: a policy for itself, a clerk of its own, then all it can");
  theft.duration_ms = kHourMs;
  theft.bound = 0;
  theft.bound_by = "nothing widens without others";
  Heist heist(vault);
  v1::ApplyPolicyRequest apply;
  *apply.mutable_policy() = vault.policy();
  auto& grant = *apply.mutable_policy()->mutable_roles(2)->add_grants();
  grant = vault.policy().roles(0).grants(0);
  grant.mutable_budget()->set_records_per_hour(1'000'000);
  grant.mutable_budget()->set_records_per_day(1'000'000);
  static_cast<void>(vault.server().apply_policy("officer", apply).has_value());
  v1::AddPrincipalRequest add;
  add.set_name("ghost");
  add.set_role("clerk");
  add.set_public_key(std::string(as_text(vault.key("officer").public_key())));
  static_cast<void>(vault.server().add_principal("officer", add).has_value());
  v1::RekeyPrincipalRequest rekey;
  rekey.set_name(vault.clerk(3));
  rekey.set_public_key(add.public_key());
  static_cast<void>(vault.server().rekey_principal("officer", rekey).has_value());
  for (const std::string& name : {std::string("officer"), std::string("ghost"), vault.clerk(3)}) {
    for (const auto& purpose : kPurposes) {
      const auto terms = vault.ticket_terms({.principal = name, .purpose = purpose}, rng);
      const auto ticket = keyserver::sign_ticket(terms, vault.key("officer"));
      for (int i = 0; i < 40; ++i) {
        heist.call(release_call(ticket, random_bytes(rng, 16), heist.some_records(50, rng),
                                vault.version(), true));
        vault.clock().advance_ms(kSecondMs);
      }
    }
  }
  heist.finish({"officer", "ghost", vault.clerk(3)}, theft);
  return theft;
}

// Whoever reads along between clerk and key server: replays, alters and forges.
Theft forger(SimVault& vault, synth::Rng& rng) {
  Theft theft = plan("replayed and forged", "a spent ticket, replayed, altered, forged");
  theft.duration_ms = kHourMs;
  theft.bound = 0;
  theft.bound_by = "each ticket and request once";
  const std::string who = vault.clerk(4);
  const auto ticket = vault.ticket({.principal = who, .records_max = 3}, rng);
  const std::string request = random_bytes(rng, 16);
  vault.call(search_call(ticket, request, 7, rng));
  std::vector<uint64_t> seen;
  for (uint64_t record = 0; seen.size() < 3; ++record) {
    if (!vault.is_canary(record)) seen.push_back(record * 10);
  }
  std::erase_if(seen, [&](uint64_t record) { return vault.is_canary(record); });
  vault.call(release_call(ticket, request, seen, vault.version(), false));
  Heist heist(vault);
  const auto try_with = [&](const v1::SignedTicket& other) {
    heist.call(release_call(other, request, seen, vault.version(), false));
    heist.call(release_call(other, random_bytes(rng, 16), heist.some_records(1, rng),
                            vault.version(), true));
    heist.call(search_call(other, request, 8, rng));
    vault.clock().advance_ms(kSecondMs);
  };
  for (int i = 0; i < 40; ++i) {
    try_with(ticket);
    v1::SignedTicket altered = ticket;
    v1::Ticket terms;
    if (!terms.ParseFromString(ticket.ticket())) continue;
    terms.set_records_max(1'000'000);
    altered.set_ticket(terms.SerializeAsString());
    try_with(altered);
    v1::SignedTicket flipped = ticket;
    auto& byte = (*flipped.mutable_ticket())[rng.below(flipped.ticket().size())];
    byte = static_cast<char>(byte ^ (1 << rng.below(8)));
    try_with(flipped);
    const auto own = crypto::SigningKey::generate();
    try_with(keyserver::sign_ticket(vault.ticket_terms({.principal = who}, rng), own));
    TicketTerms elsewhere{.principal = who};
    elsewhere.gateway = "gw2";
    try_with(vault.ticket(elsewhere, rng));
    TicketTerms long_lived{.principal = who};
    long_lived.lifetime_ms = 30 * kDayMs;
    try_with(vault.ticket(long_lived, rng));
  }
  heist.finish({who}, theft);
  return theft;
}

// Somebody who can set the key server's clock: back, so that windows would open again.
Theft clock_back(SimVault& vault, synth::Rng& rng) {
  const std::string who = vault.clerk(5);
  Theft theft = plan("clock moved back", "one clerk's key, and the key server's clock");
  theft.duration_ms = kHourMs;
  set_bound(theft, one_key_bound(vault, who, theft.duration_ms));
  Heist heist(vault);
  const uint64_t now = vault.now_ms();
  const auto grab = [&] {
    for (const auto& purpose : kPurposes) {
      const auto ticket = vault.ticket({.principal = who, .purpose = purpose}, rng);
      for (int i = 0; i < 30; ++i) {
        heist.call(release_call(ticket, random_bytes(rng, 16), heist.some_records(5, rng),
                                vault.version(), true));
      }
    }
  };
  grab();
  for (const uint64_t back : {kHourMs, 2 * kHourMs, kDayMs, 30 * kDayMs}) {
    vault.clock().set_wall_ms(now - back);
    grab();
    vault.clock().set_wall_ms(now - back - 60 * kHourMs);
    static_cast<void>(vault.server().tick().has_value());
    grab();
  }
  vault.clock().set_wall_ms(now);
  heist.finish({who}, theft);
  return theft;
}

// Sixty-four connections at the edge of a budget, and the power goes again and again; what was not
// answered is asked again, under the same request id.
Theft racers(std::unique_ptr<SimVault> vault, synth::Rng& rng) {
  Theft theft =
      plan("races at the edge", "64 connections, power cuts and retries, watching switched off");
  theft.duration_ms = kHourMs;
  theft.bound = bound_by_budgets(vault->policy(), "clerk", kCollectionName, theft.duration_ms);
  theft.bound_by = "budgets of an hour";
  const std::string who = vault->clerk(6);
  uint64_t lost = 0;
  std::vector<v1::SignedTicket> tickets;
  for (const auto& purpose : kPurposes) {
    for (int i = 0; i < 8; ++i) {
      tickets.push_back(vault->ticket({.principal = who, .purpose = purpose}, rng));
    }
  }
  std::vector<v1::Call> unanswered;
  for (int round = 0; round < 24; ++round) {
    v1::CallBatch batch;
    for (auto& call : unanswered) *batch.add_calls() = std::move(call);
    unanswered.clear();
    while (batch.calls_size() < 64) {
      std::set<uint64_t> records;
      const uint64_t count = 1 + rng.below(7);
      while (records.size() < count) records.insert(rng.below(vault->options().records));
      *batch.add_calls() = release_call(tickets[rng.below(tickets.size())], random_bytes(rng, 16),
                                        {records.begin(), records.end()}, vault->version(), true);
    }
    const bool power_goes = rng.chance(30);
    const auto calls = batch;
    const auto replies = vault->server().handle(std::move(batch));
    for (int i = 0; i < replies.replies_size(); ++i) {
      // Answers on their way when the power goes: some arrived.
      if (power_goes && rng.chance(50)) {
        unanswered.push_back(calls.calls(i));
      } else {
        lost += SimVault::released(replies.replies(i));
      }
    }
    if (power_goes) {
      auto again = vault->after_power_cut();
      if (!again) {
        theft.what = "the key server did not start again";
        theft.lost = UINT64_MAX;
        return theft;
      }
      vault = *std::move(again);
    }
    vault->clock().advance_ms(60 * kSecondMs);
  }
  theft.lost = lost;
  return theft;
}

}  // namespace strongroom::sim
