// Decides: principal, purpose, collection, action, groups and amounts in; yes or a reason out. Then
// charges.
//
// A pure step function: no clock, no I/O, the same answers for the same history. What was charged
// is what the release log holds, so replaying it rebuilds an engine that answers the same.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "strongroom/policy/freeze.h"
#include "strongroom/policy/meters.h"
#include "strongroom/policy/policy.h"
#include "strongroom/policy/repeats.h"

namespace strongroom::policy {

struct Ask {
  std::string_view principal;
  std::string_view purpose;
  std::string_view case_reference;
  std::string_view gateway;
  CollectionId collection;
  v1::Action action = v1::ACTION_UNSPECIFIED;
  uint32_t groups = 0;               // Bit g: group g is to be opened.
  std::span<const AskedTerm> terms;  // To be searched for.
  Amounts amounts;
  uint64_t records_before = 0;    // Opened before under the same request.
  std::optional<IpAddress> from;  // Where it comes from, as the gateway says.
  bool leaves = true;             // Else it is only asked for, and from where does not matter.
};

struct User;  // Of the engine: what a principal has used.

struct PrincipalEntry {
  v1::Principal principal;
  uint64_t generation =
      0;  // Changes with the key: what was verified under the old one must be verified again.
  uint64_t leaf = 0;  // Of the last change.
  // Of the engine, so that a decision need not look for them.
  const CompiledRole* role = nullptr;  // Null: the policy no longer has it.
  User* user = nullptr;                // Null: nothing used yet.
  template <class A>
  void archive(A& a) {
    a(principal, generation, leaf);
  }
};

// Who used how much, by which way: what a budget is charged for.
struct Charge {
  std::string_view principal;
  std::string_view purpose;
  std::string_view gateway;
  CollectionId collection;
  Amounts amounts;
};

// One limit and how much of it is used.
struct BudgetUse {
  BudgetScope scope = BudgetScope::kPurpose;
  std::string purpose;
  CollectionId collection;
  Quantity quantity = Quantity::kRecords;
  Window window = Window::kHour;
  uint64_t used = 0;
  uint64_t most = 0;
};

// What one principal used in 90 days for one purpose of one collection.
struct QuarterUse {
  std::string purpose;
  CollectionId collection;
  std::array<uint64_t, kQuantities> used{};
};

// For whom something was decided, until it leaves. Without a principal: for no one in particular,
// as a lane's root for the compactor.
struct Holder {
  const PrincipalEntry* principal = nullptr;  // Of the engine; valid as long as that.
  uint64_t generation = 0;                    // Of its key, when it was decided.
  std::string purpose;
  std::string gateway;
  CollectionId collection;
  uint32_t groups = 0;  // Bit g: group g leaves.
};

// Proof, by type, that at this moment nothing stands against a key's leaving. Only Engine::clear()
// makes one; used at once, never kept.
class Clearance {
 public:
  Clearance(Clearance&&) = default;
  Clearance(const Clearance&) = delete;

 private:
  friend class Engine;
  Clearance() = default;
};

// What a principal used, or one there was. A decision finds all of it by one pointer and in one
// place, since each look into a large table costs more than the rest of it.
struct User {
  using Quarter = std::array<QuarterWindow, kQuantities>;
  // For one purpose in one collection.
  struct Way {
    uint32_t purpose = 0;  // The engine's number of its name.
    uint32_t collection = 0;
    Meters meters;
    std::unique_ptr<Quarter> quarter = std::make_unique<Quarter>();
    template <class A>
    void archive(A& a) {
      a(purpose, collection, meters, *quarter);
    }
  };
  std::vector<Way> ways;  // Few: what a role may do.
  Meters all;
  // Null: nothing yet. Valid until one is added.
  Way* way(uint32_t purpose, CollectionId collection) {
    for (Way& w : ways) {
      if (w.purpose == purpose && w.collection == collection.value) return &w;
    }
    return nullptr;
  }
  template <class A>
  void archive(A& a) {
    a(all, ways);
  }
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
  bool is_emergency(std::string_view purpose) const;
  bool has_role(std::string_view role) const { return compiled_.roles.contains(role); }

