// A released row, opened.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "strongroom/base/bytes.h"
#include "strongroom/base/ids.h"
#include "strongroom/base/result.h"

namespace strongroom::gateway {

// Hands out each value of these groups. `keys` are theirs, in the same order, 32 bytes each. A
// group that is younger than the row has none.
//   kDataLoss  The row is damaged. What was handed out before is not to be used.
Result<void> open_row(CollectionId collection, RecordIndex idx, std::string_view row,
                      std::span<const GroupId> groups, Bytes keys,
                      const std::function<void(FieldId, std::string&&)>& take);
// The row does not open, or is none.
Error damaged_row();

}  // namespace strongroom::gateway
