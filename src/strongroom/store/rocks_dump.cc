#include "strongroom/store/rocks_dump.h"

#include <rocksdb/db.h>
#include <rocksdb/utilities/debug.h>

#include <memory>
#include <vector>

#include "strongroom/store/rocks_engine.h"

namespace strongroom::store {
namespace {

constexpr size_t kVersionsAtOnce = 65'536;
// Of RocksDB's ValueType, which KeyVersion gives as a number.
constexpr int kTypeDeletion = 0;
constexpr int kTypeSingleDeletion = 7;

using Visit = std::function<void(const StoredVersion&)>;

Result<void> dump_table(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family, Table table,
                        const Visit& visit) {
  std::string from;  // The last page's last key: its versions may go on in the next page.
  uint64_t from_sequence = 0;
  bool first = true;
  for (size_t most = kVersionsAtOnce;;) {
    std::vector<rocksdb::KeyVersion> versions;
    const auto status = rocksdb::GetAllKeyVersions(&db, family, from, {}, most, &versions);
    if (!status.ok()) return rocks_error(status);
    size_t visited = 0;
    for (const auto& version : versions) {
      if (!first && version.user_key == from && version.sequence >= from_sequence) continue;
      const bool erased = version.type == kTypeDeletion || version.type == kTypeSingleDeletion;
      visit({table, version.user_key, version.value, version.sequence, erased});
      ++visited;
    }
    if (versions.size() < most) return {};
    if (visited == 0) {
      most *= 2;  // One key with more versions than a page.
      continue;
    }
    first = false;
    from = versions.back().user_key;
    from_sequence = versions.back().sequence;
  }
}

}  // namespace

Result<void> dump_rocks_store(const std::string& path, const Visit& visit) {
  const RocksOptions options;
  const auto cache = rocks_cache(options);
  rocksdb::DBOptions db_options = rocks_db_options(options, cache);
  db_options.create_if_missing = false;
  db_options.create_missing_column_families = false;
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  families.emplace_back(rocksdb::kDefaultColumnFamilyName,
                        rocks_table_options(Table::kMeta, false, options, cache));
  for (int t = 0; t < kTables; ++t) {
    const auto table = static_cast<Table>(t);
    families.emplace_back(table_name(table), rocks_table_options(table, false, options, cache));
  }
  rocksdb::DB* opened = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  const auto status = rocksdb::DB::OpenForReadOnly(db_options, path, families, &handles, &opened);
  const std::unique_ptr<rocksdb::DB> db(opened);
  if (!status.ok()) return rocks_open_error(status);
  Result<void> dumped;
  for (int t = 0; t < kTables && dumped; ++t) {
    dumped = dump_table(*db, handles[static_cast<size_t>(t) + 1], static_cast<Table>(t), visit);
  }
  for (auto* handle : handles) db->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  return dumped;
}

}  // namespace strongroom::store
