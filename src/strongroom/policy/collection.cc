#include "strongroom/policy/collection.h"

#include <algorithm>
#include <set>

#include "strongroom/policy/ascii.h"
#include "strongroom/policy/problem.h"

namespace strongroom::policy {
namespace {

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
std::string item(const char* list, const std::string& name, int at) {
  return name.empty() ? std::string(list) + "[" + std::to_string(at) + "]"
                      : std::string(list) + "." + name;
}

Result<void> check_groups(const v1::Collection& collection, Problem* problem) {
  std::set<uint32_t> ids;
  std::set<std::string> names{"masked"};
  for (int i = 0; i < collection.groups_size(); ++i) {
    const v1::Group& group = collection.groups(i);
    const std::string path = item("groups", group.name(), i);
    if (!is_collection_name(group.name())) {
      return fail(problem,
                  "A group's name must be a lower-case letter, then up to 31 lower-case letters, "
                  "digits or underscores.",
                  path);
    }
    if (group.id() < 1 || group.id() > kGroupMax) {
      return fail(problem, "A group's id must lie from 1 to 31.", path);
    }
    if (group.min_bytes() > kGroupBytesFloorMax) {
      return fail(problem, "A group's min_bytes must not exceed 4096.", path);
    }
    if (!ids.insert(group.id()).second) {
      return fail(problem, "Two groups have one id. Give each its own.", path);
    }
    if (!names.insert(group.name()).second) {
      return fail(
          problem,
          "Two groups have one name, or one is called masked, which is reserved. Rename it.", path);
    }
  }
  return {};
}

bool has_index(const v1::Field& field, int kind) {
  return std::find(field.index().begin(), field.index().end(), kind) != field.index().end();
}

Result<void> check_index_kinds(const v1::Field& field, const std::string& path, Problem* problem) {
  const auto type = field.type();
  const bool day = type == v1::DATE || type == v1::TIMESTAMP;
  if (has_index(field, v1::PREFIX) != (field.prefixes_size() > 0)) {
    return fail(problem, "An index PREFIX and the lengths in prefixes belong together.", path);
  }
  uint32_t before = 0;
  for (const uint32_t length : field.prefixes()) {
    if (length <= before || length > kPrefixCharactersMax) {
      return fail(problem, "The lengths of prefixes must ascend, from 1 to 32 characters.", path);
    }
    before = length;
  }
  if (has_index(field, v1::PREFIX) && (type == v1::INTEGER || type == v1::TIMESTAMP)) {
    return fail(problem, "An INTEGER or a TIMESTAMP has no prefixes. Index its RANGE.", path);
  }
  if (has_index(field, v1::RANGE) && !day && type != v1::INTEGER) {
    return fail(problem, "Only a DATE, a TIMESTAMP or an INTEGER has an index RANGE.", path);
  }
  if ((has_index(field, v1::RANGE) && type == v1::INTEGER) != field.has_range()) {
    return fail(problem,
                "An INTEGER with an index RANGE needs range: {min, max}, and nothing else has one.",
                path);
  }
  if (field.has_range()) {
    const uint64_t span =
        static_cast<uint64_t>(field.range().max()) - static_cast<uint64_t>(field.range().min());
    if (field.range().min() > field.range().max() || span > UINT32_MAX) {
      return fail(problem, "A range's max must not lie below its min, nor more than 2^32 above it.",
                  path);
    }
  }
  if (has_index(field, v1::FUZZY) && type != v1::NAME) {
    return fail(problem, "Only a NAME has an index FUZZY.", path);
  }
  if (has_index(field, v1::WORDS) && type != v1::TEXT) {
    return fail(problem, "Only a TEXT has an index WORDS.", path);
  }
  return {};
}

Result<void> check_composite(const v1::Collection& collection, const v1::Composite& composite,
                             const std::string& path, Problem* problem) {
  if (composite.id() < 1 || composite.id() > 65535) {
    return fail(problem, "A composite's id must lie from 1 to 65535.", path);
  }
  if (composite.parts_size() < 2 || composite.parts_size() > 3) {
    return fail(problem, "A composite has two or three parts.", path);
  }
  std::set<std::string> seen;
  for (const auto& part : composite.parts()) {
    const auto& fields = collection.fields();
    const auto field = std::find_if(fields.begin(), fields.end(), [&](const v1::Field& one) {
      return one.name() == part.field();
    });
    if (field == fields.end() || !seen.insert(part.field()).second) {
      return fail(problem, "A composite names a field that is not there, or one twice.", path);
    }
    // A search finds a composite by the terms of its parts, so these must be indexed too.
    const bool unit = part.unit() != v1::CALENDAR_UNIT_UNSPECIFIED;
    const bool known = v1::CalendarUnit_IsValid(part.unit());
    const auto& lengths = field->prefixes();
    const bool indexed =
        unit ? part.prefix() == 0 && has_index(*field, v1::RANGE) && field->type() != v1::INTEGER
        : part.prefix() != 0
            ? std::find(lengths.begin(), lengths.end(), part.prefix()) != lengths.end()
            : has_index(*field, v1::EXACT);
    if (!known || !indexed) {
      return fail(problem,
                  "A part of a composite must be indexed by itself too: its field EXACT, of this "
                  "prefix, or by RANGE for a unit of the calendar.",
                  path);
    }
  }
  return {};
}

Result<void> check_field(const v1::Collection& collection, const v1::Field& field,
                         const std::string& path, Problem* problem) {
  if (!is_collection_name(field.name())) {
    return fail(problem,
                "A field's name must be a lower-case letter, then up to 31 lower-case letters, "
                "digits or underscores.",
                path);
  }
  if (field.id() < 1 || field.id() > 65535) {
    return fail(problem, "A field's id must lie from 1 to 65535.", path);
  }
  if (field.type() == v1::FIELD_TYPE_UNSPECIFIED || !v1::FieldType_IsValid(field.type())) {
    return fail(problem, "A field needs a type that this version knows.", path);
  }
  const auto& groups = collection.groups();
  if (std::none_of(groups.begin(), groups.end(),
                   [&](const v1::Group& group) { return group.name() == field.group(); })) {
    return fail(problem, "A field names a group that the collection does not have.", path);
  }
  std::set<int> kinds;
  for (const int kind : field.index()) {
    if (kind == v1::INDEX_KIND_UNSPECIFIED || !v1::IndexKind_IsValid(kind)) {
      return fail(problem, "A field has an index of a kind that this version does not know.", path);
    }
    if (!kinds.insert(kind).second) {
      return fail(problem, "A field names one kind of index twice.", path);
    }
  }
  if (field.type() == v1::JSON && (field.index_size() > 0 || field.unique())) {
    return fail(problem, "A JSON field cannot be indexed or unique. Index a field of its own.",
                path);
  }
  SR_TRY(check_index_kinds(field, path, problem));
  if (!v1::Mask_IsValid(field.mask())) {
    return fail(problem, "A field has a mask that this version does not know.", path);
  }
  if (field.max_bytes() > kFieldBytesMax) {
    return fail(problem, "A field's max_bytes must not exceed 1048576.", path);
  }
  return {};
}

}  // namespace

bool is_collection_name(std::string_view name) {
  return !name.empty() && name.size() <= 32 && is_lower(name[0]) &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return is_lower(c) || is_digit(c) || c == '_'; });
}

