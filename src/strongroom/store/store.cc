#include "strongroom/store/store.h"

namespace strongroom::store {
namespace {

constexpr size_t kErasedAtOnce = 4096;

Error no_files() {
  return make_error(ErrorCode::kFailedPrecondition, "This store's engine has no files to share.");
}

}  // namespace

Result<void> Store::erase_range(Table table, std::string_view from, std::string_view to) {
  for (;;) {
    std::vector<KeyRef> keys;
    SR_TRY(scan(table, from, to, [&](std::string_view key, std::string_view) {
      keys.push_back({table, std::string(key)});
      return keys.size() < kErasedAtOnce;
    }));
    if (keys.empty()) return {};
    SR_TRY(erase(keys, Durability::kSynced));
  }
}

Result<uint64_t> Store::measure(Table table, std::string_view from, std::string_view to) {
  uint64_t bytes = 0;
  SR_TRY(scan(table, from, to, [&](std::string_view key, std::string_view value) {
    bytes += key.size() + value.size();
    return true;
  }));
  return bytes;
}

Result<FileList> Store::file_list() {
  return FileList{};
}
Result<std::vector<FileList>> Store::opened_lists() {
  return std::vector<FileList>();
}
Result<void> Store::opened_lists_known() {
  return {};
}

Result<void> Store::freeze(const std::string&) {
  return no_files();
}

Result<void> Store::ingest_files(Table, std::string_view, std::string_view,
                                 std::span<const std::string>) {
  return no_files();
}

}  // namespace strongroom::store
