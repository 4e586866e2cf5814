// What is cut off: a principal, a role, a purpose, a collection, a gateway, or everything.
//
// A freeze holds from the moment add() returns, for what was decided before it too: whoever hands
// out a key asks again when the key leaves (Engine::clear()).
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "strongroom/base/result.h"

namespace strongroom::policy {

inline constexpr size_t kFreezeReasonMax = 200;

struct Scope {
  enum class Kind : uint8_t { kPrincipal, kRole, kPurpose, kCollection, kGateway, kAll };
  Kind kind = Kind::kAll;
  std::string name;  // Empty for all.
  auto operator<=>(const Scope&) const = default;
  template <class A>
  void archive(A& a) {
    a(kind, name);
  }
};

// A scope whose name is held by someone else, to look it up by.
struct ScopeView {
  Scope::Kind kind;
  std::string_view name;
  // NOLINTNEXTLINE(google-explicit-constructor): a scope is one of these.
  ScopeView(const Scope& scope) : kind(scope.kind), name(scope.name) {}
  ScopeView(Scope::Kind k, std::string_view n) : kind(k), name(n) {}
  auto operator<=>(const ScopeView&) const = default;
};

// "principal:alice", "role:clerk", "purpose:service", "collection:person", "gateway:gateway-1",
// "all". Names need not exist: one that is yet to come may be frozen too.
//   kInvalidArgument
Result<Scope> parse_scope(std::string_view text);
std::string to_text(const Scope& scope);

struct Freeze {
  bool to_masked = false;  // Only the masked view leaves.
  std::string reason;
  std::string author;
  uint64_t t_ms = 0;
  uint64_t leaf = 0;
  template <class A>
  void archive(A& a) {
    a(to_masked, reason, author, t_ms, leaf);
  }
};

// Who gets what, by which way. Empty: none, as a lane's root for the compactor has no principal.
struct Party {
  std::string_view principal, role, purpose, collection, gateway;
};

// Not thread-safe.
class Freezes {
 public:
  // Adds or replaces.
  void add(const Scope& scope, Freeze freeze);
  void remove(const Scope& scope);
  const Freeze* find(const Scope& scope) const;  // nullptr: not frozen.
  const auto& all() const { return frozen_; }

  // Whether this may leave; `masked_only` says that it is the masked view alone, or nothing that
  // can be read at all.
  //   kPermissionDenied  The text says what is frozen.
  Result<void> check(const Party& party, bool masked_only) const;

  template <class A>
  void archive(A& a) {
    a(frozen_);
  }

 private:
  struct Before {
    using is_transparent = void;
    bool operator()(const ScopeView& a, const ScopeView& b) const { return a < b; }
  };
  std::map<Scope, Freeze, Before> frozen_;
};

}  // namespace strongroom::policy