bool is_principal_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && is_lower(name[0]) &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return is_lower(c) || is_digit(c) || c == '_' || c == '.' || c == '-';
         });
}

uint32_t group_mask(const v1::Collection& collection) {
  uint32_t mask = 1u << kMaskedGroup;
  for (const v1::Group& group : collection.groups()) mask |= 1u << (group.id() & kGroupMax);
  return mask;
}

bool has_unique(const v1::Collection& collection) {
  return std::any_of(collection.fields().begin(), collection.fields().end(),
                     [](const v1::Field& field) { return field.unique(); });
}

uint32_t indexed_groups(const v1::Collection& collection) {
  uint32_t mask = 0;
  for (const v1::Field& field : collection.fields()) {
    if (field.index().empty()) continue;
    for (const v1::Group& group : collection.groups()) {
      if (group.name() == field.group()) mask |= 1u << (group.id() & kGroupMax);
    }
  }
  return mask;
}

Result<void> check_collection(const v1::Collection& collection, Problem* problem) {
  if (!is_collection_name(collection.name())) {
    return fail(problem,
                "A collection's name must be a lower-case letter, then up to 31 lower-case "
                "letters, digits or underscores.",
                "name");
  }
  if (collection.id() == 0) return fail(problem, "A collection needs an id from 1 up.", "id");
  if (collection.ByteSizeLong() > kDefinitionBytesMax) {
    return fail(problem, "A collection's definition must stay under 1 MiB.", "");
  }
  if (collection.retention_days() > kRetentionDaysMax) {
    return fail(problem, "Records are kept for at most 36,500 days; 0 is for ever.",
                "retention_days");
  }
  if (static_cast<size_t>(collection.fields_size()) > kFieldsMax) {
    return fail(problem, "A collection may have at most 1000 fields.", "fields");
  }
  if (collection.fields().empty()) {
    return fail(problem, "A collection needs at least one field.", "fields");
  }
  SR_TRY(check_groups(collection, problem));
  std::set<uint32_t> ids;
  std::set<std::string> names;
  for (int i = 0; i < collection.fields_size(); ++i) {
    const v1::Field& field = collection.fields(i);
    const std::string path = item("fields", field.name(), i);
    SR_TRY(check_field(collection, field, path, problem));
    if (!ids.insert(field.id()).second) {
      return fail(problem, "Two fields have one id. Give each its own.", path);
    }
    if (!names.insert(field.name()).second) {
      return fail(problem, "Two fields have one name. Rename one.", path);
    }
  }
  ids.clear();
  for (int i = 0; i < collection.composites_size(); ++i) {
    const v1::Composite& composite = collection.composites(i);
    const std::string path = item("composites", {}, i);
    SR_TRY(check_composite(collection, composite, path, problem));
    if (!ids.insert(composite.id()).second) {
      return fail(problem, "Two composites have one id. Give each its own.", path);
    }
  }
  return {};
}

