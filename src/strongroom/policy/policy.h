// A policy made ready for decisions: names resolved against the collections, everything checked
// once.  Spec: policy.md
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "strongroom/base/ids.h"
#include "strongroom/base/result.h"
#include "strongroom/policy/approvals.h"
#include "strongroom/policy/collection.h"
#include "strongroom/policy/conditions.h"
#include "strongroom/policy/meters.h"
#include "strongroom/policy/networks.h"
#include "strongroom/policy/search_rights.h"
#include "strongroom/v1/policy.pb.h"
#include "strongroom/v1/schema.pb.h"

namespace strongroom::policy {

inline constexpr uint32_t kUnwitnessedEntriesDefault = 10'000;
inline constexpr uint32_t kUnwitnessedSecondsDefault = 30;
inline constexpr uint32_t kTicketLifetimeDefaultS = 900;
inline constexpr uint32_t kTicketLifetimeMaxS = 24 * 3600;
inline constexpr uint32_t kRecordsPerQueryDefault = 100;
inline constexpr uint32_t kRepeatFreeMinutesMax = 60;
inline constexpr size_t kContactMax = 200;
inline constexpr uint32_t kEmbargoDaysMax = 3650;
inline constexpr uint64_t kBudgetMax = uint64_t{1} << 40;  // As many records as there can be.

struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
template <class T>
using NameMap = std::unordered_map<std::string, T, StringHash, std::equal_to<>>;

// What one role may do with one collection for one purpose.
struct CompiledGrant {
  uint32_t groups = 0;   // Bit g: group g.
  uint32_t actions = 0;  // Bit a: v1::Action a.
  uint64_t records_per_query = 0;
  MeterLimits limits;
  Opening opening;
  std::vector<Network> networks;  // None: anywhere.
  SearchRights search;
};

struct CompiledPurpose {
  bool case_required = false;
  bool emergency = false;
  std::vector<std::string> case_patterns;
};

// Nothing: not limited there.
struct CompiledLimits {
  std::optional<MeterLimits> principal, gateway, collection, vault;
  std::unordered_map<uint32_t, MeterLimits> collections;  // By id, in place of `collection`.
  const MeterLimits* of_collection(CollectionId id) const;
};

struct CompiledRole {
  uint32_t powers = 0;  // Bit p: v1::Power p.
  NameMap<std::vector<std::pair<CollectionId, CompiledGrant>>> by_purpose;
};

struct CompiledPolicy {
  NameMap<CompiledPurpose> purposes;
  NameMap<CompiledRole> roles;
  uint64_t ticket_lifetime_ms_max = uint64_t{kTicketLifetimeDefaultS} * 1000;
  CompiledLimits limits;
  uint64_t repeat_free_ms = 0;
  uint32_t approvals_needed = kApprovalsNeededDefault;
  uint64_t destruction_delay_ms = uint64_t{kDestructionDelayDefaultS} * 1000;
  uint64_t approval_ms_max = uint64_t{kApprovalHoursDefault} * 3'600'000;
};

// Pure.
//   kInvalidArgument  `problem`, where given, says which item; the error has the same text.
Result<CompiledPolicy> compile_policy(const v1::Policy& policy,
                                      std::span<const v1::Collection> collections,
                                      Problem* problem = nullptr);

struct PolicyDiff {
  std::vector<std::string> lines;
  bool widens = false;  // For somebody, at some time; in doubt, yes.
};

// What changes from `old` to `next`, one line each, sorted, for a person: "+
// roles.clerk.person.service.actions: FIND COUNT",
// "~ purposes.service.title: a -> b", "- ...". Both must compile. Versions are left out.
PolicyDiff diff_policies(const v1::Policy& old, const v1::Policy& next);

// Whether a change of this field of a policy's message is judged by a line of its own. Of those
// that are not, every change widens.
bool is_judged(std::string_view message, int field);

}  // namespace strongroom::policy
