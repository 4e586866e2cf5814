// Decides: principal, purpose, collection, action, groups and amounts in; yes or a reason out. Then
// charges.
//
// A pure step function: no clock, no I/O, the same answers for the same history. What was charged
// is what the release log holds, so replaying it rebuilds an engine that answers the same.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "strongroom/policy/budget.h"
#include "strongroom/policy/policy.h"

namespace strongroom::policy {

struct Amounts {
  uint64_t records = 0;   // Distinct records opened.
  uint64_t searches = 0;  // Token requests.
  uint64_t writes = 0;    // Records imported or changed.
  uint64_t uniques = 0;   // Unique tokens: an own meter, under the limit of writes.
};

struct Ask {
  std::string_view principal;
  std::string_view purpose;
  std::string_view case_reference;
  CollectionId collection;
  v1::Action action = v1::ACTION_UNSPECIFIED;
  uint32_t groups = 0;               // Bit g: group g is to be opened.
  std::span<const AskedTerm> terms;  // To be searched for.
  Amounts amounts;
  uint64_t records_before = 0;  // Opened before under the same request.
};

struct PrincipalEntry {
  v1::Principal principal;
  uint64_t generation =
      0;  // Changes with the key: what was verified under the old one must be verified again.
  uint64_t leaf = 0;  // Of the last change.
};

// Not thread-safe.
class Engine {
 public:
  // Replaces the policy. Principals and what was charged stay.
  //   kInvalidArgument  As compile_policy. Nothing was changed.
  Result<void> set_policy(const v1::Policy& policy, std::span<const v1::Collection> collections,
                          Problem* problem = nullptr);
  // Adds or replaces.
  void set_principal(const v1::Principal& principal, uint64_t leaf);

  const v1::Policy& policy() const { return policy_; }
  const PrincipalEntry* principal(std::string_view name) const;  // nullptr: unknown.
  std::vector<const PrincipalEntry*> principals() const;         // By name.
  size_t principal_count() const { return principals_.size(); }
  uint64_t ticket_lifetime_ms_max() const { return compiled_.ticket_lifetime_ms_max; }
  bool has_role(std::string_view role) const { return compiled_.roles.contains(role); }

  // Whether an enabled principal's role holds the power.
  bool has_power(std::string_view principal, v1::Power power) const;
  // Whether, under `next`, some enabled principal could still change the policy.
  bool anyone_manages_policy(const CompiledPolicy& next) const;

  // Changes nothing that later answers depend on. The first rule that refuses gives the reason:
  //   kUnauthenticated   Unknown or disabled principal.
  //   kPermissionDenied  Role, purpose, case reference, action, groups, records per query.
  //   kSearchDenied      A term goes by a field that the role may not search so: number is its id.
  //   kBudgetExhausted   retry_after_ms says when.
  Result<void> decide(const Ask& ask, uint64_t t_ms);
  // Counts what was decided, or what the log says. Names need not exist any more.
  void charge(std::string_view principal, std::string_view purpose, CollectionId collection,
              const Amounts& amounts, uint64_t t_ms);

 private:
  struct Meters {
    HourWindow records_hour, searches_hour;
    DayWindow records_day, searches_day, writes_day, uniques_day;
  };
  struct MeterKey {
    uint32_t principal, purpose, collection;
    bool operator==(const MeterKey&) const = default;
  };
  struct MeterKeyHash {
    size_t operator()(const MeterKey& key) const;
  };
  Meters* find_meters(std::string_view principal, std::string_view purpose,
                      CollectionId collection);

  v1::Policy policy_;
  CompiledPolicy compiled_;
  NameMap<PrincipalEntry> principals_;
  NameMap<uint32_t>
      numbers_;  // Of every name ever charged: keys stay small and survive a change of policy.
  std::unordered_map<MeterKey, std::unique_ptr<Meters>, MeterKeyHash> meters_;
};

}  // namespace strongroom::policy