Result<void> check_collection_change(const v1::Collection& old, const v1::Collection& next,
                                     Problem* problem) {
  const ErrorCode refused = ErrorCode::kFailedPrecondition;
  if (old.id() != next.id() || old.name() != next.name()) {
    return fail(problem,
                "A collection's id and name never change. Make a new collection under a new id.",
                "name", refused);
  }
  for (const v1::Group& was : old.groups()) {
    const auto now = std::find_if(next.groups().begin(), next.groups().end(),
                                  [&](const v1::Group& group) { return group.id() == was.id(); });
    if (now == next.groups().end() || now->name() != was.name()) {
      return fail(problem,
                  "A group was removed or renamed: records are sealed under it. Keep it, and add "
                  "another under a new id.",
                  "groups." + was.name(), refused);
    }
  }
  for (const v1::Field& was : old.fields()) {
    const std::string path = "fields." + was.name();
    const auto now = std::find_if(next.fields().begin(), next.fields().end(),
                                  [&](const v1::Field& field) { return field.id() == was.id(); });
    if (now == next.fields().end() || now->name() != was.name()) {
      return fail(problem,
                  "A field was removed or renamed: stored records hold it. Keep it, and add "
                  "another under a new id.",
                  path, refused);
    }
    if (now->type() != was.type() || now->group() != was.group() || now->region() != was.region()) {
      return fail(problem,
                  "A field's type, group and region never change: stored records would change "
                  "their meaning. Add another field under a new id.",
                  path, refused);
    }
    const bool range_kept = !was.has_range() || (now->range().min() == was.range().min() &&
                                                 now->range().max() == was.range().max());
    if (now->unique() != was.unique() || !range_kept ||
        !std::all_of(was.index().begin(), was.index().end(),
                     [&](int kind) { return has_index(*now, kind); }) ||
        !std::includes(now->prefixes().begin(), now->prefixes().end(), was.prefixes().begin(),
                       was.prefixes().end())) {
      return fail(problem,
                  "An index, a length of prefixes or a range that a field has never goes or "
                  "changes, nor does unique. Indexes may be added; or add another field under a "
                  "new id, and import into it.",
                  path, refused);
    }
    if (now->required() && !was.required()) {
      return fail(problem,
                  "A field cannot become required: stored records may lack it. Leave it optional.",
                  path, refused);
    }
  }
  for (const v1::Composite& was : old.composites()) {
    const bool kept = std::any_of(next.composites().begin(), next.composites().end(),
                                  [&](const v1::Composite& now) {
                                    return now.SerializeAsString() == was.SerializeAsString();
                                  });
    if (!kept) {
      return fail(problem,
                  "A composite was removed or changed: keep it, and add another under a new id.",
                  "composites", refused);
    }
  }
  for (const v1::Field& now : next.fields()) {
    const bool is_new =
        std::none_of(old.fields().begin(), old.fields().end(),
                     [&](const v1::Field& field) { return field.id() == now.id(); });
    if (is_new && now.required()) {
      return fail(problem,
                  "A new field cannot be required: stored records lack it. Leave it optional.",
                  "fields." + now.name(), refused);
    }
  }
  return {};
}

std::vector<v1::IndexRef> added_indexes(const v1::Collection& old, const v1::Collection& next) {
  std::vector<v1::IndexRef> added;
  const auto add = [&](uint32_t field, int kind, uint32_t prefix) {
    v1::IndexRef& ref = added.emplace_back();
    ref.set_field(field);
    ref.set_kind(static_cast<v1::IndexKind>(kind));
    ref.set_prefix(prefix);
  };
  for (const v1::Field& now : next.fields()) {
    const auto was = std::find_if(old.fields().begin(), old.fields().end(),
                                  [&](const v1::Field& field) { return field.id() == now.id(); });
    if (was == old.fields().end()) continue;  // Records have no value of it.
    for (const int kind : now.index()) {
      if (kind != v1::PREFIX && !has_index(*was, kind)) add(now.id(), kind, 0);
    }
    for (const uint32_t length : now.prefixes()) {
      const auto& lengths = was->prefixes();
      if (std::find(lengths.begin(), lengths.end(), length) == lengths.end()) {
        add(now.id(), v1::PREFIX, length);
      }
    }
  }
  for (const v1::Composite& now : next.composites()) {
    const bool known = std::any_of(old.composites().begin(), old.composites().end(),
                                   [&](const v1::Composite& was) { return was.id() == now.id(); });
    if (!known) added.emplace_back().set_composite(now.id());
  }
  return added;
}

}  // namespace strongroom::policy
