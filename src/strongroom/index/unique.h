// Unique rows: at most one record a value.  Spec: docs/spec/index.md
//   key    collection u32be | F(T,blk(48h,0))[0:11]        T under the collection's unique root
//   value  ver u8 | nonce 12 | GCM(key F(T,blk(62h,0))|F(T,blk(63h,0)), AD row key,
//          idx u40be | u u48be | check 16)
//   check  H(T, "sr1.check" | content)[0:16]: whether a record's content is still the same,
//          without opening it
#pragma once

#include <string>

#include "strongroom/base/ids.h"
#include "strongroom/base/result.h"
#include "strongroom/base/secret.h"

namespace strongroom::index {

inline constexpr size_t kUniqueValueSize = 56;

struct UniqueRow {
  RecordVersion version;
  ByteArray<16> check{};
};
ByteArray<15> unique_key(CollectionId collection, const TermToken& token);
ByteArray<16> content_check(const TermToken& token, Bytes content);
std::string seal_unique(Bytes key, const TermToken& token, const UniqueRow& row);
Result<UniqueRow> open_unique(Bytes key, const TermToken& token, Bytes value);

}  // namespace strongroom::index
