#include "strongroom/gateway/catalog.h"

#include <algorithm>

#include "strongroom/base/check.h"
#include "strongroom/crypto/hash.h"

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

index::FieldIndex index_of(const v1::Field& field) {
  index::FieldIndex out;
  out.type = static_cast<index::ValueType>(field.type());
  out.region = field.region();
  for (const int kind : field.index()) {
    switch (kind) {
      case v1::EXACT:
        out.exact = true;
        break;
      case v1::PREFIX:
        for (const uint32_t length : field.prefixes()) {
          out.prefixes.push_back(static_cast<uint8_t>(length));
        }
        break;
      case v1::RANGE:
        out.range = true;
        out.range_min = field.range().min();
        out.range_max = field.range().max();
        break;
      case v1::FUZZY:
        out.fuzzy = true;
        break;
      case v1::WORDS:
        out.words = true;
        break;
      default:
        break;  // Of a later version: policy/ does not let it in.
    }
  }
  return out;
}

Composite composite_of(const v1::Composite& composite, const Collection& collection) {
  constexpr size_t kMonthSize = 7, kYearSize = 4;
  Composite out{static_cast<uint16_t>(composite.id()), {}, false};
  for (const auto& part : composite.parts()) {
    const auto field = collection.find(part.field());
    if (!field) continue;  // policy/ does not let it in.
    if (part.unit() != v1::CALENDAR_UNIT_UNSPECIFIED) {
      out.parts.push_back(
          {*field, index::Kind::kDateNode, part.unit() == v1::YEAR_UNIT ? kYearSize : kMonthSize});
    } else if (part.prefix() != 0) {
      out.parts.push_back({*field, index::Kind::kPrefix, part.prefix()});
    } else {
      out.parts.push_back({*field, index::Kind::kExact, 0});
    }
  }
  return out;
}

std::shared_ptr<Collection> compile(const v1::Collection& schema) {
  auto out = std::make_shared<Collection>();
  out->id = CollectionId{schema.id()};
  out->name = schema.name();
  out->revision = schema.revision();
  out->renewals = schema.terms();
  out->renewing = schema.reindexing().renew();
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
    f.index = index_of(field);
    f.mask = field.mask();
    f.region = field.region();
    f.max_bytes = field.max_bytes() == 0 ? kDefaultFieldBytes : field.max_bytes();
    if (f.index.fuzzy || f.index.words) out->write_padding = index::WritePadding::kWide;
    for (const auto& ref : schema.reindexing().indexes()) {
      if (ref.field() == field.id()) f.building.push_back({ref.kind(), ref.prefix()});
    }
    any_mask = any_mask || f.mask != v1::MASK_UNSPECIFIED;
    out->fields.push_back(std::move(f));
  }
  std::sort(out->fields.begin(), out->fields.end(),
            [](const Field& a, const Field& b) { return a.id < b.id; });
  for (size_t i = 0; i < out->fields.size(); ++i) {
    out->by_name[out->fields[i].name] = i;
    if (out->fields[i].unique) out->unique_fields.push_back(i);
  }
  for (const auto& composite : schema.composites()) {
    Composite& added = out->composites.emplace_back(composite_of(composite, *out));
    for (const auto& ref : schema.reindexing().indexes()) {
      added.building |= ref.composite() == composite.id();
    }
  }
  if (any_mask) out->groups.push_back({kMaskedGroup});
  for (const auto& group : schema.groups())
    out->groups.push_back({GroupId{static_cast<uint8_t>(group.id())}, group.min_bytes()});
  std::sort(out->groups.begin(), out->groups.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  return out;
}

}  // namespace

TermKey term_key_of(const TermKey& term_key, const Collection& collection) {
  if (collection.renewals == 0) return term_key.clone();
  SR_CHECK(collection.salt != nullptr, "renewed terms have a salt");
  uint8_t number[8];
  store_be<uint32_t>(number, collection.id.value);
  store_be<uint32_t>(number + 4, collection.renewals);
  crypto::Digest made =
      crypto::hmac_sha256(term_key.read(SecretAccess{}),
                          {as_bytes("sr1.terms"), number, collection.salt->read(SecretAccess{})});
  TermKey out{Bytes(made).first<TermKey::kSize>()};
  explicit_bzero(made.data(), made.size());
  return out;
}

std::optional<std::string> composite_norm(
    const Composite& composite, const std::function<std::string(const Composite::Part&)>& term_of) {
  std::string out;
  for (const auto& part : composite.parts) {
    const std::string term = term_of(part);
    if (term.empty()) return std::nullopt;
    append_be(out, static_cast<uint32_t>(term.size()));
    out += term;
  }
  return out;
}

std::string part_of(const index::FieldIndex& index, const Composite::Part& part,
                    std::string_view norm) {
  switch (part.kind) {
    case index::Kind::kPrefix:
      return index::prefix_of(index, norm, part.size);
    case index::Kind::kDateNode:
      return std::string(norm.substr(0, part.size));
    default:
      return std::string(norm);
  }
}

std::optional<size_t> Collection::find(std::string_view field_name) const {
  const auto it = by_name.find(std::string(field_name));
  if (it == by_name.end()) return std::nullopt;
  return it->second;
}

Catalog::Catalog(const v1::SyncReply& sync)
    : revision_(sync.revision()), vault_(sync.vault()), policy_(sync.policy()) {
  for (const auto& schema : sync.collections()) {
    const auto collection = compile(schema);
    for (const auto& terms : sync.terms()) {
      if (terms.collection() != schema.id() || terms.salt().size() != TermSalt::kSize) continue;
      collection->salt =
          std::make_shared<const TermSalt>(as_bytes(terms.salt()).first<TermSalt::kSize>());
    }
    collections_.push_back(collection);
  }
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
