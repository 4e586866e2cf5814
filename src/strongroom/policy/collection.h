// Collections: what a sound one is, and which changes keep the meaning of the records that exist.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "strongroom/base/result.h"
#include "strongroom/v1/schema.pb.h"

namespace strongroom::policy {

// Which item of a policy or collection is at fault, for the one who wrote it. Names there are
// configuration, not personal.
struct Problem {
  const char* text = "";
  std::string path;  // "roles.clerk.grants[0].purposes[1]"
};

inline constexpr uint32_t kMaskedGroup = 0;
inline constexpr uint32_t kGroupMax = 31;
inline constexpr uint32_t kRetentionDaysMax = 36'500;
inline constexpr size_t kFieldsMax = 1000;
inline constexpr uint32_t kFieldBytesMax = uint32_t{1} << 20;
inline constexpr uint32_t kGroupBytesFloorMax = 4096;
inline constexpr uint32_t kPrefixCharactersMax = 32;
inline constexpr size_t kDefinitionBytesMax = size_t{1}
                                              << 20;  // Of a serialized collection or policy.

bool is_collection_name(std::string_view name);  // [a-z][a-z0-9_]{0,31}
bool is_principal_name(std::string_view name);   // [a-z][a-z0-9_.-]{0,63}; purposes and roles too.

// Bit g for each group g of the collection, bit 0 for the masked view.
uint32_t group_mask(const v1::Collection& collection);
bool has_unique(const v1::Collection& collection);  // A field that is.
// Of these the groups with a field that is indexed.
uint32_t indexed_groups(const v1::Collection& collection);

//   kInvalidArgument  `problem`, where given, says which item; the error has the same text.
Result<void> check_collection(const v1::Collection& collection, Problem* problem = nullptr);

// Whether `next`, sound by itself, may replace `old`: records under `old` keep their meaning.
// Fields and groups may be added (fields not required), titles, masks, paths and size limits
// changed; indexes and composites added.
//   kFailedPrecondition  The text says why not and what to do instead.
Result<void> check_collection_change(const v1::Collection& old, const v1::Collection& next,
                                     Problem* problem = nullptr);

// The indexes of `next` that records under `old` lack: of fields that both have, and composites.
std::vector<v1::IndexRef> added_indexes(const v1::Collection& old, const v1::Collection& next);

}  // namespace strongroom::policy
