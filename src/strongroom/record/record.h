// Sealed records: the row format, groups, padding, seal and open.  Spec: docs/spec/record.md
//
//   row  ver u8 | n u8 | u u48be | n x (g u8, len u24be) | n x (nonce 12 | ct | tag 16)
//   AD_g "SR1" | collection u32be | idx u40be | header | g        header = everything before the
//   first nonce key  collection u32be | idx u40be
//
// A row carries all of its collection's groups. Plaintext of a group: a sequence of (field u16be,
// len u24be, bytes), in ascending field order, field 0 filler of zeros, then 80h and zeros up to
// the padded size (16 B steps below 128, then Padme).
#pragma once

#include <string>
#include <vector>

#include "strongroom/base/ids.h"
#include "strongroom/base/redacted.h"
#include "strongroom/base/result.h"
#include "strongroom/base/secret.h"

namespace strongroom::record {

inline constexpr uint8_t kRowVersion = 1;
inline constexpr size_t kRowKeySize = 9;
inline constexpr size_t kGroupsMax = 32;
inline constexpr size_t kGroupBytesMax = (1u << 24) - 1;  // Sealed size of one group.

std::string row_key(CollectionId collection, RecordIndex idx);
// False if `key` is not a row key.
bool parse_row_key(Bytes key, CollectionId* collection, RecordIndex* idx);

// The size a plaintext of `size` bytes (terminator included) is padded to. Monotonic; >= size.
size_t padded_size(size_t size);

struct FieldValue {
  FieldId field;
  std::string_view value;  // Borrowed.
};
struct GroupValues {
  GroupId group;
  std::vector<FieldValue> values;  // Ascending by field from 1, no repeats.
  size_t bytes_min = 0;            // Sealed as a plaintext of at least this size would be.
};

// Appends the sealed row to `out`. Groups ascending, no repeats, 1..kGroupsMax of them.
// Thread-safe.
//   kInvalidArgument  A group is larger than kGroupBytesMax, or what is said above of groups and
//   fields does not hold.
//                     `out` is as it was.
Result<void> seal(CollectionId collection, RecordVersion version, const WriteSecret& s,
                  std::span<const GroupValues> groups, std::string& out);

// What a row says in clear, checked for form only (everything in it is authenticated by open()).
struct RowHeader {
  Version u;
  struct Group {
    GroupId group;
    Bytes sealed;  // nonce | ct | tag, borrowed from the row.
  };
  std::vector<Group> groups;
  Bytes bytes;  // The header itself, for AD.
};
//   kDataLoss  Not a row of a version we know, or lengths that do not add up.
Result<RowHeader> parse_row(Bytes row);

struct OpenedField {
  FieldId field;
  Redacted<std::string> value;
};
// Opens one group with the key that was released for exactly (idx, u, group).
//   kNotFound   The row has no such group.
//   kDataLoss   Forged, moved, swapped or damaged.
Result<std::vector<OpenedField>> open_group(CollectionId collection, RecordIndex idx,
                                            const RowHeader& row, GroupId group,
                                            const RecordKey& key);

}  // namespace strongroom::record
