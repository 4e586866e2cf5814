#include "strongroom/gateway/open_row.h"

#include "strongroom/record/record.h"

namespace strongroom::gateway {

Error damaged_row() {
  return make_error(ErrorCode::kDataLoss,
                    "a stored record is damaged or was tampered with; nothing of it was shown or "
                    "changed. Restore the store from a backup");
}

Result<void> open_row(CollectionId collection, RecordIndex idx, std::string_view row,
                      std::span<const GroupId> groups, Bytes keys,
                      const std::function<void(FieldId, std::string&&)>& take) {
  const auto parsed = record::parse_row(as_bytes(row));
  if (!parsed) return damaged_row();
  for (size_t g = 0; g < groups.size(); ++g) {
    const RecordKey key(keys.subspan(g * RecordKey::kSize).first<RecordKey::kSize>());
    auto opened = record::open_group(collection, idx, *parsed, groups[g], key);
    if (!opened && opened.error().code == ErrorCode::kNotFound) continue;
    if (!opened) return damaged_row();
    for (auto& field : *opened) take(field.field, field.value.take(SecretAccess{}));
  }
  return {};
}

}  // namespace strongroom::gateway
