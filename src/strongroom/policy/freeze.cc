#include "strongroom/policy/freeze.h"

#include <array>

#include "strongroom/policy/collection.h"

namespace strongroom::policy {
namespace {

struct KindText {
  Scope::Kind kind;
  const char* prefix;
  const char* cut;
  const char* to_masked;
};
constexpr std::array<KindText, 6> kKinds{{
    {Scope::Kind::kPrincipal, "principal:",
     "You are frozen: nothing leaves for you. Ask whoever keeps the vault safe; to thaw takes "
     "several.",
     "You are frozen to the masked view. Ask with --masked; to thaw takes several."},
    {Scope::Kind::kRole, "role:",
     "Your role is frozen: nothing leaves for it. Ask whoever keeps the vault safe; to thaw takes "
     "several.",
     "Your role is frozen to the masked view. Ask with --masked; to thaw takes several."},
    {Scope::Kind::kPurpose, "purpose:",
     "This purpose is frozen: nothing leaves for it. Ask whoever keeps the vault safe; to thaw "
     "takes several.",
     "This purpose is frozen to the masked view. Ask with --masked; to thaw takes several."},
    {Scope::Kind::kCollection, "collection:",
     "This collection is frozen: nothing of it leaves. Ask whoever keeps the vault safe; to thaw "
     "takes several.",
     "This collection is frozen to the masked view. Ask with --masked; to thaw takes several."},
    {Scope::Kind::kGateway, "gateway:",
     "This gateway is frozen: nothing leaves through it. Ask whoever keeps the vault safe; to thaw "
     "takes several.",
     "This gateway is frozen to the masked view. Ask with --masked; to thaw takes several."},
    {Scope::Kind::kAll, "all",
     "The whole vault is frozen: nothing leaves. Ask whoever keeps the vault safe; to thaw takes "
     "several.",
     "The whole vault is frozen to the masked view. Ask with --masked; to thaw takes several."},
}};

const KindText& text_of(Scope::Kind kind) {
  return kKinds[static_cast<size_t>(kind)];
}

std::string_view name_in(const Party& party, Scope::Kind kind) {
  switch (kind) {
    case Scope::Kind::kPrincipal:
      return party.principal;
    case Scope::Kind::kRole:
      return party.role;
    case Scope::Kind::kPurpose:
      return party.purpose;
    case Scope::Kind::kCollection:
      return party.collection;
    case Scope::Kind::kGateway:
      return party.gateway;
    case Scope::Kind::kAll:
      break;
  }
  return {};
}

}  // namespace

Result<Scope> parse_scope(std::string_view text) {
  for (const KindText& kind : kKinds) {
    if (!text.starts_with(kind.prefix)) continue;
    const std::string_view name = text.substr(std::string_view(kind.prefix).size());
    if (kind.kind == Scope::Kind::kAll ? name.empty() : is_principal_name(name)) {
      return Scope{kind.kind, std::string(name)};
    }
  }
  return make_error(ErrorCode::kInvalidArgument,
                    "A scope is principal:NAME, role:NAME, purpose:NAME, collection:NAME, "
                    "gateway:NAME or all.");
}

std::string to_text(const Scope& scope) {
  return text_of(scope.kind).prefix + scope.name;
}

void Freezes::add(const Scope& scope, Freeze freeze) {
  frozen_.insert_or_assign(scope, std::move(freeze));
}

void Freezes::remove(const Scope& scope) {
  frozen_.erase(scope);
}

const Freeze* Freezes::find(const Scope& scope) const {
  const auto it = frozen_.find(scope);
  return it == frozen_.end() ? nullptr : &it->second;
}

Result<void> Freezes::check(const Party& party, bool masked_only) const {
  if (frozen_.empty()) return {};
  for (const KindText& text : kKinds) {
    const auto it = frozen_.find(ScopeView(text.kind, name_in(party, text.kind)));
    if (it == frozen_.end()) continue;
    const bool to_masked = it->second.to_masked;
    if (to_masked && masked_only) continue;
    return make_error(ErrorCode::kPermissionDenied, to_masked ? text.to_masked : text.cut);
  }
  return {};
}

}  // namespace strongroom::policy
