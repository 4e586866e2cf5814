#include "strongroom/sim/sim_vault.h"

#include <algorithm>

#include "strongroom/base/durations.h"
#include "strongroom/crypto/random.h"
#include "strongroom/sim/habits.h"

namespace strongroom::sim {
namespace {

using keyserver::KeyServer;
using keyserver::KeyServerOptions;

KeyServerOptions server_options(const MemoryFiles& files) {
  KeyServerOptions options;
  options.dir = files.root() + "/keyserver";
  options.mirror_dir = files.root() + "/keyserver-mirror";
  options.version = "sim";
  return options;
}

// Stands for the hash of what was asked: one for each request.
std::string request_hash(const std::string& request) {
  return request + request;
}

}  // namespace

v1::Collection sim_collection() {
  v1::Collection collection;
  collection.set_id(kCollection);
  collection.set_name(kCollectionName);
  auto& group = *collection.add_groups();
  group.set_id(1);
  group.set_name("identity");
  auto& field = *collection.add_fields();
  field.set_id(kNameField);
  field.set_name("name");
  field.set_type(v1::NAME);
  field.set_group("identity");
  field.add_index(v1::EXACT);
  return collection;
}

v1::Policy sim_policy(bool watched) {
  v1::Policy policy;
  policy.set_ticket_lifetime_s_max(43'200);
  for (const char* purpose : {"service", "investigation", "import"}) {
    policy.add_purposes()->set_name(purpose);
  }
  auto& clerk = *policy.add_roles();
  clerk.set_name("clerk");
  auto& grant = *clerk.add_grants();
  grant.set_collection(kCollectionName);
  grant.add_purposes("service");
  grant.add_purposes("investigation");
  grant.add_groups("identity");
  grant.add_groups("masked");
  for (const auto action : {v1::FIND, v1::COUNT, v1::GET}) grant.add_actions(action);
  grant.mutable_budget()->set_records_per_hour(100);
  grant.mutable_budget()->set_records_per_day(500);
  grant.mutable_budget()->set_searches_per_hour(600);
  grant.mutable_budget()->set_searches_per_day(3000);
  grant.set_records_per_query(50);
  auto& operator_role = *policy.add_roles();
  operator_role.set_name("operator");
  auto& import = *operator_role.add_grants();
  import.set_collection(kCollectionName);
  import.add_purposes("import");
  import.add_actions(v1::IMPORT);
  import.mutable_budget()->set_writes_per_day(uint64_t{1} << 30);
  operator_role.add_powers(v1::PLANT_CANARIES);
  operator_role.add_powers(v1::MANAGE_COLLECTIONS);
  operator_role.add_powers(v1::MANAGE_PRINCIPALS);
  auto& officer = *policy.add_roles();
  officer.set_name("officer");
  for (const auto power : {v1::MANAGE_POLICY, v1::MANAGE_PRINCIPALS, v1::READ_LOG}) {
    officer.add_powers(power);
  }
  auto& approver = *policy.add_roles();
  approver.set_name("approver");
  approver.add_powers(v1::APPROVE);
  auto& each = *policy.mutable_limits()->mutable_each_principal()->mutable_records();
  each.set_hour(200);
  each.set_day(1000);
  each.set_month(10'000);
  auto& watch = *policy.mutable_watch();
  if (watched) {
    for (auto* rule : {watch.mutable_rate(), watch.mutable_drip(), watch.mutable_walk(),
                       watch.mutable_canary(), watch.mutable_gateway_rate()}) {
      rule->set_action(v1::WatchRule::FREEZE);
    }
  } else {
    for (auto* rule :
         {watch.mutable_rate(), watch.mutable_breadth(), watch.mutable_drip(), watch.mutable_walk(),
          watch.mutable_hours(), watch.mutable_refusals(), watch.mutable_purposes(),
          watch.mutable_canary(), watch.mutable_gateway_rate(), watch.mutable_gateway_refusals()}) {
      rule->set_action(v1::WatchRule::OFF);
    }
  }
  return policy;
}

watch::Rules SimVault::rules() const {
  auto rules = watch::compile_rules(policy_.watch());
  SR_CHECK(rules.has_value(), "the simulated policy is sound");
  return *std::move(rules);
}

std::string random_bytes(synth::Rng& rng, size_t size) {
  std::string out;
  while (out.size() < size) append_be(out, rng.next(), 8);
  out.resize(size);
  return out;
}

v1::Ticket SimVault::ticket_terms(const TicketTerms& terms, synth::Rng& rng) const {
  v1::Ticket ticket;
  ByteArray<16> vault{};
  SR_CHECK(from_hex(server_->vault_file().vault(), vault), "a vault id");
  ticket.set_vault(std::string(as_text(vault)));
  ticket.set_gateway(terms.gateway);
  ticket.set_principal(terms.principal);
  ticket.set_purpose(terms.purpose);
  ticket.set_collection(kCollection);
  ticket.set_records_max(terms.records_max);
  ticket.set_nonce(random_bytes(rng, 16));
  ticket.set_issued_ms(now_ms());
  ticket.set_expires_ms(now_ms() + terms.lifetime_ms);
  return ticket;
}

v1::SignedTicket SimVault::ticket(const TicketTerms& terms, synth::Rng& rng) const {
  return keyserver::sign_ticket(ticket_terms(terms, rng), key(terms.principal));
}

v1::Reply SimVault::call(const v1::Call& call) {
  v1::CallBatch batch;
  *batch.add_calls() = call;
  auto replies = server_->handle(std::move(batch));
  return std::move(*replies.mutable_replies(0));
}

uint64_t SimVault::released(const v1::Reply& reply) {
  return reply.has_release() ? reply.release().keys().size() / RecordKey::kSize : 0;
}

v1::Call search_call(const v1::SignedTicket& ticket, const std::string& request, uint64_t term,
                     synth::Rng&) {
  v1::Call call;
  auto& tokens = *call.mutable_tokens();
  *tokens.mutable_ticket() = ticket;
  tokens.set_request_id(request);
  tokens.set_request_hash(request_hash(request));
  v1::SearchTerm& asked = *tokens.add_terms();
  append_be(*asked.mutable_h_w(), synth::mix64(term), 8);
  append_be(*asked.mutable_h_w(), synth::mix64(~term), 8);
  asked.set_field(kNameField);
  asked.set_kind(v1::EXACT);
  return call;
}

v1::Call release_call(const v1::SignedTicket& ticket, const std::string& request,
                      const std::vector<uint64_t>& records, uint64_t u, bool get) {
  v1::Call call;
  auto& release = *call.mutable_release();
  *release.mutable_ticket() = ticket;
  release.set_request_id(request);
  release.set_request_hash(request_hash(request));
  for (const uint64_t record : records) {
    auto& item = *release.add_items();
    item.set_idx(record);
    item.set_u(u);
  }
  release.set_groups(2);
  release.set_get(get);
  return call;
}

Result<std::unique_ptr<SimVault>> SimVault::found(const SimOptions& options) {
  crypto::init();
  std::unique_ptr<SimVault> out(new SimVault());
  out->options_ = options;
  out->policy_ = sim_policy(options.watched);
  out->files_ = std::make_unique<MemoryFiles>();
  out->root_ = std::make_shared<const SealingKey>(crypto::random_secret<SealingKey>());
  out->keys_ = std::make_shared<std::map<std::string, crypto::SigningKey>>();
  keyserver::Founding founding;
  founding.collections = {sim_collection()};
  founding.policy = out->policy_;
  const auto add = [&](const std::string& name, const std::string& role) {
    const auto key = out->keys_->emplace(name, crypto::SigningKey::generate()).first;
    auto& principal = founding.principals.emplace_back();
    principal.set_name(name);
    principal.set_role(role);
    principal.set_public_key(std::string(as_text(key->second.public_key())));
  };
  for (uint64_t i = 0; i < options.clerks; ++i) add(out->clerk(i), "clerk");
  add("operator", "operator");
  add("officer", "officer");
  for (const char* name : {"approver1", "approver2", "approver3"}) add(name, "approver");
  v1::VaultFile vault;
  vault.set_name("sim");
  vault.add_gateways(kGateway);
  SR_ASSIGN(out->server_, KeyServer::create(server_options(*out->files_), vault, *out->root_,
                                            founding, *out->files_, out->clock_));
  synth::Rng rng(options.seed, 78, 0);
  SR_TRY(out->import(rng));
  SR_TRY(out->work(rng));
  return out;
}

Result<std::unique_ptr<SimVault>> SimVault::after_power_cut() const {
  std::unique_ptr<SimVault> out(new SimVault());
  out->options_ = options_;
  out->policy_ = policy_;
  out->files_ = files_->after_power_cut();
  out->clock_ = clock_;
  out->root_ = root_;
  out->keys_ = keys_;
  out->canaries_ = canaries_;
  out->busiest_ = busiest_;
  out->version_ = version_;
  SR_ASSIGN(out->server_,
            KeyServer::open(server_options(*out->files_), *root_, *out->files_, out->clock_));
  return out;
}

Result<void> SimVault::import(synth::Rng& rng) {
  const auto signed_ticket = ticket({.principal = "operator", .purpose = "import"}, rng);
  for (uint64_t done = 0; done < options_.records;) {
    v1::Call grant;
    *grant.mutable_grant()->mutable_ticket() = signed_ticket;
    grant.mutable_grant()->set_request_id(random_bytes(rng, 16));
    grant.mutable_grant()->set_count(
        static_cast<uint32_t>(std::min<uint64_t>(4096, options_.records - done)));
    const auto reply = call(grant);
    if (!reply.has_grant()) return make_error(ErrorCode::kInternal, "no grant in the simulation");
    done += reply.grant().count();
    version_ = reply.grant().u();
  }
  if (options_.canaries == 0) return {};
  v1::PlantCanariesRequest request;
  request.set_collection(kCollection);
  while (canaries_.size() < options_.canaries) {
    const uint64_t record = rng.below(options_.records);
    if (canaries_.insert(record).second) request.add_records(record);
  }
  SR_TRY(server_->plant_canaries("operator", request));
  return {};
}

Result<void> SimVault::work(synth::Rng& rng) {
  std::vector<Clerk> clerks;
  for (uint64_t i = 0; i < options_.clerks; ++i) {
    clerks.emplace_back(options_.seed, i, options_.records);
    busiest_[clerk(i)] = {};
  }
  for (uint64_t day = kDayOne; day < kDayOne + options_.days; ++day) {
    clock_.set_wall_ms(day * kDayMs);
    std::map<std::pair<uint64_t, uint32_t>, v1::SignedTicket> tickets;
    std::vector<std::pair<uint64_t, LookUp>> ups;
    for (uint64_t i = 0; i < clerks.size(); ++i) {
      for (LookUp& up : clerks[i].day(day)) ups.emplace_back(i, std::move(up));
    }
    std::sort(ups.begin(), ups.end(),
              [](const auto& a, const auto& b) { return a.second.t_ms < b.second.t_ms; });
    std::map<std::pair<std::string, uint64_t>, uint64_t> hours;
    std::map<std::string, std::set<uint64_t>> days;
    for (auto& [who, up] : ups) {
      clock_.set_wall_ms(std::max(up.t_ms, now_ms()));
      auto& signed_ticket = tickets[{who, up.purpose * 2 + (up.t_ms / (kDayMs / 2) % 2)}];
      if (signed_ticket.ticket().empty()) {
        signed_ticket = ticket({.principal = clerk(who),
                                .purpose = up.purpose == 0 ? "service" : "investigation",
                                .records_max = 100'000},
                               rng);
      }
      const std::string request = random_bytes(rng, 16);
      call(search_call(signed_ticket, request, up.term, rng));
      // Nobody asks for a person there is not.
      std::erase_if(up.records, [&](uint64_t record) { return is_canary(record); });
      if (up.records.empty()) continue;
      const uint64_t opened =
          released(call(release_call(signed_ticket, request, up.records, version_, false)));
      if (opened == 0) continue;
      Busiest& busiest = busiest_[clerk(who)];
      uint64_t& hour = hours[{clerk(who), up.t_ms / 3'600'000}];
      hour += opened;
      busiest.records_hour = std::max(busiest.records_hour, hour);
      auto& different = days[clerk(who)];
      different.insert(up.records.begin(), up.records.end());
      busiest.different_day = std::max<uint64_t>(busiest.different_day, different.size());
    }
    SR_TRY(server_->tick());
  }
  uint64_t day = kDayOne + options_.days;
  while ((day + 3) % 7 >= 5) ++day;
  clock_.set_wall_ms(day * kDayMs + 9 * 3'600'000);
  return {};
}

}  // namespace strongroom::sim