  // Whether an enabled principal's role holds the power.
  bool has_power(std::string_view principal, v1::Power power) const;
  // Whether, under `next`, some enabled principal could still change the policy.
  bool anyone_manages_policy(const CompiledPolicy& next) const;
  // Enabled principals whose role holds APPROVE; under `policy`, where given. By name.
  std::vector<std::string> approvers(const CompiledPolicy* policy = nullptr) const;
  uint32_t approvals_needed() const { return compiled_.approvals_needed; }
  uint64_t destruction_delay_ms() const { return compiled_.destruction_delay_ms; }
  uint64_t approval_ms_max() const { return compiled_.approval_ms_max; }

  // What is cut off. A change holds for clear() at once, whatever was decided before.
  Freezes& freezes() { return freezes_; }
  const Freezes& freezes() const { return freezes_; }
  // Whether a principal, or its role, is frozen (not merely to the masked view).
  bool is_frozen(std::string_view principal) const;

  Holder holder(const Ask& ask) const;
  // Asked when a key is about to leave, since the decision may lie behind a sync: the principal is
  // still enabled, has the key it had, and nothing of it is frozen.
  //   kUnauthenticated, kPermissionDenied  It must not leave. What was logged and charged stands.
  Result<Clearance> clear(const Holder& holder) const;

  // Changes nothing that later answers depend on. The first rule that refuses gives the reason:
  //   kUnauthenticated   Unknown or disabled principal.
  //   kPermissionDenied  A freeze, role, purpose, network, case reference, action, groups, records
  //   per query.
  //   kSearchDenied      A term goes by a field that the role may not search so: number is its id.
  //   kBudgetExhausted   retry_after_ms says when.
  Result<void> decide(const Ask& ask, uint64_t t_ms);
  // Counts what was decided, or what the log says. Names need not exist any more.
  void charge(const Charge& charge, uint64_t t_ms);
  // How many of these cost no budget, since the principal paid for them lately.
  uint64_t free_repeats(std::string_view principal, std::span<const RecordIndex> records,
                        uint32_t groups, uint64_t t_ms) const;
  // A record was opened, as the log says.
  void note_opened(std::string_view principal, RecordIndex record, uint32_t groups, uint64_t t_ms);

  // Of the purposes that a principal's role may name, and its own over all of them.
  std::vector<BudgetUse> budgets_of(std::string_view principal, uint64_t t_ms);
  // By purpose and collection; what was used for purposes that it may no longer name, too.
  std::vector<QuarterUse> quarter_of(std::string_view principal, uint64_t t_ms);

  // All but the policy made ready: set_policy() goes with it.
  template <class A>
  void archive(A& a) {
    a(policy_, freezes_, principals_, names_, users_, by_gateway_, by_collection_, vault_,
      repeats_);
    if constexpr (A::kReading) {
      if (!ways_are_known()) a.fail();
      number_names();
      link_principals();
    }
  }

 private:
  std::optional<uint32_t> number_of(std::string_view name) const;
  uint32_t make_number(std::string_view name);
  void number_names();
  bool ways_are_known() const;  // What was read is what is used without looking.
  void link(PrincipalEntry& entry);
  void link_principals();
  Result<void> check_budgets(const Ask& ask, User* user, const CompiledGrant& grant, uint64_t t_ms);
  User* user(std::string_view name);

  Party party(std::string_view principal, std::string_view role, std::string_view purpose,
              std::string_view gateway, CollectionId collection) const;

  v1::Policy policy_;
  CompiledPolicy compiled_;
  Freezes freezes_;
  std::unordered_map<uint32_t, std::string> collection_names_;  // By id.
  NameMap<PrincipalEntry> principals_;
  NameMap<uint32_t>
      numbers_;  // Of every name ever charged: keys stay small and survive a change of policy.
  std::vector<std::string> names_;  // By number.
  std::unordered_map<uint32_t, User> users_;
  std::unordered_map<uint32_t, Meters> by_gateway_, by_collection_;
  Meters vault_;
  Repeats repeats_;
};

}  // namespace strongroom::policy
