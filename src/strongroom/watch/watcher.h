// Watches what principals and gateways do, and says when it is not as usual, and why.
//
// A pure step function: no clock, no I/O; the same alarms for the same history. It sees what the
// key server sees: record numbers, pseudonymous terms, counts, times; never a value. Hours and days
// are those of UTC, whole ones: what is spread over the turn of an hour counts for both, so up to
// twice a limit may pass within sixty minutes.
//
// Memory: sizeof(PrincipalWatch), below 4 KiB, for each principal that ever called.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "strongroom/base/ids.h"
#include "strongroom/watch/principal_watch.h"
#include "strongroom/watch/rules.h"

namespace strongroom::watch {

enum class Kind : uint8_t { kRelease, kSearch, kWrite, kRefusal };

// A term somebody searched for. `near` is the same for values that differ in their last characters
// only; 0: not that sort of value.
struct Term {
  uint64_t hash = 0;
  uint64_t near = 0;
};

// One decided call. Views are borrowed for the step.
struct Event {
  uint64_t leaf = 0;
  uint64_t t_ms = 0;
  Kind kind = Kind::kSearch;
  std::string_view principal;  // Empty: of a gateway alone, as a refusal without a good ticket.
  std::string_view gateway;
  std::string_view purpose;
  CollectionId collection;
  uint64_t collection_records = 0;  // There are in all: what chance is reckoned from.
  uint64_t count = 0;               // Records, searches, writes or refused calls.
  bool emergency = false;           // Under an emergency purpose.
  std::span<const RecordIndex> records;
  std::span<const Term> terms;
};

// Not thread-safe.
class Watcher {
 public:
  Watcher();
  // History stays.
  void set_rules(const Rules& rules) { rules_ = rules; }
  const Rules& rules() const { return rules_; }

  // Takes in one event; appends what it sets off. An earlier time counts as the latest one seen.
  void step(const Event& event, std::vector<v1::AlarmItem>& alarms);
  // For an event that opened canaries: which only whoever has the key state can tell.
  v1::AlarmItem canary_alarm(const Event& event, uint64_t canaries) const;

  size_t principals() const { return principals_.size(); }

  // All but the rules.
  template <class A>
  void archive(A& a) {
    a(principals_, gateways_, now_ms_);
  }

 private:
  struct StringHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  template <class T>
  using Named = std::unordered_map<std::string, std::unique_ptr<T>, StringHash, std::equal_to<>>;
  template <class T>
  static T& named(Named<T>& map, std::string_view name);

  Rules rules_;
  Named<PrincipalWatch> principals_;
  Named<GatewayWatch> gateways_;
  uint64_t now_ms_ = 0;
};

}  // namespace strongroom::watch
