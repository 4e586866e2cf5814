// What a decision costs, with many principals and rules, every limit in force and all meters in
// use.
#include <benchmark/benchmark.h>

#include <random>

#include "strongroom/policy/engine.h"

namespace strongroom::policy {
namespace {

constexpr uint64_t kStart = 1'700'000'000'000;
constexpr int kPrincipals = 10'000;
constexpr int kRoles = 10, kCollections = 5;  // A grant each: 50 rules.

v1::Limit roomy() {
  v1::Limit limit;
  for (v1::Windows* windows : {limit.mutable_records(), limit.mutable_searches()}) {
    windows->set_hour(uint64_t{1} << 40);
    windows->set_day(uint64_t{1} << 40);
    windows->set_month(uint64_t{1} << 40);
  }
  return limit;
}

class Town {
 public:
  Town() {
    std::vector<v1::Collection> collections;
    for (int c = 1; c <= kCollections; ++c) {
      v1::Collection& collection = collections.emplace_back();
      collection.set_id(static_cast<uint32_t>(c));
      collection.set_name("c" + std::to_string(c));
      v1::Group& group = *collection.add_groups();
      group.set_id(1);
      group.set_name("all");
    }
    v1::Policy policy;
    v1::Purpose& purpose = *policy.add_purposes();
    purpose.set_name("service");
    purpose.add_case_patterns("A-####");
    for (int r = 0; r < kRoles; ++r) {
      v1::Role& role = *policy.add_roles();
      role.set_name("r" + std::to_string(r));
      for (const auto& collection : collections) {
        v1::Grant& grant = *role.add_grants();
        grant.set_collection(collection.name());
        grant.add_purposes("service");
        grant.add_groups("all");
        grant.add_actions(v1::FIND);
        grant.set_hours("00:00-23:59");
        for (int n = 0; n < 8; ++n) grant.add_networks("10." + std::to_string(n) + ".0.0/16");
        v1::Budget& budget = *grant.mutable_budget();
        budget.set_records_per_hour(uint64_t{1} << 40);
        budget.set_records_per_day(uint64_t{1} << 40);
        budget.set_searches_per_hour(uint64_t{1} << 40);
        budget.set_searches_per_day(uint64_t{1} << 40);
      }
    }
    v1::Limits& limits = *policy.mutable_limits();
    for (v1::Limit* limit : {limits.mutable_each_principal(), limits.mutable_each_gateway(),
                             limits.mutable_each_collection(), limits.mutable_vault()}) {
      *limit = roomy();
    }
    limits.set_repeat_free_minutes(60);
    SR_CHECK(engine.set_policy(policy, collections).has_value(), "a sound policy");
    for (int p = 0; p < kPrincipals; ++p) {
      v1::Principal principal;
      principal.set_name("principal-" + std::to_string(p));
      principal.set_role("r" + std::to_string(p % kRoles));
      engine.set_principal(principal, 1);
      names.push_back(principal.name());
    }
    // A month of use, so that the windows are as full as they get.
    std::mt19937_64 random(3);
    for (uint64_t hour = 0; hour < 30 * 24; hour += 6) {
      for (const auto& name : names) {
        engine.charge({name,
                       "service",
                       "gateway-1",
                       CollectionId{1 + static_cast<uint32_t>(random() % kCollections)},
                       {.records = 1, .searches = 1}},
                      kStart + hour * 3'600'000);
      }
    }
  }
  Engine engine;
  std::vector<std::string> names;
};

Town& town() {
  static Town town;
  return town;
}

Ask ask_of(const std::string& name, uint32_t collection) {
  Ask ask;
  ask.principal = name;
  ask.purpose = "service";
  ask.case_reference = "A-1234";
  ask.gateway = "gateway-1";
  ask.collection = CollectionId{collection};
  ask.action = v1::FIND;
  ask.groups = 2;
  ask.amounts.records = 1;
  ask.from = IpAddress{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 7, 3, 4};
  return ask;
}

void decide(benchmark::State& state) {
  Town& all = town();
  const uint64_t now = kStart + uint64_t{30} * 24 * 3'600'000;
  std::mt19937_64 random(5);
  std::vector<std::pair<size_t, uint32_t>> order;
  for (int i = 0; i < 65'536; ++i) {
    order.emplace_back(random() % all.names.size(), 1 + static_cast<uint32_t>(random() % 5));
  }
  size_t at = 0;
  for (auto _ : state) {
    const auto& [who, collection] = order[at++ % order.size()];
    const auto decided = all.engine.decide(ask_of(all.names[who], collection), now);
    SR_CHECK(decided.has_value(), "allowed");
  }
}
BENCHMARK(decide);

void decide_and_charge(benchmark::State& state) {
  Town& all = town();
  uint64_t now = kStart + uint64_t{31} * 24 * 3'600'000;
  std::mt19937_64 random(5);
  for (auto _ : state) {
    const Ask ask = ask_of(all.names[random() % all.names.size()], 1);
    SR_CHECK(all.engine.decide(ask, now).has_value(), "allowed");
    all.engine.charge({ask.principal, ask.purpose, ask.gateway, ask.collection, ask.amounts}, now);
    now += 10;
  }
}
BENCHMARK(decide_and_charge);

}  // namespace
}  // namespace strongroom::policy

BENCHMARK_MAIN();
