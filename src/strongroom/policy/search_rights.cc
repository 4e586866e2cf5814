#include "strongroom/policy/search_rights.h"

#include <algorithm>

namespace strongroom::policy {
namespace {

Error refuse(Problem* problem, const char* text, std::string path) {
  if (problem != nullptr) *problem = {text, std::move(path)};
  return make_error(ErrorCode::kInvalidArgument, text);
}

constexpr uint32_t kExactAlone = 1u << v1::EXACT;

v1::IndexKind kind_of(const v1::Composite::Part& part) {
  if (part.unit() != v1::CALENDAR_UNIT_UNSPECIFIED) return v1::RANGE;
  return part.prefix() != 0 ? v1::PREFIX : v1::EXACT;
}

}  // namespace

Result<SearchRights> SearchRights::of(const v1::Grant& grant, uint32_t groups,
                                      const v1::Collection& collection, const std::string& path,
                                      Problem* problem) {
  SearchRights out;
  std::unordered_map<std::string, uint32_t> ids;
  for (const v1::Field& field : collection.fields()) {
    ids.emplace(field.name(), field.id());
    Kinds& kinds = out.fields_[field.id()];
    for (const int kind : field.index()) kinds.indexed |= 1u << kind;
    for (const v1::Group& group : collection.groups()) {
      const bool opened = group.name() == field.group() && (groups >> group.id() & 1) != 0;
      if (opened) kinds.allowed = kinds.indexed;
    }
  }
  for (int i = 0; i < grant.search_hidden_size(); ++i) {
    const std::string at = path + ".search_hidden[" + std::to_string(i) + "]";
    const auto id = ids.find(grant.search_hidden(i));
    if (id == ids.end()) {
      return refuse(problem, "A grant names a field that the collection does not have.", at);
    }
    Kinds& kinds = out.fields_[id->second];
    if ((kinds.indexed & kExactAlone) == 0) {
      return refuse(problem,
                    "Hidden fields are searched by whole values, and this one has no index EXACT.",
                    at);
    }
    if (kinds.allowed != 0) {
      return refuse(problem,
                    "search_hidden lists fields that the grant does not open, each once. Leave "
                    "this one out.",
                    at);
    }
    kinds.allowed = kExactAlone;
  }
  for (const v1::Composite& composite : collection.composites()) {
    uint32_t& forbids = out.composites_[composite.id()];
    for (const auto& part : composite.parts()) {
      const uint32_t id = ids[part.field()];
      if ((out.fields_[id].allowed >> kind_of(part) & 1) == 0) forbids = id;
    }
  }
  return out;
}

Result<void> SearchRights::check(const AskedTerm& asked) const {
  const auto unknown = [] {
    return make_error(ErrorCode::kInvalidArgument,
                      "A search goes by an index that the collection does not have.");
  };
  const auto denied = [](uint32_t field) {
    return make_error(ErrorCode::kSearchDenied,
                      "Your role may not open this field for this purpose, so it may not search by "
                      "it either, or by whole values (=) alone. Search by another field, or ask "
                      "whoever keeps the policy.",
                      field);
  };
  if (asked.composite != 0) {
    const auto it = composites_.find(asked.composite);
    if (it == composites_.end() || asked.field != 0) return unknown();
    if (it->second != 0) return denied(it->second);
    return {};
  }
  const auto it = fields_.find(asked.field);
  if (it == fields_.end() || asked.kind <= 0 || asked.kind >= 32) return unknown();
  if ((it->second.indexed >> asked.kind & 1) == 0) return unknown();
  if ((it->second.allowed >> asked.kind & 1) == 0) return denied(asked.field);
  return {};
}

}  // namespace strongroom::policy
