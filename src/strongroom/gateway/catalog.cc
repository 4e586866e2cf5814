#include "strongroom/gateway/catalog.h"

#include <algorithm>

namespace strongroom::gateway {
namespace {

constexpr size_t kDefaultFieldBytes = 4096;

size_t count_characters(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

// The byte where character `n` starts.
size_t character_offset(std::string_view text, size_t n) {
  size_t at = 0;
  for (; at < text.size(); ++at) {
    if ((text[at] & 0xc0) != 0x80 && n-- == 0) break;
  }
  return at;
}

std::shared_ptr<const Collection> compile(const v1::Collection& schema) {
  auto out = std::make_shared<Collection>();
  out->id = CollectionId{schema.id()};
  out->name = schema.name();
  for (const auto& group : schema.groups()) {
    out->group_by_name[group.name()] = GroupId{static_cast<uint8_t>(group.id())};
  }
  bool any_mask = false;
  for (const auto& field : schema.fields()) {
    Field f;
    f.id = FieldId{static_cast<uint16_t>(field.id())};
    f.name = field.name();
    f.type = static_cast<index::ValueType>(field.type());
    f.group = out->group_by_name[field.group()];
    f.required = field.required();
    f.unique = field.unique();
    f.exact =
        std::find(field.index().begin(), field.index().end(), v1::EXACT) != field.index().end();
    f.mask = field.mask();
    f.region = field.region();
    f.max_bytes = field.max_bytes() == 0 ? kDefaultFieldBytes : field.max_bytes();
    any_mask = any_mask || f.mask != v1::MASK_UNSPECIFIED;
    out->fields.push_back(std::move(f));
  }
  std::sort(out->fields.begin(), out->fields.end(),
            [](const Field& a, const Field& b) { return a.id < b.id; });
  for (size_t i = 0; i < out->fields.size(); ++i) {
    out->by_name[out->fields[i].name] = i;
    if (out->fields[i].unique) out->unique_fields.push_back(i);
  }
  if (any_mask) out->groups.push_back(kMaskedGroup);
  for (const auto& group : schema.groups())
    out->groups.push_back(GroupId{static_cast<uint8_t>(group.id())});
  std::sort(out->groups.begin(), out->groups.end());
  return out;
}

}  // namespace

std::optional<size_t> Collection::find(std::string_view field_name) const {
  const auto it = by_name.find(std::string(field_name));
  if (it == by_name.end()) return std::nullopt;
  return it->second;
}

Catalog::Catalog(const v1::SyncReply& sync)
    : revision_(sync.revision()), vault_(sync.vault()), policy_(sync.policy()) {
  for (const auto& schema : sync.collections()) collections_.push_back(compile(schema));
  for (const auto& principal : sync.principals()) role_of_[principal.name()] = principal.role();
}

std::shared_ptr<const Collection> Catalog::collection(CollectionId id) const {
  for (const auto& collection : collections_) {
    if (collection->id == id) return collection;
  }
  return nullptr;
}

uint32_t Catalog::groups_for(std::string_view principal, std::string_view purpose,
                             CollectionId id) const {
  const auto target = collection(id);
  const auto role_name = role_of_.find(std::string(principal));
  if (target == nullptr || role_name == role_of_.end()) return 0;
  uint32_t mask = 0;
  for (const auto& role : policy_.roles()) {
    if (role.name() != role_name->second) continue;
    for (const auto& grant : role.grants()) {
      if (grant.collection() != target->name) continue;
      if (std::find(grant.purposes().begin(), grant.purposes().end(), purpose) ==
          grant.purposes().end())
        continue;
      for (const auto& name : grant.groups()) {
        if (name == "masked") mask |= 1;
        const auto it = target->group_by_name.find(name);
        if (it != target->group_by_name.end()) mask |= 1u << it->second.value;
      }
    }
  }
  return mask;
}

std::string masked(v1::Mask mask, std::string_view value) {
  const size_t n = count_characters(value);
  const auto stars = [](size_t count) { return std::string(count, '*'); };
  switch (mask) {
    case v1::LAST4: {
      const size_t shown = n > 4 ? 4 : 0;  // A value of four characters or fewer shows none.
      return stars(n - shown) + std::string(value.substr(character_offset(value, n - shown)));
    }
    case v1::FIRST1:
      return n < 2 ? stars(n)
                   : std::string(value.substr(0, character_offset(value, 1))) + stars(n - 1);
    case v1::YEAR:
      return n < 4 ? stars(n) : std::string(value.substr(0, character_offset(value, 4))) + "-**-**";
    case v1::REGION6:
      return n <= 6 ? stars(n)
                    : std::string(value.substr(0, character_offset(value, 6))) + stars(n - 6);
    default:
      return stars(n);
  }
}

}  // namespace strongroom::gateway
