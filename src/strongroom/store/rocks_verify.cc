#include "strongroom/store/rocks_verify.h"

#include <rocksdb/sst_file_reader.h>

#include <array>

#include "strongroom/env/files.h"
#include "strongroom/store/rocks_engine.h"

namespace strongroom::store {

Result<void> verify_rocks_files(const std::string& folder,
                                const std::function<void(const std::string&)>& damaged,
                                const std::function<void(uint64_t)>& done) {
  env::Files& files = env::real_files();
  RocksOptions small;
  small.block_cache_bytes = size_t{8} << 20;
  const auto cache = rocks_cache(small);
  rocksdb::Options options(rocks_db_options(small, cache),
                           rocks_table_options(Table::kPostings, false, small, cache));
  SR_ASSIGN(const auto names, files.list(folder));
  for (const std::string& name : names) {
    if (!name.ends_with(".sst")) continue;
    const std::string path = folder + "/" + name;
    const auto size = files.file_size(path);
    if (!size) continue;  // A file of a live store that was compacted away meanwhile.
    rocksdb::SstFileReader reader(options);
    if (!reader.Open(path).ok() || !reader.VerifyChecksum().ok()) {
      const auto still = files.exists(path);
      if (still && *still) damaged(name);
    }
    if (done) done(*size);
  }
  const auto opened = open_frozen_store(folder, small);
  if (opened) return {};
  // Else it names files that are not there, or is damaged itself.
  if (opened.error().code == ErrorCode::kDataLoss) {
    damaged("MANIFEST, CURRENT or a missing .sst");
    return {};
  }
  return opened.error();
}

}  // namespace strongroom::store
