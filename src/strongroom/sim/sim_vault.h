// A key server in memory, under a clock set by hand: the real one, with its log, ledger, tickets
// and watch; only disk, network and time are simulated. And what clerks did with it before.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "strongroom/env/clock.h"
#include "strongroom/keyserver/key_server.h"
#include "strongroom/keyserver/tickets.h"
#include "strongroom/sim/bounds.h"
#include "strongroom/sim/memory_files.h"
#include "strongroom/synth/random.h"

namespace strongroom::sim {

inline constexpr uint32_t kCollection = 1;
inline constexpr char kCollectionName[] = "person";
inline constexpr uint32_t kNameField = 1;
inline constexpr char kGateway[] = "gw1";
inline constexpr uint64_t kDayOne = 19'674;  // Monday, 2023-11-13.

struct SimOptions {
  uint64_t seed = 1;
  uint64_t clerks = 12;
  uint64_t records = 40'960;
  uint64_t canaries = 40;
  uint64_t days = 21;  // Of ordinary work before.
  bool watched = true;
};

struct TicketTerms {
  std::string principal;
  std::string purpose = "service";
  uint64_t records_max = 1000;
  uint64_t lifetime_ms = 43'200'000;
  std::string gateway = kGateway;
};

// The policy of the simulated vault: the clerk's budgets of examples/policies/example.yaml, and
// rules that cut off by themselves.
v1::Policy sim_policy(bool watched);
v1::Collection sim_collection();

// Not thread-safe.
class SimVault {
 public:
  static Result<std::unique_ptr<SimVault>> found(const SimOptions& options);
  // Another, from what is durable of this one: as after a power cut. The clock may be set first.
  //   as KeyServer::open
  Result<std::unique_ptr<SimVault>> after_power_cut() const;

  keyserver::KeyServer& server() { return *server_; }
  env::ManualClock& clock() { return clock_; }
  uint64_t now_ms() const { return clock_.wall_ms(); }
  const SimOptions& options() const { return options_; }
  const v1::Policy& policy() const { return policy_; }
  watch::Rules rules() const;
  std::string clerk(uint64_t number) const { return "clerk" + std::to_string(number); }
  const Busiest& busiest(const std::string& who) const { return busiest_.at(who); }
  const crypto::SigningKey& key(const std::string& who) const { return keys_->at(who); }
  bool is_canary(uint64_t record) const { return canaries_.contains(record); }
  uint64_t version() const { return version_; }  // u of every record.

  v1::Ticket ticket_terms(const TicketTerms& terms, synth::Rng& rng) const;
  v1::SignedTicket ticket(const TicketTerms& terms, synth::Rng& rng) const;
  v1::Reply call(const v1::Call& call);
  // Records whose keys a reply handed out.
  static uint64_t released(const v1::Reply& reply);

 private:
  SimVault() = default;
  Result<void> import(synth::Rng& rng);
  Result<void> work(synth::Rng& rng);

  SimOptions options_;
  v1::Policy policy_;
  std::unique_ptr<MemoryFiles> files_;
  env::ManualClock clock_{kDayOne * 86'400'000};
  std::shared_ptr<const SealingKey> root_;
  std::shared_ptr<std::map<std::string, crypto::SigningKey>> keys_;
  std::unique_ptr<keyserver::KeyServer> server_;
  std::set<uint64_t> canaries_;
  std::map<std::string, Busiest> busiest_;
  uint64_t version_ = 1;
};

std::string random_bytes(synth::Rng& rng, size_t size);
v1::Call search_call(const v1::SignedTicket& ticket, const std::string& request, uint64_t term,
                     synth::Rng& rng);
// By an earlier search's request, or, with `get`, by number.
v1::Call release_call(const v1::SignedTicket& ticket, const std::string& request,
                      const std::vector<uint64_t>& records, uint64_t u, bool get);

}  // namespace strongroom::sim
