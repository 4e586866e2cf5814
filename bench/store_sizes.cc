// bench_store_sizes STORE
//
// Bytes on disk of each table of a gateway's store, as one JSON object. The vault must not be
// served at the time.
#include <cstdio>

#include "strongroom/store/store.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: bench_store_sizes STORE\n");
    return 2;
  }
  const auto store = strongroom::store::open_rocks_store(argv[1], {});
  if (!store) {
    std::fprintf(stderr, "bench_store_sizes: %s\n", store.error().text);
    return 1;
  }
  const auto stats = (*store)->stats();
  if (!stats) {
    std::fprintf(stderr, "bench_store_sizes: %s\n", stats.error().text);
    return 1;
  }
  for (int table = 0; table < strongroom::store::kTables; ++table) {
    std::printf("%s\"%s\":%llu", table == 0 ? "{" : ",",
                strongroom::store::table_name(static_cast<strongroom::store::Table>(table)),
                static_cast<unsigned long long>(stats->bytes[table]));
  }
  std::puts("}");
  return 0;
}
